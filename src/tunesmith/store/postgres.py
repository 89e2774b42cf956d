"""PostgreSQL: one schema of a database, for as many processes and hosts as it has connections.

Nothing of a session is relied upon (no prepared statements, no settings that outlive a transaction, no locks but a
transaction's), so a pooler that lends connections for one transaction at a time may stand in between.

A commit is on the server's disk when it returns, unless the server, or the URL's ``options``, say otherwise with
``synchronous_commit``. Writers of a study take its advisory lock first: they wait in turn, and whoever tries again
after its connection broke waits for what the other end of that still does.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tunesmith.core.errors import (
    Conflict,
    NotAStore,
    StoreError,
    StoreFull,
    StoreInterrupted,
    StoreLocked,
    StoreLost,
    StoreReadOnly,
    StoreUnreachable,
    StoreVersionError,
)
from tunesmith.store.dialect import Prepared, Rows, StudyGone
from tunesmith.store.listen import News
from tunesmith.store.location import Database
from tunesmith.store.pause import pauses
from tunesmith.store.schema import HEAD, VERSION_TABLE, metadata, versions
from tunesmith.store.sql import SqlStore
from tunesmith.store.turn import AskingTurn

#: How long to look for a server that was there before (s).
RECONNECT_S: Final = 120.0
#: How long to wait for one that says that it is starting, or has no connection free (s).
BUSY_S: Final = 20.0
#: How often tables are looked for, or made, on connections that break meanwhile.
_TRIES: Final = 10
#: How long to wait for another's lock (s), and after how long without a word from whoever has one the server takes
#: it away (s): a network that is cut tells it nothing.
LOCK_TIMEOUT_S: Final = 30
SILENT_WRITER_S: Final = 20
#: How long to wait for another's suggestion before making one beside it (s).
ASKING_TIMEOUT_S: Final = 60
#: How long at a time behind a pooler (s), which has few connections: whoever has the turn needs one to end it.
_TURN_S: Final = 0.1
#: So many rows go into one statement: planned once, they cost the server a third less.
_AT_ONCE: Final = 500
#: For advisory locks: "tune" and what follows, so that no other program has the same.
_SCHEMAS: Final = 0x74756E65
_WRITERS, _ASKERS = _SCHEMAS + 1, _SCHEMAS + 2

#: What to connect with if the URL says nothing of it. A cut of some 20 s is outlived, a longer one noticed.
_DEFAULTS: Final[Mapping[str, str]] = {
    "application_name": "tunesmith",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "40000",
}


def open_postgres(database: Database) -> SqlStore:
    """Open the store in a database, making or upgrading its tables as needed.

    Raises StoreUnreachable, StoreReadOnly (no rights), NotAStore (another program's tables), StoreVersionError (a newer
    tunesmith's) or StoreError.
    """
    dialect = PostgresSchema(database)
    engine = make_engine(dialect)
    try:
        for tries, pause in enumerate(pauses(), 1):
            try:
                prepare(engine, dialect)
                break
            except (SQLAlchemyError, psycopg.Error) as error:
                failure = dialect.error(error) or StoreError(f"{dialect.where}: {error}")
                if not isinstance(failure, StoreInterrupted) or tries == _TRIES:
                    raise failure from None
            pause()
    finally:
        engine.dispose()
    return SqlStore(engine, dialect)


def make_engine(dialect: PostgresSchema) -> Engine:
    """An engine whose connections are all new ones, and begin no transaction by themselves."""
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=dialect.connected,
        poolclass=NullPool,
        use_native_hstore=False,  # one question less to a server
    )


class PostgresSchema:
    """The `Dialect` of one schema of a PostgreSQL database."""

    readers_apart = False

    def __init__(self, database: Database) -> None:
        self.where = str(database)
        self._database = database
        self._asking: dict[int, LockTurn] = {}
        self._news = News(f"tunesmith_{database.schema}"[:63], self._connect)
        #: Statements of the transaction that runs which have not been sent yet.
        self._put_off: list[str] = []
        #: The number of the next event, as the server is to work it out (see `expect`).
        self._expected: str | None = None
        #: Whether the server has ever let us in: then it is worth looking for.
        self._known = False
        search = f"SET LOCAL search_path TO {database.schema}, pg_temp"
        #: All that begins a transaction is one message to the server.
        self._read = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {search}; SET LOCAL statement_timeout = 0"
        self._write = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED; {search}; SET LOCAL statement_timeout = 0; "
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{SILENT_WRITER_S}s'"
        )

    @property
    def schema(self) -> str:
        return self._database.schema

    # -- connections ----------------------------------------------------------------------------

    def connected(self) -> psycopg.Connection[Any]:
        """A connection to the server, which is looked for if it was there before. Raises StoreError."""
        began, pause_s = time.monotonic(), 0.02
        while True:
            try:
                connection = self._connect()
            except psycopg.Error as error:
                failure = self._unreachable(error)
                waited_s = time.monotonic() - began
                patience_s = BUSY_S if _comes_soon(error) else 0.0
                if self._known and not _refuses_us(error):
                    patience_s = RECONNECT_S
                if waited_s > patience_s:
                    if waited_s > 1.0:
                        failure = type(failure)(f"{failure}; it was tried for {waited_s:.0f} s")
                    raise failure from None
                time.sleep(pause_s * random.uniform(0.5, 1.5))
                pause_s = min(2.0 * pause_s, 2.0)
            else:
                self._known = True
                return connection

    def _connect(self) -> psycopg.Connection[Any]:
        parameters = {**_DEFAULTS, **self._database.parameters}
        return psycopg.connect(
            psycopg.conninfo.make_conninfo(**parameters), autocommit=True, prepare_threshold=None
        )

    def connect(self, engine: Engine, *, write: bool) -> Connection:
        return engine.connect()

    def broken(self, connection: Connection) -> bool:
        if connection.closed or connection.invalidated:
            return True
        driver: Any = connection.connection.driver_connection
        if driver is None or driver.closed:
            return True
        # a Ctrl-C in the middle of a message leaves its answer to come: nothing more can be asked of the connection
        return driver.info.transaction_status is not TransactionStatus.IDLE

    def disconnected(self) -> None:
        self._news.close()
        for turn in self._asking.values():
            turn.close()

    # -- transactions ---------------------------------------------------------------------------

    def insert(self, table: sa.Table) -> Any:
        return insert(table)

    @contextmanager
    def transaction(
        self, connection: Connection, *, write: bool, study: int | None, lazy: bool = False
    ) -> Iterator[int | None]:
        self._put_off.clear()
        self._expected = None
        driver: Any = connection.connection.driver_connection
        begin = self._write if write else self._read
        try:
            if study is None:
                driver.execute(begin).close()
                yield None
            else:  # what is read once the lock has been had is what the last holder wrote
                begin = f"{begin}; SELECT pg_advisory_xact_lock({_WRITERS}, {self._key(study)})"
                last = f"SELECT seq FROM events WHERE study = {study:d} ORDER BY seq DESC LIMIT 1"  # noqa: S608
                if lazy:
                    self._put_off.append(begin)
                yield None if lazy else _last_row(driver.execute(f"{begin}; {last}"))
            if self._put_off:
                self._send(driver, "; COMMIT")
        except BaseException:
            # where that fails it has broken, and is done away with
            with suppress(SQLAlchemyError, psycopg.Error):
                connection.rollback() if connection.in_transaction() else driver.rollback()
            raise
        if connection.in_transaction():
            connection.commit()
        elif driver.info.transaction_status is not TransactionStatus.IDLE:
            driver.commit()

    def _key(self, study: int) -> int:
        """A study's advisory locks: one that two have in common makes them wait, and does no more harm."""
        return crc32(f"{self.schema}/{study}".encode()) - 2**31

    def put(self, connection: Connection, statement: Prepared, rows: Rows) -> None:
        """It goes with the next message to the server, which is that of the commit as a rule."""
        driver: Any = connection.connection.driver_connection
        escape = psycopg.pq.Escaping(driver.pgconn).escape_literal
        for k in range(0, len(rows), _AT_ONCE):
            if k:
                self.flush(connection)
            texts = []
            for row in statement.parameters(rows[k : k + _AT_ONCE]):
                values = {name: _literal(value, escape) for name, value in row.items()}
                if self._expected is not None:  # it is about the first row
                    values["seq"], self._expected = self._expected, None
                texts.append(statement.row % values)
            self._put_off.append(f"{statement.head} VALUES {', '.join(texts)}{statement.tail}")

    def expect(self, study: int, last: int) -> None:
        """The next event has no number, which is an error, unless the last one is there: it keeps the rest of the message
        from being done, and costs less than a statement of its own."""
        if last and self._put_off:
            there = f"SELECT seq + 1 FROM events WHERE study = {study:d} AND seq = {last:d}"  # noqa: S608
            self._expected = f"({there})"

    def flush(self, connection: Connection) -> None:
        if self._put_off:
            self._send(connection.connection.driver_connection)

    def _send(self, driver: Any, end: str = "") -> None:
        statements, self._put_off = "; ".join(self._put_off), []
        driver.execute(f"{statements}{end}").close()

    def now(self, connection: Connection) -> float:
        """Of this moment: ``now()`` is that of the transaction's beginning."""
        clock = "SELECT extract(epoch FROM clock_timestamp())::float8"
        return float(connection.exec_driver_sql(clock).scalar_one())

    def next_id(self, connection: Connection) -> None:
        return None

    def check(
        self, connections: Mapping[bool, Connection], heads: Mapping[int, tuple[int, str]]
    ) -> None:
        """The server sees to that; what is gone after a connection broke, the store finds."""

    def lost(self, damage: str) -> StoreLost:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        place = Path.cwd() / f"{self._database.trials.stem}.rescued-{stamp}-{os.getpid()}"
        return StoreLost(
            f"{self.where}: {damage}, though it had been stored: the database was set back to an earlier state, "
            "or put in another's place; nothing more is recorded in it",
            place,
        )

    def damage(self, connection: Connection) -> str | None:
        return None

    def tell(self, connection: Connection, study: int) -> None:
        driver: Any = connection.connection.driver_connection
        self._news.tell(driver, study)

    def wait(self, seconds: float) -> None:
        self._news.wait(seconds)

    def asking(self, study: int) -> AbstractContextManager[object]:
        turn = self._asking.get(study)
        if (
            turn is None or turn.pid != os.getpid()
        ):  # of before a fork: another thread may have been in it
            turn = self._asking[study] = LockTurn(self._connect, self._key(study))
        return turn

    # -- errors ---------------------------------------------------------------------------------

    def error(self, error: Exception) -> StoreError | None:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.errors.ForeignKeyViolation):
            raise StudyGone from None
        if isinstance(original, _OVERTAKEN):
            raise Conflict(f"{self.where}: somebody else has written first")
        if not isinstance(original, psycopg.Error):
            return None
        code = original.sqlstate or ""
        text = _one_line(original)
        for prefix, kind, message in _MESSAGES:
            if code.startswith(prefix):
                return kind(f"{self.where}: {message} (PostgreSQL: {text})")
        if isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError)) and not code:
            return StoreInterrupted(f"{self.where}: the connection broke (PostgreSQL: {text})")
        return None

    def _unreachable(self, error: psycopg.Error) -> StoreError:
        """The error for a connection that could not be made."""
        text = _one_line(error)
        parameters = self._database.parameters
        user = parameters.get("user") or os.environ.get("PGUSER") or "of your login"
        for pattern, message in _REFUSALS:
            if match := re.search(pattern, text, re.IGNORECASE):
                named = [*match.groups(), ""]
                message = message.format(named[0], user=user, database=parameters.get("dbname", ""))
                return StoreUnreachable(f"{self.where}: {message} (PostgreSQL: {text})")
        return StoreUnreachable(
            f"{self.where}: the database cannot be reached (PostgreSQL: {text})"
        )


