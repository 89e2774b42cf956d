"""Browsers log in with a one-time code or a token, and get a cookie that scripts cannot read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from tunesmith.service.bodies import read
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Scope, Token, Tokens

#: How long a code for the page and a browser's cookie last.
CODE_S: Final = 3600.0
COOKIE_DAYS: Final = 30.0


class _Credentials(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class Login:
    """The one-time codes and the cookies of a service."""

    def __init__(
        self, tokens: Tokens, cookie: str = "tunesmith", clock: Callable[[], float] = time.time
    ) -> None:
        #: The cookie's name: all ports of a host share their cookies.
        self.cookie = cookie
        self._tokens = tokens
        self._clock = clock
        self._codes: dict[str, tuple[Scope, float]] = {}

    def code(self, scope: Scope = "admin") -> str:
        """A new code, good for one login within the hour."""
        code = secrets.token_urlsafe(24)
        self._codes[sha256(code.encode()).hexdigest()] = (scope, self._clock() + CODE_S)
        return code

    def redeem(self, query: bytes, *, secure: bool) -> Response | None:
        """The answer to a one-time code in an address: a cookie, and the address without it. None if it is not valid."""
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        code = dict(pairs).get("code", "")
        scope, until = self._codes.pop(sha256(code.encode()).hexdigest(), ("read", 0.0))
        if until <= self._clock():
            return None
        rest = urlencode([(name, value) for name, value in pairs if name != "code"])
        # relative: what the service is called is not for a request to say
        response = RedirectResponse(f"?{rest}" if rest else "?", 303)
        self._give(response, "browser", scope, secure=secure)
        return response

    def _give(
        self,
        response: Response,
        name: str,
        scope: Scope,
        parent: Token | None = None,
        *,
        secure: bool,
    ) -> None:
        secret, _ = self._tokens.create(name, scope, days=COOKIE_DAYS, cookie=True, parent=parent)
        response.set_cookie(
            self.cookie, secret, max_age=int(COOKIE_DAYS * 86400), httponly=True, samesite="strict",
            secure=secure,
        )  # fmt: skip

    @property
    def router(self) -> APIRouter:
        """Log in with a token, and out."""
        routes = APIRouter(include_in_schema=False)

        @routes.post("/session", status_code=204)
        async def log_in(request: Request) -> Response:
            credentials: _Credentials = await read(request, _Credentials)
            token = self._tokens.find(credentials.token)
            if token is None or token.cookie:
                raise Problem(401, "token", "this token is not valid (any more)")
            request.state.audited = True
            response = Response(status_code=204)
            self._give(response, token.name, token.scope, token, secure=request.scope["secure"])
            return response

        @routes.delete("/session", status_code=204)
        async def log_out(request: Request) -> Response:
            token: Token = request.state.token
            if token.cookie:
                self._tokens.revoke(token.id)
            response = Response(status_code=204)
            response.delete_cookie(self.cookie)
            return response

        return routes
