"""What is known of a study's objective: a Gaussian process over its trials."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.trial import State
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.numeric.warp import OutputWarp, impute_failures
from tunesmith.search.bayes.domain import Ground
from tunesmith.search.bayes.transfer import UNTIL
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]

#: The model sees at most this many trials: cost stays flat beyond.
MOST_POINTS: Final = 250
#: The model's hyperparameters are fitted again when there are this many times as many results.
GROWTH: Final = 1.1
#: Finished trials needed for a model.
LEAST: Final = 3
#: Results are noisy if noise is more than this share of the variance.
NOISY: Final = 0.01


class Model:
    """The posterior of one history. Values are warped and minimised; `believe` is the only change."""

    def __init__(
        self,
        ground: Ground,
        rows: NDArray[np.int64],
        points: Floats,
        losses: Floats,
        theta: Floats,
        *,
        bend: bool = True,
    ) -> None:
        self.ground = ground
        #: The trials that the model sees, and their points, shape (n, d).
        self.rows = rows
        self.known = points
        z, self._warp = _targets(losses, bend)
        features, targets = _learned(ground, points, z)
        self._gp = gp.GP.condition(features, ground.owner, targets, theta)
        #: The predicted mean at each of them, shape (n,).
        self.at_known = self._gp.predict(features[: len(z)])[0]
        #: What is to be improved on.
        self.best = float(z.min())
        self.lengths = np.exp(theta[: ground.d])
        self.curiosity = 1.0
        #: How much the user's belief counts; 0 where there is none.
        self._belief = ground.prior.weight(points, z) if ground.prior else 0.0
        self._sign = 1.0

    @classmethod
    def of(cls, ground: Ground, history: History, evidence: Evidence, curiosity: float) -> Model:
        """Fitted to what has ended, believing its own predictions for what runs."""
        points = history.points[evidence.rows]
        kept = representatives(points, evidence.losses, ground.choices, MOST_POINTS)
        theta = _fitted(ground, history, evidence)
        model = cls(ground, evidence.rows[kept], points[kept], evidence.losses[kept], theta)
        model.curiosity = curiosity
        model._sign = history.objectives[0].sign
        model.believe(history.points[evidence.pending])
        return model

    @classmethod
    def likeliest(cls, ground: Ground, history: History, evidence: Evidence) -> Model:
        """Fitted to all that has ended, the bad tail compressed or not, whichever makes the results likelier.

        For what is said of a study. `of` compresses whenever the tail is long, which is the safer way to search:
        the model of a smooth function suffers, but not the suggestions.
        """
        points = history.points[evidence.rows]
        kept = representatives(points, evidence.losses, ground.choices, MOST_POINTS)
        rows, points, losses = evidence.rows[kept], points[kept], evidence.losses[kept]
        found: list[tuple[float, bool, Floats]] = []
        for bend in (True, False):
            z, warp = _targets(losses, bend)
            if not bend or warp.bent:
                features, targets = _learned(ground, points, z)
                theta, density = gp.fit(features, ground.owner, targets, ground.begin)
                found.append((density + warp.log_slope(losses[np.isfinite(losses)]), bend, theta))
        _, bend, theta = max(found, key=lambda f: f[0])
        model = cls(ground, rows, points, losses, theta, bend=bend)
        model._sign = history.objectives[0].sign
        model.believe(history.points[evidence.pending])
        return model

    @property
    def noisy(self) -> bool:
        """Whether a config run again may well give another value."""
        return self._gp.noise > NOISY * self._gp.signal

    def believe(self, points: Floats) -> None:
        """Take the predictions for `points`, which are running or about to, for results."""
        if len(points):
            features = self.ground.features(points)
            self.best = min(self.best, float(self._gp.predict(features)[0].min()))
            self._gp = self._gp.believe(features)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, shape (m,) each."""
        return self._gp.predict(self.ground.features(points))

    def sample(self, points: Floats, count: int, rng: Generator) -> Floats:
        """`count` functions drawn from the posterior, at `points`: shape (count, m)."""
        return self._gp.sample(self.ground.features(points), count, rng)

    def back(self, z: float) -> float:
        """A warped loss in the metric's units, to be minimised."""
        return self._warp.back(z)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise, in the metric's units."""
        return math.sqrt(self._gp.noise) * self._warp.unit

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """Log expected improvement on `best`, and the user's belief; shape (m,)."""
        mean, deviation = self.predict(points)
        best = self.best if best is None else best
        gain = acquisition.log_ei(mean, deviation * self.curiosity, best)
        if self._belief:
            gain += self._belief * self.ground.prior.log_density(points)
        return gain

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        best = self.best if best is None else best
        numbers, places = self.ground.numbers, self.ground.places
        features = self.ground.features(starts)
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
            if self._belief:
                value = value + self._belief * self.ground.prior.log_density(points)
                gradient += self._belief * self.ground.prior.slopes(points)
            return value, gradient

        return slopes

    def recommend(self, history: History) -> int | None:
        """The completed trial with the best predicted mean."""
        completed = history.where(State.COMPLETED)[self.rows]
        if not completed.any():
            return None
        return int(self.rows[np.argmin(np.where(completed, self.at_known, np.inf))])

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
    while (following := max(at + 1, math.ceil(at * GROWTH))) <= results:
        at = following
    return at


def _fitted(ground: Ground, history: History, evidence: Evidence) -> Floats:
    """The hyperparameters, fitted to the first results up to the last checkpoint.

    Fitted again between checkpoints only where forecasts of trials that ended early have changed.
    """
    c = min(checkpoint(len(evidence.rows)), len(evidence.rows))
    rows, losses = evidence.rows[:c], evidence.losses[:c]
    if np.isfinite(losses).sum() < LEAST:
        rows, losses = evidence.rows, evidence.losses

    def make() -> Floats:
        points = history.points[rows]
        kept = representatives(points, losses, ground.choices, MOST_POINTS)
        z, _ = _targets(losses[kept])
        features, targets = _learned(ground, points[kept], z)
        return gp.fit(features, ground.owner, targets, ground.begin)[0]

    return ground.theta(rows, losses, make)


def _learned(ground: Ground, points: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Features and targets of this study's results, and of earlier ones' while it has few."""
    features, lessons = ground.features(points), ground.lessons
    if not lessons or len(z) > UNTIL:
        return features, z
    earlier = ground.features(lessons.points, lessons.study)
    return np.vstack([features, earlier]), np.concatenate([z, lessons.targets])


def _targets(losses: Floats, bend: bool = True) -> tuple[Floats, OutputWarp]:
    """Warped losses, with something bad for failures (NaN); and the warp."""
    failed = np.isnan(losses)
    warp = OutputWarp.of(losses[~failed], bend=bend)
    z = np.zeros_like(losses)
    z[~failed] = warp(losses[~failed])
    return impute_failures(z, failed), warp
