"""SQLite: one file, in WAL mode, foreign keys on, patient with locks.

``durability="crash"`` (the default) survives ``kill -9``: a commit is in the kernel's hands when it
returns. ``durability="power"`` waits for the disk at every commit.

Nothing but SQLite opens the file, its ``-wal`` or its ``-shm``, be it only to look at the first bytes:
POSIX locks belong to the process, so closing *any* descriptor of the file drops those that SQLite holds.
Whoever closes the database next then believes to be the last one and deletes the log, and what is
committed after that is in no file (sqlite.org/howtocorrupt.html, 2.2). ``stat`` is harmless.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tunesmith.core.errors import (
    NotAStore,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreLost,
    StoreReadOnly,
    StoreVersionError,
)
from tunesmith.store.base import Durability
from tunesmith.store.dialect import Prepared, Rows
from tunesmith.store.schema import HEAD, VERSION_TABLE, metadata, studies, versions
from tunesmith.store.sql import SqlStore
from tunesmith.store.turn import AskingTurn

T = TypeVar("T")

#: How long to wait for another program's lock (s).
LOCK_TIMEOUT_S: Final = 30.0
#: How long to wait before one looks whether there is news (s).
POLL_S: Final = 0.05
#: How long to wait for another's suggestion before making one beside it (s).
ASKING_TIMEOUT_S: Final = 60.0

Mode: TypeAlias = Literal["rwc", "rw", "ro", "immutable"]
#: The execution option that tells a reader from a writer.
_READ_ONLY: Final = "tunesmith_read_only"


def open_sqlite(
    path: Path | str, *, durability: Durability = "crash", lock_timeout_s: float = LOCK_TIMEOUT_S
) -> SqlStore:
    """Open the store in a file, making or upgrading it as needed.

    A file that can only be read is opened for that. Raises NotAStore (another kind of file),
    StoreVersionError (a newer tunesmith's), StoreReadOnly, StoreLocked, StoreFull or StoreError; the
    file is then as it was.
    """
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; make it first")
    _check_kind(path)
    try:
        return _opened(path, "rwc", durability, lock_timeout_s)
    except StoreReadOnly:
        if not _holds_something(path):
            raise
    # SQLite needs its -wal and -shm files even to read. Where they cannot be made and nothing is in a
    # log, the file does not change, and can be read as it is.
    try:
        return _opened(path, "ro", durability, lock_timeout_s)
    except StoreReadOnly:
        log = _beside(path, "-wal")
        if _holds_something(log):
            raise StoreReadOnly(
                f"{path} can only be read, and its last changes, in {log.name}, not even that; copy both "
                "files into a folder of yours"
            ) from None
    return _opened(path, "immutable", durability, lock_timeout_s)


def _opened(path: Path, mode: Mode, durability: Durability, lock_timeout_s: float) -> SqlStore:
    engine = make_engine(path, durability, lock_timeout_s, mode)
    try:
        prepare(engine, path, lock_timeout_s, read_only=mode != "rwc")
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        if "file is not a database" in str(error):
            raise NotAStore(
                f"{path} is no SQLite database; name another file for the store"
            ) from error
        raise (sqlite_error(error, str(path)) or StoreError(f"{path}: {error}")) from error
    except BaseException:
        engine.dispose()
        raise
    if mode == "rwc":  # from now on it is there; nobody wants an empty one in its place
        engine = make_engine(path, durability, lock_timeout_s, "rw")
    return SqlStore(engine, SqliteFile(path, lock_timeout_s))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def make_engine(
    path: Path, durability: Durability, lock_timeout_s: float, mode: Mode = "rwc"
) -> Engine:
    """An engine whose writing transactions begin IMMEDIATE: no reader has to turn into a writer."""
    name = quote(os.fsencode(path.absolute()))
    uri = f"file:{name}?immutable=1" if mode == "immutable" else f"file:{name}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=lock_timeout_s, check_same_thread=False)

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)

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
        driver: Any = connection.connection.driver_connection
        if connection.get_execution_options().get(_READ_ONLY):
            driver.execute("BEGIN")
        else:
            _begin_writing(driver, lock_timeout_s)

    return engine


def _begin_writing(driver: sqlite3.Connection, timeout_s: float) -> None:
    """SQLite's own waiting sleeps for up to 100 ms at a time; a transaction here takes a third of one."""
    deadline: float | None = None
    pause_s = 0.0002
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            now = time.monotonic()
            deadline = deadline if deadline is not None else now + timeout_s
            if now > deadline:
                raise
            time.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(1.5 * pause_s, 0.01)


#: Of the files that this process saves.
_PLACES: Final = itertools.count(1)


class SqliteFile:
    """The `Dialect` of one file, which it watches: see `check`."""

    readers_apart = True

    def __init__(self, path: Path, lock_timeout_s: float) -> None:
        self.where = str(path)
        self._path = path.absolute()
        self._log = _beside(self._path, "-wal")
        self._names = (str(self._path), str(self._log))
        self._lock_timeout_s = lock_timeout_s
        self._file = _Identity.of(self._path)
        #: The log that our connections write to; it stays as long as one of them is open.
        self._logged: _Identity | None = None
        self._turns: dict[int, FileTurn] = {}
        #: Where what is known was saved, once the file was lost.
        self._place: Path | None = None

    def insert(self, table: sa.Table) -> Any:
        return insert(table)

    def connect(self, engine: Engine, *, write: bool) -> Connection:
        connection = engine.connect().execution_options(**{_READ_ONLY: not write})
        if write:  # it waits in `_begin_writing`
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0")
        return connection

    @contextmanager
    def transaction(
        self, connection: Connection, *, write: bool, study: int | None, lazy: bool = False
    ) -> Iterator[None]:
        with connection.begin():
            yield

    def put(self, connection: Connection, statement: Prepared, rows: Rows) -> None:
        statement.many(connection, rows)

    def expect(self, study: int, last: int) -> None:
        """Nothing is put off."""

    def flush(self, connection: Connection) -> None:
        """Nothing is put off."""

    def broken(self, connection: Connection) -> bool:
        return False  # there is nobody at its other end

    def lost(self, damage: str) -> StoreLost:
        self._place = self._place or self._beside()
        return StoreLost(f"{self.where}: {damage}", self._place)

    def next_id(self, connection: Connection) -> int:
        last = connection.execute(sa.select(sa.func.max(studies.c.id))).scalar() or 0
        return max(last + 1, int(time.time() * 1e6))  # in the order of creation

    def now(self, connection: Connection) -> float:
        return time.time()  # SQLite runs in this process: its clock is the host's

    def error(self, error: Exception) -> StoreError | None:
        return sqlite_error(error, self.where)

    def damage(self, connection: Connection) -> str | None:
        for pragma in ("PRAGMA integrity_check(3)", "PRAGMA foreign_key_check"):
            rows = [tuple(row) for row in connection.exec_driver_sql(pragma)]
            if rows and rows != [("ok",)]:
                return f"the database file is damaged: {'; '.join(str(row[0]) for row in rows[:3])}"
        return None

    def tell(self, connection: Connection, study: int) -> None:
        """There is no way."""

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, POLL_S))

    def asking(self, study: int) -> FileTurn:
        turn = self._turns.get(study)
        if turn is None:
            assert self._file is not None
            turn = self._turns[study] = FileTurn(f"{self._file.name}-{study}")
        return turn

    def disconnected(self) -> None:
        self._logged = None
        while self._turns:
            self._turns.popitem()[1].close()

    # -- whether it is still there --------------------------------------------------------------

    def check(
        self, connections: Mapping[bool, Connection], heads: Mapping[int, tuple[int, str]]
    ) -> None:
        """Raise StoreLost if the file, or its log, was deleted, replaced or cut short: SQLite does not
        look, and would go on for ever with what it has open. Two calls of ``stat``, some 4 us."""
        if self._unchanged():
            return
        now = _Identity.of(self._path)
        damage = self._damage(now, heads)
        if damage is None and connections:
            log = _Identity.of(self._log)
            if self._logged is None:
                self._logged = log
            elif log is None:
                damage = f"its log {self._log.name} was deleted"
            elif not log.same(self._logged):
                damage = f"its log {self._log.name} was replaced"
        if damage is None:
            self._file = now
            return
        path = self._place = self._place or self._beside()
        rescued = self._rescue(connections, path)
        at = "while it was in use; nothing more is recorded in it. "
        raise StoreLost(
            f"{self.where}: {damage} {at}"
            + (
                f"What was known is saved in {rescued}: to go on, stop what else uses {self.where}, move "
                "it there, remove the files that end with -wal and -shm, and run again"
                if rescued
                else "What it held could not be read any more"
            ),
            None if rescued else path,
        )

    def _unchanged(self) -> bool:
        """Whether the file is as it was at the last look, and its log still the same: so it is, as a rule."""
        before, logged = self._file, self._logged
        if before is None or logged is None:
            return False
        try:
            file, log = os.stat(self._names[0]), os.stat(self._names[1])  # noqa: PTH116 (half the time)
        except OSError:
            return False
        return (
            file.st_ino == before.inode
            and log.st_ino == logged.inode
            and file.st_mtime_ns == before.changed_ns
            and file.st_size == before.size
            and file.st_dev == before.device == log.st_dev
        )

    def _damage(self, now: _Identity | None, heads: Mapping[int, tuple[int, str]]) -> str | None:
        before = self._file
        if now is None:
            return "the file was deleted"
        if before is None or now == before:
            return None
        if not now.same(before):
            return "the file was replaced by another"
        if now.size == 0 and before.size > 0:
            return "the file was emptied"
        # somebody has written: SQLite, as a rule
        if not self._reads(heads, whole=now.size < before.size):
            return "the file was cut short or written over"
        return None

    def _reads(self, heads: Mapping[int, tuple[int, str]], *, whole: bool) -> bool:
        """Whether a fresh look at the file finds what was written; with `whole`, all of its pages: a file that
        shrinks has been vacuumed, or cut, and the log may hide what is missing until it is too late."""
        query = (
            """SELECT digest FROM studies LEFT JOIN events ON study = id AND seq = ? WHERE id = ?"""
        )
        uri = f"file:{quote(os.fsencode(self._path))}?mode=rw"
        try:
            with closing(
                sqlite3.connect(uri, uri=True, timeout=self._lock_timeout_s)
            ) as connection:
                for study, (seq, digest) in heads.items():
                    row = connection.execute(query, (seq, study)).fetchone()
                    if seq and row is not None and row[0] != digest:
                        return False
                connection.execute("SELECT count(*) FROM studies").fetchone()
                if whole and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    return False
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        except sqlite3.DatabaseError:
            return False
        return True

    def _beside(self) -> Path:
        """Where to save what is known."""
        folder = self._path.parent if self._path.parent.is_dir() else Path.cwd()
        stamp, number = time.strftime("%Y%m%d-%H%M%S"), next(_PLACES)
        mark = f"-{number}" if number > 1 else ""
        return folder / f"{self._path.name}.rescued-{stamp}-{os.getpid()}{mark}"

    def _rescue(self, connections: Mapping[bool, Connection], path: Path) -> Path | None:
        """A new file with all that our connections still see: an open file outlives its name."""
        for connection in connections.values():
            driver: Any = connection.connection.driver_connection
            try:
                with closing(sqlite3.connect(path)) as target:
                    driver.backup(target)
                    if target.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                        return path
            except (sqlite3.Error, OSError):
                pass
            for suffix in ("", "-wal", "-shm", "-journal"):
                with suppress(OSError):
                    _beside(path, suffix).unlink()
        return None


