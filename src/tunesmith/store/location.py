"""Where studies are kept: a file or the URL of a database, and where when nobody says so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from tunesmith.core.errors import StoreError
from tunesmith.store.base import Store

DEFAULT_STORAGE: Final = "tunesmith.db"
STORAGE_VARIABLE: Final = "TUNESMITH_STORAGE"

#: Databases whose URLs are known, though not supported yet.
_PLANNED: Final = {
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
    "http": "a service",
    "https": "a service",
}
#: The scheme of a URL; one slash only where it has been made a `Path` on its way.
_DRIVE: Final = re.compile(r"^([A-Za-z]):\\+")
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(//?)")


def default_storage() -> Path:
    """``$TUNESMITH_STORAGE``, or ``tunesmith.db`` in the current folder."""
    path = file_of(os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE)
    assert path is not None
    return path


def file_of(where: str | Path | Store | None) -> Path | None:
    """The file that a location means; None if it is a store, or memory.

    Raises StoreError for the URL of another database; like every error of ours, without its password.
    """
    if not isinstance(where, (str, Path)):
        return None
    text = str(where)
    match = _SCHEME.match(_DRIVE.sub(r"\1:/", text) if os.name != "nt" else text)
    if match is None:
        return Path(text).expanduser()
    scheme, slashes = match[1].lower(), match[2]
    kind = scheme.partition("+")[0]
    if kind == "sqlite":
        if slashes != "//":
            raise StoreError(
                f"{text!r}: name the file itself, such as study.db, or pass the URL as text"
            )
        return Path(text[match.end() :].removeprefix("/")).expanduser()
    if len(scheme) == 1:
        if os.name == "nt":
            return Path(text)
        rest = text[2:].replace("\\", "/").lstrip("/")
        raise StoreError(
            f"{text} is a path of Windows, which this system does not have; write it as this system does, such as "
            f"/mnt/{scheme}/{rest}"
        )
    if kind in _PLANNED:
        raise StoreError(
            f"{text!r}: this tunesmith cannot keep studies in {_PLANNED[kind]} yet; name a file, such as "
            "study.db"
        )
    raise StoreError(
        f"{text!r}: tunesmith does not know the database {scheme!r}; name a file, such as study.db"
    )