#: The next event is there already, or the one before is not (see `PostgresSchema.expect`).
_OVERTAKEN: Final = (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation)


def _literal(value: Any, escape: Callable[[bytes], bytes]) -> str:
    """A value as it stands in a statement's text: as psycopg writes our few types, in less time."""
    if value is None:
        return "NULL"
    if type(value) is int:
        return repr(value)
    if isinstance(value, str):
        if "\0" in value:
            raise psycopg.DataError("PostgreSQL text cannot contain NUL (0x00) bytes")
        return escape(value.encode()).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{value!r}'::float8"
    if isinstance(value, bool):
        return str(value).lower()
    return float.__repr__(value) if isinstance(value, float) else repr(int(value))


def _last_row(cursor: Any) -> int:
    """What the last of several statements selects; 0 where there is no row."""
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    cursor.close()
    return 0 if row is None else int(row[0])


def _one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


#: What it is by PostgreSQL's code of the error (appendix A of its manual).
_MESSAGES: Final[tuple[tuple[str, type[StoreError], str], ...]] = (
    ("08", StoreInterrupted, "the connection broke"),
    ("57P", StoreInterrupted, "the server ended the connection"),
    ("57014", StoreInterrupted, "the server cancelled what was asked of it"),
    ("25P03", StoreInterrupted, "the server ended a transaction that it did not hear of for too long"),
    ("40", StoreInterrupted, "the server took a transaction back"),
    ("55P03", StoreLocked, "another program has held the lock for too long"),
    ("53100", StoreFull, "the server's disk is full; free some space there and run again"),
    ("53", StoreFull, "the server has no resources left"),
    ("25006", StoreReadOnly, "this server can only be read now: a standby, or one that is set so; name the primary"),
    ("42501", StoreReadOnly, "this user has no right to do that there; let its owner grant it: see docs/guides/postgresql.md"),
    ("42P01", NotAStore, "a table is missing: the database is damaged or not ours"),
    ("42703", NotAStore, "a column is missing: the database is damaged or not ours"),
    ("58", StoreError, "the server cannot read or write its files"),
    ("XX", StoreError, "the server's files are damaged; restore them from a backup"),
)  # fmt: skip

