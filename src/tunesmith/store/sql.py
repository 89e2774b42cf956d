"""Studies in a SQL database, through SQLAlchemy Core.

One transaction per `append`: insert the events (their primary key is the compare-and-set), then
upsert the rows of the trials they touch. What happens for each trial is compiled once and run by the
driver. What differs between databases is in their own files, see `tunesmith.store.dialect`.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from tunesmith.core import codec
from tunesmith.core.aging import DATA, KEEP
from tunesmith.core.errors import (
    Conflict,
    StoreError,
    StoreLost,
    StudyExists,
    StudyNotFound,
    did_you_mean,
)
from tunesmith.core.events import Edited, Event, Opened
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost, State
from tunesmith.store.base import Head, Lease, Summary
from tunesmith.store.chain import first_digest, next_digest
from tunesmith.store.dialect import Dialect
from tunesmith.store.fold import (
    confirming,
    edits_space,
    retractions,
    row_changes,
    summarize,
    winner,
)
from tunesmith.store.schema import events, heartbeats, studies, trials

#: Events read at a time: the body of each is a few hundred bytes.
_PAGE: Final = 5000
#: Values in one condition, and the states by their texts.
_MANY: Final = 500
_EVERY: Final = 2**31 - 1
_STATES: Final = {str(state): state for state in State}


class Prepared:
    """A statement compiled once by SQLAlchemy and run by the driver: a tenth of the time."""

    def __init__(self, engine: Engine, statement: Any, columns: Sequence[str]) -> None:
        insert = isinstance(statement, sa.Insert)
        compiled = statement.compile(
            dialect=engine.dialect, column_keys=list(columns) if insert else None
        )
        self._sql = str(compiled)
        self._columns = columns
        self._positional = compiled.positional
        #: Where the statement's own parameters stand among `columns`, if they have no names.
        order = [columns.index(name) for name in compiled.positiontup or ()]
        self._order = None if order == list(range(len(columns))) else order

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for each of `rows`, tuples in the order of the columns. Raises the driver's errors."""
        cursor = connection.connection.cursor()
        parameters: Any = rows
        if not self._positional:
            parameters = [dict(zip(self._columns, row, strict=True)) for row in rows]
        elif self._order is not None:
            parameters = [self._arranged(row) for row in rows]
        cursor.executemany(self._sql, parameters)
        cursor.close()

    def rows(self, connection: Connection, *values: Any) -> Any:
        """What it selects: a cursor, to be read at once."""
        cursor: Any = connection.connection.cursor()
        if self._positional:
            cursor.execute(self._sql, self._arranged(values))
        else:
            cursor.execute(self._sql, dict(zip(self._columns, values, strict=True)))
        return cursor

    def _arranged(self, row: Sequence[Any]) -> Sequence[Any]:
        return row if self._order is None else [row[k] for k in self._order]


