"""The process beside a job's: it keeps the log, ends the job on request, and writes down how it ended.

Run as ``python -m tunesmith.service.jobs.keeper FOLDER LOCK``, its `Plan` on stdin, whose secrets are so on no disk. LOCK is the descriptor of
a lock that it, and what it runs, have for as long as they live: while one of them does, the job runs. The service may be killed
meanwhile; it finds the lock, the log and, once the lock is free, the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tunesmith.files import write_json
from tunesmith.service.jobs.output import printed

LOG: Final = "log"
LOCK: Final = "lock"
CANCEL: Final = "cancel"
#: The longest log (bytes); of what is beyond that the end is kept.
MOST_LOG: Final = 16 << 20
_TAIL: Final = 64 << 10
#: How long a job may take to end on request (s); how often the request is looked for.
GRACE_S: Final = 30.0
_LOOK_S: Final = 0.2
#: By how much jobs are behind the service when both want a processor, which is to answer however many they are.
_NICE: Final = 5


class Step(msgspec.Struct, frozen=True):
    """A program of a job; `name` says what it does."""

    name: str
    words: list[str]
    #: What ends it where signals do not (a container outlives the program that began it): done before it and after it.
    clear: list[str] = []


class Plan(msgspec.Struct, frozen=True):
    """What is run, one after the other, until one fails."""

    attempt: int
    folder: str
    environment: dict[str, str]
    steps: list[Step]
    most_log: int = MOST_LOG


class End(msgspec.Struct, frozen=True):
    """How it ended: the last step, and its exit code (negative: the signal)."""

    step: str
    code: int


def end_of(folder: Path, attempt: int) -> End | None:
    """How an attempt ended; None where nobody has written that down."""
    try:
        return msgspec.json.decode(_end(folder, attempt).read_bytes(), type=End)
    except (OSError, msgspec.DecodeError):
        return None


def _end(folder: Path, attempt: int) -> Path:
    return folder / f"end-{attempt}.json"


class _Log:
    """A file that is appended to until it is long; then the end is remembered, and written last."""

    def __init__(self, path: Path, most: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = most - os.fstat(self._file).st_size
        self._tail, self._out = b"", 0

    def write(self, data: bytes) -> None:
        now, later = data[: max(0, self._left)], data[max(0, self._left) :]
        with contextlib.suppress(OSError):  # a full disk is no reason to end a job
            os.write(self._file, now)
        self._left -= len(now)
        self._tail += later
        if (beyond := len(self._tail) - _TAIL) > 0:
            self._tail, self._out = self._tail[beyond:], self._out + beyond

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._out:
                os.write(self._file, f"\n[{self._out} bytes are left out here]\n".encode())
            os.write(self._file, self._tail)
        os.close(self._file)


class Keeper:
    """Runs the steps of a plan."""

    def __init__(self, folder: Path, lock: int, plan: Plan) -> None:
        self._folder, self._lock, self._plan = folder, lock, plan
        self._log = _Log(folder / LOG, plan.most_log)
        self._terminated = False

    def run(self) -> End | None:
        """None if whoever runs this machine has ended it, which is no end of the job."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end = None
        for step in self._plan.steps:
            self._clear(step)
            try:
                end = End(step.name, self._one(step))
            finally:
                self._clear(step)
            if end.code or self._terminated:
                break
        self._log.close()
        return None if self._terminated else end

    def _clear(self, step: Step) -> None:
        if step.clear:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    step.clear, cwd=self._plan.folder, env=self._plan.environment, stdin=subprocess.DEVNULL,
                    capture_output=True, timeout=2 * GRACE_S, check=False,
                )  # fmt: skip

    def _terminate(self, *_: object) -> None:
        self._terminated = True

    def _one(self, step: Step) -> int:
        try:
            process = subprocess.Popen(
                step.words,
                cwd=self._plan.folder,
                env=self._plan.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._lock,),
                preexec_fn=_end_with_parent if _LIBC is not None else None,  # noqa: PLW1509 (it has one thread)
            )
        except OSError as error:
            self._log.write(f"{step.words[0]} cannot be run: {error.strerror}\n".encode())
            return 127
        asked_at = None
        for data in printed(process, _LOOK_S):
            self._log.write(data)
            now = time.monotonic()
            asked = self._terminated or (self._folder / CANCEL).exists()
            if asked and process.poll() is None:
                if asked_at is None:
                    asked_at = now
                    _signal(process.pid, signal.SIGTERM if self._terminated else signal.SIGINT)
                elif now - asked_at > GRACE_S:
                    _signal(process.pid, signal.SIGKILL)
        _signal(process.pid, signal.SIGKILL)  # what it has left in its session's group
        return process.wait()


#: prctl(2), where the system has it; loaded before a fork needs it.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG: Final = 1


def _end_with_parent() -> None:
    """In the child: be told to end when the keeper is killed, as nobody could cancel the job any more."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def main(folder: Path, lock: int) -> None:
    """Run the plan on stdin."""
    os.nice(_NICE)
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    end = Keeper(folder, lock, plan).run()
    if end is not None:
        write_json(_end(folder, plan.attempt), msgspec.to_builtins(end))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
