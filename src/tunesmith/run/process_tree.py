"""Process trees: membership, resource usage and termination of a trial's processes.

A process belongs to a trial if it descends from it, is in its session, or carries its mark: an
environment variable that children inherit even when they become daemons. On Linux the root of a trial's tree is an init
process (`run.init`), from which daemons descend too; it is no member itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

from tunesmith.run import init

_LINUX: Final = sys.platform == "linux"
_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def family(root: int, mark: tuple[str, str] | None = None) -> list[psutil.Process]:
    """The living processes of the tree under `root`, a session leader: itself, its session, all their
    descendants; oldest first.

    With `mark` (a variable and its value), also those that carry it and have left the tree.
    O(processes of the machine).
    """
    parents: dict[int, list[int]] = {}
    pids: set[int] = set()
    for pid, ppid, session in _table():
        parents.setdefault(ppid, []).append(pid)
        if session == root or (mark is not None and pid not in pids and _carries(pid, mark)):
            pids.add(pid)
    queue = list(pids)
    while queue:
        pid = queue.pop()
        for child in parents.get(pid, ()):
            if child not in pids:
                pids.add(child)
                queue.append(child)
    pids.discard(os.getpid())
    return list(_alive(sorted(pids)))


def marked(mark: tuple[str, str]) -> list[psutil.Process]:
    """The living processes that carry the mark, and their descendants."""
    roots = [pid for pid, _, _ in _table() if _carries(pid, mark)]
    members = {process.pid: process for root in roots for process in family(root)}
    return [members[pid] for pid in sorted(members) if pid != os.getpid()]


def _table() -> Iterable[tuple[int, int, int]]:
    """(pid, parent, session) of every process."""
    if not _LINUX:
        for process in psutil.process_iter(["pid", "ppid"]):
            with contextlib.suppress(*_GONE, OSError):
                yield process.pid, process.info["ppid"], os.getsid(process.pid)
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 (this loop is hot)
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    # "pid (name) state ppid pgrp session ...": the name may hold anything
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            yield int(name), int(fields[1]), int(fields[3])


def _carries(pid: int, mark: tuple[str, str]) -> bool:
    name, value = mark
    try:
        if _LINUX:
            return f"{name}={value}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(
                b"\0"
            )
        return psutil.Process(pid).environ().get(name) == value
    except (*_GONE, OSError):
        return False


def _alive(pids: Iterable[int]) -> Iterable[psutil.Process]:
    for pid in pids:
        with contextlib.suppress(*_GONE):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process


def memory_bytes(processes: Iterable[psutil.Process], *, shared_once: bool = False) -> int:
    """Resident memory of all of them. Pages that they share count for each, which is cheap to find
    out; with `shared_once` they are shared out (PSS), which costs milliseconds per gigabyte."""
    total = 0
    for process in processes:
        with contextlib.suppress(*_GONE, OSError):
            if shared_once and _LINUX:
                total += process.memory_full_info().pss
            else:
                total += process.memory_info().rss
    return total


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal each; those that are gone do not matter."""
    for process in processes:
        with contextlib.suppress(*_GONE):
            process.send_signal(number)


def members(root: int, mark: tuple[str, str] | None = None) -> list[psutil.Process]:
    """The `family` of a trial's root; without that where it is the trial's init."""
    return [process for process in family(root, mark) if not (_LINUX and process.pid == root)]


def kill(root: int, mark: tuple[str, str] | None = None) -> None:
    """SIGKILL the tree of a trial until nothing of it is left (a fork may slip through the first round), and end
    its init."""
    for _ in range(20):
        left = members(root, mark)
        if not left:
            break
        send(left, signal.SIGKILL)
        time.sleep(0.005)
    if _LINUX:
        with contextlib.suppress(OSError):
            os.kill(root, signal.SIGTERM)


def kill_marked(mark: tuple[str, str]) -> int:
    """SIGKILL everything that carries the mark; how many processes there were."""
    killed: set[int] = set()
    for turn in range(50):
        left = marked(mark)
        if not left:
            break
        killed.update(process.pid for process in left)
        inits = [process for process in left if turn < 40 and _is_init(process)]
        send(inits, signal.SIGTERM)  # it ends with all of its descendants
        send([process for process in left if process not in inits], signal.SIGKILL)
        time.sleep(0.01)
    return len(killed)


def _is_init(process: psutil.Process) -> bool:
    try:
        return init.__file__ in process.cmdline()
    except _GONE:
        return False
