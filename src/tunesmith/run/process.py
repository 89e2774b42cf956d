"""The process executor: trials in worker processes on this machine, parallel, limited, killable.

A worker runs one trial at a time and is kept for the next (with `isolate`, each trial gets a fresh
one, started ahead of time). The objective travels by cloudpickle, so lambdas, closures and functions
of a notebook are fine. Messages, each a pickled tuple over a socket:

    to the worker       (objective, metric, sys.path, folder)     once
                        (trial, attempt, config, seed, reported, asked, given)  for each trial
                        None | Reason                             after each report and question: go on, or stop
    from the worker     ("report", *sender, step, metrics)        sender: trial, attempt, process id (of its init, if any)
                        ("ask", *sender, question)                see `run.asks.Question`
                        ("note", *sender, name)                   a suggested value is used; no answer
                        ("exit", *sender, returned, reason, cost, tags)
                        ("fault", *sender, text)                  this machine's, not the trial's
                        ("broken", reason)                        the objective cannot be unpickled

What is not from the present attempt and the worker's own process is not listened to.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, Final

from tunesmith.core.errors import ExecutorError, JobError
from tunesmith.core.events import Asked, Exited, Reported, Start, Stop
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run import init, process_tree
from tunesmith.run.asks import Question
from tunesmith.run.base import Happened
from tunesmith.run.folder import Folder, made
from tunesmith.run.marks import ATTEMPT_MARK, SESSION_MARK
from tunesmith.run.objective import tail, takes_trial
from tunesmith.run.reaper import Guard
from tunesmith.run.report import (
    CHECKPOINT_VARIABLE,
    METRICS_VARIABLE,
    REPORTED_VARIABLE,
    STOP_VARIABLE,
)
from tunesmith.run.resources import GpuSlots, gpu_environment, thread_caps, visible_gpus
from tunesmith.run.supervise import Supervisor, death, kernel_kills

#: Output of a worker beyond this many bytes is cut off between trials.
_LOG_BYTES: Final = 32 << 20
#: How much of a failed trial's output is looked through for its last lines.
_TAIL_BYTES: Final = 64 << 10
#: A longer message is none of ours.
_MESSAGE_BYTES: Final = 64 << 20
#: What tells a program which trial it is (see `run.report`): a worker's is another one.
_NOT_INHERITED: Final = (
    CHECKPOINT_VARIABLE,
    METRICS_VARIABLE,
    REPORTED_VARIABLE,
    STOP_VARIABLE,
)


class Worker:
    """One worker process, and the trial it runs."""

    def __init__(
        self,
        slot: int,
        objective: tuple[bytes, str | Sequence[str]],
        folder: Path,
        environment: dict[str, str],
        session: str,
    ) -> None:
        self.slot = slot
        self.mark = (ATTEMPT_MARK, f"{session}/worker{slot}")
        self.start: Start | None = None
        self.began = 0.0
        self.reporting = False
        #: The names that the present trial has asked for, where it asks.
        self.asked: list[str] = []
        #: Whose messages count: trial, attempt, process id.
        self.sender = (-1, -1, -1)
        self.supervisor: Supervisor | None = None
        self._log_start = 0
        log = made(folder / "workers") / f"{slot}.log"
        self.log: IO[bytes] = log.open("a+b")
        ours, theirs = socket.socketpair()
        #: Its other end closes when this process dies, and the worker with it.
        alive, self.lifeline = os.pipe()
        with theirs:
            self.process = subprocess.Popen(
                init.command(
                    [sys.executable, "-m", "tunesmith.run.worker", str(theirs.fileno()), str(alive)]
                ),
                pass_fds=(theirs.fileno(), alive),
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                env={
                    **{n: text for n, text in os.environ.items() if n not in _NOT_INHERITED},
                    SESSION_MARK: session,
                    **dict([self.mark]),
                    **environment,
                },
                start_new_session=True,
            )
        os.close(alive)
        self.connection = Connection(ours.detach())
        with contextlib.suppress(OSError):  # killed already: the next look at it says so
            self.connection.send((*objective, sys.path, str(folder)))

    def run(self, start: Start, memory_limit: int | None) -> None:
        """Send it a trial."""
        self.start = start
        self.began = time.perf_counter()
        self.reporting = False
        self.asked = []
        self.sender = (start.trial, start.attempt, self.process.pid)
        if self.log.seek(0, os.SEEK_END) > _LOG_BYTES:
            self.log.truncate(0)
        self._log_start = self.log.seek(0, os.SEEK_END)
        self.supervisor = Supervisor(self.process.pid, self.mark, memory_limit, dumps_on_usr1=True)
        asks = (start.asked, start.given)
        self.connection.send(
            (start.trial, start.attempt, start.config, start.seed, start.reported, *asks)
        )

    def output(self) -> str:
        """The last lines that the present trial has printed."""
        size = self.log.seek(0, os.SEEK_END)
        self.log.seek(max(self._log_start, size - _TAIL_BYTES))
        return tail(self.log.read().decode(errors="replace"))

    def close(self) -> None:
        """Kill it and everything it started."""
        self.connection.close()
        os.close(self.lifeline)
        process_tree.kill(self.process.pid, self.mark)
        self.process.wait()
        self.log.close()


class ProcessExecutor:
    """See the module's text. `parallel` workers at most; they start when they are needed. The objective may have been
    `pickled` already."""

    def __init__(
        self,
        objective: Callable[..., Any] | bytes,
        *,
        metric: str | Sequence[str],
        session: str,
        folder: Folder,
        parallel: int = 1,
        memory_limit: int | None = None,
        isolate: bool = False,
        gpus_per_trial: float = 0.0,
        gpus: list[str] | None = None,
    ) -> None:
        blob = objective if isinstance(objective, bytes) else pickled(objective)
        self._objective = (blob, metric)
        self._session = session
        self._folder = folder
        self._parallel = parallel
        self._memory_limit = memory_limit
        self._isolate = isolate
        self._gpus_per_trial = gpus_per_trial
        if gpus is None:
            gpus = visible_gpus() if gpus_per_trial else []
        self._gpus = GpuSlots(gpus, gpus_per_trial, parallel)
        self._workers: dict[int, Worker] = {}
        self._slots = 0
        self._kernel_kills = kernel_kills()
        self._guard = Guard(session)

    # -- verbs --------------------------------------------------------------------------------

    def start(self, command: Start) -> None:
        idle = next((w for w in self._workers.values() if w.start is None), None)
        worker = idle or self._spawn()
        with contextlib.suppress(OSError):  # it is dead: the next look at it says so
            worker.run(command, self._memory_limit)
        if self._isolate and not self._gpus_per_trial and len(self._workers) <= self._parallel:
            self._spawn()  # the next trial's process warms up while this one runs

    def stop(self, command: Stop) -> None:
        worker = self._of(command.trial)
        if worker is None or worker.supervisor is None:
            return
        worker.supervisor.stop(command, signal_now=not worker.reporting)

    def events(self, timeout_s: float) -> list[Happened]:
        self._acknowledge()
        connections = {worker.connection: worker for worker in self._workers.values()}
        happened: list[Happened] = []
        for connection in wait(list(connections), timeout_s):
            worker = connections[connection]  # type: ignore[index]
            event = self._receive(worker)
            while event is None and not worker.connection.closed and worker.connection.poll():
                event = self._receive(worker)  # behind notes
            if event is not None:
                happened.append(event)
        for worker in list(self._workers.values()):
            if worker.start is not None and worker.supervisor is not None:
                worker.supervisor.step()
            if worker.process.poll() is not None and not worker.connection.closed:
                event = self._drain(worker)
                if event is not None:
                    happened.append(event)
        return happened

    def close(self) -> None:
        for worker in list(self._workers.values()):
            self._discard(worker)
        self._guard.close()

    # -- workers ------------------------------------------------------------------------------

    def _spawn(self) -> Worker:
        slot = self._slots
        self._slots += 1
        environment = {
            **thread_caps(self._parallel),
            **gpu_environment(self._gpus.take(slot), self._gpus_per_trial),
            "PYTHONUNBUFFERED": "1",
        }
        try:
            worker = Worker(slot, self._objective, self._folder.path, environment, self._session)
        except OSError as error:
            self._gpus.give_back(slot)
            raise ExecutorError(f"a worker process cannot be started: {error}") from error
        self._workers[slot] = worker
        return worker

    def _discard(self, worker: Worker) -> None:
        worker.close()
        del self._workers[worker.slot]
        self._gpus.give_back(worker.slot)

    def _of(self, trial: int) -> Worker | None:
        return next(
            (w for w in self._workers.values() if w.start is not None and w.start.trial == trial),
            None,
        )

    def _acknowledge(self) -> None:
        """Let trials that wait in a report go on, or end them there."""
        for worker in self._workers.values():
            if worker.reporting:
                worker.reporting = False
                assert worker.supervisor is not None
                try:
                    worker.connection.send(worker.supervisor.stopping)
                except OSError:
                    continue

    # -- messages -----------------------------------------------------------------------------

    def _receive(self, worker: Worker) -> Happened | None:
        """One message, or the worker's death."""
        try:
            kind, *content = pickle.loads(worker.connection.recv_bytes(_MESSAGE_BYTES))  # noqa: S301
        except Exception:  # noqa: BLE001 (it is dead, or somebody else has written to its socket)
            return self._died(worker)
        start = worker.start
        if kind == "broken":
            self._discard(worker)
            raise JobError(
                f"the objective cannot be loaded in a worker process: {content[0].message}\n"
                f"{content[0].output}"
            )
        sender, content = tuple(content[:3]), content[3:]
        if start is None or sender != worker.sender:
            return None
        now = time.time()
        if kind == "fault":
            raise ExecutorError(content[0])
        if kind == "report":
            worker.reporting = True
            return Reported(now, start.trial, start.attempt, *content)
        if kind == "ask":
            worker.reporting = True
            question: Question = content[0]
            worker.asked += [name for name in question.parameters if name not in worker.asked]
            return Asked(now, start.trial, start.attempt, *question)
        if kind == "note":
            worker.asked.append(content[0])
            return None
        return self._exited(worker, now, *content)

    def _exited(
        self,
        worker: Worker,
        now: float,
        returned: Any,
        reason: Reason | None,
        cost: Cost,
        tags: Mapping[str, str],
    ) -> Exited:
        start, supervisor = worker.start, worker.supervisor
        assert start is not None
        assert supervisor is not None
        if reason is not None:
            stopping = supervisor.stopping
            output = "\n".join(part for part in (worker.output(), reason.output) if part)
            told = stopping is not None and reason.kind in (Kind.STOPPED, Kind.ERROR)
            known = stopping if told and stopping is not None else reason
            reason = Reason(known.kind, known.message, tail(output))
        memory = max(cost.memory_bytes or 0, supervisor.peak_bytes)
        cost = Cost(cost.wall_s, cost.cpu_s, memory)
        worker.start = worker.supervisor = None
        stopped = supervisor.stopping
        # a signal may break off an import, which leaves modules that are half there to the trials after it
        broken_off = stopped is not None and stopped.kind not in (Kind.STOPPED, Kind.PAUSED)
        if self._isolate or broken_off:
            self._discard(worker)
        asked = _asked(start, worker)
        return Exited(
            now, start.trial, start.attempt, returned, reason, cost, asked=asked, tags=tags
        )

    def _drain(self, worker: Worker) -> Happened | None:
        """The last message of a worker that has died after sending it, or its death."""
        while worker.connection.poll():
            event = self._receive(worker)
            if event is not None or worker.connection.closed:
                return event
        return self._died(worker)

    def _died(self, worker: Worker) -> Exited | None:
        """The worker is gone: by its own fault, ours, or somebody else's."""
        start, supervisor = worker.start, worker.supervisor
        try:
            status = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL  # it closed its socket and lives on: `close` kills it
        output = worker.output() if start is not None else ""
        self._discard(worker)
        if start is None or supervisor is None:
            return None
        if supervisor.stopping is not None:
            reason = supervisor.stopping
        elif status == -signal.SIGKILL and kernel_kills() > self._kernel_kills:
            self._kernel_kills = kernel_kills()
            reason = Reason(
                Kind.OUT_OF_MEMORY, "killed by the kernel: the machine ran out of memory"
            )
        elif status == -signal.SIGKILL:
            reason = Reason(Kind.LOST, "its process was killed from outside (SIGKILL)")
        else:
            reason = Reason(Kind.ERROR, f"its process died: {death(status)}")
        wall_s = time.perf_counter() - worker.began
        cost = Cost(wall_s, memory_bytes=supervisor.peak_bytes or None)
        reason = Reason(reason.kind, reason.message, output)
        asked = _asked(start, worker)
        return Exited(time.time(), start.trial, start.attempt, None, reason, cost, asked=asked)


