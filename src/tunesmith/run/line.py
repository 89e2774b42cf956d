"""Lines: agents that call their coordinator over TCP, whoever has started them (Slurm's jobs, Dask's tasks).

The coordinator listens (`Lines`), and each agent is told where, as which number, and with what secret (`Call`). Both sides
prove the secret before anything else is read, as it is data that can run code (pickles, as executors of one study exchange
them). What is said is not encrypted: this is for the inside of a cluster. An agent whose line breaks ends with its trial, so that nothing
outlives the coordinator. One that is sent a signal, as Slurm does before it takes a job away, says so while there is time.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import ExecutorError
from tunesmith.core.events import Stop
from tunesmith.run import signals
from tunesmith.run.agent import Agent, Order, Site
from tunesmith.run.fleet import Gone, Heard, Leaving

#: How long a caller may take to prove itself, and to be connected (s).
_PATIENCE_S: Final = 30.0
#: How long to wait where no caller can be let in just now (s).
_PAUSE_S: Final = 0.1
#: How soon the kernel asks about a silent line, how often, and after how many questions without an answer it is cut.
_ALIVE: Final = (15, 5, 3)
#: How long who closes waits for its threads (s).
_JOIN_S: Final = 10.0
#: By what signals an agent learns that its place is taken away, and how long it still has, at least (s): Slurm kills 30 s after
#: SIGTERM, unless told otherwise; the others are sent when users say, some 90 s before.
_LEAVE: Final = {signal.SIGTERM: 30.0, signal.SIGUSR1: 60.0, signal.SIGUSR2: 60.0}


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
        #: Callers, and whether they have been let in.
        self._callers: dict[Connection, bool] = {}
        self._threads: set[threading.Thread] = set()
        self._start(self._listen)

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
        """End all; no thread is left."""
        self._closed = True
        for agent in list(self._lines):
            self.end(agent)
        with contextlib.suppress(OSError):  # `close` alone leaves who waits in `accept` there
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        deadline = time.monotonic() + _JOIN_S
        while True:  # agents hang up when what they ran has ended
            late = time.monotonic() > deadline
            with self._lock:
                threads = list(self._threads)
                for line, followed in self._callers.items():
                    if late or not followed:
                        _cut(line, socket.SHUT_RD if followed else socket.SHUT_RDWR)
            if not threads or time.monotonic() > deadline + 1.0:
                break
            threads[0].join(0.05)

    # -- threads ------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            try:
                work(*arguments)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="lines", daemon=True)
        with self._lock:
            self._threads.add(thread)
            thread.start()  # nobody joins one that has not been started

    def _listen(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._listener.accept()
                _keep_alive(caller)
            except OSError:  # closed; or a caller that has gone, or no file is free just now
                time.sleep(0.0 if self._closed else _PAUSE_S)
                continue
            line = Connection(caller.detach())
            with self._lock:
                self._callers[line] = False
            self._start(self._greet, line)

    def _greet(self, line: Connection) -> None:
        try:
            self._let_in(line)
        finally:
            with self._lock:  # so that nobody cuts a file of this number that is another by then
                del self._callers[line]
                line.close()

    def _let_in(self, line: Connection) -> None:
        """Follow a caller that knows the secret and a number that is waited for."""
        cut = threading.Timer(_PATIENCE_S, _cut, (line, socket.SHUT_RDWR))
        cut.daemon = True
        cut.start()
        try:
            deliver_challenge(line, self._secret)
            answer_challenge(line, self._secret)
            number = line.recv()
            cut.cancel()
            line.send(self._site)
        except (AuthenticationError, OSError, EOFError, AssertionError):
            return
        finally:
            cut.cancel()
            cut.join()
        with self._lock:
            if self._lines.get(number, line) is not None:  # unknown, ended, or here already
                return
            self._lines[number], self._callers[line] = line, True
        self._follow(number, line)

    def _follow(self, number: int, line: Connection) -> None:
        try:
            while True:
                self._heard.put((number, line.recv()))
        except (OSError, EOFError):
            # it stays in the table: nobody else is this agent
            self._heard.put(
                (number, Gone("its line to here has ended: its machine, or its job, is gone"))
            )


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

    def leave(number: int) -> None:
        """A handler: it may have come in the midst of anything, `say` included."""
        name = signal.Signals(number).name
        agent.leaving = agent.leaving or f"its place is taken away ({name})"
        came.put(Leaving(agent.leaving, _LEAVE[signal.Signals(number)]))

    came: SimpleQueue[Leaving | None] = SimpleQueue()
    orders: SimpleQueue[Sequence[Order] | None] = SimpleQueue()

    def pass_on() -> None:
        while (leaving := came.get()) is not None:
            say(leaving)

    def work() -> None:
        while (given := orders.get()) is not None:
            say(agent.turn(given))

    threads = [threading.Thread(target=target, daemon=True) for target in (work, pass_on)]
    for thread in threads:
        thread.start()
    with _heeded(agent, leave):
        try:
            say(agent.hello(f"{socket.gethostname()}/{call.agent}"))
            while (message := line.recv()) is not None:
                if isinstance(message, Stop):
                    agent.tell(message)
                else:
                    orders.put(message)
        finally:
            orders.put(None)
            came.put(None)
            agent.close()
            for thread in threads:
                thread.join(_JOIN_S)


def _heeded(agent: Agent, leave: Callable[[int], None]) -> AbstractContextManager[None]:
    """Signals are, where this is the main thread: others get none."""
    if threading.current_thread() is not threading.main_thread():
        return contextlib.nullcontext()
    agent.hears_signals = True
    return signals.handling(_LEAVE, leave)


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


def _cut(line: Connection, way: int = socket.SHUT_RD) -> None:
    """Let another thread that waits in a line's reading (or writing) find its end; what has been sent arrives."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(line.fileno())) as caller:
        caller.shutdown(way)


if __name__ == "__main__":  # beside whoever holds its standard input open
    attend(pickle.load(sys.stdin.buffer), sys.stdin.fileno())  # noqa: S301 (from whoever has started it)
