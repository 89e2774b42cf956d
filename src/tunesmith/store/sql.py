"""Studies in a SQL database, through SQLAlchemy Core.

One transaction per `append`: insert the events (their primary key is the compare-and-set), then
upsert the rows of the trials they touch. What happens for each trial is compiled once and run by the
driver. What differs between databases is in their own files, see `tunesmith.store.dialect`.

A connection that breaks is made again. Within a verb that is seen to here; whoever calls `writing` does the
block once more (see `tunesmith.store.journal`).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from tunesmith.core import codec
from tunesmith.core.errors import (
    Conflict,
    StoreError,
    StoreInterrupted,
    StoreLost,
    StudyExists,
    StudyNotFound,
    did_you_mean,
)
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost
from tunesmith.store.audit import chained, misfolded
from tunesmith.store.base import Activity, Head, Labels, Lease, Summary
from tunesmith.store.chain import first_digest, next_digest
from tunesmith.store.dialect import Dialect, StudyGone
from tunesmith.store.fold import (
    edits_space,
    retractions,
    row_changes,
    summarize,
)
from tunesmith.store.glance import STATES, Glance
from tunesmith.store.interrupt import held_back, interrupt_of
from tunesmith.store.labels import of_edit, of_spec
from tunesmith.store.pause import pauses
from tunesmith.store.schema import events, heartbeats, studies, trials
from tunesmith.store.statements import PAGE, Statements, of_trials

P = ParamSpec("P")
T = TypeVar("T")

#: Values in one condition.
_MANY: Final = 500


def _again(
    verb: Callable[Concatenate[SqlStore, P], T],
) -> Callable[Concatenate[SqlStore, P], T]:
    """A verb that may be done twice, done again where its connection broke; not within `writing`, whose whole block
    is to be done again."""

    @wraps(verb)
    def again(self: SqlStore, *arguments: P.args, **named: P.kwargs) -> T:
        for pause in pauses():
            try:
                return verb(self, *arguments, **named)
            except StoreInterrupted:
                if self._within:
                    raise
            pause()
        raise AssertionError

    return cast("Callable[Concatenate[SqlStore, P], T]", again)


class SqlStore:
    """A `Store` over one engine; made by `tunesmith.store.sqlite` and `tunesmith.store.postgres`."""

    shared = True

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        #: The driver, for its errors.
        self._driver: Any = engine.dialect.dbapi
        self._connections: dict[bool, Connection] = {}
        self._ids: dict[str, int] = {}
        #: The number and digest of the last event that this object read or wrote, by study.
        self._heads: dict[int, tuple[int, str]] = {}
        #: Those that are to be looked for, as a connection has broken.
        self._unsure: dict[int, tuple[int, str]] = {}
        #: One thread at a time; a connection belongs to the process that made it.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        #: The transaction of `writing`, while its block runs, and the thread that it runs in.
        self._writing: Connection | None = None
        self._writer = 0
        #: The study of the transaction that writes, and its last event in it, where that is known.
        self._last: tuple[int, int] | None = None
        self._lost: StoreLost | None = None
        #: Whether asking it takes longer than deciding: see `Journal`.
        self.distant = not dialect.readers_apart
        self._statements = Statements(engine, dialect)
        _open_stores.add(self)

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def _begin(
        self, *, write: bool = False, name: str | None = None, lazy: bool = False
    ) -> Iterator[Connection]:
        """One transaction, its errors in our words. Only writers wait for one another: those of study `name`. For a
        `lazy` one see `Dialect.transaction`."""
        with self._lock, held_back():
            self._refuse_strangers()
            if self._writing is not None:
                self._dialect.flush(self._writing)
                yield self._writing
                return
            study = None if name is None else self._look_up(name)
            heads, handled = dict(self._heads), sys.exception()
            try:
                if not self._connections:  # before SQLite makes an empty file where ours was
                    self._check({})
                with ExitStack() as stack:
                    connection = self._enter(stack, write, study, lazy)
                    before = self._last
                    yield connection
                self._check(self._heads)
                if study is not None and self._last != before:
                    self._dialect.tell(connection, study)
            except BaseException as error:
                self._heads = heads  # what was appended is taken back
                if (interrupt := interrupt_of(error, handled)) is not None:
                    self._writing = None
                    self._drop_broken(heads, all_of_them=True)  # in the middle of whatever it was
                    raise interrupt from None
                if not isinstance(error, (SQLAlchemyError, self._driver.Error)):
                    raise
                self._drop_broken(heads)
                self._check(heads)
                try:
                    raise self._in_our_words(error) from error
                except StudyGone:
                    raise self._gone(name or "") from None

    def _enter(self, stack: ExitStack, write: bool, study: int | None, lazy: bool) -> Connection:
        """Begin a transaction for `stack`; on a new connection, if the one there was broke while nobody looked."""
        kind = write and self._dialect.readers_apart
        for pause in pauses():
            connection = self._connections.get(kind)
            new = connection is None
            if connection is None:
                connection = self._dialect.connect(self._engine, write=write)
                self._connections[kind] = connection
            try:
                transaction = self._dialect.transaction(
                    connection, write=write, study=study, lazy=lazy and not self._unsure
                )
                last = stack.enter_context(transaction)
            except (SQLAlchemyError, self._driver.Error):
                if not self._drop_broken(self._heads):
                    raise
            else:
                self._last = None if study is None or last is None else (study, last)
                self._check_heads(connection)
                return connection
            if new:
                pause()
        raise AssertionError

    def _drop_broken(
        self, heads: Mapping[int, tuple[int, str]], *, all_of_them: bool = False
    ) -> bool:
        """Forget connections that have broken; whether there were any."""
        broken = [
            kind
            for kind, connection in self._connections.items()
            if all_of_them or self._dialect.broken(connection)
        ]
        for kind in broken:
            connection = self._connections.pop(kind)
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()
        if broken:
            self._unsure = {**self._unsure, **heads}
        return bool(broken)

    def _check_heads(self, connection: Connection) -> None:
        """Raise StoreLost if events that were there are not, now that there is a new connection: a database may come
        back as it was some time ago."""
        for study, (seq, digest) in self._unsure.items():
            if not seq:
                continue
            there = connection.execute(
                sa.select(studies.c.id).where(studies.c.id == study)
            ).scalar()
            row = self._statements.select_digest.rows(connection, study, seq).fetchone()
            if there is not None and (row is None or row[0] != digest):
                self._lost = self._dialect.lost(f"event {seq} of one of its studies is gone")
                raise self._lost
        self._unsure = {}

    def _in_our_words(self, error: Exception) -> StoreError:
        return self._dialect.error(error) or StoreError(f"{self._dialect.where}: {error}")

    def _gone(self, name: str) -> StudyNotFound:
        """The error for a study that was there."""
        self._forget(name)
        return StudyNotFound(
            f"study {name!r} in {self._dialect.where} has been deleted meanwhile, and perhaps made anew; open it again"
        )

    def _check(self, heads: dict[int, tuple[int, str]]) -> None:
        """See `Dialect.check`; what is lost once is not looked for again."""
        try:
            self._dialect.check(self._connections, heads)
        except StoreLost as error:
            self._lost = error
            raise

    def _refuse_strangers(self) -> None:
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        if self._pid != os.getpid():
            raise StoreError(
                f"{self._dialect.where}: this store was opened before the process was forked, and its "
                "connection cannot be shared; open the store again in the new process"
            )

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        try:
            with self._begin(write=True, name=name) as connection:
                if self._writing is not None:
                    yield
                    return
                try:
                    self._writing, self._writer = connection, threading.get_ident()
                    self._id(connection, name)
                    yield
                finally:
                    self._writing = None
        except Conflict:
            self._refuse_gone(name)
            raise

    @property
    def _within(self) -> bool:
        """Whether this thread is in a block of `writing`."""
        return self._writing is not None and self._writer == threading.get_ident()

    def _refuse_gone(self, name: str) -> None:
        """Raise StudyNotFound if that is why there was a conflict: whoever tried again would have it for ever."""
        if self._within:
            return
        known = self._ids.pop(name, 0)
        if (head := self._heads.pop(known, None)) is not None:
            self._unsure[known] = head
        if self._look_up(name) != known:
            raise StudyNotFound(
                f"study {name!r} in {self._dialect.where} has been deleted and made anew; open it again"
            ) from None

    def asking(self, name: str) -> AbstractContextManager[object]:
        return self._dialect.asking(self._look_up(name))

    def identity(self, name: str, *, anew: bool = False) -> int:
        """What tells the study from an earlier or later one of its name: as far as is known, or looked up `anew`. Raises
        StudyNotFound."""
        return self._look_up_anew(name) if anew else self._look_up(name)

    def known_identity(self, name: str) -> int | None:
        """The same, if it is known, without asking the database."""
        return self._ids.get(name)

    @_again
    def _look_up_anew(self, name: str) -> int:
        with self._begin() as connection:
            return self._there(connection, name)[0]

    @_again
    def _look_up(self, name: str) -> int:
        study = self._ids.get(name)
        if study is None:
            with self._begin() as connection:
                study = self._id(connection, name)
        return study

    def _id(self, connection: Connection, name: str) -> int:
        number = self._ids.get(name)
        if number is None:
            number = connection.execute(
                sa.select(studies.c.id).where(studies.c.name == name)
            ).scalar()
            if number is None:
                known = connection.execute(sa.select(studies.c.name)).scalars().all()
                raise StudyNotFound(
                    f"there is no study {name!r} in {self._dialect.where}{did_you_mean(name, known)}"
                )
            self._ids[name] = number
        return number

    def _there(self, connection: Connection, name: str) -> tuple[int, float]:
        """The id of the study that has this name now, whatever is remembered of an earlier one, and when it was created."""
        row = self._statements.select_born.rows(connection, name).fetchone()
        if row is None or self._ids.get(name, row[0]) != row[0]:
            self._forget(name)
        if row is None:
            self._id(connection, name)  # raises
            raise AssertionError
        self._ids[name] = row[0]
        return row[0], float(row[1])

    def _refuse_if_gone(self, connection: Connection, name: str, study: int) -> None:
        """Raise StudyNotFound if there is no such study any more, though perhaps a later one of its name: who has read the
        one must not go on with the other."""
        if connection is self._writing:  # what is appended is refused
            return
        if self._statements.select_id.rows(connection, study).fetchone() is None:
            raise self._gone(name)

    # -- studies ------------------------------------------------------------------------------

    def create(self, spec: StudySpec, at: float) -> None:
        broke = False
        for pause in pauses():
            try:
                return self._create(spec, at)
            except StoreInterrupted:
                broke = True
            except StudyExists:
                if broke and self._made(spec.name) == (spec, at):  # its answer was lost
                    return None
                raise
            pause()
        raise AssertionError

    def _create(self, spec: StudySpec, at: float) -> None:
        values = {
            "name": spec.name,
            "created_at": at,
            "spec": json.dumps(spec.to_dict()),
        }
        with self._begin(write=True) as connection:
            number = self._dialect.next_id(connection)
            if number is not None:
                values["id"] = number
            try:
                connection.execute(studies.insert(), values)
            except IntegrityError:
                raise StudyExists(
                    f"a study {spec.name!r} is in {self._dialect.where} already; open it with Study.open, or choose another name"
                ) from None

    @_again
    def _made(self, name: str) -> tuple[StudySpec, float]:
        with self._begin() as connection:
            return self._spec(connection, self._there(connection, name)[0])

    def load(self, name: str) -> StudySpec:
        return self._made(name)[0]

    def made_at(self, name: str) -> float:
        return self._made(name)[1]

    def _spec(self, connection: Connection, study: int) -> tuple[StudySpec, float]:
        row = connection.execute(
            sa.select(studies.c.spec, studies.c.created_at).where(studies.c.id == study)
        ).one()
        return codec.decode_spec(row.spec), row.created_at

    @_again
    def names(self) -> list[str]:
        with self._begin() as connection:
            query = sa.select(studies.c.name, studies.c.id)
            rows = connection.execute(query.order_by(studies.c.created_at, studies.c.id))
            names = []
            for name, number in rows:
                self._ids.setdefault(name, number)
                names.append(name)
            return names

    def delete(self, name: str) -> None:
        broke = False
        for pause in pauses():
            try:
                with self._begin(write=True) as connection:
                    study = self._id(connection, name)
                    connection.execute(studies.delete().where(studies.c.id == study))
                break
            except StoreInterrupted:
                broke = True
                self._ids.pop(name, None)
            except StudyNotFound:
                if not broke:
                    raise
                break
            pause()
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._heads.pop(self._ids.pop(name, 0), None)

    # -- events -------------------------------------------------------------------------------

    def append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        if self._within:
            return self._append(name, batch, expect)
        for pause in pauses():
            try:
                return self._append(name, batch, expect)
            except Conflict:
                self._refuse_gone(name)
                raise
            except StoreInterrupted:
                if self._holds(name, batch, expect):
                    return expect + len(batch)
            pause()
        raise AssertionError

    @_again
    def _holds(self, name: str, batch: Sequence[Event], expect: int) -> bool:
        """Whether `batch` is stored behind `expect`: its answer may have got lost, and its digests say so. Waits for
        whoever still writes, as the connection that broke may do at its other end."""
        with self._begin(write=True, name=name) as connection:
            study = self._id(connection, name)
            try:
                digest = self._digest(connection, study, expect)
            except Conflict:
                return False
            for event in batch:
                digest = next_digest(digest, codec.encode(event))
            last = self._statements.select_digest.rows(
                connection, study, expect + len(batch)
            ).fetchone()
            return last is not None and last[0] == digest

    def _append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        with self._begin(write=True, name=name, lazy=True) as connection:
            study = self._id(connection, name)
            if self._heads.get(study, (None,))[0] != expect:
                self._dialect.flush(connection)
            self._dialect.expect(study, expect)
            if (self._last or (study, expect)) != (study, expect):
                raise _conflict(name, expect)
            digest = self._digest(connection, study, expect)
            rows = []
            for seq, e in enumerate(batch, expect + 1):
                body = codec.encode(e)
                digest = next_digest(digest, body)
                trial = getattr(e, "trial", None)
                rows.append((study, seq, codec.kind_of(e), trial, e.at, body, digest))
            try:
                if rows:
                    self._dialect.put(connection, self._statements.insert_events, rows)
            except self._driver.IntegrityError:
                raise _conflict(name, expect) from None
            self._fold(connection, study, batch)
            self._last = (study, expect + len(batch))
        self._heads[study] = (expect + len(batch), digest)
        return expect + len(batch)

    def _digest(self, connection: Connection, study: int, seq: int) -> str:
        """The digest of event `seq`. That it is there, and the key's uniqueness, keep numbers gapless."""
        head = self._heads.get(study)
        if head is not None and head[0] == seq:
            return head[1]
        if seq == 0:
            query = sa.select(studies.c.spec).where(studies.c.id == study)
            spec: str | None = connection.execute(query).scalar()
            if spec is None:
                raise _conflict(str(study), seq)
            return first_digest(spec)
        row = self._statements.select_digest.rows(connection, study, seq).fetchone()
        if row is None:
            raise _conflict(str(study), seq)
        digest: str = row[0]
        return digest

    def _fold(self, connection: Connection, study: int, batch: Sequence[Event]) -> None:
        changed = [
            (study, number, row.state, _number(row.value))
            for number, row in row_changes(batch).items()
        ]
        if changed:
            self._dialect.put(connection, self._statements.upsert_trials, changed)
        retracting, editing = retractions(batch), edits_space(batch)
        if retracting or editing:
            self._dialect.flush(connection)
        for number, retracted in retracting.items():
            mine = (trials.c.study == study) & (trials.c.number == number)
            connection.execute(trials.update().where(mine).values(retracted=retracted))
        if editing:
            spec, _ = self._spec(connection, study)
            ledger = Ledger(spec).extend(self._read(connection, study, 0, None))
            for number, outside in enumerate(ledger.column("outside").tolist()):
                mine = (trials.c.study == study) & (trials.c.number == number)
                connection.execute(trials.update().where(mine).values(outside=outside))

    @_again
    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        with self._begin() as connection:
            study = self._id(connection, name) if cursor else self._there(connection, name)[0]
            if trial is not None:
                return list(self._read(connection, study, cursor, trial))
            if self._last == (study, cursor):
                return []
            first = self._page(connection, study, cursor)
            if not first and cursor:
                self._refuse_if_gone(connection, name, study)
        if len(first) < PAGE:
            return first
        return itertools.chain(first, self._pages(name, study, cursor + PAGE))

    def _page(self, connection: Connection, study: int, cursor: int) -> list[Event]:
        """The next events, `PAGE` at most."""
        selected = self._statements.select_after.rows(connection, study, cursor)
        rows = selected.fetchmany(PAGE)
        selected.close()
        if rows:
            self._heads[study] = (rows[-1][0], rows[-1][2])
        return codec.decode_many([row[1] for row in rows])

    def _pages(self, name: str, study: int, cursor: int) -> Iterator[Event]:
        """A long history, without holding all of it: events have no gaps, and are never changed."""
        full = True
        while full:
            page = self._next_page(study, cursor)
            yield from page
            cursor += len(page)
            full = len(page) == PAGE
        if not self._reaches(study, cursor):
            raise StudyNotFound(
                f"study {name!r} in {self._dialect.where} was deleted while it was read"
            )

    @_again
    def _next_page(self, study: int, cursor: int) -> list[Event]:
        """As `_page`, which gives numbers and digests with them: of a long history that takes a third more."""
        with self._begin() as connection:
            selected = self._statements.select_bodies.rows(connection, study, cursor)
            bodies = [body for (body,) in selected.fetchmany(PAGE)]
            selected.close()
            last = cursor + len(bodies)
            row = self._statements.select_digest.rows(connection, study, last).fetchone()
            if row is not None:  # else there is a gap, or the study has gone: see `_reaches`
                self._heads[study] = (last, row[0])
        return codec.decode_many(bodies)

    @_again
    def _reaches(self, study: int, cursor: int) -> bool:
        with self._begin() as connection:
            return (
                self._statements.select_digest.rows(connection, study, cursor).fetchone()
                is not None
            )

    def _read(
        self, connection: Connection, study: int, cursor: int, trial: int | None
    ) -> Iterator[Event]:
        mine = (events.c.study == study) & (events.c.seq > cursor)
        if trial is not None:
            mine = of_trials(study, [trial], cursor)
        query = sa.select(events.c.body).where(mine).order_by(events.c.seq)
        query = query.execution_options(yield_per=PAGE)  # some drivers fetch all there is
        for page in connection.execute(query).scalars().partitions():
            yield from codec.decode_many(page)

    @_again
    def heads(self, name: str) -> list[Head]:
        with self._begin() as connection:
            mine = trials.c.study == self._there(connection, name)[0]
            query = sa.select(trials.c.number, trials.c.state, trials.c.value).where(mine)
            rows = connection.execute(query.order_by(trials.c.number))
            return [Head(number, STATES[state], value) for number, state, value in rows]

    @_again
    def part(self, name: str, trials: Sequence[int]) -> Iterable[tuple[int, Event]]:
        with self._begin() as connection:
            study = self._there(connection, name)[0]
            rows: list[tuple[int, str]] = []
            some: list[Sequence[int | None]] = [[None]]
            some += [trials[k : k + _MANY] for k in range(0, len(trials), _MANY)]
            for which in some:
                query = sa.select(events.c.seq, events.c.body).where(of_trials(study, which))
                rows += [(row.seq, row.body) for row in connection.execute(query)]
        rows.sort()
        decoded = codec.decode_many(body for _, body in rows)
        return [(seq, event) for (seq, _), event in zip(rows, decoded, strict=True)]

    @_again
    def time_of(self, name: str, number: int) -> float:
        with self._begin() as connection:
            study = self._there(connection, name)[0]
            mine = (events.c.study == study) & (events.c.seq == number)
            at: float | None = connection.execute(sa.select(events.c.at).where(mine)).scalar()
            return 0.0 if at is None else at

    @_again
    def costs(self, name: str) -> Iterable[Cost]:
        with self._begin() as connection:
            ends = ("finished", "requeued", "paused")
            study = self._there(connection, name)[0]
            mine = (events.c.study == study) & events.c.kind.in_(ends)
            query = sa.select(events.c.body).where(mine).order_by(events.c.seq)
            bodies = connection.execute(query).scalars().all()
        return codec.decode_costs(bodies)

    @_again
    def activity(self) -> list[Activity]:
        with self._begin() as connection:
            rows = self._statements.select_activity.rows(connection).fetchall()
            return [Activity(n, made, seq or 0, at or made) for n, made, seq, at in rows]

    @_again
    def born(self, name: str) -> float:
        with self._begin() as connection:
            return self._there(connection, name)[1]

    @_again
    def labels(self, names: Sequence[str]) -> dict[str, Labels]:
        made: dict[int, tuple[str, Labels]] = {}
        event = events.c
        with self._begin() as connection:
            for k in range(0, len(names), _MANY):
                query = sa.select(studies.c.id, studies.c.name, studies.c.spec)
                some = query.where(studies.c.name.in_(names[k : k + _MANY]))
                for study, name, spec in connection.execute(some):
                    made[study] = (name, of_spec(spec))
            ids = [*made]
            for k in range(0, len(ids), _MANY):
                index = events.alias()
                whole = sa.select(index.c.study, index.c.seq).where(index.c.trial.is_(None))
                whole = whole.where(index.c.study.in_(ids[k : k + _MANY]))
                mine = sa.tuple_(event.study, event.seq).in_(whole)
                edits = sa.select(event.study, event.body).where(mine, event.kind == "edited")
                for study, body in connection.execute(edits.order_by(event.study, event.seq)):
                    tags = of_edit(body)
                    if tags is not None:
                        made[study] = (made[study][0], made[study][1]._replace(tags=tags))
        return dict(made.values())

    def wait(self, name: str, cursor: int, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while self.cursor(name) <= cursor:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            self._dialect.wait(left_s)
        return True

    @_again
    def cursor(self, name: str) -> int:
        with self._begin() as connection:
            study = self._id(connection, name)
            last = self._cursor(connection, study)
            if not last:
                self._refuse_if_gone(connection, name, study)
            return last

    def _cursor(self, connection: Connection, study: int) -> int:
        if self._last is not None and self._last[0] == study:
            return self._last[1]
        return int(self._statements.select_last.rows(connection, study).fetchone()[0] or 0)

    @_again
    def summary(self, name: str) -> Summary:
        with self._begin() as connection:
            study = self._there(connection, name)[0]
            created, created_at = self._spec(connection, study)
            glance = Glance(connection, self._statements, study)
            cursor = self._cursor(connection, study)
            summary = glance.summary(name, created, created_at, cursor)
            if summary is None:  # which rows alone cannot tell
                return summarize(created, self._read(connection, study, 0, None), created_at)
            return summary

    # -- leases -------------------------------------------------------------------------------

    @_again
    def lease(
        self, name: str, holder: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease:
        with self._begin(write=True) as connection:
            study, now = self._id(connection, name), self._dialect.now(connection)
            free = (
                studies.c.lease_holder.is_(None)
                | studies.c.lease_holder.in_([holder, instead_of or holder])
                | (studies.c.lease_until < now)
            )
            mine = studies.c.id == study
            connection.execute(
                studies.update()
                .where(mine & free)
                .values(lease_holder=holder, lease_until=now + ttl_s)
            )
            row = connection.execute(
                sa.select(studies.c.lease_holder, studies.c.lease_until).where(mine)
            ).first()
            if row is None:
                raise self._gone(name)
            return Lease(row[0], row[1])

    @_again
    def release(self, name: str, holder: str) -> None:
        with self._begin(write=True) as connection:
            mine = (studies.c.id == self._id(connection, name)) & (studies.c.lease_holder == holder)
            connection.execute(
                studies.update().where(mine).values(lease_holder=None, lease_until=None)
            )

    @_again
    def beat(self, name: str, session: str) -> None:
        with self._begin(write=True) as connection:
            insert = self._dialect.insert(heartbeats)
            upsert = insert.on_conflict_do_update(
                index_elements=[heartbeats.c.study, heartbeats.c.session],
                set_={"at": insert.excluded.at},
            )
            row = {
                "study": self._id(connection, name),
                "session": session,
                "at": self._dialect.now(connection),
            }
            connection.execute(upsert, row)

    @_again
    def silent_s(self, name: str) -> dict[str, float]:
        with self._begin() as connection:
            mine = heartbeats.c.study == self._there(connection, name)[0]
            query = sa.select(heartbeats.c.session, heartbeats.c.at).where(mine)
            beats = connection.execute(query).all()
            now = self._dialect.now(connection)
            return {session: max(0.0, now - at) for session, at in beats}

    @_again
    def now(self) -> float:
        """The database's own clock, in seconds since the epoch: those of hosts differ."""
        with self._begin() as connection:
            return self._dialect.now(connection)

    @_again
    def verify(self, name: str) -> str | None:
        with self._begin() as connection:
            study = self._there(connection, name)[0]
            history, wrong = chained(connection, study)
            if wrong is not None:
                return wrong
            spec, created_at = self._spec(connection, study)
            if spec.name != name:
                return f"the study is called {name!r}, but was made as {spec.name!r}"
            wrong = misfolded(connection, study, spec, history)
            wrong = wrong or self._dialect.damage(connection)
            if wrong is not None:
                return wrong
        if summarize(spec, history, created_at) != self.summary(name):
            return "the summary does not follow from the events"
        return None

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._pid != os.getpid():  # SQLite: not even to be closed in another process
            return
        while self._connections:
            self._connections.popitem()[1].close()
        self._engine.dispose()
        self._dialect.disconnected()

    # -- forks --------------------------------------------------------------------------------

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self._writing is None:
            self._disconnect()  # both processes connect again when they need to

    def _after_fork(self, *, child: bool) -> None:
        if child and self._writing is None:
            self._pid = os.getpid()
        self._lock.release()


#: A database's connection must not be used on both sides of a fork; SQLite's locks, kept in the process,
#: would be believed to be held by the child. So no connection is open while a process forks.
_open_stores: Final[weakref.WeakSet[SqlStore]] = weakref.WeakSet()
_forking: list[SqlStore] = []


def _before_fork() -> None:
    _forking[:] = _open_stores
    for store in _forking:
        store._before_fork()  # noqa: SLF001


def _after_fork(*, child: bool) -> None:
    while _forking:
        _forking.pop()._after_fork(child=child)  # noqa: SLF001


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(child=False),
    after_in_child=lambda: _after_fork(child=True),
)


def _number(value: float | None) -> float | None:
    """`value`, or None for what is no number: databases differ in what they make of that."""
    return None if value != value else value


def _conflict(study: str, expect: int) -> Conflict:
    return Conflict(f"study {study!r} is not at event {expect} any more")
