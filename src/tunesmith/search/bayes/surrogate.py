"""The surrogate model of a study's objective: a Gaussian process over its trials."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.numeric.warp import OutputWarp, impute_failures
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.transfer import UNTIL
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]

#: The model sees at most this many trials: cost stays flat beyond.
MOST_POINTS: Final = 250
#: The model's hyperparameters are fitted again when there are this many times as many results.
REFIT_FACTOR: Final = 1.1
#: Finished trials needed for a model.
LEAST: Final = 3
#: Results are noisy if noise is more than this share of the variance.
NOISY: Final = 0.01


class Model:
    """The posterior of one history. Values are warped and minimised; `believe` is the only change."""

    def __init__(
        self,
        domain: Domain,
        rows: NDArray[np.int64],
        points: Floats,
        losses: Floats,
        theta: Floats,
        *,
        bend: bool = True,
    ) -> None:
        self.domain = domain
        #: The trials that the model sees, and their points, shape (n, d).
        self.rows = rows
        self.known = points
        z, self._warp = _targets(losses, bend)
        features, targets = _learned(domain, points, z)
        self._gp = gp.GP.condition(features, domain.owner, targets, theta)
        #: The predicted mean at each of them, shape (n,).
        self.at_known = self._gp.predict(features[: len(z)])[0]
        #: What is to be improved on.
        self.best = float(z.min())
        self.lengths = np.exp(theta[: domain.d])
        self.curiosity = 1.0
        #: How much the user's prior counts; 0 where there is none.
        self._prior_weight = domain.prior.weight(points, z) if domain.prior else 0.0
        self._sign = 1.0

    @classmethod
    def of(cls, domain: Domain, history: History, evidence: Evidence, curiosity: float) -> Model:
        """Fitted to what has ended, believing its own predictions for what runs."""
        points = history.points[evidence.rows]
        subset = representatives(points, evidence.losses, domain.choices, MOST_POINTS)
        theta = _fitted(domain, history, evidence)
        model = cls(domain, evidence.rows[subset], points[subset], evidence.losses[subset], theta)
        model.curiosity = curiosity
        model._sign = history.first_objective.sign
        model.believe(history.points[evidence.pending])
        return model

    @classmethod
    def likeliest(cls, domain: Domain, history: History, evidence: Evidence) -> Model:
        """Fitted to all that has ended, the bad tail compressed or not, whichever makes the results likelier.

        For what reports state of a study. `of` compresses whenever the tail is long, which is the safer way to search:
        the model of a smooth function suffers, but not the suggestions.
        """
        points = history.points[evidence.rows]
        subset = representatives(points, evidence.losses, domain.choices, MOST_POINTS)
        rows, points, losses = evidence.rows[subset], points[subset], evidence.losses[subset]
        fits: list[tuple[float, bool, Floats]] = []
        for bend in (True, False):
            z, warp = _targets(losses, bend)
            if not bend or warp.bent:
                features, targets = _learned(domain, points, z)
                theta, density = gp.fit(features, domain.owner, targets, domain.begin)
                fits.append((density + warp.log_slope(losses[np.isfinite(losses)]), bend, theta))
        _, bend, theta = max(fits, key=lambda f: f[0])
        model = cls(domain, rows, points, losses, theta, bend=bend)
        model._sign = history.first_objective.sign
        model.believe(history.points[evidence.pending])
        return model

    @property
    def noisy(self) -> bool:
        """Whether a config run again may well give another value."""
        return self._gp.noise > NOISY * self._gp.signal

    def likeness(self, study: int) -> float:
        """The correlation between this study's results and those of an earlier one (counted from 1), of equal configs."""
        point = self.known[:1]
        both = [self.domain.features(point, np.full(1, k, dtype=float)) for k in (0, study)]
        mine, theirs = (features * self._gp.weights for features in both)
        return float(gp.matern(gp.squared_distances(mine, theirs))[0, 0])

    def believe(self, points: Floats) -> None:
        """Take the predictions for `points`, which are running or about to, for results."""
        if len(points):
            features = self.domain.features(points)
            self.best = min(self.best, float(self._gp.predict(features)[0].min()))
            self._gp = self._gp.believe(features)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, shape (m,) each."""
        return self._gp.predict(self.domain.features(points))

    def sample(self, points: Floats, count: int, rng: Generator) -> Floats:
        """`count` functions drawn from the posterior, at `points`: shape (count, m)."""
        return self._gp.sample(self.domain.features(points), count, rng)

    def back(self, z: float) -> float:
        """A warped loss in the metric's units, to be minimised."""
        return self._warp.back(z)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise, in the metric's units."""
        return math.sqrt(self._gp.noise) * self._warp.unit

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """Log expected improvement on `best`, and the user's prior; shape (m,)."""
        mean, deviation = self.predict(points)
        best = self.best if best is None else best
        gain = acquisition.log_ei(mean, deviation * self.curiosity, best)
        if self._prior_weight:
            gain += self._prior_weight * self.domain.prior.log_density(points)
        return gain

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        best = self.best if best is None else best
        numbers, places = self.domain.numbers, self.domain.places
        features = self.domain.features(starts)
        inactive = np.isnan(starts[:, numbers])

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            features[:, places] = np.where(inactive, 0.5, points[:, numbers])
            mean, deviation, by_mean, by_deviation = self._gp.slopes(features, places)
            value, to_mean, to_deviation = acquisition.log_ei_slopes(
                mean, deviation * self.curiosity, best
            )
            gradient = np.zeros_like(points)
            gradient[:, numbers] = (
                to_mean[:, None] * by_mean + self.curiosity * to_deviation[:, None] * by_deviation
            )
            if self._prior_weight:
                value = value + self._prior_weight * self.domain.prior.log_density(points)
                gradient += self._prior_weight * self.domain.prior.slopes(points)
            return value, gradient

        return slopes

    def describe(self, point: Floats) -> str:
        """What is expected of a point, in the metric's own units."""
        mean, deviation = self.predict(point[None])
        m, s = float(mean[0]), float(deviation[0])
        gain = math.exp(min(float(acquisition.log_ei(mean, deviation, self.best)[0]), 700.0))
        low, high = self._warp.back(m - s), self._warp.back(m + s)
        return (
            f"expected improvement {gain * self._warp.unit:.3g}, "
            f"predicted {self._sign * self._warp.back(m):.4g} ± {(high - low) / 2:.2g}"
        )


