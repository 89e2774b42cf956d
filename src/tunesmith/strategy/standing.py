"""Which results are better than which, with several objectives or constraints: an order of all of them.

Constrained domination: what keeps the constraints comes before what does not, by front and within a front the lonelier
first; then what breaks them least; failures last (Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective
genetic algorithm: NSGA-II", IEEE TEC 2002, section VI). A trial that was stopped or pauses stands where it would have come to.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.history import History
from tunesmith.core.incumbent import front
from tunesmith.core.trial import State
from tunesmith.strategy.extrapolation import Extrapolation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Beyond so many results, those of the front and the newest stand for all.
MOST: Final = 1500


@dataclass(frozen=True)
class Standing:
    """The results of a history. rows, shape (n,): trials that have a result, a forecast or a failure; losses, shape
    (n, objectives), and excess, shape (n, constraints), with their standard deviations: NaN for failures, and where
    nothing is known; feasible: which keep the constraints, as far as is known; order, shape (n,): 0 for the best (feasible
    ones before others, by front; then by how much they break; then what lacks an objective; failures at the end).

    The losses and excess of a trial that was stopped or pauses are what they would have come to (see `Extrapolation`); their
    deviations are those of the forecasts, and never 0. No such trial is a member of a front.
    """

    rows: Ints
    losses: Floats
    deviations: Floats
    excess: Floats
    excess_deviations: Floats
    feasible: Mask
    forecast: Mask
    order: Ints

    @classmethod
    def of(cls, history: History) -> Standing:
        """O(trials) in NumPy's passes, and O(MOST^2)."""
        losses, excess = np.array(history.losses), np.array(history.excess)
        deviations, excess_deviations = np.zeros_like(losses), np.zeros_like(excess)
        completed = history.where(State.COMPLETED) & np.isfinite(losses).all(axis=1)
        failed = history.where(State.FAILED) & (history.blamed > 0)
        losses[failed], excess[failed] = np.nan, np.nan
        forecast = np.zeros(len(losses), dtype=np.bool_)
        early = np.flatnonzero(history.where(State.STOPPED, State.PAUSED))
        if len(early):
            for j in range(losses.shape[1]):
                of_loss = Extrapolation.of(history, j)
                losses[early, j], deviations[early, j] = of_loss.ends(history, early)
            for j in range(excess.shape[1]):
                of_excess = Extrapolation.of_excess(history, j)
                ends, spread = of_excess.ends(history, early)
                # a border is absolute: where a trial stands now tells nothing, unless it is known how others went on
                reaches = of_excess.reaches(history, early)
                excess[early, j] = np.where(reaches, ends, np.nan)
                excess_deviations[early, j] = spread
            for spreads in (deviations, excess_deviations):
                spreads[early] = np.maximum(spreads[early], np.finfo(np.float64).tiny)
            forecast[early] = np.isfinite(losses[early]).any(axis=1)
        rows = np.flatnonzero(completed | failed | forecast)
        losses, excess, failed, forecast = losses[rows], excess[rows], failed[rows], forecast[rows]
        broken = np.where(forecast, (excess > 0.0).any(axis=1), history.broken[rows])
        feasible = ~failed & ~broken
        completed = ~failed & ~forecast
        if completed.any() and not (feasible & completed).any():  # none has kept the constraints
            feasible &= ~(forecast & np.isnan(excess).any(axis=1))
        standing = cls(
            rows,
            losses,
            deviations[rows],
            excess,
            excess_deviations[rows],
            feasible,
            forecast,
            np.zeros_like(rows),
        )
        if len(rows) > MOST:
            standing = standing.only(_some(losses, feasible & ~forecast))
        return _ordered(standing)

    def only(self, some: Mask | Ints) -> Standing:
        """The standing of `some` of the results, shape (n,)."""
        return Standing(*(getattr(self, field.name)[some] for field in fields(self)))

    def first(self, count: int) -> Standing:
        """The standing of the first `count` of the results."""
        return self if count >= len(self.rows) else _ordered(self.only(np.arange(count)))

    @property
    def failed(self) -> Mask:
        """Which of them failed, shape (n,)."""
        failed: Mask = np.all(np.isnan(self.losses), axis=1)
        return failed

    @property
    def whole(self) -> Mask:
        """Of which of them all objectives are known, shape (n,)."""
        whole: Mask = np.all(np.isfinite(self.losses), axis=1)
        return whole


def _ordered(standing: Standing) -> Standing:
    order = _order(standing.losses, standing.excess, standing.feasible)
    return replace(standing, order=order)


def _order(losses: Floats, excess: Floats, feasible: Mask) -> Ints:
    """The place of each row, shape (n,), 0 for the best: constrained domination (Deb et al., 2002, section VI)."""
    places = np.empty(len(losses), dtype=np.int64)
    unknown = np.isnan(losses)
    some, failed = unknown.any(axis=1), unknown.all(axis=1)
    groups = (feasible & ~some, ~feasible & ~some, some & ~failed, failed)
    good, broken, partial, failures = map(np.flatnonzero, groups)
    ranked = good[pareto.order(losses[good])] if len(good) else good
    over = (
        np.nan_to_num(bilog(excess)[broken], nan=np.inf).clip(0.0).sum(axis=1)
        if len(broken)
        else np.zeros(0)
    )
    by_breach = broken[np.argsort(over, kind="stable")]
    places[np.concatenate([ranked, by_breach, partial, failures])] = np.arange(len(losses))
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
