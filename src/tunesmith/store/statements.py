"""What a store asks a SQL database: each statement is compiled once, and run by the driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tunesmith.core.trial import State
from tunesmith.store.dialect import Dialect, Prepared
from tunesmith.store.schema import events, studies, trials

#: Events read at a time: the body of each is a few hundred bytes.
PAGE: Final = 5000


class Statements:
    """Those that run often, for one engine."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        upsert = dialect.insert(trials)
        states = upsert.on_conflict_do_update(
            index_elements=[trials.c.study, trials.c.number],
            set_={"state": upsert.excluded.state, "value": upsert.excluded.value},
        )
        event = events.c
        study: Any = sa.bindparam("study")
        seq: Any = sa.bindparam("seq")
        after = sa.select(event.seq, event.body, event.digest).order_by(event.seq)
        page: Any = sa.literal_column(str(PAGE))
        after = after.limit(page).offset(sa.literal_column("0"))  # some drivers fetch all there is
        self.insert_events = Prepared(engine, events.insert(), [c.name for c in events.columns])
        self.upsert_trials = Prepared(engine, states, ["study", "number", "state", "value"])
        self.select_after = Prepared(
            engine, after.where(event.study == study, event.seq > seq), ["study", "seq"]
        )
        bodies = after.with_only_columns(event.body)
        self.select_bodies = Prepared(
            engine, bodies.where(event.study == study, event.seq > seq), ["study", "seq"]
        )
        self.select_digest = Prepared(
            engine,
            sa.select(event.digest).where(event.study == study, event.seq == seq),
            ["study", "seq"],
        )
        self.select_last = Prepared(
            engine, sa.select(sa.func.max(event.seq)).where(event.study == study), ["study"]
        )
        edited: Any = sa.literal_column("'edited'")
        edits = sa.select(event.body).where(of_trials(study, [None]), event.kind == edited)
        self.select_edits = Prepared(engine, edits.order_by(event.seq), ["study"])
        opened: Any = sa.literal_column("'opened'")
        says = sa.select(event.body).where(of_trials(study, [None]), event.kind == opened)
        self.select_opened = Prepared(engine, says.order_by(event.seq), ["study"])
        mine = event.study == studies.c.id
        newest = sa.select(event.seq, event.at).where(mine).order_by(event.seq.desc())
        newest = newest.limit(sa.literal_column("1")).offset(sa.literal_column("0"))
        last, at = (newest.with_only_columns(c).scalar_subquery() for c in (event.seq, event.at))
        made = sa.select(studies.c.name, studies.c.created_at, last, at).order_by(studies.c.id)
        self.select_activity = Prepared(engine, made, [])
        named: Any = sa.bindparam("name")
        one = sa.select(studies.c.id, studies.c.created_at).where(studies.c.name == named)
        self.select_born = Prepared(engine, one, ["name"])
        there = sa.select(studies.c.id).where(studies.c.id == study)
        self.select_id = Prepared(engine, there, ["study"])
        row = trials.c
        counts = sa.select(row.state, sa.func.count()).where(row.study == study)
        self.select_counts = Prepared(engine, counts.group_by(row.state), ["study"])
        completed: Any = sa.literal_column(f"'{State.COMPLETED}'")
        feasible = (row.study == study, row.state == completed, ~row.retracted, ~row.outside)
        most: Any = sa.bindparam("most", type_=sa.Integer)
        ranked = sa.select(row.number, row.value).where(*feasible)
        ranked = ranked.limit(most).offset(sa.literal_column("0"))  # else that is a parameter too
        #: The feasible trials of one objective, the least first, and the greatest first.
        self.select_least = Prepared(
            engine, ranked.order_by(row.value, row.number), ["study", "most"]
        )
        self.select_greatest = Prepared(
            engine, ranked.order_by(row.value.desc(), row.number), ["study", "most"]
        )


def of_trials(study: Any, which: Sequence[int | None], after: int = 0) -> Any:
    """The events of a study about any of these trials ([None]: about no trial) behind event `after`. Their numbers are asked
    for apart: these are in an index, which SQLite does not use otherwise, and reads the whole history instead."""
    index = events.alias()
    about = index.c.trial.is_(None) if which == [None] else index.c.trial.in_(which)
    numbers = sa.select(index.c.seq).where(index.c.study == study, about)
    if after:
        numbers = numbers.where(index.c.seq + 0 > after)  # not by the key
    return (events.c.study == study) & events.c.seq.in_(numbers)
