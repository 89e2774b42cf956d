"""Streams of server-sent events: each holds a connection, so a token has only so many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Token

#: Streams of one token (and of the cookies that it was swapped for), and of all.
MOST: Final = 20
MOST_ALL: Final = 400

_HEADERS: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


class Streams:
    """How many there are, by token. For the event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def answer(self, token: Token, events: AsyncIterator[str]) -> StreamingResponse:
        """A stream of `events`, which counts until it has ended. Raises Problem where the token has too many."""
        who = token.parent or token.id
        mine, all_ = self._open[who], self._open.total()
        if mine >= MOST or all_ >= MOST_ALL:
            whose = f"this token has {mine}" if mine >= MOST else f"there are {all_}"
            raise Problem(
                429,
                "streams",
                f"{whose} streams of events open; close one, or poll: GET .../events?after=N&wait=20",
                {"Retry-After": "5"},
            )
        self._open[who] += 1

        def over() -> None:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

        return _Stream(events, over)


class _Stream(StreamingResponse):
    def __init__(self, events: AsyncIterator[str], over: Callable[[], None]) -> None:
        super().__init__(events, headers=_HEADERS, media_type="text/event-stream")
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()
