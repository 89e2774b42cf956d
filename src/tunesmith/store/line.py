"""Requests to a service: connections that are kept, broken ones made again, answers that are errors in our words."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from tunesmith.core import errors
from tunesmith.core.errors import (
    NotAStore,
    StoreError,
    StoreReadOnly,
    StoreUnreachable,
    StudyNotFound,
    TunesmithError,
)
from tunesmith.store.location import Service
from tunesmith.store.pause import pause_s
from tunesmith.version import __version__

#: A service that was there is looked for so long (s); between tries at most `_SLOWEST_S` pass.
PATIENCE_S: Final = 900.0
_SLOWEST_S: Final = 5.0
#: One that never was, but accepts connections, may be starting or ending.
_AT_FIRST_S: Final = 20.0
#: How long an answer may take (s): what reads a whole history takes its time.
_TIMEOUT_S: Final = 600.0
_CONNECT_S: Final = 10.0
_BROKEN: Final = (OSError, http.client.HTTPException)
_LATER: Final = (502, 503, 504)
#: After how long a silence (s) TCP asks whether the other end is there, how often (s), and how many times.
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
_PRINTABLE: Final = re.compile(r"[!-~]*")


class Answer:
    """What the service says."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def problem(self) -> Mapping[str, Any] | None:
        if "problem+json" not in self.headers.get("content-type", ""):
            return None
        try:
            problem = json.loads(self.body)
        except ValueError:
            return None
        return problem if isinstance(problem, dict) else None


class Line:
    """The way to a service. For several threads; after a fork each process has connections of its own."""

    def __init__(self, location: Service) -> None:
        self._location = location
        if not _PRINTABLE.fullmatch(location.token):
            raise StoreError(
                f"{location}: a token has letters, digits, - and _; is TUNESMITH_TOKEN right?"
            )
        self._prefix = f"{quote(location.prefix)}/api/v1"
        self._headers = {
            "User-Agent": f"tunesmith/{__version__}",
            "Content-Type": "application/json",
        }
        if location.token:
            self._headers["Authorization"] = f"Bearer {location.token}"
        self.where = str(location)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._idle: list[http.client.HTTPConnection] = []
        weakref.finalize(self, _close, self._idle)
        self._reached = False

    def _connect(self) -> http.client.HTTPConnection:
        place = self._location
        connection: http.client.HTTPConnection
        if place.secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                place.host, place.port, timeout=_CONNECT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(place.host, place.port, timeout=_CONNECT_S)
        connection.connect()
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE.items():  # a network that is cut says nothing
            if hasattr(socket, option):
                connection.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        return connection

    def _take(self) -> http.client.HTTPConnection | None:
        """An idle connection of this process: one of before a fork is the other process's."""
        with self._lock:
            if self._pid != os.getpid():
                _close(self._idle)  # this process's ends of them
                self._pid = os.getpid()
            return self._idle.pop() if self._idle else None

    def _send(self, method: str, path: str, body: bytes | None, key: str = "") -> Answer:
        """One request, once. Raises `_BROKEN`: it may have been done all the same."""
        connection = self._take() or self._connect()
        try:
            headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
            connection.request(method, f"{self._prefix}{path}", body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, _lower(response.getheaders()), response.read())
        except BaseException:  # Ctrl-C too: nobody knows what comes next on this connection
            connection.close()
            raise
        with self._lock:
            if response.will_close or self._pid != os.getpid():
                connection.close()
            else:
                self._idle.append(connection)
        return answer

    def request(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        body: bytes | None = None,
        lost: list[bool] | None = None,
        patience_s: float | None = None,
        key: str = "",
        **query: Any,
    ) -> Answer:
        """A request, made again while the service cannot be reached. Whether an answer was `lost` is added there; with a
        `key` the service does it once.
        Raises the error that the answer is, or StoreUnreachable."""
        if query := {name: value for name, value in query.items() if value not in (None, "")}:
            path = f"{path}?{urlencode(query)}"
        if data is not None:
            body = json.dumps(data).encode()
        until, tries, refused = 0.0, 0, False
        while True:
            try:
                answer = self._send(method, path, body, key)
                if answer.status not in _LATER:
                    break
                trouble = f"it answers {answer.status}"
            except _BROKEN as error:
                trouble = _why(error, self._location)
                refused = isinstance(
                    error, (ConnectionRefusedError, TimeoutError, socket.gaierror, ssl.SSLError)
                )
            if lost is not None:
                lost.append(True)
            now = time.monotonic()
            patience_s = (
                (PATIENCE_S if self._reached else _AT_FIRST_S) if patience_s is None else patience_s
            )
            until = until or now + patience_s
            if now >= until or (refused and not self._reached):
                raise StoreUnreachable(f"{self.where}: the service cannot be reached ({trouble})")
            tries += 1
            time.sleep(
                min(pause_s(tries) if tries < 8 else pause_s(8) * 2 ** (tries - 8), _SLOWEST_S)
            )
        if answer.status >= 300:
            raise self._error(answer)
        self._reached = True
        return answer

    def _error(self, answer: Answer) -> TunesmithError:
        problem = answer.problem
        if problem is None:
            hint = "; it leads elsewhere" if answer.status < 400 else ""
            return NotAStore(
                f"{self.where}: there is no tunesmith service at this address (status {answer.status}{hint})"
            )
        code, detail = str(problem.get("code")), str(problem.get("detail"))
        if code == "StudyGone":
            return Gone(detail)
        kind = getattr(errors, code, None)
        if isinstance(kind, type) and issubclass(kind, TunesmithError):
            placed = issubclass(kind, StoreError)
            return kind(f"{self.where}: {detail}" if placed else detail)
        if answer.status in (401, 421, 429):
            hint = "" if self._location.token else "; set TUNESMITH_TOKEN"
            return StoreUnreachable(f"{self.where}: {detail}{hint}")
        if answer.status == 403:
            return StoreReadOnly(f"{self.where}: {detail}")
        return StoreError(f"{self.where}: {detail}")

    def close(self) -> None:
        """Let go of idle connections."""
        _close(self._idle)


class Gone(StudyNotFound):
    """The study is another one of its name."""


def _close(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _why(error: Exception, place: Service) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not to be trusted: {error.verify_message}; if it is of an authority of your own, name that "
            "one's file in SSL_CERT_FILE"
        )
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection: {error.reason or error}; does it want {'http' if place.secure else 'https'}://?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there; does tunesmith serve run, and are host and port right?"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, socket.gaierror):
        return "there is no host of that name"
    if isinstance(error, http.client.RemoteDisconnected) and not place.secure:
        return "it ends the connection; does it want https://?"
    return str(error) or type(error).__name__
