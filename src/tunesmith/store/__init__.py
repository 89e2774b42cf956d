"""Where studies live: in memory, or in a SQL database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import StoreError
from tunesmith.store.base import Durability, Lease, Store, Summary

if TYPE_CHECKING:
    from tunesmith.store.memory import MemoryStore


def open_store(where: str | Path | Store | None, *, durability: Durability = "crash") -> Store:
    """The store at `where`: a file name (SQLite), None (memory), or a store, which is passed on.

    Raises the errors of `tunesmith.store.sqlite.open_sqlite`.
    """
    if where is None:
        from tunesmith.store.memory import MemoryStore

        return MemoryStore()
    path = file_of(where)
    if path is None:
        assert not isinstance(where, (str, Path))
        return where
    from tunesmith.store.sqlite import open_sqlite

    return open_sqlite(path, durability=durability)


def file_of(where: str | Path | Store | None) -> Path | None:
    """The file that a storage's name means; None if it is no name. Raises StoreError for another database's."""
    if not isinstance(where, (str, Path)):
        return None
    text = str(where)
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "sqlite":
        raise StoreError(
            f"{text!r}: tunesmith does not know the database {scheme!r}; name a file, such as study.db"
        )
    return Path(rest.removeprefix("/") if separator else text).expanduser()


__all__ = ["Durability", "Lease", "MemoryStore", "Store", "Summary", "file_of", "open_store"]


def __getattr__(name: str) -> object:
    if name == "MemoryStore":
        from tunesmith.store.memory import MemoryStore

        return MemoryStore
    raise AttributeError(name)