def checkpoint(results: int) -> int:
    """The number of results that the hyperparameters are fitted to when there are `results`.

    A function of the history alone: whoever resumes a study fits to the same ones.
    """
    at = LEAST
    while (following := max(at + 1, math.ceil(at * REFIT_FACTOR))) <= results:
        at = following
    return at


def _fitted(domain: Domain, history: History, evidence: Evidence) -> Floats:
    """The hyperparameters, fitted to the first results up to the last checkpoint.

    Fitted again between checkpoints only where forecasts of trials that ended early have changed.
    """
    c = min(checkpoint(len(evidence.rows)), len(evidence.rows))
    rows, losses = evidence.rows[:c], evidence.losses[:c]
    if np.isfinite(losses).sum() < LEAST:
        rows, losses = evidence.rows, evidence.losses

    def make() -> Floats:
        points = history.points[rows]
        subset = representatives(points, losses, domain.choices, MOST_POINTS)
        z, _ = _targets(losses[subset])
        features, targets = _learned(domain, points[subset], z)
        return gp.fit(features, domain.owner, targets, domain.begin)[0]

    return domain.theta(rows, losses, make)


def _learned(domain: Domain, points: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Features and targets of this study's results, and of earlier ones' while it has few."""
    features, transfer = domain.features(points), domain.transfer
    if not transfer or len(z) > UNTIL:
        return features, z
    earlier = domain.features(transfer.points, transfer.study)
    return np.vstack([features, earlier]), np.concatenate([z, transfer.targets])


def _targets(losses: Floats, bend: bool = True) -> tuple[Floats, OutputWarp]:
    """Warped losses, with something bad for failures (NaN); and the warp."""
    failed = np.isnan(losses)
    warp = OutputWarp.of(losses[~failed], bend=bend)
    z = np.zeros_like(losses)
    z[~failed] = warp(losses[~failed])
    return impute_failures(z, failed), warp
