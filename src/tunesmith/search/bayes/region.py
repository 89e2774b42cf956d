"""The trust region: a box about the best point, with a model of its own, that grows with success and shrinks without.

Eriksson, Pearce, Gardner, Turner & Poloczek, "Scalable global optimization via local Bayesian optimization" (TuRBO,
NeurIPS 2019). One model of the whole space is too sure of itself where the results are dense, and far regions look
cheap to it where the bad tail is compressed; so every second suggestion is made by a model of what is near, with its
own warp, whose variance is taken as it is. The length is a fold of the trials' origins: nothing else is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.trial import USER, Origin
from tunesmith.numeric.quadratic import Quadratic, terms
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.surrogate import Model
from tunesmith.strategy.evidence import Evidence, suggested

Floats = NDArray[np.float64]

#: By these words in a trial's origin it is known to be of the trust region.
MARK: Final = "trust region"
#: The first length, as a share of the ranges; the longest; and the one under which it is the first again.
LENGTH: Final = 0.8
LONGEST: Final = 1.6
SHORTEST: Final = 2.0**-10
#: It is doubled after so many successes in a row, and halved after so many failures, or as many as there are numbers.
SUCCESSES: Final = 3
FAILURES: Final = 4
#: Results from which there is one, for each number, of which at most `COUNTED` count where there are no choices; and one
#: in how many suggestions is its own: half as many where there are choices, of which it tries none, until there are
#: `LATE` results.
FROM: Final = 5
COUNTED: Final = 7
EVERY: Final = 2
LATE: Final = 50
#: The results nearest to the best one that its model sees: for each number, and in all.
PER_NUMBER: Final = 8
LEAST_POINTS: Final = 24
MOST_POINTS: Final = 100
#: No side is longer than the others' mean by this factor, or shorter.
ROUND: Final = 5.0
#: Steps of the fit of its hyperparameters.
STEPS: Final = 15
#: Of its suggestions, one in so many is the minimum of a quadratic function, where that predicts so well.
QUADRATIC_EVERY: Final = 3
EXPLAINED: Final = 0.9


@dataclass(frozen=True)
class Region:
    """centre, low, high: shape (d,), NaN where inactive; choices are the centre's."""

    model: Model
    centre: Floats
    low: Floats
    high: Floats
    length: float

    @property
    def why(self) -> str:
        return f"{MARK} of {self.length:.2g} of the ranges: "

    @classmethod
    def of(
        cls, domain: Domain, model: Model, history: History, evidence: Evidence
    ) -> Region | None:
        """About the best point that `model` knows; None where hardly anything near has a result. O(trials)."""
        numbers = domain.numbers
        centre = model.known[model.incumbent]
        most = min(max(LEAST_POINTS, PER_NUMBER * len(numbers)), MOST_POINTS)
        local = model.near(most, STEPS)
        if local is None:
            return None
        length = _length(history, evidence, len(numbers))
        sides = local.lengths[numbers]
        sides = sides / np.exp(np.log(sides).mean())
        half = 0.5 * length * np.clip(sides, 1.0 / ROUND, ROUND)
        half = np.maximum(half, 1.01 * domain.least[numbers])
        low, high = centre.copy(), centre.copy()
        low[numbers] = np.maximum(centre[numbers] - half, 0.0)
        high[numbers] = np.minimum(centre[numbers] + half, 1.0)
        return cls(local, centre, low, high, length)

    @cached_property
    def lowest(self) -> tuple[Floats, str] | None:
        """The minimum of a quadratic regression in the box, where that predicts well. What is believed does not change it."""
        domain = self.model.domain
        moved = domain.numbers[~np.isnan(self.centre[domain.numbers])]
        points, losses = self.model.known, self.model.losses
        same = ~np.isnan(losses) & _same_choices(points, self.centre, domain.unordered)
        same &= ~np.isnan(points[:, moved]).any(axis=1)
        enough = terms(len(moved)) + 2 + len(moved) // 2
        rows = np.flatnonzero(same)
        if len(rows) < enough:
            return None
        rows = rows[np.argsort(losses[rows], kind="stable")][: max(enough, 3 * len(rows) // 4)]
        x, y = points[np.ix_(rows, moved)], losses[rows]
        quadratic = Quadratic.fit(x, (y - y.mean()) / max(float(y.std()), 1e-300))
        if quadratic.explained < EXPLAINED:
            return None
        point = self.centre.copy()
        point[moved] = quadratic.lowest(self.centre[moved], self.low[moved], self.high[moved])
        return point, f"the minimum of a quadratic function (R2 {quadratic.explained:.3f}), "


def is_late(domain: Domain, results: int) -> bool:
    """Whether choices have been compared for so long that what is left to gain is near the best trial."""
    return len(domain.numbers) > 0 and results >= LATE


def is_its_turn(domain: Domain, results: int, number: int) -> bool:
    """Whether the suggestion for trial `number` is the trust region's, after so many results."""
    numbers = len(domain.numbers)
    mixed = len(domain.unordered) > 0
    seldom = mixed and not is_late(domain, results)
    return (
        domain.everything is None
        and numbers > 0
        and results >= FROM * (numbers if mixed else min(numbers, COUNTED))
        and number % (2 * EVERY if seldom else EVERY) == 1
    )


def _length(history: History, evidence: Evidence, numbers: int) -> float:
    """What successes and failures of its trials have made of the first length, in their order."""
    losses = np.full(len(history), np.nan)
    losses[evidence.rows] = np.where(np.isnan(evidence.losses), np.inf, evidence.losses)
    known = ~np.isnan(losses)
    seen = np.where(known, losses, np.inf)
    best = np.minimum.accumulate(seen)
    length, good, bad = LENGTH, 0, 0
    for number in suggested(history, MARK, _is_own):
        if not known[number]:
            continue
        if losses[number] < best[number - 1]:
            good, bad = good + 1, 0
        else:
            good, bad = 0, bad + 1
        if good >= SUCCESSES:
            length, good = min(2.0 * length, LONGEST), 0
        elif bad >= max(FAILURES, numbers):
            length, bad = length / 2.0, 0
        if length < SHORTEST:
            length = LENGTH
    return length


def _is_own(origin: Origin) -> bool:
    return origin.searcher != USER and MARK in origin.why


def _same_choices(
    points: Floats, centre: Floats, unordered: NDArray[np.int64]
) -> NDArray[np.bool_]:
    a, b = points[:, unordered], centre[unordered]
    same: NDArray[np.bool_] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return same