class _Identity(NamedTuple):
    """What ``stat`` says of a file: which one it is, and whether it has changed."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> _Identity | None:
        try:
            status = os.stat(path)  # noqa: PTH116 (twice as fast)
        except OSError:
            return None
        if not status.st_nlink:
            return None
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def same(self, other: _Identity) -> bool:
        return (self.device, self.inode) == (other.device, other.inode)

    @property
    def name(self) -> str:
        return f"{self.device:x}-{self.inode:x}"


class FileTurn(AskingTurn):
    """Who may ask, among the processes of this host and user: a lock that the system lets go of with its process.

    It is in the folder for temporary files: beside the database it would be in the way. Where it cannot be
    had, or not within its time (its holder hangs), all go on without.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._path = Path(tempfile.gettempdir()) / f"tunesmith-{os.getuid()}" / f"{name}.asking"
        self._descriptor: int | None = None

    def _take(self) -> None:
        with suppress(OSError):
            self._lock()

    def _give(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock(self) -> None:
        deadline, pause_s = time.monotonic() + ASKING_TIMEOUT_S, 0.0002
        while True:
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._descriptor).st_nlink:
                    return
                self.close()  # the last holder has removed it
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return
                time.sleep(pause_s * random.uniform(0.5, 1.5))
                pause_s = min(1.5 * pause_s, 0.005)

    def _open(self) -> None:
        folder = self._path.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise PermissionError(f"{folder} is somebody else's")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    def close(self) -> None:
        """Let go of it, and remove it unless somebody has it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                self._path.unlink()
        os.close(descriptor)


def prepare(engine: Engine, path: Path, lock_timeout_s: float, *, read_only: bool) -> None:
    """Bring the file to WAL mode and to the newest schema."""
    tables = _patiently(lambda: _tables(engine), lock_timeout_s)
    if not tables:
        if read_only:
            raise NotAStore(f"{path} has no tables, and cannot be written; name another file")
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
    if read_only:
        raise StoreReadOnly(
            f"{path} was written by another tunesmith (schema {version}, this one's is {HEAD}) and can only "
            "be read, so it cannot be upgraded; copy it to where you may write"
        )
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
