"""The way of the busiest requests: to their functions at once, past what the framework does for every request.

To look through all routes, resolve parameters and wrap each answer three times takes more than to ask and tell. Only
the way is another: these are routes of the application as well, which is what its OpenAPI document is made of, and what
is not just as expected goes that way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.core.errors import TunesmithError
from tunesmith.service.problems import Problem

_PATH: Final = re.compile(r"/api/v1/studies/([^/]+)/(?:(ask)|trials/([0-9]{1,9})/(tell|reports))")


class Route(NamedTuple):
    """What counts requests wants to know of one."""

    path: str


class Shortcut:
    """ASGI: `ask`, `tell` and `reports` go to these functions, all else to `app`. For `where` see `Problem.of`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ask: Callable[[str, Request], Awaitable[Response]],
        tell: Callable[[str, int, Request], Awaitable[Response]],
        reports: Callable[[str, int, Request], Awaitable[Response]],
        where: str,
    ) -> None:
        self._app, self._where = app, where
        self._ask, self._of_trial = ask, {"tell": tell, "reports": reports}
        base = "/api/v1/studies/{name}"
        self._routes = {"ask": Route(f"{base}/ask")} | {
            verb: Route(f"{base}/trials/{{number}}/{verb}") for verb in self._of_trial
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = None
        if scope["type"] == "http" and scope["method"] == "POST":
            match = _PATH.fullmatch(scope["path"])
        if match is None:
            await self._app(scope, receive, send)
            return
        name, ask, number, verb = match.groups()
        scope["route"] = self._routes[ask or verb]
        request = Request(scope, receive)
        made: Any = (
            self._ask(name, request) if ask else self._of_trial[verb](name, int(number), request)
        )
        try:
            response = await made
        except Problem as problem:
            response = problem.answer
        except TunesmithError as error:
            response = Problem.of(error, self._where).answer
        except Exception:
            await Problem.ours().answer(scope, receive, send)
            raise  # the server writes it into its log
        await response(scope, receive, send)
