"""A service for the tests: a process of its own on 127.0.0.1, which can be killed and started again."""

from __future__ import annotations

import asyncio
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvicorn
from tests.postgres import free_port, server

from tunesmith.service.app import make
from tunesmith.service.protocol import limits
from tunesmith.service.tokens import Scope, Tokens
from tunesmith.store import Location, Store, location_of, open_store
from tunesmith.tuning.place import state_of

_PROGRAM: Final = "from tunesmith.cli import main; main()"


@cache
def service() -> str:
    """The location of a service of this process's tests; with a token that may do everything."""
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    made = Service(folder / "studies.db")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(made.close)
    return made.url(made.token())


@cache
def service_of_a_database() -> str:
    """The same, whose studies are in PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    os.environ["XDG_STATE_HOME"] = str(folder)
    made = Service(server().url())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(made.close)
    return made.url(made.token())


def emptied(location: str = "") -> str:
    """A service of this process's tests without studies."""
    location = location or service()
    with closing(open_store(location)) as store:
        for name in store.names():
            store.delete(name)
    return location


class Here:
    """A service in a thread of this process: its clock can be ours. Its only token may do everything."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.time,
        vizier: Any = None,
        sagemaker: Any = None,
    ) -> None:
        tokens = Tokens(None)
        self.token, _ = tokens.create("ana", "admin")
        self.app = make(store, tokens=tokens, clock=clock, vizier=vizier, sagemaker=sagemaker)
        config = uvicorn.Config(self.app, log_level="warning", **limits())
        self._server = uvicorn.Server(config)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._listening])), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._listening.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request below /api/v1/studies."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/api/v1/studies{path}"
        return request(self.port, method, path, body, token=self.token, headers=named)

    def document(self) -> Answer:
        """The OpenAPI document."""
        return request(self.port, "GET", "/api/v1/openapi.json", token=self.token)


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """`tunesmith serve` for the studies at `storage`, on a port that stays the same."""

    def __init__(self, storage: str | Path, *options: str, python: str = sys.executable) -> None:
        location = location_of(storage)
        assert location is not None
        self.location: Location = location
        self.storage = str(storage)
        self.port = free_port()
        self._options, self._python = options, python
        self._process: subprocess.Popen[bytes] | None = None
        #: Its stderr: a pipe that nobody reads would fill, and hold it up.
        self._log, path = tempfile.mkstemp()
        Path(path).unlink()
        weakref.finalize(self, os.close, self._log)
        self.tokens = Tokens(state_of(location) / "tokens.json")
        self.start()

    def start(self) -> None:
        """Begin, and be there."""
        before = len(self.said)
        self._process = subprocess.Popen(
            [self._python, "-c", _PROGRAM, "serve", "-s", self.storage, "--port", str(self.port), *self._options],
            stderr=self._log, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        while (match := re.search(r"https?://\S+\n", self.said[before:])) is None:
            assert self._process.poll() is None, self.said
            time.sleep(0.01)
        #: The address that it printed.
        self.login = match[0].strip()

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        return os.pread(self._log, 1 << 24, 0).decode()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, how: int = signal.SIGKILL) -> int:
        """End it; its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        code = self._process.wait(60)
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.stop()

    def token(self, scope: Scope = "admin", **options: Any) -> str:
        return self.tokens.create("test", scope, **options)[0]

    def url(self, token: str | None = None) -> str:
        """Its location; with a token."""
        return f"http://{'' if token is None else token + '@'}127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; `body` is bytes, or data that is sent as JSON."""
        return request(self.port, method, path, body, token=token, headers=headers)


def request(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own; `body` is bytes, or data that is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = dict(headers or {})
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.msg, response.read())
    finally:
        connection.close()
