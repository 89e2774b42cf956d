"""Hints that a study has changed, as server-sent events: the page then asks for what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

from tunesmith.core.errors import StudyNotFound
from tunesmith.service.gate import token_of
from tunesmith.service.news import News
from tunesmith.service.studies import Studies

#: A stream lasts so long (s); a browser comes back by itself, and is looked at anew: its token may have been revoked.
LASTS_S: Final = 50.0
#: ... and says at least so often (s) that it lives, and at most so often that something has happened.
ALIVE_S: Final = 15.0
APART_S: Final = 0.5


def hints(
    request: Request, studies: Studies, news: News, name: str, after: int
) -> StreamingResponse:
    """`after` is the last event that the page knows of."""
    last = request.headers.get("last-event-id", "")
    cursor = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
    return news.streams.answer(token_of(request), _stream(request, studies, news, name, cursor))


async def _stream(
    request: Request, studies: Studies, news: News, name: str, cursor: int
) -> AsyncIterator[str]:
    until = time.monotonic() + LASTS_S
    yield "retry: 1000\n\n"
    try:
        while time.monotonic() < until and not studies.ending:
            if await request.is_disconnected():
                return
            if await news.wait(name, cursor, ALIVE_S):
                cursor = await studies.quick(studies.store.cursor, name)
                yield f"id: {cursor}\ndata: {cursor}\n\n"
                await asyncio.sleep(APART_S)
            else:
                yield ": still here\n\n"
    except StudyNotFound:
        return
