"""What a store keeps of each trial beside its events, so that a study's summary needs no history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.incumbent import confirmed
from tunesmith.core.ledger import Ledger
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import CONFIRM, State
from tunesmith.store.base import Summary


class Row(NamedTuple):
    """A trial's state, and its first objective's value."""

    state: State
    value: float | None = None


def row_changes(batch: Sequence[Event]) -> dict[int, Row]:
    """The trials whose state or value `batch` changes, and what they are afterwards."""
    after: dict[int, Row] = {}
    for e in batch:
        match e:
            case events.Suggested() | events.Forked() | events.Started():
                after[e.trial] = Row(State.RUNNING)
            case events.Finished():
                after[e.trial] = Row(e.state, e.values[0] if e.values else None)
            case events.Enqueued() | events.Requeued():
                after[e.trial] = Row(State.WAITING)
            case events.Paused():
                after[e.trial] = Row(State.PAUSED)
            case events.Corrected():
                after[e.trial] = Row(State.COMPLETED, e.values[0])
    return after


def retractions(batch: Sequence[Event]) -> dict[int, bool]:
    """The trials that `batch` retracts (True) or takes back in (False)."""
    return {e.trial: not e.undo for e in batch if isinstance(e, events.Retracted)}


def edits_space(batch: Sequence[Event]) -> bool:
    """Whether trials may fall outside, or come back inside, the space by this batch."""
    return any(isinstance(e, events.Edited) and "space" in e.changes for e in batch)


def confirming(batch: Iterable[Event]) -> dict[int, int]:
    """The runs of `batch` that confirm other trials, each with the trial that it confirms."""
    return {
        e.trial: e.parent
        for e in batch
        if isinstance(e, events.Enqueued) and e.origin.searcher == CONFIRM and e.parent is not None
    }


def winner(
    spec: StudySpec,
    ranked: Sequence[tuple[int, float]],
    confirming: Mapping[int, int],
    values: Mapping[int, float],
) -> int | None:
    """The likeliest best of the contenders, `ranked` with their values, by the `values` of the runs that confirm
    them; None where none has been run again."""
    sign = spec.first_objective.sign
    runs: dict[int, list[float]] = {}
    for run, trial in sorted(confirming.items()):
        if run in values:
            runs.setdefault(trial, []).append(sign * values[run])
    losses = [(trial, sign * value) for trial, value in ranked]
    known = confirmed(losses, runs, sign, spec.seed)
    return known[0].trial if known else None


def summarize(spec: StudySpec, history: Iterable[Event], created_at: float) -> Summary:
    """The summary of a study by folding all of its events."""
    ledger = Ledger(spec).extend(history)
    best = ledger.incumbent
    values = None if best is None else ledger.values(best)
    return Summary(
        spec.name,
        created_at,
        ledger.spec,
        ledger.cursor,
        dict(ledger.counts),
        best,
        None if values is None else values[0],
    )
