"""The child side of the process executor: calls the objective, trial after trial.

Run as ``python -m tunesmith.run.worker SOCKET LIFELINE``, two inherited file descriptors. Messages
are tuples, pickled: what the parent sends and what it gets back is listed in `tunesmith.run.process`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tunesmith.core.errors import Stopped
from tunesmith.core.outcome import Unusable, number
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.live import LiveTrial
from tunesmith.run.objective import Objective, reason_of

_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")


def main(socket: int, lifeline: int) -> None:
    """Serve trials until the parent goes away."""
    os.set_inheritable(socket, False)
    os.set_inheritable(lifeline, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(socket)
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has closed
    finally:
        sys.stdout.flush()


def _die_with_parent(lifeline: int) -> None:
    """Kill this process and its group as soon as the parent is gone, whatever the objective does."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _serve(connection: Connection) -> None:
    blob, metric, path, directory = connection.recv()
    sys.path[:] = path
    sys.path_importer_cache.clear()
    try:
        import cloudpickle

        objective = Objective.of(cloudpickle.loads(blob), metric)
    except Exception as error:  # noqa: BLE001 (unpickling runs the user's imports)
        connection.send(("broken", reason_of(error)))
        return

    told = _Told()

    def send(step: int, metrics: dict[str, float | None]) -> Reason | None:
        with told.later():
            connection.send(("report", step, metrics))
            stop: Reason | None = connection.recv()
        if stop is None:
            told.heed()
        return stop

    while True:
        trial, attempt, config, seed, reported = connection.recv()
        folder = partial(Path, directory, f"{trial:06d}")
        live = LiveTrial(trial, attempt, config, seed, folder, send, reported)
        returned, reason, cost = _run(objective, live, told)
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(("exit", plain(returned), reason, cost))


class _Told:
    """Whether SIGTERM has told the present trial to stop: that raises Stopped in its objective, but not
    between a report and the answer, which the next trial would read."""

    def __init__(self) -> None:
        self._came = False
        self._waits = False

    def listen(self) -> None:
        """Be there for a new trial."""
        self._came = False
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, _: int, __: FrameType | None) -> None:
        self._came = True
        if not self._waits:
            self.heed()

    def heed(self) -> None:
        """Raise Stopped if it has come."""
        if self._came:
            raise Stopped("told to stop")

    @contextlib.contextmanager
    def later(self) -> Iterator[None]:
        """A block that is not broken off."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False


def _run(objective: Objective, live: LiveTrial, told: _Told) -> tuple[Any, Reason | None, Cost]:
    """Call the objective; SIGTERM raises Stopped inside it."""
    returned: Any = None
    reason: Reason | None = None
    _reset_peak()
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    try:
        told.listen()
        returned = objective(live.config, lambda: live)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except Exception as error:  # noqa: BLE001 (the user's code may raise anything)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        reason = reason_of(error)
    except SystemExit as error:
        reason = Reason(Kind.ERROR, f"the objective called sys.exit({error.code!r})")
    except KeyboardInterrupt:
        reason = Reason(Kind.ERROR, "the objective raised KeyboardInterrupt")
    return returned, reason, Cost(time.perf_counter() - wall_s, _cpu_s() - cpu_s, _peak_bytes())


def _cpu_s() -> float:
    """CPU time of this process and of its children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _reset_peak() -> None:
    """Make the kernel forget the peak of earlier trials (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def _peak_bytes() -> int:
    """The highest resident memory since `_reset_peak`."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def plain(returned: Any) -> Any:
    """What an objective returned in types that every process can unpickle."""
    if returned is None or isinstance(returned, str):
        return returned if returned is None else returned[:200]
    if isinstance(returned, Mapping):
        return {str(name)[:200]: _plain_number(value) for name, value in returned.items()}
    if isinstance(returned, (tuple, list)):
        return [_plain_number(value) for value in returned[:100]]
    return _plain_number(returned)


def _plain_number(value: Any) -> Any:
    as_number = number(value)
    return as_number if as_number is not None else Unusable.of(value)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
