"""Who may what: tokens with a scope, kept as hashes in a file that the service and `tunesmith token` share."""

from __future__ import annotations

import fcntl
import hmac
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from tunesmith.core.errors import StudyError, TunesmithError, did_you_mean

#: Each may what those before it may: look; ask, report and tell; edit, correct, stop; run programs; all, tokens too.
Scope: TypeAlias = Literal["read", "work", "control", "submit", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

#: What a token begins with, for programs that look for secrets in texts.
PREFIX: Final = "ts_"
#: When a token was last used is written down so often (s).
_NOTE_S: Final = 60.0


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be done by whoever has the secret whose hash this is."""

    id: str
    name: str
    scope: Scope
    hash: str
    created_at: float
    expires_at: float | None = None
    #: The studies it is for; None: all.
    studies: tuple[str, ...] | None = None
    #: Whether it is a browser's cookie; and the token that it was got with, without which it is not valid.
    cookie: bool = False
    parent: str | None = None
    #: Who is behind it, where its own name does not say so.
    owner: str = ""
    used_at: float | None = None

    def may(self, scope: Scope) -> bool:
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def sees(self, study: str) -> bool:
        return self.studies is None or study in self.studies


class _File(msgspec.Struct):
    tokens: list[Token] = []


class Tokens:
    """All tokens, in a file (None: in memory). For several threads and processes."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._by_hash: dict[str, Token] = {}
        self._read_as: tuple[int, ...] | None = None

    def create(
        self,
        name: str,
        scope: str,
        *,
        days: float | None = None,
        studies: tuple[str, ...] | None = None,
        cookie: bool = False,
        parent: Token | None = None,
        owner: str = "",
    ) -> tuple[str, Token]:
        """A new token and its secret, which is kept nowhere. Raises StudyError."""
        known = next((one for one in SCOPES if one == scope), None)
        if known is None:
            raise StudyError(f"{scope!r} is no scope{did_you_mean(scope, SCOPES)}")
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise StudyError("a token's name has 1 to 100 printable characters")
        if days is not None and not 0 < days < 1e5:
            raise StudyError(
                f"a token cannot be valid for {days:g} days; leave --days out for one that stays"
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        until = None if days is None else now + days * 86400
        if parent is not None:
            studies = parent.studies
            until = min(until or math.inf, parent.expires_at or math.inf)
        token = Token(
            secrets.token_hex(4), name, known, _hash(secret), now, until, studies, cookie,
            None if parent is None else parent.id, owner,
        )  # fmt: skip
        with self._changing():
            self._by_hash[token.hash] = token
        return secret, token

    def all(self) -> list[Token]:
        """Those that are valid, oldest first."""
        with self._lock:
            self._refresh()
            valid = [token for token in self._by_hash.values() if not self._over(token)]
        return sorted(valid, key=lambda token: token.created_at)

    def revoke(self, which: str) -> list[Token]:
        """Remove the tokens of this id or name; which they were. Raises StudyError if there are none."""
        with self._changing():
            gone = [t for t in self._by_hash.values() if which in (t.id, t.name)]
            ids = {t.id for t in gone}
            gone += [t for t in self._by_hash.values() if t.parent in ids and t.id not in ids]
            for token in gone:
                del self._by_hash[token.hash]
        if not gone:
            known = [t.name for t in self._by_hash.values() if not t.cookie]
            raise StudyError(f"there is no token {which!r}{did_you_mean(which, known)}")
        return gone

    def find(self, secret: str) -> Token | None:
        """The valid token that has this secret."""
        wanted = _hash(secret)
        with self._lock:
            self._refresh()
            token = self._by_hash.get(wanted)
        if token is None or not hmac.compare_digest(token.hash, wanted) or self._over(token):
            return None
        now = self._clock()
        if token.used_at is None or now - token.used_at > _NOTE_S:
            with suppress(OSError), self._changing():  # a full disk keeps nobody out
                if wanted in self._by_hash:
                    token = msgspec.structs.replace(token, used_at=now)
                    self._by_hash[wanted] = token
        return token

    def _over(self, token: Token) -> bool:
        return token.expires_at is not None and token.expires_at <= self._clock()

    def _refresh(self) -> None:
        """Take in what another process has written."""
        if self._path is None:
            return
        try:
            there = self._path.stat()
        except FileNotFoundError:
            self._by_hash, self._read_as = {}, None
            return
        seen = (there.st_ino, there.st_mtime_ns, there.st_size)
        if seen != self._read_as:
            try:
                tokens = msgspec.json.decode(self._path.read_bytes(), type=_File).tokens
            except msgspec.DecodeError as error:
                raise TunesmithError(
                    f"{self._path}: the file of tokens is damaged ({error})"
                ) from None
            self._by_hash = {token.hash: token for token in tokens}
            self._read_as = seen

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """While the block runs nobody else changes the tokens; they are written at its end."""
        with self._lock:
            if self._path is None:
                yield
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._refresh()
                yield
                valid = [token for token in self._by_hash.values() if not self._over(token)]
                aside = self._path.with_suffix(f".{os.getpid()}")
                descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(_File(valid)))
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(self._path)
            finally:
                os.close(lock)


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()
