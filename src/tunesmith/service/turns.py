"""Whose turn it is to write to a study, or to ask a model about it: first come, first served.

A courtesy that saves conflicts, not a lock to build on: a turn is over after its time, whoever has it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: How long a turn lasts (s) if its holder is not heard of: what is decided in one that writes takes no thinking.
WRITING_S: Final = 5.0
ASKING_S: Final = 60.0


class _Waiting(NamedTuple):
    holder: str
    ttl_s: float
    granted: asyncio.Future[None]


@dataclass(slots=True)
class _Turn:
    holder: str = ""
    until: float = 0.0
    waiting: deque[_Waiting] = field(default_factory=deque)

    def grant(self, holder: str, ttl_s: float) -> None:
        self.holder, self.until = holder, time.monotonic() + ttl_s

    def pass_on(self) -> None:
        """Give the turn to who has waited longest."""
        self.holder = ""
        while self.waiting:
            first = self.waiting.popleft()
            if not first.granted.done():
                self.grant(first.holder, first.ttl_s)
                first.granted.set_result(None)
                return


class Turns:
    """The turns of one kind, by study. For the event loop."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._turns: dict[str, _Turn] = {}

    async def take(self, study: str, holder: str, wait_s: float) -> bool:
        """Wait for the turn, for so long (s) at most; whether `holder` has it. Who has it already has it for longer."""
        turn = self._turns.setdefault(study, _Turn())
        if holder == turn.holder or not (turn.holder or turn.waiting):
            turn.grant(holder, self._ttl_s)
            return True
        granted = asyncio.get_running_loop().create_future()
        turn.waiting.append(_Waiting(holder, self._ttl_s, granted))
        deadline = time.monotonic() + wait_s
        try:
            while not granted.done():
                now = time.monotonic()
                if turn.until <= now:
                    turn.pass_on()
                elif now >= deadline:
                    return False
                else:
                    until = min(deadline, turn.until)
                    await asyncio.wait([granted], timeout=until - now)
            return True
        finally:
            if not granted.done():
                granted.cancel()

    @asynccontextmanager
    async def turn(self, study: str, holder: str, wait_s: float) -> AsyncIterator[None]:
        """A block in `holder`'s turn; begun without it where it does not come in time."""
        await self.take(study, holder, wait_s)
        try:
            yield
        finally:
            self.give(study, holder)

    def give(self, study: str, holder: str) -> None:
        """The turn is over, if it is `holder`'s."""
        turn = self._turns.get(study)
        if turn is not None and turn.holder == holder:
            turn.pass_on()
            if not turn.holder and not turn.waiting:
                del self._turns[study]
