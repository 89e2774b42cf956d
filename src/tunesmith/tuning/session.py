"""Sessions: which process works on a study, and whether it is alive."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from tunesmith.core import decide
from tunesmith.core.aging import KEEP
from tunesmith.core.errors import StoreError, StudyBusy, StudyNotFound
from tunesmith.core.events import Opened
from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import count
from tunesmith.core.trial import Kind, Reason
from tunesmith.store.base import Store
from tunesmith.tuning.arithmetic import arithmetic
from tunesmith.tuning.cluster_task import cluster_task
from tunesmith.version import __version__

#: So many sessions are named one by one.
_LISTED: Final = 5
#: A lease lives this long without news (s), and is renewed three times as often.
LEASE_S: Final = 30.0
#: After this long without a sign of life (s) a session on another host is dead; on ours we look for its process.
SILENCE_S: Final = 120.0


#: A coordinator that could not renew its lease for so long (s) acts no more before it has: another may take over soon.
ACT_S: Final = LEASE_S * 2 / 3


@lru_cache(maxsize=1)
def _me(pid: int) -> tuple[str, float]:
    import psutil

    return socket.gethostname(), float(psutil.Process(pid).create_time())


@lru_cache(maxsize=1)
def this_machine() -> str:
    """Where a pid of ours means what it means here: containers may have equal names, and each counts from 1."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # no Linux, or no /proc
        return ""


def waking_s() -> float:
    """A clock (s) that only goes forward, also while the computer sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def shared_clock(store: Store) -> Callable[[], float]:
    """The time (s since the epoch) for a session of a store that several hosts share: by its own clock, which is asked
    once. Those of hosts differ, and a limit on a study's time would be used up at once, or never."""
    now: Callable[[], float] | None = getattr(store, "now", None)
    if now is None or not getattr(store, "distant", False):
        return time.time
    began_s = waking_s()
    ahead_s = now() - began_s
    return lambda: waking_s() + ahead_s


@dataclass(frozen=True, slots=True)
class Session:
    """This process at work on a study."""

    id: str
    host: str
    pid: int
    pid_started: float
    machine: str = ""
    #: Whether it is one of somebody else's, for whom this process speaks (a service, for whoever asks it).
    remote: bool = False

    @classmethod
    def new(cls) -> Session:
        pid = os.getpid()
        return cls(uuid.uuid4().hex[:16], _me(pid)[0], pid, _me(pid)[1], this_machine())

    @property
    def mine(self) -> bool:
        """Whether it is this process, or one that it speaks for: a child that was forked is another one."""
        return self.remote or self.pid == os.getpid()

    @property
    def holder(self) -> str:
        """Its name as a lease's holder. It says who that is: a process that dies right after it took
        a lease has written nothing else."""
        return f"{self.id} {self.pid} {self.pid_started!r} {self.host} {self.machine}".rstrip()

    @classmethod
    def of(cls, holder: str) -> Session:
        """The session that holds a lease under this name."""
        name, pid, pid_started, host, *machine = holder.split(" ", 4)
        return cls(name, host, int(pid), float(pid_started), "".join(machine))

    def opened(
        self, *, coordinator: bool, program: Mapping[str, str] | None = None, changed: str = ""
    ) -> Opened:
        """The event that begins the session, of trials that run `program` (None: not known); `changed` is what becomes
        of those that ran another one."""
        return Opened(
            time.time(),
            self.id,
            self.host,
            self.pid,
            self.pid_started,
            coordinator,
            __version__,
            arithmetic(),
            program or {},
            self.machine,
            changed if program and changed != KEEP else "",
            cluster_task(os.environ, self.host),
        )


def alive(session: Opened | Session) -> bool | None:
    """Whether the session's process still runs; None if that cannot be known from here."""
    import psutil

    if session.machine and this_machine():
        if session.machine != this_machine():
            return None
    elif session.host != socket.gethostname():  # of an earlier version, or no Linux
        return None
    try:
        return abs(psutil.Process(session.pid).create_time() - session.pid_started) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def abandoned(
    ledger: Ledger, silent_s: Mapping[str, float], mine: str, *, coordinators: bool
) -> list[str]:
    """The sessions, other than `mine`, whose running trials are nobody's any more; with `coordinators`, those of
    all coordinators are. `silent_s` is what the store says (see `Store.silent_s`)."""
    sessions = {running.session for running in ledger.running.values()} - {mine}
    return [name for name in sessions if _dead(ledger, name, silent_s.get(name), coordinators)]


def _dead(ledger: Ledger, name: str, silent_s: float | None, coordinators: bool) -> bool:
    opened = ledger.sessions.get(name)
    if opened is None or (opened.coordinator and coordinators):
        return True
    lives = alive(opened)
    if lives is None:  # on another host, or in another container
        return silent_s is not None and silent_s > SILENCE_S
    return not lives


