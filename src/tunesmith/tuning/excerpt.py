"""Some trials of a study, made from their own events alone: what a screen shows needs no other ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import derive_seed
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State, Trial
from tunesmith.store import Store
from tunesmith.store.base import Summary, Tabular
from tunesmith.tuning.session import at_work, give_up_dead
from tunesmith.tuning.table import Columns

#: More trials than this are made faster from the whole history.
MOST = 1000
#: Of a study with more trials than this, an overview is made without its history.
LARGE = 10_000


class Excerpt:
    """A ledger of some trials: its row i is trial `numbers[i]`. Which is best is not known of it."""

    def __init__(self, store: Tabular, name: str, numbers: Sequence[int]) -> None:
        #: In the order in which the trials are to be shown.
        self.order = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
        self.numbers = sorted(numbers)
        self.ledger = Ledger(store.load(name))
        place = {number: i for i, number in enumerate(self.numbers)}
        for seq, event in store.part(name, self.numbers):
            number = getattr(event, "trial", None)
            if number is not None:
                event = msgspec.structs.replace(event, trial=place[number])
            else:  # how long a session lasted that was cut off is known by what was left out
                self.pass_time(store.time_of(name, seq - 1))
            self.ledger.apply(event)
        give_up_dead(self.ledger, store.silent_s(name))

    def pass_time(self, at: float) -> None:
        self.ledger.last_at = max(self.ledger.last_at, at)
        self.ledger.worked_at = max(self.ledger.worked_at, at)


def state_now(store: Store, summary: Summary) -> tuple[dict[State, int], list[events.Opened]]:
    """How many trials of a study are in each state, those whose process is gone among the waiting; and the sessions that
    run some."""
    if not summary.counts[State.RUNNING] or not isinstance(store, Tabular):
        return summary.counts, []
    heads = store.heads(summary.name)
    part = Excerpt(store, summary.name, [h.number for h in heads if h.state is State.RUNNING])
    gone = summary.counts[State.RUNNING] - part.ledger.counts[State.RUNNING]
    waiting = summary.counts[State.WAITING] + gone
    counts = {
        **summary.counts,
        State.RUNNING: summary.counts[State.RUNNING] - gone,
        State.WAITING: waiting,
    }
    return counts, at_work(part.ledger)


class Overview(NamedTuple):
    """A study of one objective at a glance: what `Result` says of it, but for what only its whole history tells."""

    spec: StudySpec
    counts: Mapping[State, int]
    ended: str
    cost: Mapping[str, float]
    best: Trial | None
    #: Who runs it, if anybody does.
    sessions: list[events.Opened]


def overview(store: Store, name: str) -> Overview | None:
    """None where it takes the whole history: with several objectives, constraints, confirming runs, or an audit; or is no faster,
    for a study that is not large."""
    if not isinstance(store, Tabular):
        return None
    summary = store.summary(name)
    spec = summary.spec
    audits = spec.scheduler is not None and "audit" in spec.scheduler.options
    several = len(spec.objectives) > 1
    whole = several or bool(spec.constraints) or spec.limits.confirm is not None or audits
    if whole or sum(summary.counts.values()) <= LARGE:
        return None
    best = summary.best
    part = Excerpt(store, name, [] if best is None else [best])
    part.pass_time(store.time_of(name, summary.cursor))
    ledger, costs = part.ledger, store.costs(name)
    trial = None
    if best is not None:
        seed = derive_seed(spec.seed, best, "objective")
        trial = msgspec.structs.replace(ledger.trial(0), number=best, seed=seed)
    cost = {
        "elapsed_s": ledger.worked_s,
        "compute_s": sum(c.wall_s or 0.0 for c in costs),
        "money": sum(c.money or 0.0 for c in costs),
    }
    ended = ledger.ended.detail if ledger.ended else ""
    counts, sessions = state_now(store, summary)
    return Overview(spec, counts, ended, cost, trial, sessions or at_work(ledger))


def excerpt(
    store: Store, name: str, *, sort: str | None, states: Sequence[State], limit: int, last: bool
) -> tuple[Excerpt, int] | None:
    """The trials that `table.select` would give (the `last` ones instead of the first), and how many fit in all;
    None where that takes the whole history.
    """
    if not isinstance(store, Tabular) or limit > MOST or sort not in (None, "value", "-value"):
        return None
    abandonable = {State.WAITING, State.RUNNING} & set(states)
    if abandonable and store.summary(name).counts[State.RUNNING]:
        return None  # what runs no more is waiting, whatever is stored of it
    heads = [head for head in store.heads(name) if not states or head.state in states]
    spec = store.load(name)
    if sort is not None and (len(spec.objectives) > 1 or spec.constraints):
        return None
    sign = spec.first_objective.sign
    if sort is not None:
        way = -sign if sort == "-value" else sign
        heads.sort(key=lambda head: (head.value is None, way * (head.value or 0.0)))
    numbers = [head.number for head in (heads[-limit:] if last and limit else heads[:limit])]
    part = Excerpt(store, name, numbers)
    if sort is not None and Columns.of(part.ledger).means_another(part.ledger, "value"):
        return None
    return part, len(heads)
