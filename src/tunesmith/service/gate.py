"""Who comes in: hosts, origins, tokens and cookies, sizes; and the headers that every answer has.

What each rule is against is in docs/decisions/0039-service.md.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final, Protocol

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from tunesmith.service.audit import Audit, address_of, line_of
from tunesmith.service.login import Login
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Scope, Token, Tokens

_log: Final = logging.getLogger("tunesmith.service")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
#: The longest body of a request (bytes): of one that appends events or is a job's file, and of any other.
MOST_EVENTS: Final = 32 << 20
MOST: Final = 1 << 20
#: How long a part of a body may take (s).
BODY_S: Final = 20.0
#: So many wrong tokens from one address are answered in a minute.
WRONG: Final = 10
_MINUTE_S: Final = 60.0
_ADDRESSES: Final = 10_000

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_CODE: Final = re.compile(rb"(?:^|&)code=")
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
#: Answered to everybody: they say nothing but whether the service lives.
_OPEN: Final = ("/healthz", "/readyz")
#: What a browser is shown that has not logged in, and what the page is made of.
LOGIN: Final = "/login"
STATIC: Final = "/static/"
#: What a request's Authorization begins with that is signed as AWS's are.
SIGNED: Final = "AWS4-HMAC-SHA256 "
BLOBS: Final = "/api/v1/blobs/"
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_BY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
#: Who asks where no tokens are wanted: as careful as with a browser's cookie.
EVERYBODY: Final = Token("", "everybody", "admin", "", 0.0, cookie=True)


class Fields:
    """A request's headers by their names in small letters, decoded once: most of them are looked at for each request."""

    __slots__ = ("_named",)

    def __init__(self, scope: Connection) -> None:
        self._named: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            self._named.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))

    def all(self, name: str) -> list[str]:
        return self._named.get(name, [])

    def get(self, name: str, default: str = "") -> str:
        """The first of this name."""
        return values[0] if (values := self._named.get(name)) else default

    def __contains__(self, name: str) -> bool:
        return name in self._named


class Counts(Protocol):
    """What counts requests."""

    running: int

    def count(self, scope: Connection, status: int, seconds: float) -> None: ...


class Strangers:
    """Wrong tokens by the addresses that they come from, whichever door they come to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    def count(self, address: str) -> None:
        """One more. Raises Problem where there were too many; a valid one is let in all the same."""
        now = self._clock()
        if len(self._wrong) > _ADDRESSES:
            self._wrong.clear()
        recent = [at for at in self._wrong.get(address, []) if now - at < _MINUTE_S]
        self._wrong[address] = [*recent, now][-WRONG:]
        if len(recent) >= WRONG:
            headers = {"Retry-After": str(int(_MINUTE_S))}
            raise Problem(
                429, "wrong_tokens", "too many wrong tokens and keys from this address", headers
            )


class Gate:
    """The middleware that every request passes first; ``scope["state"]["token"]`` is who it let in."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens,
        login: Login,
        audit: Audit,
        counters: Counts,
        strangers: Strangers,
        hosts: tuple[str, ...] = (),
        secure: bool = False,
        proxies: tuple[str, ...] = (),
        signed: bool = False,
        open_to: Token | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._app, self._tokens, self._login, self._audit = app, tokens, login, audit
        self._counters, self._log = counters, log
        self._hosts = frozenset(host.lower() for host in (*LOOPBACK, *hosts))
        self._secure, self._proxies = secure, proxies
        #: Whether there are requests that are signed, and checked where they are answered (`service.sagemaker`).
        self._signed = signed
        self._headers = (*_HEADERS, _BY_TLS) if secure else _HEADERS
        #: Who everybody is, where no tokens are wanted.
        self._open_to = open_to
        self._strangers = strangers

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None

        begun = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                ours = (field for field in self._headers if field[0] not in there)
                message["headers"] = [*message["headers"], *ours]
                self._audit.note(scope, message["status"])
                seconds = time.perf_counter() - begun
                self._counters.count(scope, message["status"], seconds)
                if self._log is not None:
                    self._log(line_of(scope, message["status"], seconds=round(seconds, 4)))
            await send(message)

        try:
            response = self._let_in(scope)
        except Problem as problem:
            response = problem.answer
        except Exception:  # noqa: BLE001 (what is wrong is in the log, and not for who asks)
            _log.exception("a request could not be looked at")
            response = Problem.ours().answer
        if response is not None:
            return await response(scope, receive, answer)
        long = scope["path"].endswith("/events") or scope["path"].startswith(BLOBS)
        most = MOST_EVENTS if long else MOST
        self._counters.running += 1
        try:
            return await self._app(scope, _limited(receive, most), answer)
        finally:
            self._counters.running -= 1

    # -- who ------------------------------------------------------------------------------------

    def _let_in(self, scope: Connection) -> Response | None:
        """Note who asks; or what is answered instead. Raises Problem."""
        headers = Fields(scope)
        self._from_proxy(scope, headers)
        host = self._host(headers)
        same = self._check_origin(scope, headers, host)
        _check_body(headers)
        if self._signed and _is_signed(scope, headers):
            return None
        if scope["path"] in _OPEN or scope["path"].startswith(STATIC):
            return None
        if scope["method"] == "GET" and _CODE.search(scope["query_string"]):
            response = self._login.redeem(scope["query_string"], secure=scope["secure"])
            if response is None:
                self._strangers.count(address_of(scope))
                raise self._stranger(
                    "this code was used already, or is too old; `tunesmith token create NAME` makes a token to log in with"
                )
            return response
        token = self._open_to or self._by_bearer(scope, headers) or self._by_cookie(headers)
        if token is None and scope["path"] == "/session" and scope["method"] == "POST":
            return None  # it brings a token
        if token is None and _wants_page(scope, headers):
            scope["path"] = LOGIN  # the address stays, and is there again after the login
            return None
        if token is None:
            raise self._stranger(
                "a token is needed: Authorization: Bearer ts_..., see `tunesmith token`"
            )
        if token.cookie and scope["method"] not in _SAFE:
            from_program = token is self._open_to and not _from_browser(headers)
            if not (same or from_program):
                raise Problem(403, "origin", "this can only be done from the page itself")
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                raise Problem(403, "content_type", "Content-Type has to be application/json")
        scope.setdefault("state", {})["token"] = token
        return None

    def _from_proxy(self, scope: Connection, headers: Fields) -> None:
        """Where a request came from, if it came by way of our proxy."""
        scope["secure"] = self._secure
        peer = address_of(scope).removeprefix("::ffff:")
        if peer in self._proxies:
            if forwarded := headers.get("x-forwarded-for"):
                scope["client"] = (forwarded.rpartition(",")[2].strip(), 0)
            scope["secure"] = headers.get("x-forwarded-proto", "https").strip() == "https"
        elif self._proxies and peer not in (
            *LOOPBACK,
            *self._hosts,
        ):  # its token came in the clear, and not from here
            raise Problem(403, "proxy", "this service is reached by way of its proxy alone")

    def _host(self, headers: Fields) -> str:
        named = headers.all("host")
        match = _HOST.fullmatch(named[0].lower()) if len(named) == 1 else None
        if match is None or match[1].strip("[]") not in self._hosts:
            raise Problem(
                421,
                "host",
                "this service is not known under that name; its operator may add it: --host-name NAME",
            )
        return named[0].lower()

    def _check_origin(self, scope: Connection, headers: Fields, host: str) -> bool:
        """Whether the request is known to come from our own page. Raises Problem for what another site's page sends."""
        origins = headers.all("origin")
        site = headers.get("sec-fetch-site", "none")
        ours = f"{'https' if scope['secure'] else 'http'}://{host}"
        if scope["method"] not in _SAFE and (
            any(origin.lower() != ours for origin in origins) or site not in ("same-origin", "none")
        ):
            raise Problem(403, "origin", "pages of other sites may not do this")
        return bool(origins) or site == "same-origin"

    def _by_bearer(self, scope: Connection, headers: Fields) -> Token | None:
        given = headers.all("authorization")
        if not given:
            return None
        kind, _, secret = given[0].partition(" ")
        token = None
        if len(given) == 1 and kind.lower() == "bearer":
            token = self._tokens.find(secret.strip())
        if token is None or token.cookie:
            self._strangers.count(address_of(scope))
            raise self._stranger("this token is not valid (any more)")
        return token

    def _by_cookie(self, headers: Fields) -> Token | None:
        try:
            morsel = SimpleCookie("; ".join(headers.all("cookie"))).get(self._login.cookie)
        except CookieError:
            return None
        token = None if morsel is None else self._tokens.find(morsel.value)
        return token if token is not None and token.cookie else None

    def _stranger(self, why: str) -> Problem:
        return Problem(401, "token", why, {"WWW-Authenticate": 'Bearer realm="tunesmith"'})


