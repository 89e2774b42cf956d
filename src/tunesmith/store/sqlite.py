"""SQLite: one file, in WAL mode, foreign keys on, patient with locks.

``durability="crash"`` (the default) survives ``kill -9``: a commit is in the kernel's hands when it
returns. ``durability="power"`` waits for the disk at every commit.

Nothing but SQLite opens the file, its ``-wal`` or its ``-shm``, be it only to look at the first bytes:
POSIX locks belong to the process, so closing *any* descriptor of the file drops those that SQLite holds.
Whoever closes the database next then believes to be the last one and deletes the log, and what is
committed after that is in no file (sqlite.org/howtocorrupt.html, 2.2). ``stat`` is harmless.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tunesmith.core.errors import (
    NotAStore,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreVersionError,
)
from tunesmith.store.base import Durability
from tunesmith.store.schema import HEAD, VERSION_TABLE, metadata, versions
from tunesmith.store.sql import READ_ONLY, SqlStore

T = TypeVar("T")

#: How long to wait for another program's lock (s).
LOCK_TIMEOUT_S: Final = 30.0


def open_sqlite(
    path: Path | str, *, durability: Durability = "crash", lock_timeout_s: float = LOCK_TIMEOUT_S
) -> SqlStore:
    """Open the store in a file, making or upgrading it as needed.

    Raises NotAStore (another kind of file), StoreVersionError (a newer tunesmith's), StoreReadOnly,
    StoreLocked, StoreFull or StoreError; the file is then as it was.
    """
    path = Path(path).expanduser()
    where = str(path)
    if not path.parent.is_dir():
        raise StoreError(f"{where}: the folder {path.parent} does not exist; make it first")
    _check_kind(path)
    engine = make_engine(path, durability, lock_timeout_s)
    try:
        prepare(engine, path, lock_timeout_s)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        if "file is not a database" in str(error):
            raise NotAStore(
                f"{where} is no SQLite database; name another file for the store"
            ) from error
        raise (sqlite_error(error, where) or StoreError(f"{where}: {error}")) from error
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, where)


def make_engine(path: Path, durability: Durability, lock_timeout_s: float) -> Engine:
    """An engine whose writing transactions begin IMMEDIATE: no reader has to turn into a writer."""
    url = URL.create("sqlite", database=str(path))
    engine = sa.create_engine(
        url,
        poolclass=NullPool,
        connect_args={"timeout": lock_timeout_s, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        run = connection.execute
        run("PRAGMA foreign_keys = ON")
        run(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        if durability == "power":
            run("PRAGMA fullfsync = ON")  # macOS
        run("PRAGMA cache_size = -16000")
        run("PRAGMA wal_autocheckpoint = 4000")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(READ_ONLY)
        driver: Any = connection.connection
        driver.execute("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def prepare(engine: Engine, path: Path, lock_timeout_s: float) -> None:
    """Bring the file to WAL mode and to the newest schema."""
    tables = _patiently(lambda: _tables(engine), lock_timeout_s)
    if not tables:
        _patiently(lambda: _set_wal(engine), lock_timeout_s)
        with engine.begin() as connection:
            if sa.inspect(connection).has_table(VERSION_TABLE):
                return  # another process was faster
            metadata.create_all(connection)
            connection.execute(versions.insert(), {"version_num": HEAD})
        return
    if VERSION_TABLE not in tables:
        listed = ", ".join(sorted(tables)[:4])
        raise NotAStore(
            f"{path} is the SQLite database of another program (it has the tables {listed}); "
            "name another file"
        )
    with engine.connect() as connection:
        version = connection.execute(sa.select(versions.c.version_num)).scalar()
    if version == HEAD:
        return
    from tunesmith.store.migrate import known_versions, upgrade_sqlite

    if version not in known_versions():
        raise StoreVersionError(
            f"{path} was written by a newer tunesmith (schema {version}, this one knows up to {HEAD});"
            " pip install --upgrade tunesmith"
        )
    upgrade_sqlite(engine, path, str(version))


def _tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def _set_wal(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _patiently(act: Callable[[], T], timeout_s: float) -> T:
    """Do what SQLite's own busy handler does not wait for (a change of journal mode, say)."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return act()
        except (DBAPIError, sqlite3.OperationalError) as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _check_kind(path: Path) -> None:
    """Refuse what is no ordinary file, without opening it: see the module's text."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise StoreReadOnly(f"{path} cannot be read: {error.strerror}") from None
    except OSError as error:  # a name that is too long, a link to itself
        raise NotAStore(f"{path} cannot be a store: {error.strerror}; name another file") from None
    mode, size = status.st_mode, status.st_size
    if stat.S_ISDIR(mode):
        raise NotAStore(f"{path} is a folder; name a file, such as {path / 'study.db'}")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no ordinary file")
        raise NotAStore(f"{path} is {kind}; name an ordinary file for the store")
    if size == 1:  # SQLite takes that for an empty file
        raise NotAStore(f"{path} is no SQLite database; name another file for the store")
    if not os.access(path, os.R_OK):
        raise StoreReadOnly(f"{path} cannot be read: Permission denied")


_KINDS: Final = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_MESSAGES: Final = (
    ("database or disk is full", StoreFull, "the disk is full; free some space and run again"),
    ("disk i/o error", StoreError, "the disk cannot be read or written"),
    ("readonly database", StoreReadOnly, "the file or its folder cannot be written"),
    ("unable to open", StoreReadOnly, "the file cannot be opened; may you write in its folder?"),
    ("is locked", StoreLocked, "another program has held the lock for too long"),
    ("not a database", NotAStore, "this is no SQLite database, or a damaged one"),
    ("malformed", NotAStore, "the database is damaged; restore it from a copy"),
    ("no such table", NotAStore, "a table is missing: the database is damaged or not ours"),
)


def sqlite_error(error: Exception, where: str) -> StoreError | None:
    """The error in our words, if it is one that SQLite has a name for."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).lower()
    for part, kind, message in _MESSAGES:
        if part in text:
            return kind(f"{where}: {message} (SQLite: {text})")
    return None
