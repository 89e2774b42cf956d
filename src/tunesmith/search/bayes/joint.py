"""The surrogate of several objectives, or of objectives under constraints: a Gaussian process for each of them.

All have the same features, and their own hyperparameters and warp; they are taken to be independent. A point is worth the
expected improvement of the hypervolume for two or three objectives (see `tunesmith.numeric.hypervolume`), of the best
feasible value for one; for four and more, of a sum with random weights (Knowles, "ParEGO", IEEE TEC 2006). Constraints
multiply that by the probability that they are kept (Gardner et al., "Bayesian optimization with inequality constraints",
ICML 2014); as long as no trial keeps them all, that probability is all that counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.history import History
from tunesmith.core.quantity import show_number
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.numeric.hypervolume import Boxes, log_ehvi, log_ehvi_slopes
from tunesmith.numeric.warp import OutputWarp
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.surrogate import (
    LEAST,
    MOST_POINTS,
    Scores,
    checkpoint,
    is_noisy,
    learned,
)
from tunesmith.search.bayes.transfer import Lessons
from tunesmith.strategy.standing import Standing, bilog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Means and deviations, shape (n,) both.
Prediction: TypeAlias = tuple[Floats, Floats]

#: More objectives than this are searched by random weights of them.
EXACT: Final = 3
#: The front has at most so many points, the loneliest.
FRONT: Final = 50
#: The reference lies beyond the worst of the front by this share of its range, which is at least a deviation.
BEYOND: Final = 0.1
#: ... and of a front of fewer than FEW points, so many deviations of the results beyond its best: where the front is one point, all
#: else that a trade-off could reach would lie beyond the reference, and that one point be refined for ever.
REACH: Final = 1.0
FEW: Final = 4
#: Smaller shares of the front's range count for nothing in the choice of the reference.
TRIFLE: Final = 0.03
#: With three objectives: the factor on the curiosity, and the share of the front's range by which a point has to be better. Each
#: objective's deviation offers a slab as wide as the ranges of the other two, and the search would stay at the front's ends.
THREE: Final = 0.5
STEP: Final = 0.05
#: The weight of the sum beside the maximum, in the augmented Chebyshev function.
AUGMENTED: Final = 0.05


class Joint:
    """The posterior of one history. Everything is minimised; `believe` is the only change."""

    steep: ClassVar[bool] = True

    def __init__(
        self,
        domain: Domain,
        history: History,
        pending: Ints,
        rng: Generator,
        curiosity: float,
        left_out: Mask | None = None,
    ) -> None:
        self.domain = domain
        three = len(history.objectives) == EXACT
        self.curiosity = curiosity * (THREE if three else 1.0)
        self._step = STEP if three else 0.0
        self._history = history
        standing = Standing.of(history)
        if left_out is not None:
            standing = standing.only(~left_out[standing.rows])
        points, losses = history.points[standing.rows], standing.losses
        deviations = standing.deviations
        early = standing.first(checkpoint(len(standing.rows)))
        excess, excess_deviations = _compressed(standing, len(early.rows))
        subset = self._representatives(points, standing)
        self.known = points[subset]
        self._feasible, self._forecast = standing.feasible[subset], standing.forecast[subset]
        #: Ranks, the best 0: which of the known points are parents, and which of two is the better one.
        self.at_known = standing.order[subset].astype(np.float64)
        transfer = domain.transfer
        lessons = [transfer.of(j) for j in range(losses.shape[1])]
        if losses.shape[1] > EXACT:
            weights = rng.dirichlet(np.ones(losses.shape[1]))
            lessons = [transfer.combined(lambda their: _weighted(their, weights))]
            deviations = _deviation(losses, deviations, weights)[:, None]
            losses = _weighted(losses, weights)[:, None]
        first = self._representatives(points[: len(early.rows)], early)
        self._warps: list[OutputWarp] = []
        self._objectives: list[gp.GP] = []
        #: Results at the known points, shape (n, objectives): what is predicted where they are noisy, or forecasts.
        self._z = np.full((len(subset), losses.shape[1]), np.nan)
        for j in range(losses.shape[1]):
            there = standing.failed | ~np.isnan(losses[:, j])
            seen, then = subset[there[subset]], first[there[first]]
            if np.isfinite(losses[then, j]).sum() < LEAST:
                then = seen
            data = (points, losses[:, j], deviations[:, j])
            process, targets = self._objective(f"objective {j}", data, then, seen, lessons[j])
            fitted = process.fitted[: len(seen)]
            self._z[there[subset], j] = np.where(standing.forecast[seen], fitted, targets)
            if is_noisy(process):
                self._z[:, j] = process.predict(domain.features(self.known))[0]
            self._objectives.append(process)
        self._constraints = [
            self._constraint(
                f"constraint {k}", excess[:, k], excess_deviations[:, k], points, first, subset
            )
            for k in range(excess.shape[1])
            if (excess[:, k] > 0.0).any()  # one that nobody has broken teaches nothing yet
        ]
        lengths = [np.exp(process.theta[: domain.d]) for process in self._objectives]
        self.lengths = np.median(lengths, axis=0)
        self.best = 0.0
        self._believed = np.empty((0, self._z.shape[1]))
        self._goals: dict[float, Boxes | float | None] = {}
        self._prior_weight = (
            domain.prior.weight(self.known, self.at_known, len(standing.rows))
            if domain.prior
            else 0.0
        )
        self.believe(history.points[pending])

    def _representatives(self, points: Floats, standing: Standing) -> Ints:
        """The places of the results that the models see."""
        order = standing.order.astype(np.float64)
        return representatives(points, order, self.domain.choices, MOST_POINTS)

    def _objective(
        self,
        name: str,
        data: tuple[Floats, Floats, Floats],
        early: Ints,
        known: Ints,
        lessons: Lessons,
    ) -> tuple[gp.GP, Floats]:
        """The posterior of an objective, of points, losses and their deviations, and its warped results at the known
        points."""
        domain = self.domain

        def warped(rows: Ints) -> tuple[tuple[Floats, Floats, Floats], OutputWarp]:
            points, losses, deviations = (part[rows] for part in data)
            return learned(domain, points, losses, deviations, lessons=lessons)

        def make() -> Floats:
            features, z, extra = warped(early)[0]
            return gp.fit(features, domain.owner, z, domain.begin, extra)[0]

        theta = domain.theta(name, tuple(part[early] for part in data), make)
        (features, z, extra), warp = warped(known)
        self._warps.append(warp)
        process = gp.GP.condition(features, domain.owner, z, theta, extra)
        return process, z[: len(known)]

    def _constraint(
        self,
        name: str,
        excess: Floats,
        deviations: Floats,
        points: Floats,
        early: Ints,
        known: Ints,
    ) -> tuple[gp.GP, float]:
        """The posterior of a constraint's excess, standardised, and where its border lies."""
        domain = self.domain
        known, early = known[~np.isnan(excess[known])], early[~np.isnan(excess[early])]
        if len(early) < LEAST:
            early = known
        # of those that it is fitted to: else each result would be a reason to fit it again
        scale, shift = float(excess[early].std()) or 1.0, float(excess[early].mean())
        targets, extra = (excess - shift) / scale, np.square(deviations / scale)
        theta = domain.fitted(name, points[early], targets[early], extra[early])
        features = domain.features(points[known])
        process = gp.GP.condition(features, domain.owner, targets[known], theta, extra[known])
        return process, -shift / scale

    @property
    def noisy(self) -> bool:
        """Whether a config run again may well give another value."""
        return any(is_noisy(process) for process in self._objectives)

    def believe(self, points: Floats) -> None:
        """Take the predictions for `points`, which are running or about to, for results."""
        if not len(points):
            return
        features = self.domain.features(points)
        believed = [process.believe(features) for process in self._objectives]
        self._objectives = [process for process, _ in believed]
        means = np.column_stack([mean for _, mean in believed])
        keeps = self._log_feasible(features) > math.log(0.5)
        self._believed = np.vstack([self._believed, means[keeps]])
        self._constraints = [(p.believe(features)[0], border) for p, border in self._constraints]
        self._goals.clear()

    def hope(self, points: Floats, deviations: float) -> Floats:
        """How low a value of the first objective may be hoped for: so many deviations below the mean, shape (m,)."""
        mean, deviation = self._objectives[0].predict(self.domain.features(points))
        return mean - deviations * deviation

    def _goal(self, rank: float) -> Boxes | float | None:
        """What is to be improved on, of the feasible results from a rank on: the boxes that they leave, of one objective
        the best value; None where no trial is feasible. Forecasts are none, unless there is nothing else: nobody has what
        they promise."""
        if rank not in self._goals:
            among = self._feasible & (self.at_known >= rank) & ~np.isnan(self._z).any(axis=1)
            if (among & ~self._forecast).any():
                among &= ~self._forecast
            z = np.vstack([self._z[among], self._believed])
            goal: Boxes | float | None = None
            if among.any() and z.shape[1] == 1:
                goal = float(z.min())
            elif among.any():
                front = _distinct(z[pareto.fronts(z) == 0])
                front = front[np.argsort(-pareto.crowding(front), kind="stable")[:FRONT]]
                worst, span = front.max(axis=0), np.ptp(front, axis=0)
                beyond = worst + BEYOND * np.maximum(span, 1.0)
                if len(front) < FEW:
                    beyond = np.maximum(beyond, front.min(axis=0) + REACH)
                goal = Boxes.of(front - self._step * span, beyond)
            self._goals[rank] = goal
        return self._goals[rank]

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """The log of what a point is worth, and the user's prior; shape (n,). With `best`, as if no result had a better
        rank than that."""
        features = self.domain.features(points)
        objectives = [process.predict(features) for process in self._objectives]
        kept = [process.predict(features) for process, _ in self._constraints]
        return self._worth(objectives, kept, best) + self._liked(points)

    def watch(self, points: Floats) -> Scores:
        """The score of these points, whatever is believed later."""
        features, liked = self.domain.features(points), self._liked(points)
        objectives = [gp.Watch(process, features) for process in self._objectives]
        kept = [gp.Watch(process, features) for process, _ in self._constraints]

        def scores(best: float | None = None) -> Floats:
            followed = zip(objectives, self._objectives, strict=True)
            bordered = zip(kept, self._constraints, strict=True)
            return liked + self._worth(
                [watch.follow(process) for watch, process in followed],
                [watch.follow(process) for watch, (process, _) in bordered],
                best,
            )

        return scores

    def _worth(
        self, objectives: Sequence[Prediction], kept: Sequence[Prediction], best: float | None
    ) -> Floats:
        """The score of points by what is predicted of each objective, and of each constraint's excess."""
        goal = self._goal(self.best if best is None else best)
        score = np.zeros(len(objectives[0][0]))
        for (mean, deviation), (_, border) in zip(kept, self._constraints, strict=True):
            score += acquisition.log_below(mean, deviation, border)
        if goal is None:
            return score
        means = np.column_stack([mean for mean, _ in objectives])
        deviations = np.column_stack([deviation for _, deviation in objectives]) * self.curiosity
        if isinstance(goal, Boxes):
            return score + log_ehvi(means, deviations, goal)
        return score + acquisition.log_ei(means[:, 0], deviations[:, 0], goal)

    def _liked(self, points: Floats) -> Floats | float:
        """What the user's prior adds to the score."""
        weight = self._prior_weight
        return weight * self.domain.prior.log_density(points) if weight else 0.0

    def _log_feasible(self, features: Floats) -> Floats:
        """The log of the probability that all constraints are kept, shape (n,)."""
        total = np.zeros(len(features))
        for process, border in self._constraints:
            total += acquisition.log_below(*process.predict(features), border)
        return total

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        goal = self._goal(self.best if best is None else best)
        numbers, places = self.domain.numbers, self.domain.places
        features_of = self.domain.moving(starts)
        objectives_of = [process.slopes(places) for process in self._objectives]
        constraints_of = [(process.slopes(places), border) for process, border in self._constraints]

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            features = features_of(points)
            value, moved = np.zeros(len(points)), np.zeros((len(points), len(numbers)))
            if goal is not None:
                parts = [slopes_of(features) for slopes_of in objectives_of]
                mean = np.column_stack([p[0] for p in parts])
                deviation = np.column_stack([p[1] for p in parts]) * self.curiosity
                if isinstance(goal, Boxes):
                    gain, to_means, to_deviations = log_ehvi_slopes(mean, deviation, goal)
                else:
                    gain, to_mean, to_deviation = acquisition.log_ei_slopes(
                        mean[:, 0], deviation[:, 0], goal
                    )
                    to_means, to_deviations = to_mean[:, None], to_deviation[:, None]
                value += gain
                for j, (_, _, by_mean, by_deviation) in enumerate(parts):
                    moved += to_means[:, j, None] * by_mean
                    moved += self.curiosity * to_deviations[:, j, None] * by_deviation
            for slopes_of, border in constraints_of:
                m, s, by_mean, by_deviation = slopes_of(features)
                kept, to_mean, to_deviation = acquisition.log_below_slopes(m, s, border)
                value += kept
                moved += to_mean[:, None] * by_mean + to_deviation[:, None] * by_deviation
            gradient = np.zeros_like(points)
            gradient[:, numbers] = moved
            if self._prior_weight:
                value = value + self._prior_weight * self.domain.prior.log_density(points)
                gradient += self._prior_weight * self.domain.prior.slopes(points)
            return value, gradient

        return slopes

    def describe(self, point: Floats) -> str:
        """What is expected of a point, in the metrics' own units."""
        features = self.domain.features(point[None])
        parts = []
        if len(self._objectives) == len(self._history.objectives):
            for objective, process, warp in zip(
                self._history.objectives, self._objectives, self._warps, strict=True
            ):
                mean, deviation = (float(a[0]) for a in process.predict(features))
                low, high = warp.back(mean - deviation), warp.back(mean + deviation)
                value = show_number(objective.sign * warp.back(mean), 4)
                parts.append(f"{objective.metric} {value} ± {(high - low) / 2:.2g}")
        what = f"predicted {', '.join(parts)}" if parts else "by random weights of the objectives"
        if self._constraints:
            keeps = math.exp(float(self._log_feasible(features)[0]))
            what += f"; keeps the constraints with a probability of {100 * keeps:.0f} %"
        if self._goal(self.best) is None:
            what += "; no trial has kept them yet"
        return what


