"""The surrogate model of a study's objective: a Gaussian process over its trials."""

from __future__ import annotations

import math
from typing import ClassVar, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.numeric.rough import DRAWN, Mixture, plausible
from tunesmith.numeric.warp import OutputWarp
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.transfer import UNTIL, Lessons
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]

#: The model sees at most this many trials: cost stays flat beyond.
MOST_POINTS: Final = 250
#: ... and believes at most this many that run: with a thousand, each suggestion would cost 130 ms instead of 25.
MOST_PENDING: Final = 250
#: ... and its hyperparameters are fitted to at most this many of them.
MOST_FITTED: Final = 128
#: The model's hyperparameters are fitted again when there are this many times as many results.
REFIT_FACTOR: Final = 1.1
#: Finished trials needed for a model.
LEAST: Final = 3
#: ... and for one that is asked what is true, not where to try: fewer tell nothing of a place between them.
TELLING: Final = 10
#: The range of a few points counts as at least this share of the parameter's.
NARROWEST: Final = 0.02
#: Results are noisy if noise is more than this share of the variance.
NOISY: Final = 0.01
#: What is more than this share may be roughness as well, near the best.
ROUGH: Final = 0.05


#: How losses are warped: the bad tail compressed, not at all, or by their logs.
Shape: TypeAlias = Literal["bent", "linear", "log"]


def needed(d: int) -> int:
    """How many results in `d` parameters a model is made of where it is asked what is true."""
    return max(TELLING, d + 2)


class Scores(Protocol):
    """The score of fixed points, shape (n,), by a surrogate as it is now; `best` as in its `score`."""

    def __call__(self, best: float | None = None) -> Floats: ...