class SqlStore:
    """A `Store` over one engine; made by `tunesmith.store.sqlite.open_sqlite`."""

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
        #: One thread at a time; a connection belongs to the process that made it.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        #: The transaction of `writing`, while its block runs.
        self._writing: Connection | None = None
        self._lost: StoreLost | None = None
        upsert = dialect.insert(trials)
        states = upsert.on_conflict_do_update(
            index_elements=[trials.c.study, trials.c.number],
            set_={"state": upsert.excluded.state, "value": upsert.excluded.value},
        )
        event = events.c
        study: Any = sa.bindparam("study")
        seq: Any = sa.bindparam("seq")
        after = sa.select(event.seq, event.body, event.digest).order_by(event.seq)
        self._insert_events = Prepared(engine, events.insert(), [c.name for c in events.columns])
        self._upsert_trials = Prepared(engine, states, ["study", "number", "state", "value"])
        self._select_after = Prepared(
            engine, after.where(event.study == study, event.seq > seq), ["study", "seq"]
        )
        self._select_digest = Prepared(
            engine,
            sa.select(event.digest).where(event.study == study, event.seq == seq),
            ["study", "seq"],
        )
        self._select_last = Prepared(
            engine, sa.select(sa.func.max(event.seq)).where(event.study == study), ["study"]
        )
        edited: Any = sa.literal_column("'edited'")
        whole = event.trial.is_(None)  # there is an index for this
        edits = sa.select(event.body).where(event.study == study, whole, event.kind == edited)
        self._select_edits = Prepared(engine, edits.order_by(event.seq), ["study"])
        opened: Any = sa.literal_column("'opened'")
        says = sa.select(event.body).where(event.study == study, whole, event.kind == opened)
        self._select_opened = Prepared(engine, says.order_by(event.seq), ["study"])
        row = trials.c
        counts = sa.select(row.state, sa.func.count()).where(row.study == study)
        self._select_counts = Prepared(engine, counts.group_by(row.state), ["study"])
        completed: Any = sa.literal_column(f"'{State.COMPLETED}'")
        feasible = (row.study == study, row.state == completed, ~row.retracted, ~row.outside)
        most: Any = sa.bindparam("most", type_=sa.Integer)
        ranked = sa.select(row.number, row.value).where(*feasible)
        ranked = ranked.limit(most).offset(sa.literal_column("0"))  # else that is a parameter too
        #: The feasible trials of one objective, the least first, and the greatest first.
        self._select_least = Prepared(
            engine, ranked.order_by(row.value, row.number), ["study", "most"]
        )
        self._select_greatest = Prepared(
            engine, ranked.order_by(row.value.desc(), row.number), ["study", "most"]
        )
        _open_stores.add(self)

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def _begin(self, *, write: bool = False) -> Iterator[Connection]:
        """One transaction, its errors in our words. Only writers wait for one another."""
        with self._lock:
            if self._writing is not None:
                yield self._writing
                return
            self._refuse_strangers()
            try:
                if self._connections:
                    connection = self._connections.get(write)
                else:  # before SQLite makes an empty file where ours was
                    connection = None
                    self._check({})
                if connection is None:
                    connection = self._dialect.connect(self._engine, write=write)
                    self._connections[write] = connection
                with connection.begin():
                    yield connection
                self._check(self._heads)
            except (SQLAlchemyError, self._driver.Error) as error:
                heads = dict(self._heads)
                self._heads.clear()
                self._check(heads)
                raise self._dialect.error(error) or StoreError(
                    f"{self._dialect.where}: {error}"
                ) from error

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
        with self._begin(write=True) as connection:
            if self._writing is not None:
                yield
                return
            self._writing = connection
            heads = dict(self._heads)
            try:
                self._id(connection, name)
                yield
            except BaseException:
                self._heads = heads  # what was appended is taken back
                raise
            finally:
                self._writing = None

    def asking(self, name: str) -> AbstractContextManager[object]:
        study = self._ids.get(name)
        if study is None:
            with self._begin() as connection:
                study = self._id(connection, name)
        return self._dialect.asking(study)

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

    # -- studies ------------------------------------------------------------------------------

    def create(self, spec: StudySpec, at: float) -> None:
        values = {
            "name": spec.name,
            "created_at": at,
            "spec": json.dumps(spec.to_dict()),
        }
        with self._begin(write=True) as connection:
            # never an id a second time: who still holds a deleted study must not write into its
            # successor; and in the order of creation
            last = connection.execute(sa.select(sa.func.max(studies.c.id))).scalar() or 0
            number = max(last + 1, int(self._dialect.now(connection) * 1e6))
            try:
                connection.execute(studies.insert(), values | {"id": number})
            except IntegrityError:
                raise StudyExists(
                    f"a study {spec.name!r} is in {self._dialect.where} already; open it with Study.open, or choose another name"
                ) from None

    def load(self, name: str) -> StudySpec:
        with self._begin() as connection:
            return self._spec(connection, self._id(connection, name))[0]

    def _spec(self, connection: Connection, study: int) -> tuple[StudySpec, float]:
        row = connection.execute(
            sa.select(studies.c.spec, studies.c.created_at).where(studies.c.id == study)
        ).one()
        return codec.decode_spec(row.spec), row.created_at

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
        with self._begin(write=True) as connection:
            study = self._id(connection, name)
            connection.execute(studies.delete().where(studies.c.id == study))
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._heads.pop(self._ids.pop(name, 0), None)

    # -- events -------------------------------------------------------------------------------

    def append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        try:
            return self._append(name, batch, expect)
        except Conflict:
            known = self._ids.get(name)
            self._forget(name)
            self.cursor(name)  # raises StudyNotFound where that is why
            if self._ids[name] != known:  # whoever tried again would be in conflict for ever
                raise StudyNotFound(
                    f"study {name!r} in {self._dialect.where} has been deleted and made anew; open it again"
                ) from None
            raise

    def _append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        with self._begin(write=True) as connection:
            study = self._id(connection, name)
            digest = self._digest(connection, study, expect)
            rows = []
            for seq, e in enumerate(batch, expect + 1):
                body = codec.encode(e)
                digest = next_digest(digest, body)
                trial = getattr(e, "trial", None)
                rows.append((study, seq, codec.kind_of(e), trial, e.at, body, digest))
            try:
                if rows:
                    self._insert_events.many(connection, rows)
            except self._driver.IntegrityError:
                raise _conflict(name, expect) from None
            self._fold(connection, study, batch)
        self._heads[study] = (expect + len(batch), digest)
        return expect + len(batch)

    def _digest(self, connection: Connection, study: int, seq: int) -> str:
        """The digest of event `seq`. That it is there, and the key's uniqueness, keep numbers gapless."""
        head = self._heads.get(study)
        if head is not None and head[0] == seq:
            return head[1]
        if seq == 0:
            query = sa.select(studies.c.spec).where(studies.c.id == study)
            return first_digest(connection.execute(query).scalar_one())
        row = self._select_digest.rows(connection, study, seq).fetchone()
        if row is None:
            raise _conflict(str(study), seq)
        digest: str = row[0]
        return digest

    def _fold(self, connection: Connection, study: int, batch: Sequence[Event]) -> None:
        changed = [
            (study, number, row.state, row.value) for number, row in row_changes(batch).items()
        ]
        if changed:
            self._upsert_trials.many(connection, changed)
        for number, retracted in retractions(batch).items():
            mine = (trials.c.study == study) & (trials.c.number == number)
            connection.execute(trials.update().where(mine).values(retracted=retracted))
        if edits_space(batch):
            spec, _ = self._spec(connection, study)
            ledger = Ledger(spec).extend(self._read(connection, study, 0, None))
            for number, outside in enumerate(ledger.column("outside").tolist()):
                mine = (trials.c.study == study) & (trials.c.number == number)
                connection.execute(trials.update().where(mine).values(outside=outside))

    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        with self._begin() as connection:
            study = self._id(connection, name)
            if trial is not None:
                return list(self._read(connection, study, cursor, trial))
            first = self._page(connection, study, cursor)
        if len(first) < _PAGE:
            return first
        return itertools.chain(first, self._pages(name, study, cursor + _PAGE))

    def _page(self, connection: Connection, study: int, cursor: int) -> list[Event]:
        """The next events, `_PAGE` at most."""
        selected = self._select_after.rows(connection, study, cursor)
        rows = selected.fetchmany(_PAGE)
        selected.close()
        if rows:
            self._heads[study] = (rows[-1][0], rows[-1][2])
        return codec.decode_many([row[1] for row in rows])

    def _pages(self, name: str, study: int, cursor: int) -> Iterator[Event]:
        """A long history, without holding all of it: events have no gaps, and are never changed."""
        full = True
        while full:
            with self._begin() as connection:
                page = self._page(connection, study, cursor)
            yield from page
            cursor += len(page)
            full = len(page) == _PAGE
        with self._begin() as connection:
            if self._select_digest.rows(connection, study, cursor).fetchone() is None:
                raise StudyNotFound(
                    f"study {name!r} in {self._dialect.where} was deleted while it was read"
                )

    def _read(
        self, connection: Connection, study: int, cursor: int, trial: int | None
    ) -> Iterator[Event]:
        mine = (events.c.study == study) & (events.c.seq > cursor)
        if trial is not None:
            mine &= events.c.trial == trial
        query = sa.select(events.c.body).where(mine).order_by(events.c.seq)
        for page in connection.execute(query).scalars().partitions(_PAGE):
            yield from codec.decode_many(page)

    def heads(self, name: str) -> list[Head]:
        with self._begin() as connection:
            mine = trials.c.study == self._id(connection, name)
            query = sa.select(trials.c.number, trials.c.state, trials.c.value).where(mine)
            rows = connection.execute(query.order_by(trials.c.number))
            return [Head(number, _STATES[state], value) for number, state, value in rows]

    def part(self, name: str, trials: Sequence[int]) -> Iterable[tuple[int, Event]]:
        with self._begin() as connection:
            mine = events.c.study == self._id(connection, name)
            rows: list[tuple[int, str]] = []
            some = [events.c.trial.is_(None)]
            some += [
                events.c.trial.in_(trials[k : k + _MANY]) for k in range(0, len(trials), _MANY)
            ]
            for which in some:
                query = sa.select(events.c.seq, events.c.body).where(mine, which)
                rows += [(row.seq, row.body) for row in connection.execute(query)]
        rows.sort()
        decoded = codec.decode_many(body for _, body in rows)
        return [(seq, event) for (seq, _), event in zip(rows, decoded, strict=True)]

    def time_of(self, name: str, number: int) -> float:
        with self._begin() as connection:
            mine = (events.c.study == self._id(connection, name)) & (events.c.seq == number)
            at: float | None = connection.execute(sa.select(events.c.at).where(mine)).scalar()
            return 0.0 if at is None else at

    def costs(self, name: str) -> Iterable[Cost]:
        with self._begin() as connection:
            ends = ("finished", "requeued", "paused")
            mine = (events.c.study == self._id(connection, name)) & events.c.kind.in_(ends)
            query = sa.select(events.c.body).where(mine).order_by(events.c.seq)
            bodies = connection.execute(query).scalars().all()
        return codec.decode_costs(bodies)

    def cursor(self, name: str) -> int:
        with self._begin() as connection:
            return self._cursor(connection, self._id(connection, name))

    def _cursor(self, connection: Connection, study: int) -> int:
        return int(self._select_last.rows(connection, study).fetchone()[0] or 0)

    def summary(self, name: str) -> Summary:
        with self._begin() as connection:
            study = self._id(connection, name)
            created, created_at = self._spec(connection, study)
            spec = created
            confirms = spec.limits.confirm is not None
            edits = self._select_edits.rows(connection, study).fetchall()
            for event in codec.decode_many(body for (body,) in edits):
                assert isinstance(event, Edited)
                spec = spec.edited(event.changes)
                confirms = confirms or spec.limits.confirm is not None
            # which rows alone cannot tell
            if spec.constraints or spec.prefer is not None or self._ages(connection, study):
                return summarize(created, self._read(connection, study, 0, None), created_at)
            counts = dict.fromkeys(State, 0)
            for state, count in self._select_counts.rows(connection, study).fetchall():
                counts[_STATES[state]] = count
            best = None
            if len(spec.objectives) == 1:
                runs = self._confirming(connection, study) if confirms else {}
                best = self._best(connection, study, spec, runs)
            return Summary(
                name,
                created_at,
                spec,
                self._cursor(connection, study),
                counts,
                None if best is None else best[0],
                None if best is None else best[1],
            )

    def _ages(self, connection: Connection, study: int) -> bool:
        """Whether trials may be of a version of the program that is set aside: O(sessions)."""
        opened = codec.decode_many(
            body for (body,) in self._select_opened.rows(connection, study).fetchall()
        )
        says = [e for e in opened if isinstance(e, Opened) and e.program]
        if not says or (says[-1].changed or KEEP) == KEEP:
            return False
        return any(DATA in e.program or e.program != says[0].program for e in says)

    def _best(
        self, connection: Connection, study: int, spec: StudySpec, confirming: Mapping[int, int]
    ) -> tuple[int, float] | None:
        """The incumbent and its value, of one objective; `confirming` has the trial that each run confirms."""
        k = spec.limits.confirm or 0
        select = self._select_least if spec.first_objective.sign > 0 else self._select_greatest
        rows = select.rows(connection, study, max(1, k) + len(confirming)).fetchall()
        ranked = [(n, v) for n, v in rows if n not in confirming][: max(1, k)]
        if confirming and k and ranked:
            values = dict(select.rows(connection, study, _EVERY).fetchall())
            confirmed = winner(spec, ranked, confirming, values)
            ranked = [pair for pair in ranked if pair[0] == confirmed] or ranked
        return ranked[0] if ranked else None

    def _confirming(self, connection: Connection, study: int) -> dict[int, int]:
        """The runs that confirm others, each with the other one: O(events), for studies that confirm only."""
        enqueued = (events.c.study == study) & (events.c.kind == "enqueued")
        bodies = connection.execute(sa.select(events.c.body).where(enqueued)).scalars()
        return confirming(codec.decode_many(bodies))

    # -- leases -------------------------------------------------------------------------------

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
            ).one()
            return Lease(row[0], row[1])

    def release(self, name: str, holder: str) -> None:
        with self._begin(write=True) as connection:
            mine = (studies.c.id == self._id(connection, name)) & (studies.c.lease_holder == holder)
            connection.execute(
                studies.update().where(mine).values(lease_holder=None, lease_until=None)
            )

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

    def silent_s(self, name: str) -> dict[str, float]:
        with self._begin() as connection:
            mine = heartbeats.c.study == self._id(connection, name)
            query = sa.select(heartbeats.c.session, heartbeats.c.at).where(mine)
            beats = connection.execute(query).all()
            now = self._dialect.now(connection)
            return {session: max(0.0, now - at) for session, at in beats}

    def verify(self, name: str) -> str | None:
        with self._begin() as connection:
            study = self._id(connection, name)
            text = connection.execute(sa.select(studies.c.spec).where(studies.c.id == study))
            digest = first_digest(text.scalar_one())
            rows = connection.execute(
                events.select().where(events.c.study == study).order_by(events.c.seq)
            )
            history: list[Event] = []
            for expected, row in enumerate(rows, 1):
                digest = next_digest(digest, row.body)
                event = codec.decode(row.body)
                history.append(event)
                columns = (codec.kind_of(event), getattr(event, "trial", None), event.at)
                if row.seq != expected:
                    return f"event {expected} is missing"
                if row.digest != digest or columns != (row.kind, row.trial, row.at):
                    about = "" if row.trial is None else f" of trial {row.trial}"
                    return f"event {row.seq} ({row.kind}{about}) is not what was written"
            spec, created_at = self._spec(connection, study)
            if spec.name != name:
                return f"the study is called {name!r}, but was made as {spec.name!r}"
            wrong = self._misfolded(connection, study, spec, history)
            wrong = wrong or self._dialect.damage(connection)
            if wrong is not None:
                return wrong
        if summarize(spec, history, created_at) != self.summary(name):
            return "the summary does not follow from the events"
        return None

    def _misfolded(
        self, connection: Connection, study: int, spec: StudySpec, history: Sequence[Event]
    ) -> str | None:
        """The first row of the table of trials that does not follow from the events."""
        rows = row_changes(history)
        retracted = retractions(history)
        edited = edits_space(history)
        outside = Ledger(spec).extend(history).column("outside").tolist() if edited else []
        query = sa.select(trials).where(trials.c.study == study).order_by(trials.c.number)
        stored = {row.number: row for row in connection.execute(query)}
        for number in sorted(rows.keys() | stored.keys()):
            row, expected = stored.get(number), rows.get(number)
            if row is None or expected is None:
                return f"trial {number} is {'missing in' if row is None else 'only in'} the table of trials"
            value = None if expected.value != expected.value else expected.value
            wanted = (str(expected.state), value, retracted.get(number, False))
            if (row.state, row.value, row.retracted) != wanted or row.outside != (
                edited and outside[number]
            ):
                return f"trial {number} in the table of trials does not follow from the events"
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


def _conflict(study: str, expect: int) -> Conflict:
    return Conflict(f"study {study!r} is not at event {expect} any more")
