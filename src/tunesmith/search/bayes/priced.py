"""Improvement per cost: a surrogate whose score falls with what a trial is expected to cost.

The log of the cost has a Gaussian process of its own. What is worth most is the improvement over cost to the power of the
share of the budget that is left: at the beginning cheap trials teach most for what they take, at the end only the result
counts (Lee, Perrone, Archambeau & Seeger, "Cost-aware Bayesian optimization", arXiv 2003.10870, eq. 5).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.quantity import show_number
from tunesmith.core.trial import State
from tunesmith.numeric import gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.surrogate import LEAST, MOST_POINTS, Model, Scores, checkpoint

Floats = NDArray[np.float64]

#: Costs that differ by less (the deviation of their logs), or seconds below this, are all the same.
ALIKE: Final = 0.2
SECONDS: Final = 0.5


class Price(NamedTuple):
    """What a trial costs: the posterior of the log of it, less `shift`; and the power to which it counts now."""

    process: gp.GP
    shift: float
    exponent: float

    @classmethod
    def of(cls, domain: Domain, history: History) -> Price | None:
        """None unless a limit on cost is what ends the study, and costs differ."""
        left = history.budget_left
        if not left:
            return None
        costs = history.costs
        known = np.flatnonzero(history.where(State.COMPLETED) & (costs > 0.0))
        by_metric = history.counts_money
        if len(known) < LEAST or (not by_metric and np.median(costs[known]) < SECONDS):
            return None
        logs = np.log(costs[known])
        if logs.std() < ALIKE:
            return None
        points = history.points[known]
        subset = representatives(points, logs, domain.choices, MOST_POINTS)
        early = np.arange(min(checkpoint(len(known)), len(known)))
        learned = early[representatives(points[early], logs[early], domain.choices, MOST_POINTS)]
        shift = float(logs[early].mean())
        theta = domain.fitted("cost", points[learned], logs[learned] - shift)
        features, targets = domain.features(points[subset]), logs[subset] - shift
        return cls(gp.GP.condition(features, domain.owner, targets, theta), shift, left)


class Priced:
    """A surrogate, and what trials cost."""

    def __init__(self, model: Model | Joint, price: Price) -> None:
        self._model = model
        self._cost, self._shift, self.exponent = price
        self.domain = model.domain
        self.known, self.at_known, self.lengths = model.known, model.at_known, model.lengths
        self.steep = model.steep

    @property
    def best(self) -> float:
        return self._model.best

    def believe(self, points: Floats) -> None:
        self._model.believe(points)

    def hope(self, points: Floats, deviations: float) -> Floats:
        return self._model.hope(points, deviations)

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """The model's score, less the log of the cost times `exponent`; shape (n,)."""
        cost = self._cost.predict(self.domain.features(points))[0]
        return self._model.score(points, best) - self.exponent * cost

    def watch(self, points: Floats) -> Scores:
        """The score of these points, whatever is believed later."""
        scores = self._model.watch(points)
        cost = self.exponent * self._cost.predict(self.domain.features(points))[0]
        return lambda best=None: scores(best) - cost

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        inner = self._model.slopes(starts, best)
        numbers, places = self.domain.numbers, self.domain.places
        features_of, cost_of = self.domain.moving(starts), self._cost.slopes(places)

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            value, gradient = inner(points)
            cost, _, by_mean, _ = cost_of(features_of(points))
            gradient = np.array(gradient)
            gradient[:, numbers] -= self.exponent * by_mean
            return value - self.exponent * cost, gradient

        return slopes

    def describe(self, point: Floats) -> str:
        cost = self._cost.predict(self.domain.features(point[None]))[0][0]
        amount = show_number(float(np.exp(cost + self._shift)), 3)
        return f"{self._model.describe(point)}; cost {amount}, counted to the power {self.exponent:.2f}"
