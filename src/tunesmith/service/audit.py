"""Who did what: a line for each change that takes a scope beyond `work`, each login, and each request that was refused."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.types import Scope as Connection

#: Refused for who asks, and how.
_REFUSED: Final = (401, 403, 421, 429)
#: A longer log goes aside, in the place of the one before (bytes).
MOST: Final = 32 << 20
_LONGEST: Final = 300
_log: Final = logging.getLogger("tunesmith.service")


class Audit:
    """A file of JSON lines (None: none is kept); control characters are escaped as JSON has it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None

    def note(self, scope: Connection, status: int) -> None:
        """Write down a request, if it is one of those."""
        state: dict[str, Any] = scope.get("state", {})
        if self._path is not None and (state.get("audited") or status in _REFUSED):
            try:
                os.write(self._open(self._path), (line_of(scope, status) + "\n").encode())
            except OSError as error:  # what was done is done, and is to be answered so
                _log.error("the audit log cannot be written: %s; %s", error, line_of(scope, status))

    def _open(self, path: Path) -> int:
        if self._file is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > MOST:
                path.replace(path.with_suffix(".old"))
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        elif os.fstat(self._file).st_size > MOST:
            self.close()
            return self._open(path)
        return self._file

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def address_of(scope: Connection) -> str:
    """Whence a request comes; "" where that is not known (a socket of this host's)."""
    return str(scope["client"][0]) if scope["client"] else ""


def line_of(scope: Connection, status: int, **more: Any) -> str:
    """A request and its answer as a line of JSON."""
    token = scope.get("state", {}).get("token")
    line = {
        "at": round(time.time(), 3),
        "address": address_of(scope),
        "token": "" if token is None else token.id,
        "name": "" if token is None else token.name,
        "method": scope["method"],
        "path": scope["path"][:_LONGEST],
        "status": status,
        **more,
    }
    return _escaped(msgspec.json.encode(line).decode())


def _escaped(text: str) -> str:
    """What a terminal would obey, or show as something else, is written as JSON escapes."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
