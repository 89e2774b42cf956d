"""A cluster whose agents call back (`tunesmith.run.line`), whoever starts them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

from tunesmith.core.errors import ExecutorError
from tunesmith.core.events import Stop
from tunesmith.run.agent import Order, Site
from tunesmith.run.demand import Demand
from tunesmith.run.fleet import Gone, Heard, waiting
from tunesmith.run.line import Call, Lines

#: How often it is asked after agents that have not called (s), and how many in a row may end so.
_LOOK_EVERY_S: Final = 1.0
_FAILURES: Final = 4


class Starter(Protocol):
    """Who starts agents."""

    def start(self, calls: Sequence[Call]) -> None:
        """Start an agent for each call, when there is room. Raises ExecutorError."""
        ...

    def ended(self, agent: int) -> str:
        """Why an agent has ended that has not called; "" if it has not, as far as is known."""
        ...

    def forget(self, agent: int, *, called: bool) -> None:
        """An agent is no longer wanted; one that has called ends by itself."""
        ...

    def close(self) -> None:
        """All have been forgotten."""
        ...


class CallingCluster:
    """Agents of a `Starter`."""

    def __init__(self, site: Site, demand: Demand, starter: Starter, host: str | None) -> None:
        self._demand = demand
        self._starter = starter
        self._lines = Lines(site, host)
        self._agents: set[int] = set()
        #: Asked for, and not yet handed on: agents that are asked for together are started together.
        self._asked: list[Call] = []
        self._looked_s = 0.0
        self._failures = 0

    def ask(self) -> int:
        call = self._lines.expect()
        self._asked.append(call)
        self._agents.add(call.agent)
        return call.agent

    def turn(self, agent: int, orders: Sequence[Order]) -> None:
        self._lines.send(agent, list(orders))

    def tell(self, agent: int, order: Stop) -> None:
        self._lines.send(agent, order)

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        calls, self._asked = self._asked, []
        if calls:
            self._starter.start(calls)
        heard = self._fallen()
        heard += self._lines.heard(0.0 if heard else timeout_s)
        for agent, what in heard:
            if isinstance(what, Gone):
                self.end(agent)
            else:
                self._failures = 0
        return heard

    def end(self, agent: int) -> None:
        called = self._lines.end(agent)
        self._asked = [call for call in self._asked if call.agent != agent]
        if agent in self._agents:
            self._agents.discard(agent)
            self._starter.forget(agent, called=called)

    def close(self) -> None:
        try:
            for agent in list(self._agents):
                self.end(agent)
        finally:
            self._lines.close()
            self._starter.close()

    def wants(self) -> str:
        return waiting(self._demand, len(self._agents))

    def _fallen(self) -> list[tuple[int, Heard]]:
        """The agents that have ended before they called."""
        now = time.monotonic()
        if now - self._looked_s < _LOOK_EVERY_S:
            return []
        self._looked_s = now
        fallen: list[tuple[int, Heard]] = []
        for agent in self._lines.waited_for():
            if agent in self._agents and (why := self._starter.ended(agent)):
                self._failures += 1
                if self._failures >= _FAILURES:
                    raise ExecutorError(f"{why}; so did others")
                fallen.append((agent, Gone(why)))
        return fallen
