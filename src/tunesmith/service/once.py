"""Requests that may be sent again: those with the header Idempotency-Key are done once, and answered alike.

Answers are kept by this process. That a request was done outlives it: its key (`key_of`) stands in the events that it made.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from fastapi import Request
from starlette.responses import Response

from tunesmith.service.gate import token_of
from tunesmith.service.problems import Problem

#: How long an answer is kept (s), and how many.
KEPT_S: Final = 86400.0
MOST: Final = 10_000


async def key_of(request: Request) -> str:
    """What stands in the events of a request that may be sent again; "" for others."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    said = f"{token_of(request).id} {key} {(await _digest(request)).hex()}"
    return sha256(said.encode()).hexdigest()[:32]


async def _digest(request: Request) -> bytes:
    """What is asked for."""
    asked = f"{request.method} {request.url.path} ".encode() + await request.body()
    return sha256(asked).digest()


class Once:
    """The answers of the last day, by key. They end with the process."""

    def __init__(self) -> None:
        self._done: OrderedDict[tuple[str, str], tuple[float, bytes, asyncio.Future[Response]]] = (
            OrderedDict()
        )

    async def do(self, request: Request, make: Callable[[], Awaitable[Response]]) -> Response:
        """`make`'s answer, made once for a token's key. Raises Problem where the key was used for something else."""
        key = request.headers.get("idempotency-key")
        if key is None:
            return await make()
        if not 0 < len(key) <= 200:
            raise Problem(422, "invalid", "an Idempotency-Key has 1 to 200 characters")
        asked = await _digest(request)
        place = (token_of(request).id, key)
        self._forget()
        if (known := self._done.get(place)) is not None:
            if known[1] != asked:
                raise Problem(422, "invalid", "this Idempotency-Key was used for another request")
            if not known[2].done():
                raise Problem(409, "busy", "this request is being done", {"Retry-After": "1"})
            return known[2].result()
        made: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._done[place] = (time.monotonic(), asked, made)
        try:
            response = await make()
        except BaseException:
            del self._done[place]  # it may be tried again
            raise
        made.set_result(response)
        return response

    def _forget(self) -> None:
        old = time.monotonic() - KEPT_S
        while self._done and (len(self._done) > MOST or next(iter(self._done.values()))[0] < old):
            self._done.popitem(last=False)