def _asked(start: Start, worker: Worker) -> tuple[str, ...] | None:
    """See `Exited.asked`."""
    return None if start.asked is None else tuple(worker.asked)


def pickled(objective: Callable[..., Any]) -> bytes:
    """The objective as bytes: by reference to its module if a worker can import that, else whole. Raises TypeError,
    JobError."""
    import cloudpickle

    takes_trial(objective)

    module = sys.modules.get(getattr(objective, "__module__", None) or "")
    whole = module is not None and not _importable(module.__name__)
    try:
        if whole:
            cloudpickle.register_pickle_by_value(module)
        blob: bytes = cloudpickle.dumps(objective)
    except Exception as error:
        raise JobError(
            f"the objective cannot be sent to worker processes: {error}; keep open files, locks and "
            "connections out of its closure, or run one trial at a time in this process "
            '(executor="inline")'
        ) from error
    finally:
        if whole:
            cloudpickle.unregister_pickle_by_value(module)
    return blob


def _importable(name: str) -> bool:
    """Whether ``import name`` would find the module on sys.path (it may have come another way)."""
    if name == "__main__":
        return True  # cloudpickle knows about that one
    path: list[str] | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        if spec is None:
            return name in sys.builtin_module_names
        path = list(spec.submodule_search_locations or [])
    return True
