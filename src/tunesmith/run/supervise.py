"""Supervision of a running process tree: resource limits and termination."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass, field

import psutil

from tunesmith.core.events import Stop
from tunesmith.core.quantity import show_bytes
from tunesmith.core.trial import Kind, Reason
from tunesmith.run import process_tree

#: How often memory is looked at (s): with a limit, and without.
_SAMPLE_S = (0.05, 0.5)
#: How long a program gets to write its stack dump before SIGTERM (s).
_DUMP_S = 0.5


@dataclass(slots=True)
class Supervisor:
    """Watches one attempt of a trial: the tree under `root`, its init where there is one."""

    root: int
    mark: tuple[str, str]
    memory_limit: int | None = None
    #: Whether the program's Python processes dump their stacks at SIGUSR1 (else SIGABRT is sent).
    dumps_on_usr1: bool = False
    #: Why it is being ended, once it is.
    stopping: Reason | None = None
    #: Whether it has been sent a signal: a program may come to its end before that.
    interfered: bool = False
    peak_bytes: int = 0
    _kill_at: float | None = None
    _terminate_at: float | None = None
    _sampled_at: float = field(default_factory=time.monotonic)
    _sample_every_s: float = _SAMPLE_S[0]

    def stop(self, command: Stop, *, signal_now: bool = True) -> None:
        """Ask the tree to end: a stack dump if wanted, SIGTERM (unless it need not be told by
        signal), SIGKILL after the grace. A second call only shortens the grace."""
        now = time.monotonic()
        kill_at = now + command.grace_s
        self._kill_at = kill_at if self._kill_at is None else min(kill_at, self._kill_at)
        if self.stopping is not None:
            return
        self.stopping = command.reason
        if command.dump:
            self._dump()
        if signal_now:
            self._terminate_at = now + (_DUMP_S if command.dump else 0.0)

    def step(self) -> None:
        """Do what is due: sample memory, enforce its limit, send the next signal."""
        now = time.monotonic()
        if now - self._sampled_at >= self._sample_every_s:
            self._sample()
        if self._kill_at is not None and now >= self._kill_at:
            self.interfered = True
            self.kill()
            self._kill_at = self._terminate_at = None
        elif self._terminate_at is not None and now >= self._terminate_at:
            self.interfered = True
            process_tree.send(process_tree.members(self.root, self.mark), signal.SIGTERM)
            self._terminate_at = None

    def kill(self) -> None:
        """SIGKILL everything that belongs to the attempt."""
        process_tree.kill(self.root, self.mark)

    def _sample(self) -> None:
        began = time.monotonic()
        members = process_tree.members(self.root, self.mark)
        used = process_tree.memory_bytes(members)
        over = self.memory_limit is not None and used > self.memory_limit
        if len(members) > 1 and (over or used > self.peak_bytes):
            used = process_tree.memory_bytes(members, shared_once=True)
        self.peak_bytes = max(self.peak_bytes, used)
        if self.memory_limit is not None and used > self.memory_limit:
            self.stopping = Reason(
                Kind.OUT_OF_MEMORY,
                f"used {show_bytes(used)}, over its limit of {show_bytes(self.memory_limit)}",
            )
            self.interfered = True
            self.kill()
        self._sampled_at = time.monotonic()
        # looking costs at most a tenth of one core
        least = _SAMPLE_S[0] if self.memory_limit is not None else _SAMPLE_S[1]
        self._sample_every_s = max(least, 10 * (self._sampled_at - began))

    def _dump(self) -> None:
        """Make the tree's Python processes write their stacks to their stderr."""
        number = signal.SIGUSR1 if self.dumps_on_usr1 else signal.SIGABRT
        members = [p for p in process_tree.members(self.root, self.mark) if _is_python(p)]
        if self.dumps_on_usr1:
            members = sorted(members, key=_began)[:1]  # the worker has the handler
        else:
            self.interfered = True
        process_tree.send(members, number)


def _is_python(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(("python", "Python"))
    except psutil.Error:
        return False


def _began(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.Error:
        return math.inf


def death(status: int) -> str:
    """How a process ended, from its return code: ``exit code 3``, ``signal SIGSEGV``."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def kernel_kills() -> int:
    """How often the kernel has killed for want of memory since it started (Linux; else 0)."""
    try:
        with open("/proc/vmstat") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
