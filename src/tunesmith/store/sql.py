"""Studies in a SQL database, through SQLAlchemy Core.

One transaction per `append`: insert the events (their primary key is the compare-and-set), then
upsert the rows of the trials they touch. What differs between databases is in their own files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from tunesmith.core import codec
from tunesmith.core.errors import Conflict, StoreError, StudyExists, StudyNotFound, did_you_mean
from tunesmith.core.events import Edited, Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State
from tunesmith.store.base import Lease, Summary
from tunesmith.store.chain import first_digest, next_digest
from tunesmith.store.fold import (
    confirming,
    edits_space,
    retractions,
    row_changes,
    summarize,
    winner,
)
from tunesmith.store.schema import events, studies, trials

#: Events read at a time: the body of each is a few hundred bytes.
_PAGE: Final = 5000
#: The execution option that tells the database's own file a reader from a writer.
READ_ONLY: Final = "tunesmith_read_only"


class Prepared:
    """An insert of many rows, compiled once by SQLAlchemy and run by the driver: a third of the time."""

    def __init__(self, engine: Engine, statement: sa.Insert, columns: Sequence[str]) -> None:
        compiled = statement.compile(dialect=engine.dialect, column_keys=list(columns))
        self._sql = str(compiled)
        self._columns = columns
        self._positional = compiled.positional

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert `rows`, tuples in the order of the columns. Raises the driver's own errors."""
        cursor = connection.connection.cursor()
        if self._positional:
            cursor.executemany(self._sql, rows)
        else:
            named = [dict(zip(self._columns, row, strict=True)) for row in rows]
            cursor.executemany(self._sql, named)
        cursor.close()


