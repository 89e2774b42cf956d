"""What differs between SQL databases: each has a `Dialect` in its own file, and `sql` knows none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tunesmith.core.errors import StoreError, StoreLost

#: Values in the order of a statement's columns.
Rows: TypeAlias = Sequence[tuple[Any, ...]]


class Prepared:
    """A statement compiled once by SQLAlchemy and run by the driver: a tenth of the time."""

    def __init__(self, engine: sa.Engine, statement: Any, columns: Sequence[str]) -> None:
        insert = isinstance(statement, sa.Insert)
        compiled = statement.compile(
            dialect=engine.dialect, column_keys=list(columns) if insert else None
        )
        self.sql = str(compiled)
        #: An INSERT taken apart: what stands before the values of a row, those, and what stands behind.
        self.head, _, rest = self.sql.partition(" VALUES ")
        self.row, on_conflict, end = rest.partition(" ON CONFLICT")
        self.tail = on_conflict + end
        self._columns = columns
        self._positional = compiled.positional
        #: Where the statement's own parameters stand among `columns`, if they have no names.
        order = [columns.index(name) for name in compiled.positiontup or ()]
        self._order = None if order == list(range(len(columns))) else order

    def many(self, connection: Connection, rows: Rows) -> None:
        """Run it for each of `rows`. Raises the driver's errors."""
        cursor = connection.connection.cursor()
        parameters = rows if self._positional and self._order is None else self.parameters(rows)
        if len(parameters) == 1:
            cursor.execute(self.sql, parameters[0])
        else:
            cursor.executemany(self.sql, parameters)
        cursor.close()

    def parameters(self, rows: Rows) -> Sequence[Any]:
        """`rows` as the driver takes them."""
        if not self._positional:
            return [dict(zip(self._columns, row, strict=True)) for row in rows]
        return [self._arranged(row) for row in rows]

    def rows(self, connection: Connection, *values: Any) -> Any:
        """What it selects: a cursor, to be read at once."""
        cursor: Any = connection.connection.cursor()
        if self._positional:
            cursor.execute(self.sql, self._arranged(values))
        else:
            cursor.execute(self.sql, dict(zip(self._columns, values, strict=True)))
        return cursor

    def _arranged(self, row: Sequence[Any]) -> Sequence[Any]:
        return row if self._order is None else [row[k] for k in self._order]


class StudyGone(Exception):
    """A study's row is there no more (internal)."""


class Dialect(Protocol):
    """One database, as `SqlStore` needs it."""

    @property
    def where(self) -> str:
        """The database in messages, without its password."""
        ...

    def insert(self, table: sa.Table) -> Any:
        """The INSERT that knows ON CONFLICT."""
        ...

    @property
    def readers_apart(self) -> bool:
        """Whether reading has a connection of its own, beside the one that writes."""
        ...

    def connect(self, engine: sa.Engine, *, write: bool) -> Connection:
        """A connection whose transactions begin as readers, or (`write`) as writers that wait in turn.

        Tries for a while where that may help. Raises StoreError, or what the driver raises."""
        ...

    def transaction(
        self, connection: Connection, *, write: bool, study: int | None, lazy: bool = False
    ) -> AbstractContextManager[int | None]:
        """One transaction; one that writes to `study` waits for those that do, if it can, and has the number of its
        last event then; not so a `lazy` one, which may begin with the first `flush`, or at its end."""
        ...

    def put(self, connection: Connection, statement: Prepared, rows: Rows) -> None:
        """Run a statement for each of `rows` before the transaction's next one, or its end."""
        ...

    def expect(self, study: int, last: int) -> None:
        """What follows in a lazy transaction is for a study that has event `last`; else there is a Conflict."""
        ...

    def flush(self, connection: Connection) -> None:
        """Run what has been put off."""
        ...

    def broken(self, connection: Connection) -> bool:
        """Whether a connection is of no use any more."""
        ...

    def next_id(self, connection: Connection) -> int | None:
        """The id of a study that is made now: never one a second time, for who still holds a deleted study must not
        write into its successor. None: the database numbers them itself."""
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

    def lost(self, damage: str) -> StoreLost:
        """The error for a database that has lost what it had; it says where what is known may be saved."""
        ...

    def damage(self, connection: Connection) -> str | None:
        """What the database's own check of its pages, indexes and references finds wrong."""
        ...

    def error(self, error: Exception) -> StoreError | None:
        """A driver's error in our words; None for one that has no words of its own. Raises StudyGone or Conflict for
        one that says so."""
        ...

    def tell(self, connection: Connection, study: int) -> None:
        """Say to others that a study has new events, if there is a way."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when some study may have new events, after `seconds` at the latest."""
        ...

    def asking(self, study: int) -> AbstractContextManager[object]:
        """See `Store.asking`."""
        ...

    def disconnected(self) -> None:
        """All connections have been closed (for now): forget what belonged to them."""
        ...