def token_of(request: Request) -> Token:
    """Who asks."""
    token: Token = request.scope["state"]["token"]
    return token


def require(request: Request, scope: Scope, study: str | None = None) -> Token:
    """Who asks, if that one may do so. Raises Problem."""
    token = token_of(request)
    allow(token, scope, study)
    if scope not in ("read", "work"):
        request.state.audited = True
    return token


def allow(token: Token, scope: Scope, study: str | None = None) -> None:
    """Raise Problem unless a token is for this."""
    if study is not None and not token.sees(study):
        raise Problem(404, "StudyNotFound", f"there is no study {study!r} for this token")
    if not token.may(scope):
        raise Problem(
            403, "scope", f"that takes a token of scope {scope!r}; this one is for {token.scope!r}"
        )


def _is_signed(scope: Connection, headers: Fields) -> bool:
    """Whether a request brings AWS's signature instead of a token."""
    given = headers.get("authorization", "")
    return scope["path"] == "/" and scope["method"] == "POST" and given.startswith(SIGNED)


def _from_browser(headers: Fields) -> bool:
    """Whether a browser of this decade sent it: with what changes something it says from where."""
    return "origin" in headers or "sec-fetch-site" in headers


def _wants_page(scope: Connection, headers: Fields) -> bool:
    return (
        scope["method"] in ("GET", "HEAD")
        and not scope["path"].startswith("/api/")
        and "text/html" in headers.get("accept", "")
    )


def _check_body(headers: Fields) -> None:
    """Raise Problem for a body that could not be read in one way, or is too long."""
    if headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "encoding", "a request's body comes as it is: no Content-Encoding")
    if "transfer-encoding" in headers and "content-length" in headers:
        closing = {"Connection": "close"}
        raise Problem(400, "framing", "a body has one length, not two", closing)
    if int(headers.get("content-length") or 0) > MOST_EVENTS:
        raise _too_long(MOST_EVENTS)


def _too_long(most: int) -> Problem:
    return Problem(413, "too_long", f"a request's body has {most >> 20} MiB at most")


def _limited(receive: Receive, most: int) -> Receive:
    """`receive`, which raises Problem once a body is too long."""
    got, complete = 0, False

    async def limited() -> Message:
        nonlocal got, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(BODY_S):
                message = await receive()
        except TimeoutError:
            raise Problem(408, "slow", "the request's body did not come in time") from None
        complete = not message.get("more_body", False)
        if message["type"] == "http.request":
            got += len(message.get("body", b""))
            if got > most:
                raise _too_long(most)
        return message

    return limited
