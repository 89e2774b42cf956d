"""The executor protocol and its contract.

1. `start` begins a trial and returns at once; `stop` asks a running one to end. Neither raises for
   what goes wrong in the trial: that comes as an event. What is wrong with the machine or the tuner (no
   room for files, no more processes) is not the trial's fault: any verb may raise ExecutorError for it,
   and the study stops.
2. Every started trial gets exactly one `Exited`, whatever happens to it.
3. **Reports are acknowledged.** A trial waits in ``report`` until the `events` call after the one
   that returned its `Reported`: by then the report is stored. If `stop` was called in between, the
   trial raises Stopped there; otherwise it goes on. (Programs of the ``command`` executor write
   reports and do not wait.) So does a trial that asks for a parameter's value (`run.asks`): the `Asked` is stored then.
4. A trial that does not end by itself within ``grace_s`` of `stop` is killed with all of its
   processes.
5. Events are those of the attempt that `start` began: reports of its threads after its end, or of
   processes that it forked, are refused where they are made.
6. `close` kills what still runs; no process outlives it, or the death of this process.

Checked by ``tunesmith.testing.executor_checks``.
"""

from __future__ import annotations

import math
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from tunesmith.core.events import Asked, Exited, Reported, Start, Stop
from tunesmith.core.outcome import STEPS, finite
from tunesmith.run.objective import plain

Happened: TypeAlias = Reported | Asked | Exited


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


@runtime_checkable
class Elastic(Protocol):
    """An executor that has not always room for as many trials as a study runs at a time."""

    def room(self, wanted: int) -> int:
        """How many trials more can begin at once; it sees to it that `wanted` can, by and by. One that is started
        all the same waits, and its time runs."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An executor that has the objective on its caller's stack, where only an exception ends it."""

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the objective, if one runs. For signal handlers."""
        ...


def storable(event: Happened) -> Happened:
    """`event` as a store can hold it, whatever the executor. Raises what a bad one makes of itself."""
    if isinstance(event, Exited):
        simple = type(event.returned) is float
        return event if simple else event._replace(returned=plain(event.returned))
    if isinstance(event, Asked):
        return event
    if type(event.step) is not int or not -STEPS <= event.step < STEPS:
        raise ValueError(f"a step is a whole number of 64 bits, not {event.step!r}")
    metrics = {name: math.nan if v is None else v for name, v in event.metrics.items()}
    return msgspec.structs.replace(event, metrics=finite(metrics))
