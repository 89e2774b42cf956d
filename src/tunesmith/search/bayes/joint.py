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
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.history import History
from tunesmith.core.quantity import show_number
from tunesmith.core.trial import State
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.numeric.hypervolume import Boxes, log_ehvi, log_ehvi_slopes
from tunesmith.numeric.warp import OutputWarp, impute_failures
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.surrogate import LEAST, MOST_POINTS, NOISY, checkpoint
from tunesmith.strategy.standing import Standing, bilog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: More objectives than this are searched by random weights of them.
EXACT: Final = 3
#: The front has at most so many points, the loneliest.
FRONT: Final = 50
#: The reference lies beyond the worst of the front by this share of its range, which is at least a deviation.
BEYOND: Final = 0.1
#: Smaller shares of the front's range count for nothing in the choice of the reference.
TRIFLE: Final = 0.03
#: The weight of the sum beside the maximum, in the augmented Chebyshev function.
AUGMENTED: Final = 0.05


class Output:
    """The posterior of one quantity, in warped units."""

    def __init__(self, domain: Domain, points: Floats, targets: Floats, theta: Floats) -> None:
        self.lengths = np.exp(theta[: domain.d])
        self._domain = domain
        self._gp = gp.GP.condition(domain.features(points), domain.owner, targets, theta)

    @property
    def noisy(self) -> bool:
        return self._gp.noise > NOISY * self._gp.signal

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, shape (n,) each."""
        return self._gp.predict(features)

    def slopes(self, features: Floats, places: Ints) -> tuple[Floats, ...]:
        return self._gp.slopes(features, places)

    def believe(self, features: Floats) -> None:
        self._gp = self._gp.believe(features)


class Fits:
    """The last fit of each output, which may be needed again. Droppable."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Floats, Floats, Floats]] = {}

    def theta(self, which: int, domain: Domain, points: Floats, targets: Floats) -> Floats:
        """The hyperparameters of output `which`, for these data."""
        last = self._last.get(which)
        if last is None or not (
            np.array_equal(last[0], points, equal_nan=True) and np.array_equal(last[1], targets)
        ):
            theta, _ = gp.fit(domain.features(points), domain.owner, targets, domain.begin)
            self._last[which] = last = (points, targets, theta)
        return last[2]


