"""What an executor promises.

1. `start` begins a trial and returns at once; `stop` asks a running one to end. Neither raises for
   what goes wrong in the trial: that comes as an event.
2. Every started trial gets exactly one `Exited`, whatever happens to it.
3. **Reports are acknowledged.** A trial waits in ``report`` until the `events` call after the one
   that returned its `Reported`: by then the report is stored. If `stop` was called in between, the
   trial raises Stopped there; otherwise it goes on. (Programs of the ``command`` executor write
   reports and do not wait.)
4. A trial that does not end by itself within ``grace_s`` of `stop` is killed with all of its
   processes.
5. `close` kills what still runs; no process outlives it, or the death of this process.

Checked by ``tunesmith.testing.executor_checks``.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

from tunesmith.core.events import Exited, Reported, Start, Stop

Happened: TypeAlias = Reported | Exited


@runtime_checkable
class Executor(Protocol):
    """See the module's text for the promises."""

    def start(self, command: Start) -> None:
        """Begin a trial."""
        ...

    def stop(self, command: Stop) -> None:
        """Ask a running trial to end; unknown trials are ignored."""
        ...

    def events(self, timeout_s: float) -> list[Happened]:
        """What has happened since the last call; waits up to `timeout_s` if nothing has."""
        ...

    def close(self) -> None:
        """End everything."""
        ...
