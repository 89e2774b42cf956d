"""Who is behind most others at a step: what the median and the percentile rule stop, with any number of objectives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from tunesmith.core.history import History
from tunesmith.strategy import breach
from tunesmith.strategy.rungs import Standing, Standings, step_of_best

#: What a trial's best loss is held against at a step.
Bar: TypeAlias = Callable[[Standing], float]


class Behind(NamedTuple):
    """At which step a trial is worse than others, and how many there are; in words what it had, and what they had."""

    step: int
    others: int
    mine: str
    theirs: str


def behind(
    history: History,
    trial: int,
    after: int,
    fewest: int,
    bar: Bar,
    *,
    every: int = 1,
    delay: int = 0,
) -> list[Behind]:
    """For each objective, how `trial` is worse than the `bar` by its last report; empty where it is not in every one of them,
    before step `after`, with fewer than `fewest` others, where the report is not `due`, or where no other one there beats it."""
    worse = []
    for j, objective in enumerate(history.objectives):
        standing = Standings.of(history, j).compare(history, trial)
        if standing is None or standing.step < after or len(standing.means) < fewest:
            return []
        if not standing.due(every, delay):
            return []
        limit = bar(standing)
        if standing.best <= limit:
            return []
        of = step_of_best(history, trial, standing.step, objective)
        mine = f"its best {objective.metric} of {objective.sign * standing.best:.4g}{of}"
        theirs = f"{objective.sign * limit:.4g}"
        worse.append(Behind(standing.step, len(standing.means), mine, theirs))
    beaten = len(history.objectives) == 1 or _beaten(history, trial)
    return worse if beaten else []


def breaks(history: History, trial: int, after: int, fewest: int, share: float) -> str:
    """The constraints that `trial` will surely break, in words, where at least a `share` of the others (and `fewest` of them)
    at its step will not; else empty."""
    step = next(history.back(trial)).step
    if not history.constraints or step < after or not (words := breach.named(history, trial)):
        return ""
    reports = history.reports()
    others = np.unique(reports.trials[reports.steps == step])
    others = others[(others != trial) & history.usable[others]]
    keep = ~breach.surely(history, others)
    if len(others) < fewest or keep.mean() < share:
        return ""
    return f"at step {step} it is sure to break {words}, as {int(keep.sum())} of {len(others)} others there are not"


def _beaten(history: History, trial: int) -> bool:
    """Whether another trial was at least as good in every objective at this one's last step, and better in one."""
    reports = history.reports()
    there = reports.steps == next(history.back(trial)).step
    trials, losses = reports.trials[there], history.losses_at(reports.numbers[there])
    mine = losses[trials == trial]
    if not len(mine):
        return True
    others = losses[(trials != trial) & history.usable[trials]]
    with np.errstate(invalid="ignore"):
        beats = (others <= mine[-1]).all(axis=1) & (others < mine[-1]).any(axis=1)
    return bool(beats.any())