def give_up_dead(ledger: Ledger, silent_s: Mapping[str, float]) -> None:
    """Take trials of dead sessions for what they are, waiting to be run again, in a `ledger` that is only read:
    nothing is stored, as whoever goes on with the study will say so. They ended no later than the last sign of life."""
    dead = abandoned(ledger, silent_s, "", coordinators=False) if ledger.running else []
    for event in decide.give_up(ledger, ledger.worked_at, dead, _GONE):
        ledger.apply(event)


_GONE: Final = Reason(
    Kind.LOST, "the process that ran it is gone; it is run again when the study goes on"
)


class Heartbeat:
    """A thread that calls `beat`, a method, as long as its object and this process live."""

    def __init__(self, beat: Callable[[], object], every_s: float = LEASE_S / 3) -> None:
        self._over = threading.Event()
        arguments = (weakref.WeakMethod(beat), self._over, every_s)
        threading.Thread(
            target=_beat, args=arguments, daemon=True, name="tunesmith-heartbeat"
        ).start()

    def stop(self) -> None:
        self._over.set()


def _beat(
    reference: weakref.WeakMethod[Callable[[], object]], over: threading.Event, every_s: float
) -> None:
    while not over.wait(every_s):
        beat = reference()
        if beat is None:
            return
        try:
            beat()
        except StudyNotFound:
            return
        except StoreError:
            pass  # whoever works on the study will see it too, and say so
        del beat


def running_session(ledger: Ledger) -> Opened | None:
    """The session that runs a study at this moment, as far as can be known."""
    if ledger.coordinator is None or ledger.coordinator not in ledger.open_sessions:
        return None
    opened = ledger.sessions[ledger.coordinator]
    return None if alive(opened) is False else opened


def at_work(ledger: Ledger) -> list[Opened]:
    """The sessions that run trials, or coordinate, at this moment, as far as can be known; in the order in which they
    began."""
    names = {running.session for running in ledger.running.values()} & ledger.open_sessions
    if (coordinator := running_session(ledger)) is not None:
        names.add(coordinator.session)
    return [opened for name, opened in ledger.sessions.items() if name in names]


def present(ledger: Ledger) -> list[Opened]:
    """The sessions that take part, whether they run a trial at this moment or not, as far as can be known."""
    opened = (ledger.sessions[name] for name in ledger.open_sessions)
    return sorted((one for one in opened if alive(one) is not False), key=lambda one: one.at)


def on_other_hosts(ledger: Ledger, silent_s: Mapping[str, float]) -> list[Opened]:
    """The sessions of other machines that have been heard of lately (see `Store.silent_s`)."""
    opened = [ledger.sessions[name] for name in sorted(ledger.open_sessions)]
    lately = (one for one in opened if silent_s.get(one.session, SILENCE_S) < SILENCE_S)
    return [one for one in lately if alive(one) is None]


def describe(session: Opened | Session) -> str:
    """``process 4711 on host, since 12:30 on 01 May``, or the task of a cluster that it is, for messages."""
    at = session.at if isinstance(session, Opened) else session.pid_started
    began = time.strftime("%H:%M on %d %B", time.localtime(at))
    return f"{name_of(session)}, since {began}"


def name_of(session: Opened | Session) -> str:
    """The process, or the task of a cluster that it is."""
    task = session.task if isinstance(session, Opened) else ""
    return task or f"process {session.pid} on {session.host}"


def describe_all(sessions: Sequence[Opened]) -> str:
    """One as `describe` has it, several one by one, many by their number too."""
    if len(sessions) == 1:
        return describe(sessions[0])
    listed = "; ".join(name_of(session) for session in sessions[:_LISTED])
    rest = f"; and {len(sessions) - _LISTED} more" if len(sessions) > _LISTED else ""
    return f"{count(len(sessions), 'process')}: {listed}{rest}" if sessions else ""


def brief(sessions: Sequence[Opened]) -> str:
    """Them in a few words: ``12 processes on 3 hosts``."""
    if len(sessions) < 2:
        return name_of(sessions[0]) if sessions else ""
    hosts = {session.host for session in sessions}
    where = count(len(hosts), "host") if len(hosts) > 1 else hosts.pop()
    return f"{count(len(sessions), 'process')} on {where}"


def busy(study: str, holder: Opened | Session) -> StudyBusy:
    """The error for a study that `holder` runs."""
    return StudyBusy(
        f"study {study!r} is being run by {describe(holder)}; wait for it, stop it "
        f"(tunesmith stop {study}), or enqueue configs for it to run"
    )