#: Why nobody is let in; libpq has no codes for that, only texts.
_REFUSALS: Final = (
    (r'invalid connection option "([^"]*)"', "PostgreSQL knows no option {0!r}; take it out of the URL"),
    (r'database "([^"]*)" does not exist', "there is no database {0!r} on that server; make it (createdb {0}), or name another"),
    (r"password authentication failed", "the password of user {user} is wrong; put it into ~/.pgpass, PGPASSWORD or the URL"),
    (r"no password supplied", "user {user} needs a password; put it into ~/.pgpass, PGPASSWORD or the URL"),
    (r'role "([^"]*)" does not exist', "there is no user {0!r} on that server; name one: postgresql://user@host/database"),
    (r"no pg_hba.conf entry|authentication failed|not permitted to log in|permission denied for database",
     "the server does not let user {user} into database {database!r} from here"),
    (r"too many clients|connection slots|too many connections|no more connections",
     "the server has no connection free: run fewer processes, or raise its max_connections, or put PgBouncer before it"),
    (r"starting up|shutting down|recovery mode|not yet accepting", "the server is starting or shutting down"),
    (r"could not translate host name|name or service not known|not known|nodename", "there is no host of that name"),
    (r"connection refused|no such file or directory", "no PostgreSQL server answers there; is it running, and are host and port right?"),
    (r"timeout|timed out", "the server does not answer"),
    (r"SSL|certificate", "no encrypted connection could be made"),
)  # fmt: skip


