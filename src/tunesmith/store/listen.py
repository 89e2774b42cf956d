"""News of a PostgreSQL database by LISTEN and NOTIFY, where nothing stands in between that keeps them from us."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg

#: How long to wait for news before one looks anyway (s): where the server tells of them, and where it does not. A
#: writer tells at most every `_EVERY_S`, for one that does so waits for all others that do.
LISTENING_S: Final = 1.0
POLLING_S: Final = 0.25
_EVERY_S: Final = 0.5
#: How long our own message may take until we know that none arrive (s): poolers drop them without a word.
_SELF_TEST_S: Final = 2.0


class News:
    """What one process tells others of its studies, and hears of theirs."""

    def __init__(self, channel: str, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._channel, self._connect = channel, connect
        self._told: dict[int, float] = {}
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._pid = os.getpid()
        #: Whether messages arrive here, as far as is known.
        self.heard = True

    def tell(self, connection: psycopg.Connection[Any], study: int) -> None:
        """Say that `study` has new events. What cannot be said is found by who looks."""
        now = time.monotonic()
        if now - self._told.get(study, -_EVERY_S) < _EVERY_S:
            return
        self._told[study] = now
        with suppress(psycopg.Error):
            connection.execute(  # it is no event: the server need not write it to its disk
                "BEGIN; SET LOCAL synchronous_commit = off; "
                f"SELECT pg_notify('{self._channel}', '{study:d}'); COMMIT"
            )

    def wait(self, seconds: float) -> None:
        """Return when there may be news, after `seconds` at the latest."""
        if not self.heard or not self._lock.acquire(blocking=False):
            time.sleep(min(seconds, POLLING_S))
            return
        try:
            if self._connection is None or self._pid != os.getpid():
                self._listen()  # from now on: the caller looks once more first
            else:
                for _ in self._connection.notifies(timeout=min(seconds, LISTENING_S), stop_after=1):
                    pass
        except psycopg.Error:
            self._close()
            time.sleep(min(seconds, POLLING_S))
        finally:
            self._lock.release()

    def _listen(self) -> None:
        self._connection, self._pid = self._connect(), os.getpid()
        mark = f"test {self._pid} {time.monotonic_ns()}"
        self._connection.execute(f"LISTEN {self._channel}")
        self._connection.execute(f"SELECT pg_notify('{self._channel}', '{mark}')")
        until = time.monotonic() + _SELF_TEST_S
        while (left_s := until - time.monotonic()) > 0:
            for message in self._connection.notifies(timeout=left_s, stop_after=1):
                if message.payload == mark:
                    return
        self.heard = False
        self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        """Let go of the connection, unless another thread is using it."""
        if self._lock.acquire(blocking=False):
            self._close()
            self._lock.release()
