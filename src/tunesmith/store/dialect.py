"""What differs between SQL databases: each has a `Dialect` in its own file, and `sql` knows none of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tunesmith.core.errors import StoreError


class Dialect(Protocol):
    """One database, as `SqlStore` needs it."""

    @property
    def where(self) -> str:
        """The database in messages, without its password."""
        ...

    def insert(self, table: sa.Table) -> Any:
        """The INSERT that knows ON CONFLICT."""
        ...

    def connect(self, engine: sa.Engine, *, write: bool) -> Connection:
        """A connection whose transactions begin as readers, or (`write`) as writers that wait in turn."""
        ...

    def now(self, connection: Connection) -> float:
        """The database's own clock, in seconds since the epoch."""
        ...

    def check(
        self, connections: Mapping[bool, Connection], heads: Mapping[int, tuple[int, str]]
    ) -> None:
        """Raise StoreLost if what was just read or written is in no database that others will find.

        `heads` has the number and digest of the last known event of each study.
        """
        ...

    def damage(self, connection: Connection) -> str | None:
        """What the database's own check of its pages, indexes and references finds wrong."""
        ...

    def error(self, error: Exception) -> StoreError | None:
        """A driver's error in our words; None for one that has no words of its own."""
        ...

    def asking(self, study: int) -> AbstractContextManager[object]:
        """See `Store.asking`."""
        ...

    def disconnected(self) -> None:
        """All connections have been closed (for now): forget what belonged to them."""
        ...
