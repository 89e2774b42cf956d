"""Which results are better than which, with several objectives or constraints: an order of all of them.

Constrained domination: what keeps the constraints comes before what does not, by front and within a front the lonelier
first; then what breaks them least; failures last (Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective
genetic algorithm: NSGA-II", IEEE TEC 2002, section VI).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.history import History
from tunesmith.core.incumbent import front
from tunesmith.core.trial import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Beyond so many results, those of the front and the newest stand for all.
MOST: Final = 1500


@dataclass(frozen=True)
class Standing:
    """The results of a history. rows, shape (n,): trials that have completed or failed; losses, shape
    (n, objectives), and excess, shape (n, constraints): NaN for failures; order, shape (n,): 0 for the best (feasible
    ones before others, by front; then by how much they break; failures at the end)."""

    rows: Ints
    losses: Floats
    excess: Floats
    feasible: Mask
    order: Ints

    @classmethod
    def of(cls, history: History) -> Standing:
        """O(trials) in NumPy's passes, and O(MOST^2)."""
        completed = history.where(State.COMPLETED) & np.isfinite(history.losses).all(axis=1)
        failed = history.where(State.FAILED) & (history.blamed > 0)
        rows = np.flatnonzero(completed | failed)
        losses = np.where(failed[:, None], np.nan, history.losses)[rows]
        excess = np.where(failed[:, None], np.nan, history.excess)[rows]
        done = ~failed[rows]
        feasible = done & ~history.broken[rows]
        if len(rows) > MOST:
            some = _some(losses, feasible)
            rows, losses, excess = rows[some], losses[some], excess[some]
            done, feasible = done[some], feasible[some]
        return cls(rows, losses, excess, feasible, _order(losses, excess, feasible, done))

    def only(self, some: Mask) -> Standing:
        """The standing of `some` of the results, shape (n,)."""
        return Standing(
            self.rows[some],
            self.losses[some],
            self.excess[some],
            self.feasible[some],
            self.order[some],
        )

    def first(self, count: int) -> Standing:
        """The standing of the first `count` of the results."""
        if count >= len(self.rows):
            return self
        losses, excess, feasible = self.losses[:count], self.excess[:count], self.feasible[:count]
        order = _order(losses, excess, feasible, ~np.isnan(losses[:, 0]))
        return Standing(self.rows[:count], losses, excess, feasible, order)


def _order(losses: Floats, excess: Floats, feasible: Mask, done: Mask) -> Ints:
    """The place of each row, shape (n,), 0 for the best: constrained domination (Deb et al., 2002, section VI)."""
    places = np.empty(len(losses), dtype=np.int64)
    good, broken, failed = (np.flatnonzero(m) for m in (feasible, done & ~feasible, ~done))
    ranked = good[pareto.order(losses[good])] if len(good) else good
    over = bilog(excess)[broken].clip(0.0).sum(axis=1) if len(broken) else np.zeros(0)
    places[np.concatenate([ranked, broken[np.argsort(over, kind="stable")], failed])] = np.arange(
        len(losses)
    )
    return places


def bilog(excess: Floats, first: int | None = None) -> Floats:
    """Excesses, shape (n, constraints), each in units of the median of its `first` ones, compressed far from 0, where the
    border is (Eriksson & Poloczek, "Scalable constrained Bayesian optimization", AISTATS 2021, section 3.2)."""
    out = np.array(excess)
    for column in out.T:
        sizes = np.abs(column[:first])
        sizes = sizes[np.isfinite(sizes) & (sizes != 0.0)]
        largest, unit = (float(sizes.max()), float(np.median(sizes))) if len(sizes) else (1.0, 1.0)
        column[np.isinf(column)] = largest
        column[:] = np.sign(column) * np.log1p(np.abs(column) / unit)
    return out


def _some(losses: Floats, feasible: Mask) -> Ints:
    """The places of the front, and of the newest."""
    good = np.flatnonzero(feasible)
    members = good[front(losses[good])][-MOST // 2 :]
    newest = np.arange(max(0, len(losses) - (MOST - len(members))), len(losses))
    return np.union1d(members, newest)
