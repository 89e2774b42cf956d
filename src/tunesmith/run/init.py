"""Init process of one program (Linux): adopts the orphans of its process tree as a subreaper, and ends with all of them.

A process that becomes a daemon (``setsid``, a double fork, an emptied environment) gets a new parent: the nearest
subreaper above it, which is this one. So all that a program has started descends from its init for as long as
it lives, and none of it outlives the program.

Run as a script, ``python -I -S init.py STATUS PROGRAM [ARGUMENT ...]``: it imports next to nothing, so that it is small
and starts in milliseconds. STATUS is the number of a file descriptor to which it writes how long the program took and
what all processes used, or "-". It exits as the program does, by the same code or signal; SIGTERM ends it at once.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from typing import Final, NoReturn

_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER, in linux/prctl.h
#: Signals that are meant for the program alone.
_PASSED_OVER: Final = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGABRT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
#: Processes that cannot be killed (they hang in the kernel) are waited for so long (s).
_PATIENCE_S: Final = 5.0


def command(argv: list[str], status: int | None = None) -> list[str]:
    """A command line as one that is run by an init process, where there is such a thing."""
    if sys.platform != "linux":
        return argv
    descriptor = "-" if status is None else str(status)
    return [sys.executable, "-I", "-S", __file__, descriptor, *argv]


def main(status: int | None, argv: list[str]) -> NoReturn:
    import ctypes

    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: _kill_all())
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _PASSED_OVER}
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 (Python may have set LC_CTYPE in its own)
        entries = file.read().split(b"\0")
    environment = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry[1:])
    if status is not None:
        os.set_inheritable(status, False)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        for number in (signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, *_PASSED_OVER):
            ignored = before.get(number) is signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        os.setsid()
        _become(argv, environment, status)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) != status:
            os.closerange(int(name), int(name) + 1)
    ended, code = 0, 0
    while ended != child:
        ended, code = os.wait()
    took_s = time.monotonic() - began
    _end_the_rest()
    if status is not None:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(status, f"{took_s} {used.ru_utime + used.ru_stime} {used.ru_maxrss}\n".encode())
    _exit_like(code)


def _become(argv: list[str], environment: dict[bytes, bytes], status: int | None) -> NoReturn:
    try:
        os.execve(argv[0], argv, environment)  # noqa: S606 (what a job file names)
    except OSError as error:
        if status is not None:
            os.write(status, f"! {error}\n".encode())
    finally:
        os._exit(127)


def _end_the_rest() -> None:
    """SIGKILL what the program has left behind, until nothing is left."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        _kill_all()
        time.sleep(0.002)


def _kill_all() -> None:
    """SIGKILL every descendant."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 (no pathlib: it takes longer to import than all else)
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(name))
    queue = [os.getpid()]
    while queue:
        children = parents.get(queue.pop(), ())
        queue += children
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def _exit_like(code: int) -> NoReturn:
    if os.WIFSIGNALED(code):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(code)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(code) if os.WIFEXITED(code) else 1)


if __name__ == "__main__":
    main(None if sys.argv[1] == "-" else int(sys.argv[1]), sys.argv[2:])