def _comes_soon(error: psycopg.Error) -> bool:
    """Whether a server says that it will let us in soon."""
    soon = r"starting up|shutting down|recovery mode|not yet accepting|too many|connection slots"
    return re.search(soon, str(error), re.IGNORECASE) is not None


def _refuses_us(error: psycopg.Error) -> bool:
    """Whether a server has looked at who we are and what we want, and said no."""
    no = r"does not exist|authentication failed|password supplied|pg_hba|permission denied"
    return re.search(no, str(error), re.IGNORECASE) is not None


class LockTurn(AskingTurn):
    """Who may ask, among all processes: an advisory lock of a transaction on a connection of its own, which the
    server lets go of with its process. Where it cannot be had, or not within its time, all go on without."""

    def __init__(self, connect: Any, key: int) -> None:
        super().__init__()
        self._make, self._key = connect, key
        self._connection: psycopg.Connection[Any] | None = None
        #: Whether a pooler lends it connections.
        self._lent = False

    def _take(self) -> None:
        deadline, broke = time.monotonic() + ASKING_TIMEOUT_S, False
        while True:
            try:
                return self._lock()
            except psycopg.Error as error:
                self._give()
                waited = isinstance(error, psycopg.errors.LockNotAvailable)
                if waited and self._lent and time.monotonic() < deadline:
                    time.sleep(random.uniform(0.0, _TURN_S))
                    continue
                if waited or broke:
                    return None
                broke = True  # while nobody looked
            except BaseException:  # Ctrl-C, in the middle of whatever it was
                self._close()
                raise

    def _lock(self) -> None:
        if self._connection is None:
            self._connection = self._make()
            (pid,) = self._connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
            self._lent = pid != self._connection.info.backend_pid  # which is of the pooler's making
        wait_s = _TURN_S if self._lent else ASKING_TIMEOUT_S
        self._connection.execute(
            f"BEGIN; SET LOCAL lock_timeout = '{1000 * wait_s:.0f}ms'; SET LOCAL statement_timeout = 0; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{2 * ASKING_TIMEOUT_S}s'; "
            f"SELECT pg_advisory_xact_lock({_ASKERS}, {self._key})"
        )

    def _give(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except psycopg.Error:
                self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        """Let go of the connection, unless another thread is using it."""
        if self._thread.acquire(blocking=False):
            if self._depth == 0:
                self._close()
            self._thread.release()


def prepare(engine: Engine, dialect: PostgresSchema) -> None:
    """Bring the schema to the newest version; whoever comes first makes it, and the others wait for that."""
    with engine.connect() as connection:
        with dialect.transaction(connection, write=False, study=None):
            version = _version(connection, dialect)
        if version == HEAD:
            return
        with dialect.transaction(connection, write=True, study=None):
            key = crc32(dialect.schema.encode()) - 2**31
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMAS}, {key})")
            version = _version(connection, dialect)
            if version is None:
                _make(connection, dialect)
            elif version != HEAD:
                _upgrade(connection, dialect, version)


