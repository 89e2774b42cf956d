"""Whether a study's rows are what was written: its events by the chain of digests, the rest by what follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tunesmith.core import codec
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.store.chain import first_digest, next_digest
from tunesmith.store.fold import edits_space, retractions, row_changes
from tunesmith.store.schema import events, studies, trials
from tunesmith.store.statements import PAGE


def chained(connection: Connection, study: int) -> tuple[list[Event], str | None]:
    """The history, and the first event of it that is not what was written."""
    text = connection.execute(sa.select(studies.c.spec).where(studies.c.id == study))
    digest = first_digest(text.scalar_one())
    query = events.select().where(events.c.study == study).order_by(events.c.seq)
    rows = connection.execute(query.execution_options(yield_per=PAGE))
    history: list[Event] = []
    for expected, row in enumerate(rows, 1):
        digest = next_digest(digest, row.body)
        event = codec.decode(row.body)
        history.append(event)
        columns = (codec.kind_of(event), getattr(event, "trial", None), event.at)
        if row.seq != expected:
            return history, f"event {expected} is missing"
        if row.digest != digest or columns != (row.kind, row.trial, row.at):
            about = "" if row.trial is None else f" of trial {row.trial}"
            return history, f"event {row.seq} ({row.kind}{about}) is not what was written"
    return history, None


def misfolded(
    connection: Connection, study: int, spec: StudySpec, history: Sequence[Event]
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