def _distinct(front: Floats) -> Floats:
    """The points of a front that none beats but for trifles, `TRIFLE` of the range of each objective.

    One that is better by next to nothing in one objective, and far worse in the others, would else set the reference, and
    there would always be more to gain further out (Laumanns et al., "Combining convergence and diversity in evolutionary
    multiobjective optimization", 2002).
    """
    step = TRIFLE * np.ptp(front, axis=0)
    places = np.floor((front - front.min(axis=0)) / np.where(step > 0.0, step, 1.0))
    distinct: Floats = front[pareto.fronts(places) == 0]
    return distinct


def _weighted(losses: Floats, weights: Floats) -> Floats:
    """The augmented Chebyshev function of the objectives, shape (n, objectives), with weights: shape (n,)."""
    low, span = _range(losses)
    scaled: Floats = weights * (losses - low) / span
    combined: Floats = np.max(scaled, axis=1) + AUGMENTED * np.sum(scaled, axis=1)
    return combined


def _deviation(losses: Floats, deviations: Floats, weights: Floats) -> Floats:
    """That of `_weighted`, at most: it changes no more than the objectives do, along with its sum."""
    scaled = weights * deviations / _range(losses)[1]
    deviation: Floats = (1.0 + AUGMENTED) * np.sqrt(np.square(scaled).sum(axis=1))
    return deviation


def _range(losses: Floats) -> tuple[Floats, Floats]:
    """The lowest of each objective, and the range."""
    done = ~np.isnan(losses).any(axis=1)
    low, high = losses[done].min(axis=0), losses[done].max(axis=0)
    return low, np.where(high > low, high - low, 1.0)


def _compressed(standing: Standing, first: int) -> tuple[Floats, Floats]:
    """The excess, compressed, and its deviations: half of what lies between one below and one above."""
    excess, spread = standing.excess, standing.excess_deviations
    middle, below, above = np.split(
        bilog(np.vstack([excess, excess - spread, excess + spread]), first), 3
    )
    with np.errstate(invalid="ignore"):
        return middle, (above - below) / 2.0
