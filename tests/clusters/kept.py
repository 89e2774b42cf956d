"""Executors of clusters for the public suite."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith.core.events import Exited, Start, Stop
from tunesmith.run import fleet
from tunesmith.run.agent import Function, Hello, News, Order, Site
from tunesmith.run.fleet import Cluster, Heard
from tunesmith.run.folder import Folder
from tunesmith.run.process import pickled
from tunesmith.run.program import Program
from tunesmith.testing import behave

MEMORY_LIMIT = 400 * 10**6
FUNCTION = Function(pickled(behave), ("loss",), False)
PROGRAM = Program([sys.executable, "-m", "tunesmith.testing.program"], wanted=("loss",))


class Kept:
    """A cluster whose agents are kept for the next executor, if they run nothing: they take seconds to start."""

    def __init__(self, work: Function | Program, make: Callable[[Site], Cluster]) -> None:
        self.folder = Folder(Path(tempfile.mkdtemp()))
        self.sign = fleet.signed(self.folder)
        site = Site(work, self.folder.path, self.sign, MEMORY_LIMIT, {}, fleet.own_path())
        self.cluster = make(site)
        self.spare: dict[int, Hello] = {}
        self._mine: dict[int, Hello | None] = {}
        self._greetings: list[tuple[int, Heard]] = []
        self._running: set[int] = set()

    def ask(self) -> int:
        if not self.spare:
            number = self.cluster.ask()
            self._mine[number] = None
            return number
        number, hello = self.spare.popitem()
        self._mine[number] = hello
        self._greetings.append((number, hello))
        return number

    def turn(self, agent: int, orders: Sequence[Order]) -> None:
        if any(isinstance(order, Start) for order in orders):
            self._running.add(agent)
        self.cluster.turn(agent, orders)

    def tell(self, agent: int, order: Stop) -> None:
        self.cluster.tell(agent, order)

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        greetings, self._greetings = self._greetings, []
        heard = self.cluster.heard(0.0 if greetings else timeout_s)
        for number, what in heard:
            if isinstance(what, Hello):
                self._mine[number] = what
            elif not isinstance(what, News):
                self._mine.pop(number)
            elif any(isinstance(event, Exited) for event in what.happened):
                self._running.discard(number)
        return greetings + heard

    def end(self, agent: int) -> None:
        self._mine.pop(agent, None)
        self._running.discard(agent)
        self.cluster.end(agent)

    def close(self) -> None:
        """The executor is closed: what still runs ends."""
        for number, hello in list(self._mine.items()):
            if hello is not None and number not in self._running:
                self.spare[number] = hello
            else:
                self.end(number)
        self._mine.clear()

    def wants(self) -> str:
        return self.cluster.wants()