def _version(connection: Connection, dialect: PostgresSchema) -> str | None:
    there = sa.text("SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = :name")
    if (
        connection.execute(there, {"schema": dialect.schema, "name": VERSION_TABLE}).scalar()
        is None
    ):
        return None
    return connection.execute(sa.select(versions.c.version_num)).scalar()


def _make(connection: Connection, dialect: PostgresSchema) -> None:
    tables = sa.text("SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY 1")
    others = connection.execute(tables, {"schema": dialect.schema}).scalars().all()
    if others:
        listed = ", ".join(others[:4])
        raise NotAStore(
            f"{dialect.where}: the schema {dialect.schema!r} is another program's (it has the tables {listed}); name "
            "another one with ?schema=NAME in the URL"
        )
    schema = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
    if connection.execute(schema, {"schema": dialect.schema}).scalar() is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {dialect.schema}")
    metadata.create_all(connection, checkfirst=False)
    connection.execute(versions.insert(), {"version_num": HEAD})


def _upgrade(connection: Connection, dialect: PostgresSchema, version: str) -> None:
    from tunesmith.store.migrate import known_versions, upgrade

    if version not in known_versions():
        raise StoreVersionError(
            f"{dialect.where} was written by a newer tunesmith (schema {version}, this one knows up to {HEAD});"
            " pip install --upgrade tunesmith"
        )
    upgrade(connection)