class Model:
    """The posterior of one history. Values are warped and minimised; `believe` is the only change."""

    #: Whether the score falls steeply in places, as logs of small probabilities do: see `numeric.ascent.climb`.
    steep: ClassVar[bool] = False

    def __init__(
        self,
        domain: Domain,
        rows: NDArray[np.int64],
        points: Floats,
        losses: Floats,
        deviations: Floats,
        theta: Floats,
        *,
        shape: Shape = "bent",
        alone: bool = False,
        results: int = 0,
    ) -> None:
        self.domain = domain
        #: The trials that the model sees, and their points, shape (n, d).
        self.rows = rows
        self.known = points
        self.losses, self.deviations = losses, deviations
        self._data, self._warp = learned(domain, points, losses, deviations, shape, alone)
        features, targets, extra = self._data
        self._gp = gp.GP.condition(features, domain.owner, targets, theta, extra)
        #: The predicted mean at each of them, shape (n,).
        self.at_known = self._gp.fitted[: len(points)]
        #: What is to be improved on: the best that has ended, since a forecast is none that anybody has.
        z, ended = targets[: len(points)], (deviations == 0.0) & ~np.isnan(losses)
        self.best = float(z[ended].min() if ended.any() else self.at_known.min())
        #: The known point that is taken for the best: with noise, that of the lowest mean.
        among = z if ended.any() and not self.noisy else self.at_known
        self.incumbent = int(np.argmin(np.where(ended, among, np.inf) if ended.any() else among))
        self.lengths = np.exp(theta[: domain.d])
        self.curiosity = 1.0
        #: How much the user's prior counts; 0 where there is none.
        self._prior_weight = (
            domain.prior.weight(points, z, max(results, len(z))) if domain.prior else 0.0
        )
        self._sign = 1.0

    @classmethod
    def of(cls, domain: Domain, history: History, evidence: Evidence, curiosity: float) -> Model:
        """Fitted to what has ended, believing its own predictions for what runs."""
        points = history.points[evidence.rows]
        subset = representatives(points, evidence.losses, domain.choices, MOST_POINTS)
        theta = _fitted(domain, history, evidence)
        model = cls(
            domain,
            evidence.rows[subset],
            points[subset],
            evidence.losses[subset],
            evidence.deviations[subset],
            theta,
            results=len(evidence.rows),
        )
        model.curiosity = curiosity
        model._sign = history.first_objective.sign
        model.believe(model.tempting(history.points[evidence.pending]))
        return model

    def tempting(self, points: Floats) -> Floats:
        """Of the points that run, those where the model would try again first: what is known of the others changes
        little. In their order."""
        if len(points) <= MOST_PENDING:
            return points
        most = np.argpartition(-self.score(points), MOST_PENDING)[:MOST_PENDING]
        return points[np.sort(most)]

    def near(self, count: int, steps: int) -> Model | None:
        """Of the `count` known points nearest to the best, as if there were no others; None where hardly any has a
        result.

        Its hyperparameters are its own, fitted to what was near at the last checkpoint; their prior takes the range of
        those points for the range of the parameters. Where much would be noise, results are taken at their word instead:
        on a rough function they tell more so, and with noise it does no harm (docs/decisions/0036).
        """
        domain = self.domain
        rows = self._around(self.incumbent, np.arange(len(self.known)), count)
        if np.isfinite(self.losses[rows]).sum() < LEAST:
            return None
        c = checkpoint(len(self.known))
        first = np.arange(len(self.known)) if c < LEAST else np.arange(c)
        best = int(
            first[np.argmin(np.where(np.isnan(self.losses[first]), np.inf, self.losses[first]))]
        )
        then = self._around(best, first, count)
        data = (self.rows[then], self.losses[then], self.deviations[then])

        def make() -> Floats:
            points = self.known[then]
            (features, targets, extra), _ = learned(domain, points, *data[1:], alone=True)
            begin, numbers = domain.begin, domain.numbers
            span = math.sqrt(12.0) * np.nan_to_num(points[:, numbers], nan=0.5).std(axis=0)
            begin[numbers] += np.log(np.clip(span, NARROWEST, 1.0))
            fitted = gp.fit(features, domain.owner, targets, begin, extra, steps=steps)[0]
            if fitted[-1] - fitted[-2] <= math.log(ROUGH):
                return fitted
            return gp.fit(
                features, domain.owner, targets, begin, extra, steps=steps, prior=gp.LITERAL
            )[0]

        theta = domain.theta("near", data, make)
        near = Model(
            domain,
            self.rows[rows],
            self.known[rows],
            self.losses[rows],
            self.deviations[rows],
            theta,
            alone=True,
        )
        near._sign = self._sign
        return near

    def _around(self, row: int, among: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The `count` known points nearest to that of `row` by the model's lengths, in order."""
        domain = self.domain
        apart = domain.features(self.known[among]) - domain.features(self.known[[row]])
        apart *= self._gp.weights
        distance = np.einsum("ij,ij->i", apart, apart)
        return np.sort(among[np.argsort(distance, kind="stable")[:count]])

    @classmethod
    def likeliest(cls, domain: Domain, history: History, evidence: Evidence) -> Model:
        """Fitted to all that has ended, the bad tail compressed or not, or to the logs of losses that are all positive,
        whichever makes the results likelier.

        For what reports state of a study. `of` compresses whenever the tail is long, which is the safer way to search:
        the model of a smooth function suffers, but not the suggestions.
        """
        model = cls.likeliest_of(
            domain,
            evidence.rows,
            history.points[evidence.rows],
            evidence.losses,
            evidence.deviations,
        )
        model._sign = history.first_objective.sign  # noqa: SLF001 (a model of ours)
        model.believe(history.points[evidence.pending])
        return model

    @classmethod
    def likeliest_of(
        cls,
        domain: Domain,
        rows: NDArray[np.int64],
        points: Floats,
        losses: Floats,
        deviations: Floats,
        *,
        alone: bool = False,
    ) -> Model:
        """See `likeliest`; nothing pends. `alone`: earlier studies teach nothing."""
        subset = representatives(points, losses, domain.choices, MOST_POINTS)
        rows, points, losses = rows[subset], points[subset], losses[subset]
        deviations = deviations[subset]
        results = losses[np.isfinite(losses)]
        shapes: list[Shape] = ["bent", "linear"]
        if results.min() > 0.0:
            shapes.append("log")
        fits: list[tuple[float, Shape, Floats]] = []
        for shape in shapes:
            data, warp = learned(domain, points, losses, deviations, shape, alone)
            if shape != "bent" or warp.bent:
                features, targets, extra = data
                theta, density = gp.fit(features, domain.owner, targets, domain.begin, extra)
                fits.append((density + warp.log_slope(results), shape, theta))
        _, shape, theta = max(fits, key=lambda f: f[0])
        return cls(domain, rows, points, losses, deviations, theta, shape=shape, alone=alone)

    @property
    def noisy(self) -> bool:
        """Whether a config run again may well give another value."""
        return is_noisy(self._gp)

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
            self._gp, means = self._gp.believe(features)
            self.best = min(self.best, float(means.min()))

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, shape (m,) each."""
        return self._gp.predict(self.domain.features(points))

    def hope(self, points: Floats, deviations: float) -> Floats:
        """How low a value may be hoped for: so many deviations below the mean, shape (m,)."""
        mean, deviation = self.predict(points)
        return mean - deviations * deviation

    def sample(self, points: Floats, count: int, rng: Generator) -> Floats:
        """`count` functions drawn from the posterior, at `points`: shape (count, m)."""
        return self._gp.sample(self.domain.features(points), count, rng)

    def mixture(self, rng: Generator) -> Mixture:
        """The posterior of the function, over what is plausible of hyperparameters, noise and roughness: slower than
        `sample`, and as wide as it should be. It believes nothing of what runs."""
        (features, targets, extra), domain = self._data, self.domain
        begin, owner = domain.begin, domain.owner
        thetas = plausible(features, owner, targets, self._gp.theta, begin, extra, DRAWN, rng)
        return Mixture.of(features, owner, targets, thetas, extra)

    def back(self, z: float) -> float:
        """A warped loss in the metric's units, to be minimised."""
        return self._warp.back(z)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise, in the metric's units, near the best; what is rough counts as noise."""
        return self.worth(math.sqrt(self._gp.noise))

    def worth(self, deviation: float) -> float:
        """A small difference of warped losses near the best, in the metric's units."""
        best = float(self.at_known.min())
        return (self._warp.back(best + deviation) - self._warp.back(best - deviation)) / 2.0

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """Log expected improvement on `best`, and the user's prior; shape (m,)."""
        return self._worth(*self.predict(points), best) + self._liked(points)

    def watch(self, points: Floats) -> Scores:
        """The score of these points, whatever is believed later."""
        watch, liked = gp.Watch(self._gp, self.domain.features(points)), self._liked(points)
        return lambda best=None: self._worth(*watch.follow(self._gp), best) + liked

    def _worth(self, mean: Floats, deviation: Floats, best: float | None) -> Floats:
        goal = self.best if best is None else best
        return acquisition.log_ei(mean, deviation * self.curiosity, goal)

    def _liked(self, points: Floats) -> Floats | float:
        """What the user's prior adds to the score."""
        weight = self._prior_weight
        return weight * self.domain.prior.log_density(points) if weight else 0.0

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        best = self.best if best is None else best
        numbers, places = self.domain.numbers, self.domain.places
        features_of, slopes_of = self.domain.moving(starts), self._gp.slopes(places)

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            mean, deviation, by_mean, by_deviation = slopes_of(features_of(points))
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


def is_noisy(process: gp.GP) -> bool:
    """Whether a config run again may well give another value."""
    return process.noise > NOISY * process.signal


def predicted_by(domain: Domain, study: int, points: Floats) -> Floats:
    """What a model of one earlier study alone (counted from 1) predicts at `points`, standardised: shape (m,)."""
    transfer = domain.transfer.of(0)
    rows = transfer.study == study
    if rows.sum() < LEAST:
        return np.zeros(len(points))
    features = domain.features(transfer.points[rows])
    theta, _ = gp.fit(features, domain.owner, transfer.targets[rows], domain.begin)
    model = gp.GP.condition(features, domain.owner, transfer.targets[rows], theta)
    return model.predict(domain.features(points))[0]


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
    rows, losses, deviations = evidence.rows[:c], evidence.losses[:c], evidence.deviations[:c]
    if np.isfinite(losses).sum() < LEAST:
        rows, losses, deviations = evidence.rows, evidence.losses, evidence.deviations

    def make() -> Floats:
        points = history.points[rows]
        subset = representatives(points, losses, domain.choices, MOST_FITTED)
        data, _ = learned(domain, points[subset], losses[subset], deviations[subset])
        features, targets, extra = data
        return gp.fit(features, domain.owner, targets, domain.begin, extra)[0]

    return domain.theta("whole", (rows, losses, deviations), make)


def learned(
    domain: Domain,
    points: Floats,
    losses: Floats,
    deviations: Floats,
    shape: Shape = "bent",
    alone: bool = False,
    lessons: Lessons | None = None,
) -> tuple[tuple[Floats, Floats, Floats], OutputWarp]:
    """Features, targets and their known variances, of this study's results and of earlier ones' while it has few;
    and the warp of this study's losses. Failures (NaN) have something bad for a target. `lessons` are those of the first
    objective, unless they are given."""
    failed = np.isnan(losses)
    results, features = losses[~failed], domain.features(points)
    earlier = bool(domain.transfer) and len(losses) <= UNTIL and not alone
    lessons = domain.transfer.of(0) if lessons is None else lessons
    together = earlier and lessons.alike(points[~failed], results)
    among = np.concatenate([results, lessons.losses]) if together else results
    log = shape == "log"
    warp = OutputWarp.log(among) if log else OutputWarp.of(among, bend=shape == "bent")
    z, extra = warp.targets(losses), np.zeros_like(losses)
    extra[~failed] = np.square(warp.deviations(results, deviations[~failed]))
    if not earlier:
        return (features, z, extra), warp
    targets = warp(lessons.losses) if together else lessons.targets
    features = np.vstack([features, domain.features(lessons.points, lessons.study)])
    return (features, np.concatenate([z, targets]), np.append(extra, np.zeros(len(targets)))), warp
