"""Worker process of the process executor: calls the objective, trial after trial.

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
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import ExecutorError, Stopped
from tunesmith.core.trial import Cost, Reason
from tunesmith.run import signals
from tunesmith.run.live import Channel, LiveTrial
from tunesmith.run.objective import ObjectiveFunction, call, reason_of

_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")


def main(socket: int, lifeline: int) -> None:
    """Serve trials until the parent goes away."""
    os.set_inheritable(socket, False)
    os.set_inheritable(lifeline, False)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Slurm sends it to all processes of a job whose time is nearly over: whoever runs this one ends it in good order
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(socket)
    os.register_at_fork(after_in_child=connection.close)  # only this process answers
    stopper = _Stopper()
    with signals.handling([signal.SIGINT, signal.SIGTERM], stopper.hear):
        try:
            _serve(connection, stopper)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the parent has closed
        finally:
            _flush()


def _die_with_parent(lifeline: int) -> None:
    """Kill this process and its group as soon as the parent is gone, whatever the objective does."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _serve(connection: Connection, stopper: _Stopper) -> None:
    blob, metric, path, directory = connection.recv()
    sys.path[:] = path
    sys.path_importer_cache.clear()
    try:
        import cloudpickle

        objective = ObjectiveFunction.of(cloudpickle.loads(blob), metric)
    except Exception as error:  # noqa: BLE001 (unpickling runs the user's imports)
        connection.send(("broken", reason_of(error)))
        return

    while True:
        trial, attempt, config, seed, reported, asked, given = connection.recv()
        sender = (trial, attempt, os.getppid() if sys.platform == "linux" else os.getpid())

        def tell(*message: Any, kind: str, answered: bool = True, sender: Any = sender) -> Any:
            with stopper.later():
                connection.send((kind, *sender, *message))
                stop: Reason | None = connection.recv() if answered else None
            if stop is None and answered:
                stopper.heed()
            return stop

        channel = Channel(
            trial,
            partial(tell, kind="report"),
            partial(tell, kind="ask"),
            partial(tell, kind="note", answered=False),
        )
        folder = partial(Path, directory, f"{trial:06d}")
        live = LiveTrial(
            trial,
            attempt,
            config,
            seed,
            folder,
            channel,
            reported,
            asked=asked,
            given=given,
            metrics=objective.metrics,
        )
        try:
            alone = asked is not None
            returned, reason, cost = _run(stopper.during(objective), live, alone=alone)
        except ExecutorError as error:
            connection.send(("fault", *sender, str(error)))
            return
        channel.close()
        _flush()
        connection.send(("exit", *sender, returned, reason, cost, live.tags))


def _flush() -> None:
    """Bring out what the objective has printed, if it has left us anything to print to."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


class _Stopper:
    """SIGTERM ends the present trial: it raises Stopped in its objective, but not between a report and
    the answer, which the next report would read. SIGINT is for the coordinator alone."""

    def __init__(self) -> None:
        self._listens = False
        self._came = False
        self._waits = False

    def hear(self, number: int) -> None:
        """Take a signal, in the main thread."""
        if number == signal.SIGTERM:
            self._came = True
            if not self._waits:
                self.heed()

    def heed(self) -> None:
        """Raise Stopped if it has come, in the thread that runs the objective."""
        main = threading.current_thread() is threading.main_thread()
        if self._came and self._listens and main:
            raise Stopped("told to stop")

    def during(self, objective: ObjectiveFunction) -> Callable[..., Any]:
        """The objective, which is stopped by a signal while it runs, and only then."""

        def stoppable(config: dict[str, Any] | None, trial: Callable[[], LiveTrial]) -> Any:
            self._came, self._listens = False, True
            try:
                return objective(config, trial)
            finally:
                self._listens = False

        return stoppable

    @contextlib.contextmanager
    def later(self) -> Iterator[None]:
        """A block that a signal does not break off."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals do not reach it
            return
        self._waits = True
        try:
            yield
        finally:
            self._waits = False


def _run(
    objective: Callable[..., Any], live: LiveTrial, *, alone: bool
) -> tuple[Any, Reason | None, Cost]:
    """Call the objective, and measure what it takes. `alone`: it is given the trial and no config."""
    _reset_peak()
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    returned, reason = call(objective, None if alone else live.config, lambda: live)
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


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