class SqlStore:
    """A `Store` over one engine; made by `tunesmith.store.sqlite.open_sqlite`."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        #: The driver, for its errors.
        self._driver: Any = engine.dialect.dbapi
        self._connections: dict[bool, Connection] = {}
        self._ids: dict[str, int] = {}
        #: The number and digest of the last event that this object wrote, by study.
        self._heads: dict[int, tuple[int, str]] = {}
        upsert = _insert_of(engine)(trials)
        states = upsert.on_conflict_do_update(
            index_elements=[trials.c.study, trials.c.number],
            set_={"state": upsert.excluded.state, "value": upsert.excluded.value},
        )
        self._insert_events = Prepared(engine, events.insert(), [c.name for c in events.columns])
        self._upsert_trials = Prepared(engine, states, ["study", "number", "state", "value"])

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def _begin(self, *, write: bool = False) -> Iterator[Connection]:
        """One transaction, its errors in our words. Only writers wait for one another."""
        try:
            connection = self._connections.get(write)
            if connection is None:
                connection = self._engine.connect().execution_options(**{READ_ONLY: not write})
                self._connections[write] = connection
            with connection.begin():
                yield connection
        except (SQLAlchemyError, self._driver.Error) as error:
            raise translate(error, self._where) from error

    def _id(self, connection: Connection, name: str) -> int:
        if name not in self._ids:
            found = connection.execute(
                sa.select(studies.c.id).where(studies.c.name == name)
            ).scalar()
            if found is None:
                known = connection.execute(sa.select(studies.c.name)).scalars().all()
                raise StudyNotFound(
                    f"there is no study {name!r} in {self._where}{did_you_mean(name, known)}"
                )
            self._ids[name] = found
        return self._ids[name]

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
            number = max(last + 1, time.time_ns() // 1000)
            try:
                connection.execute(studies.insert(), values | {"id": number})
            except IntegrityError:
                raise StudyExists(
                    f"a study {spec.name!r} is in {self._where} already; open it, or choose a name"
                ) from None

    def load(self, name: str) -> StudySpec:
        with self._begin() as connection:
            return self._spec(connection, self._id(connection, name))[0]

    def _spec(self, connection: Connection, study: int) -> tuple[StudySpec, float]:
        row = connection.execute(
            sa.select(studies.c.spec, studies.c.created_at).where(studies.c.id == study)
        ).one()
        return StudySpec.from_dict(json.loads(row.spec)), row.created_at

    def names(self) -> list[str]:
        with self._begin() as connection:
            query = sa.select(studies.c.name).order_by(studies.c.created_at, studies.c.id)
            return list(connection.execute(query).scalars())

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
                    f"study {name!r} in {self._where} has been deleted and made anew; open it again"
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
                    self._insert_events(connection, rows)
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
        query = sa.select(events.c.digest).where(events.c.study == study, events.c.seq == seq)
        found: str | None = connection.execute(query).scalar()
        if found is None:
            raise _conflict(str(study), seq)
        return found

    def _fold(self, connection: Connection, study: int, batch: Sequence[Event]) -> None:
        changed = [
            (study, number, row.state, row.value) for number, row in row_changes(batch).items()
        ]
        if changed:
            self._upsert_trials(connection, changed)
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
            return list(self._read(connection, self._id(connection, name), cursor, trial))

    def _read(
        self, connection: Connection, study: int, cursor: int, trial: int | None
    ) -> Iterator[Event]:
        mine = (events.c.study == study) & (events.c.seq > cursor)
        if trial is not None:
            mine &= events.c.trial == trial
        query = sa.select(events.c.body).where(mine).order_by(events.c.seq)
        for page in connection.execute(query).scalars().partitions(_PAGE):
            yield from codec.decode_many(page)

    def cursor(self, name: str) -> int:
        with self._begin() as connection:
            return self._cursor(connection, self._id(connection, name))

    def _cursor(self, connection: Connection, study: int) -> int:
        query = sa.select(sa.func.max(events.c.seq)).where(events.c.study == study)
        return int(connection.execute(query).scalar() or 0)

    def summary(self, name: str) -> Summary:
        with self._begin() as connection:
            study = self._id(connection, name)
            spec, created_at = self._spec(connection, study)
            whole = events.c.trial.is_(None)  # there is an index for this
            edits = (events.c.study == study) & whole & (events.c.kind == "edited")
            bodies = sa.select(events.c.body).where(edits).order_by(events.c.seq)
            confirms = spec.limits.confirm is not None
            for event in codec.decode_many(connection.execute(bodies).scalars()):
                assert isinstance(event, Edited)
                spec = spec.edited(event.changes)
                confirms = confirms or spec.limits.confirm is not None
            per_state = sa.select(trials.c.state, sa.func.count()).where(trials.c.study == study)
            counts = dict.fromkeys(State, 0)
            for state, count in connection.execute(per_state.group_by(trials.c.state)):
                counts[State(state)] = count
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

    def _best(
        self, connection: Connection, study: int, spec: StudySpec, confirming: Mapping[int, int]
    ) -> tuple[int, float] | None:
        """The incumbent and its value, of one objective; `confirming` has the trial that each run confirms."""
        value, k = trials.c.value, spec.limits.confirm or 0
        feasible = (
            sa.select(trials.c.number, value)
            .where(
                trials.c.study == study,
                trials.c.state == State.COMPLETED,
                ~trials.c.retracted,
                ~trials.c.outside,
            )
            .order_by(value if spec.objective.sign > 0 else value.desc(), trials.c.number)
        )
        rows = connection.execute(feasible.limit(max(1, k) + len(confirming) if confirming else 1))
        ranked = [(n, v) for n, v in rows if n not in confirming][: max(1, k)]
        if confirming and k and ranked:
            again = connection.execute(feasible.where(trials.c.number >= min(confirming)))
            values = {row.number: row.value for row in again}
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
        self, name: str, holder: str, until: float, now: float, *, instead_of: str | None = None
    ) -> Lease:
        with self._begin(write=True) as connection:
            study = self._id(connection, name)
            free = (
                studies.c.lease_holder.is_(None)
                | studies.c.lease_holder.in_([holder, instead_of or holder])
                | (studies.c.lease_until < now)
            )
            mine = studies.c.id == study
            connection.execute(
                studies.update().where(mine & free).values(lease_holder=holder, lease_until=until)
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

    def verify(self, name: str) -> str | None:
        with self._begin() as connection:
            study = self._id(connection, name)
            text = connection.execute(sa.select(studies.c.spec).where(studies.c.id == study))
            digest = first_digest(text.scalar_one())
            rows = connection.execute(
                events.select().where(events.c.study == study).order_by(events.c.seq)
            )
            for expected, row in enumerate(rows, 1):
                digest = next_digest(digest, row.body)
                event = codec.decode(row.body)
                columns = (codec.kind_of(event), getattr(event, "trial", None), event.at)
                if row.seq != expected:
                    return f"event {expected} is missing"
                if row.digest != digest or columns != (row.kind, row.trial, row.at):
                    about = "" if row.trial is None else f" of trial {row.trial}"
                    return f"event {row.seq} ({row.kind}{about}) is not what was written"
            spec, created_at = self._spec(connection, study)
            folded = summarize(spec, self._read(connection, study, 0, None), created_at)
        if folded != self.summary(name):
            return "the table of trials does not follow from the events"
        return None

    def close(self) -> None:
        while self._connections:
            self._connections.popitem()[1].close()
        self._engine.dispose()


def _conflict(study: str, expect: int) -> Conflict:
    return Conflict(f"study {study!r} is not at event {expect} any more")


def _insert_of(engine: Engine) -> Any:
    """The dialect's INSERT, which knows ON CONFLICT."""
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def translate(error: Exception, where: str) -> Exception:
    """A database's error in our words."""
    from tunesmith.store.sqlite import sqlite_error

    return sqlite_error(error, where) or StoreError(f"{where}: {error}")
