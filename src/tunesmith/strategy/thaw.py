"""Forecasts of every trial's curve by one Gaussian process over config and step: what `freeze_thaw` decides by."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.space.parameter import Choice
from tunesmith.numeric import curve_gp
from tunesmith.numeric.curve_gp import CurveGP
from tunesmith.numeric.features import Features
from tunesmith.numeric.threads import one_thread
from tunesmith.strategy import breach
from tunesmith.strategy.extrapolation import GRID
from tunesmith.strategy.rungs import Rungs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: At most so many values are known to the process, and its hyperparameters are fitted to so many.
MOST: Final = 240
FITTED: Final = 120
#: Fewer trials say nothing of others.
FEWEST: Final = 4
#: Hyperparameters are fitted again whenever there are so many times as many values.
GROWTH: Final = 1.3
#: In larger studies nobody is spared: a decision is to take no time there.
SPARED: Final = 1000


class Thaw:
    """The process, given what trials had when they came to the rungs, the last of which is the end of a whole run.

    Losses are compressed, log(1 + (loss - best) / median distance from the best), and standardised: how bad the bad
    ones are tells little. `best` is that of the best value that was seen at any step.
    """

    def __init__(self, history: History, rungs: Rungs, objective: int = 0) -> None:
        sizes = [
            p.size if isinstance(p, Choice) and not p.ordered else 0
            for p in history.space.tunables.values()
        ]
        self._features = Features([size or 0 for size in sizes])
        self._points = history.points
        self._shares = np.array(rungs.levels) / rungs.levels[-1]
        trials, rung, losses = _values(history, rungs, objective)
        count = _checkpoint(len(trials))
        known = trials[:count].tobytes() + rung[:count].tobytes() + losses[:count].tobytes()
        theta = history.memo(
            ("thaw", rungs.levels, objective, sha256(known).digest()),
            lambda: self._fitted(trials[:count], rung[:count], losses[:count]),
        )
        some = _some(rung, losses, MOST)
        self._scale = _Scale.of(losses[some])
        features, t, y = self._rows(trials[some], rung[some], losses[some], self._scale)
        self.best = float(y.min())
        self._gp = CurveGP.condition(features, self._features.owner, t, y, theta)

    @classmethod
    def of(cls, history: History, rungs: Rungs, objective: int = 0) -> Thaw | None:
        """Of a history as it is; None where there are too few values, or all are the same.

        O(MOST^3) and O(n log n) in what the rungs hold; a fit O(FITTED^3), for a factor of GROWTH of them.
        """
        trials, _, losses = _values(history, rungs, objective)
        if len(np.unique(trials)) < FEWEST or not np.ptp(losses) > 0.0:
            return None
        return cls(history, rungs, objective)

    def at(self, trials: Ints, t: Floats) -> tuple[Floats, Floats]:
        """Expected value and deviation, shape (n,) each, of each of some trials after a share `t` of a whole run."""
        return self._gp.predict(self._features(self._points[trials]), t)

    def scaled(self, losses: Floats) -> Floats:
        """Losses in the units of `at` and `best`."""
        return self._scale(losses)

    def _fitted(self, trials: Ints, rung: Ints, losses: Floats) -> Floats:
        some = _some(rung, losses, FITTED)
        scale = _Scale.of(losses[some])
        features, t, y = self._rows(trials[some], rung[some], losses[some], scale)
        first = curve_gp.begin(self._features.sizes.tolist())
        return curve_gp.fit(features, self._features.owner, t, y, first)

    def _rows(
        self, trials: Ints, rung: Ints, losses: Floats, scale: _Scale
    ) -> tuple[Floats, Floats, Floats]:
        features = self._features(self._points[trials])
        return features, self._shares[rung], scale(losses)


def spares(history: History, trial: int, longest: int, least: float) -> bool:
    """Whether a trial's chance to become the best of a study, at the end of a run of `longest` steps, is at least `least`: it
    may go on, though it is behind others now.

    Configs like its own tell how its curve goes on, which its place among others at a step does not. With one objective, once
    a trial has been completed, and among at most SPARED trials: O(MOST^3).
    """
    from scipy.special import ndtr

    known = len(history.objectives) == 1 and history.completed and len(history) <= SPARED
    if not known or breach.surely(history, np.array([trial]))[0]:
        return False
    levels = (*(step for step in GRID if step < longest), longest)
    rungs = history.fold(("thaw", levels), lambda: Rungs(levels)).update(history)
    with one_thread(), np.errstate(all="ignore"):
        thaw = Thaw.of(history, rungs)
        if thaw is None:
            return False
        best = thaw.best
        if history.constraints and history.best is not None:
            # the best of all may be one that breaks a constraint
            best = float(thaw.scaled(history.losses[[history.best], 0])[0])
        mean, deviation = thaw.at(np.array([trial]), np.ones(1))
        return bool(ndtr((best - mean[0]) / deviation[0]) >= least)


class _Scale(NamedTuple):
    """log(1 + (loss - best) / unit), standardised."""

    best: float
    unit: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, losses: Floats) -> _Scale:
        best = float(losses.min())
        above = losses - best
        unit = float(np.median(above)) or float(above.max()) or 1.0
        y = np.log1p(above / unit)
        return cls(best, unit, float(y.mean()), float(y.std()) or 1.0)

    def __call__(self, losses: Floats) -> Floats:
        y: Floats = np.log1p(np.maximum(losses - self.best, 0.0) / self.unit)
        return (y - self.mean) / self.deviation


def _values(history: History, rungs: Rungs, objective: int) -> tuple[Ints, Ints, Floats]:
    """Trials, rungs and losses of one objective, shape (n,) each, in the order in which they came: the finite ones of
    usable trials, for each report the highest rung that it came to."""
    usable = history.usable
    usable[list(history.confirming)] = False
    parts = [
        (trials, np.full(len(trials), k), losses, rungs.reports(k))
        for k in range(len(rungs.levels))
        for trials, losses in [rungs.at(k)]
    ]
    trials, rung, losses, reports = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    if objective:
        losses = history.losses_at(reports)[:, objective]
    order = np.lexsort((rung, reports))
    last = np.append(np.diff(reports[order]) > 0, True) if len(order) else np.zeros(0, dtype=bool)
    order = order[last]
    order = order[usable[trials[order]] & np.isfinite(losses[order])]
    return trials[order], rung[order], losses[order]


def _some(rung: Ints, losses: Floats, most: int) -> Ints:
    """The places of at most `most` values: at each rung the best, and the newest."""
    if len(rung) <= most:
        return np.arange(len(rung))
    there = [np.flatnonzero(rung == k) for k in np.unique(rung)]
    share = most // (2 * len(there))
    chosen = [
        np.union1d(at[np.argsort(losses[at], kind="stable")[:share]], at[len(at) - share :])
        if len(at) > share
        else at
        for at in there
    ]
    return np.concatenate(chosen)[:most]


def _checkpoint(count: int) -> int:
    """The last of a rising series, each GROWTH times the one before, that is at most `count`."""
    at = min(count, FEWEST)
    while (following := math.ceil(at * GROWTH)) <= count:
        at = following
    return at