class Joint:
    """The posterior of one history. Everything is minimised; `believe` is the only change."""

    def __init__(self, domain: Domain, history: History, rng: Generator, curiosity: float) -> None:
        self.domain = domain
        self.curiosity = curiosity
        self._history = history
        standing = Standing.of(history)
        points, losses = history.points[standing.rows], standing.losses
        early = standing.first(checkpoint(len(standing.rows)))
        excess = bilog(standing.excess, len(early.rows))
        subset = self._representatives(points, standing)
        self.rows, self.known = standing.rows[subset], points[subset]
        self._feasible = standing.feasible[subset]
        #: Ranks, the best 0: which of the known points are parents, and which of two is the better one.
        self.at_known = standing.order[subset].astype(np.float64)
        if losses.shape[1] > EXACT:
            losses = _weighted(losses, rng)
        learned = self._representatives(points[: len(early.rows)], early)
        if np.isfinite(losses[learned, 0]).sum() < LEAST:
            learned = subset
        fits: Fits = history.memo("joint fits", Fits)
        self._warps: list[OutputWarp] = []
        self._objectives = [
            self._objective(fits, j, losses[:, j], points, learned, subset)
            for j in range(losses.shape[1])
        ]
        self._constraints = [
            self._constraint(fits, -1 - k, excess[:, k], points, learned, subset)
            for k in range(excess.shape[1])
            if (excess[:, k] > 0.0).any()  # one that nobody has broken teaches nothing yet
        ]
        features = domain.features(self.known)
        self._z = np.column_stack(
            [output.predict(features)[0] if output.noisy else z for output, z in self._objectives]
        )
        self.lengths = np.median([output.lengths for output, _ in self._objectives], axis=0)
        self.best = 0.0
        self.incumbent = int(np.argmin(self.at_known))
        self._believed = np.empty((0, self._z.shape[1]))
        self._goals: dict[float, Boxes | float | None] = {}
        self._prior_weight = (
            domain.prior.weight(self.known, self.at_known, len(standing.rows))
            if domain.prior
            else 0.0
        )
        self.believe(history.points[np.flatnonzero(history.where(State.WAITING, State.RUNNING))])

    def _representatives(self, points: Floats, standing: Standing) -> Ints:
        """The places of the results that the models see."""
        order = standing.order.astype(np.float64)
        return representatives(points, order, self.domain.choices, MOST_POINTS)

    def _objective(
        self, fits: Fits, which: int, losses: Floats, points: Floats, learned: Ints, known: Ints
    ) -> tuple[Output, Floats]:
        """The posterior of an objective, and its warped results at the known points."""
        theta = fits.theta(which, self.domain, points[learned], _warped(losses[learned])[0])
        z, warp = _warped(losses[known])
        self._warps.append(warp)
        return Output(self.domain, points[known], z, theta), z

    def _constraint(
        self, fits: Fits, which: int, excess: Floats, points: Floats, learned: Ints, known: Ints
    ) -> tuple[Output, float]:
        """The posterior of a constraint's excess, standardised, and where its border lies."""
        known, learned = known[~np.isnan(excess[known])], learned[~np.isnan(excess[learned])]
        if len(learned) < LEAST:
            learned = known
        scale, shift = float(excess[known].std()) or 1.0, float(excess[known].mean())
        theta = fits.theta(which, self.domain, points[learned], (excess[learned] - shift) / scale)
        output = Output(self.domain, points[known], (excess[known] - shift) / scale, theta)
        return output, -shift / scale

    @property
    def noisy(self) -> bool:
        """Whether a config run again may well give another value."""
        return any(output.noisy for output, _ in self._objectives)

    def believe(self, points: Floats) -> None:
        """Take the predictions for `points`, which are running or about to, for results."""
        if not len(points):
            return
        features = self.domain.features(points)
        means = np.column_stack([o.predict(features)[0] for o, _ in self._objectives])
        keeps = self._log_feasible(features) > math.log(0.5)
        self._believed = np.vstack([self._believed, means[keeps]])
        for output in [o for o, _ in self._objectives] + [c[0] for c in self._constraints]:
            output.believe(features)
        self._goals.clear()

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of the first objective, shape (n,) each."""
        return self._objectives[0][0].predict(self.domain.features(points))

    def _goal(self, rank: float) -> Boxes | float | None:
        """What is to be improved on, of the feasible results from a rank on: the boxes that they leave, of one objective
        the best value; None where no trial is feasible."""
        if rank not in self._goals:
            among = self._feasible & (self.at_known >= rank)
            z = np.vstack([self._z[among], self._believed])
            goal: Boxes | float | None = None
            if among.any() and z.shape[1] == 1:
                goal = float(z.min())
            elif among.any():
                front = _distinct(z[pareto.fronts(z) == 0])
                front = front[np.argsort(-pareto.crowding(front), kind="stable")[:FRONT]]
                worst, span = front.max(axis=0), np.ptp(front, axis=0)
                goal = Boxes.of(front, worst + BEYOND * np.maximum(span, 1.0))
            self._goals[rank] = goal
        return self._goals[rank]

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """The log of what a point is worth, and the user's prior; shape (n,). With `best`, as if no result had a better
        rank than that."""
        features = self.domain.features(points)
        goal = self._goal(self.best if best is None else best)
        score = self._log_feasible(features)
        if goal is not None:
            parts = [output.predict(features) for output, _ in self._objectives]
            mean = np.column_stack([p[0] for p in parts])
            deviation = np.column_stack([p[1] for p in parts]) * self.curiosity
            if isinstance(goal, Boxes):
                score = score + log_ehvi(mean, deviation, goal)
            else:
                score = score + acquisition.log_ei(mean[:, 0], deviation[:, 0], goal)
        if self._prior_weight:
            score = score + self._prior_weight * self.domain.prior.log_density(points)
        return score

    def _log_feasible(self, features: Floats) -> Floats:
        """The log of the probability that all constraints are kept, shape (n,)."""
        from scipy.special import log_ndtr

        total = np.zeros(len(features))
        for output, border in self._constraints:
            mean, deviation = output.predict(features)
            total += log_ndtr((border - mean) / deviation)
        return total

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        from scipy.special import log_ndtr

        goal = self._goal(self.best if best is None else best)
        numbers, places = self.domain.numbers, self.domain.places
        features = self.domain.features(starts)
        inactive = np.isnan(starts[:, numbers])
        root_tau = 0.5 * math.log(2.0 * math.pi)

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            features[:, places] = np.where(inactive, 0.5, points[:, numbers])
            value, moved = np.zeros(len(points)), np.zeros((len(points), len(numbers)))
            if goal is not None:
                parts = [output.slopes(features, places) for output, _ in self._objectives]
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
            for output, border in self._constraints:
                m, s, by_mean, by_deviation = output.slopes(features, places)
                z = (border - m) / s
                log_phi = log_ndtr(z)
                value += log_phi
                ratio = np.exp(-0.5 * z * z - root_tau - log_phi) / s  # phi / (s Phi)
                moved -= ratio[:, None] * by_mean + (ratio * z)[:, None] * by_deviation
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
            for objective, (output, _), warp in zip(
                self._history.objectives, self._objectives, self._warps, strict=True
            ):
                mean, deviation = (float(a[0]) for a in output.predict(features))
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


def _warped(losses: Floats) -> tuple[Floats, OutputWarp]:
    """Warped losses, with something bad for failures (NaN); and the warp."""
    failed = np.isnan(losses)
    warp = OutputWarp.of(losses[~failed])
    z = np.zeros_like(losses)
    z[~failed] = warp(losses[~failed])
    return impute_failures(z, failed), warp


def _weighted(losses: Floats, rng: Generator) -> Floats:
    """The augmented Chebyshev function of the objectives with random weights, shape (n, 1)."""
    done = ~np.isnan(losses[:, 0])
    low, high = losses[done].min(axis=0), losses[done].max(axis=0)
    unit = (losses - low) / np.where(high > low, high - low, 1.0)
    weights = rng.dirichlet(np.ones(losses.shape[1]))
    scaled: Sequence[Floats] = weights * unit
    combined: Floats = np.max(scaled, axis=1) + AUGMENTED * np.sum(scaled, axis=1)
    return combined[:, None]
