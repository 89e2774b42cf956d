"""Who works on a study: one process, from opening it to closing it."""

from __future__ import annotations

import os
import socket
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache

from tunesmith import __version__
from tunesmith.core.events import Opened


@lru_cache(maxsize=1)
def _me(pid: int) -> tuple[str, float]:
    import psutil

    return socket.gethostname(), float(psutil.Process(pid).create_time())


@dataclass(frozen=True, slots=True)
class Session:
    """This process at work on a study."""

    id: str
    host: str
    pid: int
    pid_started: float

    @classmethod
    def new(cls) -> Session:
        pid = os.getpid()
        return cls(uuid.uuid4().hex[:16], _me(pid)[0], pid, _me(pid)[1])

    def opened(self, *, coordinator: bool) -> Opened:
        """The event that begins the session."""
        return Opened(
            time.time(), self.id, self.host, self.pid, self.pid_started, coordinator, __version__
        )


def alive(opened: Opened) -> bool | None:
    """Whether the session's process still runs; None if that cannot be known from here."""
    import psutil

    if opened.host != socket.gethostname():
        return None
    try:
        return abs(psutil.Process(opened.pid).create_time() - opened.pid_started) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def describe(opened: Opened) -> str:
    """``process 4711 on host``, for messages."""
    began = time.strftime("%H:%M on %d %B", time.localtime(opened.at))
    return f"process {opened.pid} on {opened.host}, since {began}"
