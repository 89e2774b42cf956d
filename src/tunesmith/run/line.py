"""Lines: agents that call their coordinator over TCP, whoever has started them (Slurm's jobs, Dask's tasks).

The coordinator listens (`Lines`), and each agent is told where, as which number, and with what secret (`Call`). Both sides
prove the secret before anything else is read, as it is data that can run code (pickles, as executors of one study exchange
them). What is said is not encrypted: this is for the inside of a cluster. An agent whose line breaks ends with its trial, so that nothing
outlives the coordinator.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import socket
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import ExecutorError
from tunesmith.core.events import Stop
from tunesmith.run.agent import Agent, Order, Site
from tunesmith.run.fleet import Gone, Heard

#: How long a caller may take to prove itself, and to be connected (s).
_PATIENCE_S: Final = 30.0
#: How long to wait where no caller can be let in just now (s).
_PAUSE_S: Final = 0.1
#: How soon the kernel asks about a silent line, how often, and after how many questions without an answer it is cut.
_ALIVE: Final = (15, 5, 3)


class Call(NamedTuple):
    """Whom an agent calls."""

    host: str
    port: int
    secret: bytes
    agent: int


class Lines:
    """The coordinator's end: one line for each agent. `host` is the name or address by which agents find this machine."""

    def __init__(self, site: Site, host: str | None = None) -> None:
        self._site = site
        self._secret = secrets.token_bytes(32)
        self._listener = socket.create_server(("" if host != "127.0.0.1" else host, 0))
        self.host = host or own_address()
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._lines: dict[int, Connection | None] = {}
        self._heard: SimpleQueue[tuple[int, Heard]] = SimpleQueue()
        self._count = 0
        self._closed = False
        threading.Thread(target=self._listen, name="lines", daemon=True).start()

    def expect(self) -> Call:
        """What the next agent is to be told."""
        with self._lock:
            number = self._count
            self._count += 1
            self._lines[number] = None
        return Call(self.host, self.port, self._secret, number)

    def send(self, agent: int, message: Any) -> None:
        line = self._lines.get(agent)
        if line is not None:
            with contextlib.suppress(OSError):  # it is gone: its reader says so
                line.send(message)

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        """What has been heard; nothing of those that have ended."""
        heard: list[tuple[int, Heard]] = []
        with contextlib.suppress(Empty):
            heard.append(self._heard.get(timeout=max(timeout_s, 0.001)))
            while True:
                heard.append(self._heard.get_nowait())
        return [(agent, what) for agent, what in heard if agent in self._lines]

    def waited_for(self) -> list[int]:
        """Those that have not called yet."""
        with self._lock:
            return [agent for agent, line in self._lines.items() if line is None]

    def end(self, agent: int) -> bool:
        """Have an agent end; whether it had called."""
        self.send(agent, None)
        with self._lock:
            return self._lines.pop(agent, None) is not None

    def close(self) -> None:
        self._closed = True
        for agent in list(self._lines):
            self.end(agent)
        with contextlib.suppress(OSError):  # `close` alone leaves who waits in `accept` there
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    # -- threads ------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._listener.accept()
            except OSError:  # closed; or a caller that has gone, or no file is free just now
                time.sleep(0.0 if self._closed else _PAUSE_S)
                continue
            threading.Thread(target=self._greet, args=(caller,), daemon=True).start()

    def _greet(self, caller: socket.socket) -> None:
        """Let a caller in that knows the secret and a number that is waited for."""
        _keep_alive(caller)
        line = Connection(caller.detach())
        cut = threading.Timer(_PATIENCE_S, _cut, (line,))
        cut.daemon = True
        cut.start()
        try:
            deliver_challenge(line, self._secret)
            answer_challenge(line, self._secret)
            number = line.recv()
            cut.cancel()
            line.send(self._site)
        except (AuthenticationError, OSError, EOFError, AssertionError):
            line.close()
            return
        finally:
            cut.cancel()
        with self._lock:
            if self._lines.get(number, line) is not None:  # unknown, ended, or here already
                line.close()
                return
            self._lines[number] = line
        self._follow(number, line)

    def _follow(self, number: int, line: Connection) -> None:
        try:
            while True:
                self._heard.put((number, line.recv()))
        except (OSError, EOFError):
            self._heard.put(
                (number, Gone("its line to here has ended: its machine, or its job, is gone"))
            )
        finally:
            line.close()  # and stays in the table: nobody else is this agent


def attend(call: Call, lifeline: int | None = None) -> None:
    """Be an agent, until its coordinator ends it or is gone, or `lifeline` ends, the number of an open file. Raises
    ExecutorError where nobody answers."""
    try:
        caller = socket.create_connection((call.host, call.port), timeout=_PATIENCE_S)
    except OSError as error:
        raise ExecutorError(
            f"no coordinator answers at {call.host}:{call.port} ({error}); if this node knows it by another name, say host: NAME"
        ) from error
    caller.settimeout(None)
    _keep_alive(caller)
    line = Connection(caller.detach())
    if lifeline is not None:
        threading.Thread(target=_end_with, args=(lifeline, line), daemon=True).start()
    with line:
        answer_challenge(line, call.secret)
        deliver_challenge(line, call.secret)
        line.send(call.agent)
        with contextlib.suppress(OSError, EOFError):
            _serve(line, call)


def _end_with(lifeline: int, line: Connection) -> None:
    while os.read(lifeline, 1024):  # a file object's lock, held when the interpreter ends, is fatal
        pass
    _cut(line)


def _serve(line: Connection, call: Call) -> None:
    agent = Agent(line.recv())
    lock = threading.Lock()

    def say(what: Any) -> None:
        with lock, contextlib.suppress(OSError):
            line.send(what)

    orders: SimpleQueue[Sequence[Order] | None] = SimpleQueue()

    def work() -> None:
        while (given := orders.get()) is not None:
            say(agent.turn(given))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        say(agent.hello(f"{socket.gethostname()}/{call.agent}"))
        while (message := line.recv()) is not None:
            if isinstance(message, Stop):
                agent.tell(message)
            else:
                orders.put(message)
    finally:
        orders.put(None)
        agent.close()


def own_address() -> str:
    """The address by which others reach this machine, as far as it knows."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()


def _keep_alive(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * _PATIENCE_S))
    for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), _ALIVE, strict=True):
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _cut(line: Connection) -> None:
    """End a line in whose reading another thread waits."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(line.fileno())) as caller:
        caller.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":  # beside whoever holds its standard input open
    attend(pickle.load(sys.stdin.buffer), sys.stdin.fileno())  # noqa: S301 (from whoever has started it)
