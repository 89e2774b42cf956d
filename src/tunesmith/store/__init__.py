"""Where studies live: in memory, or in a SQL database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.store.base import Durability, Lease, Store, Summary
from tunesmith.store.location import file_of

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


__all__ = ["Durability", "Lease", "MemoryStore", "Store", "Summary", "file_of", "open_store"]


def __getattr__(name: str) -> object:
    if name == "MemoryStore":
        from tunesmith.store.memory import MemoryStore

        return MemoryStore
    raise AttributeError(name)
