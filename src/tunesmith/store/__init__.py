"""Where studies live: in memory, in a SQL database, or with a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.errors import StoreError
from tunesmith.store.base import Durability, Lease, Store, Summary
from tunesmith.store.location import Database, File, Location, Service, file_of, location_of

if TYPE_CHECKING:
    from tunesmith.store.memory import MemoryStore


def open_store(where: str | Location | Store | None, *, durability: Durability = "crash") -> Store:
    """The store at `where`: a file name (SQLite), the URL of a PostgreSQL database or of a service, None (memory), or a
    store, which is passed on.

    A server's durability is its own affair. Raises the errors of `tunesmith.store.sqlite.open_sqlite`,
    `tunesmith.store.postgres.open_postgres` or `tunesmith.store.http.HttpStore`.
    """
    if where is None:
        from tunesmith.store.memory import MemoryStore

        return MemoryStore()
    location = location_of(where)
    if location is None:
        assert not isinstance(where, (str, Path, File, Database, Service))
        return where
    if isinstance(location, Service):
        from tunesmith.store.http import HttpStore

        return HttpStore(location)
    if isinstance(location, Database):
        try:
            from tunesmith.store.postgres import open_postgres
        except ImportError as error:  # the package, or its library
            raise StoreError(
                f"studies in PostgreSQL need the package psycopg ({error}); pip install 'tunesmith[postgres]'"
            ) from None
        return open_postgres(location)
    from tunesmith.store.sqlite import open_sqlite

    path = location.path if isinstance(location, File) else location
    return open_sqlite(path, durability=durability)


__all__ = [
    "Database",
    "Durability",
    "File",
    "Lease",
    "Location",
    "MemoryStore",
    "Service",
    "Store",
    "Summary",
    "file_of",
    "location_of",
    "open_store",
]


def __getattr__(name: str) -> object:
    if name == "MemoryStore":
        from tunesmith.store.memory import MemoryStore

        return MemoryStore
    raise AttributeError(name)
