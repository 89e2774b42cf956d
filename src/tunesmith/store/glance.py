"""A study at a glance, from the rows of its trials: without its history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tunesmith.core import codec
from tunesmith.core.aging import DATA, KEEP
from tunesmith.core.events import Edited, Opened
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State
from tunesmith.store.base import Summary
from tunesmith.store.fold import confirming, winner
from tunesmith.store.schema import events
from tunesmith.store.statements import Statements

_EVERY: Final = 2**31 - 1
#: The states by their texts.
STATES: Final = {str(state): state for state in State}


class Glance:
    """A look at study number `study`, in one transaction."""

    def __init__(self, connection: Connection, statements: Statements, study: int) -> None:
        self._connection, self._statements, self._study = connection, statements, study

    def summary(
        self, name: str, created: StudySpec, created_at: float, cursor: int
    ) -> Summary | None:
        """The study that was `created`, as it is now; None where the rows alone cannot tell which trial is best."""
        spec = created
        confirms = spec.limits.confirm is not None
        edits = self._statements.select_edits.rows(self._connection, self._study).fetchall()
        for event in codec.decode_many(body for (body,) in edits):
            assert isinstance(event, Edited)
            spec = spec.edited(event.changes)
            confirms = confirms or spec.limits.confirm is not None
        if spec.constraints or spec.prefer is not None or self._ages():
            return None
        counts = dict.fromkeys(State, 0)
        rows = self._statements.select_counts.rows(self._connection, self._study).fetchall()
        for state, count in rows:
            counts[STATES[state]] = count
        best = None
        if len(spec.objectives) == 1:
            best = self._best(spec, self._confirming() if confirms else {})
        number, value = (None, None) if best is None else best
        return Summary(name, created_at, spec, cursor, counts, number, value)

    def _ages(self) -> bool:
        """Whether trials may be of a version of the program that is set aside: O(sessions)."""
        opened = codec.decode_many(
            body
            for (body,) in self._statements.select_opened.rows(
                self._connection, self._study
            ).fetchall()
        )
        says = [e for e in opened if isinstance(e, Opened) and e.program]
        if not says or (says[-1].changed or KEEP) == KEEP:
            return False
        return any(DATA in e.program or e.program != says[0].program for e in says)

    def _best(self, spec: StudySpec, confirming: Mapping[int, int]) -> tuple[int, float] | None:
        """The incumbent and its value, of one objective; `confirming` has the trial that each run confirms."""
        k = spec.limits.confirm or 0
        select = (
            self._statements.select_least
            if spec.first_objective.sign > 0
            else self._statements.select_greatest
        )
        rows = select.rows(self._connection, self._study, max(1, k) + len(confirming)).fetchall()
        ranked = [(n, v) for n, v in rows if n not in confirming][: max(1, k)]
        if confirming and k and ranked:
            values = dict(select.rows(self._connection, self._study, _EVERY).fetchall())
            confirmed = winner(spec, ranked, confirming, values)
            ranked = [pair for pair in ranked if pair[0] == confirmed] or ranked
        return ranked[0] if ranked else None

    def _confirming(self) -> dict[int, int]:
        """The runs that confirm others, each with the other one: O(events), for studies that confirm only."""
        enqueued = (events.c.study == self._study) & (events.c.kind == "enqueued")
        bodies = self._connection.execute(sa.select(events.c.body).where(enqueued)).scalars()
        return confirming(codec.decode_many(bodies))
