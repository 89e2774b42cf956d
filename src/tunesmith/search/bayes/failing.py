"""Where trials fail: for each reason, the probability that a trial fails for it, by a Gaussian process on labels.

A trial that ran has the label 0, one that failed for the reason 1; what failed for another reason tells nothing. The latent
function is taken for normal, and a point runs well with the probability that it lies under 1/2, noise included: least-squares
classification (Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, section 6.5). The score of a point is
multiplied by that probability, as with constraints, to a power that grows while one trial after the other fails: where much is
to be gained beyond the border, the search would else stay there. The models of the objectives do not see the failures at all:
what they would be told is no result. Failures that come by chance are noise to this model, and hardly move the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.trial import BLAMED, Kind, State
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.priced import Priced
from tunesmith.search.bayes.surrogate import MOST_POINTS, Model, Scores, checkpoint
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Failures for one reason from which it has a model; until then they count as bad results.
FEWEST: Final = 2
#: By how much more the probability counts for each of the last trials that failed one after the other, of at most so many.
CAUTION: Final = 2.0
LONGEST: Final = 5


class Reason(NamedTuple):
    """A reason to fail: the posterior of its labels, and the border between them."""

    kind: Kind
    process: gp.GP
    border: float

    def log_safe(self, features: Floats) -> Floats:
        """The log of the probability that a trial does not fail for it, shape (n,)."""
        mean, deviation = self.process.predict(features)
        return acquisition.log_below(mean, np.hypot(deviation, self._noise), self.border)

    def slopes(self, places: Ints) -> Callable[[Floats], tuple[Floats, Floats]]:
        """`log_safe`, and its gradient along the features at `places`, as a function of the features."""
        slopes_of = self.process.slopes(places)

        def slopes(features: Floats) -> tuple[Floats, Floats]:
            mean, deviation, by_mean, by_deviation = slopes_of(features)
            whole = np.hypot(deviation, self._noise)
            safe, to_mean, to_whole = acquisition.log_below_slopes(mean, whole, self.border)
            by_whole = (deviation / whole)[:, None] * by_deviation
            return safe, to_mean[:, None] * by_mean + to_whole[:, None] * by_whole

        return slopes

    @property
    def _noise(self) -> float:
        return math.sqrt(self.process.noise)


class Failing:
    """The reasons that have a model; `modelled` are the trials that failed for them, shape (n,); `weight` is the power of the
    probability not to fail."""

    def __init__(
        self, reasons: Sequence[Reason], modelled: NDArray[np.bool_], weight: float
    ) -> None:
        self.reasons = tuple(reasons)
        self.modelled = modelled
        self.weight = weight

    @classmethod
    def of(cls, domain: Domain, history: History) -> Failing | None:
        """None where too few have failed, or all. O(trials)."""
        blamed = np.where(history.where(State.FAILED), history.blamed, 0)
        counts = np.bincount(blamed, minlength=len(BLAMED) + 1)
        ran = history.where(State.COMPLETED, State.STOPPED, State.PAUSED)
        codes = [code for code in range(1, len(counts)) if counts[code] >= FEWEST]
        if not codes or not ran.any() or not domain.d:
            return None
        reasons = []
        for code in codes:
            rows = np.flatnonzero(ran | (blamed == code))
            labels = (blamed[rows] == code).astype(np.float64)
            reasons.append(_learned(domain, BLAMED[code - 1], history.points[rows], labels))
        modelled = np.isin(blamed, codes)
        ended = np.flatnonzero(ran | modelled)[::-1]
        streak = int(np.argmin(modelled[ended])) if ran.any() else 0
        return cls(reasons, modelled, 1.0 + CAUTION * min(streak, LONGEST))

    def rest(self, evidence: Evidence) -> Evidence:
        """The evidence without the failures that are modelled here."""
        keep = ~self.modelled[evidence.rows]
        rows, losses, deviations = evidence.rows, evidence.losses, evidence.deviations
        return Evidence(rows[keep], losses[keep], evidence.pending, deviations[keep])

    def log_safe(self, features: Floats) -> Floats:
        """The log of the probability that a trial does not fail, times `weight`, shape (n,)."""
        total = np.zeros(len(features))
        for reason in self.reasons:
            total += reason.log_safe(features)
        return self.weight * total


def _learned(domain: Domain, kind: Kind, points: Floats, labels: Floats) -> Reason:
    """Fitted to the labels up to the last checkpoint that has both, conditioned on all of them."""
    early = np.arange(checkpoint(len(labels)))
    if len(early) > len(labels) or labels[early].std() == 0.0:
        early = np.arange(len(labels))
    early, known = early[_some(labels[early])], _some(labels)
    scale, shift = float(labels[early].std()) or 1.0, float(labels[early].mean())
    theta = domain.fitted(f"fails: {kind}", points[early], (labels[early] - shift) / scale)
    features, targets = domain.features(points[known]), (labels[known] - shift) / scale
    process = gp.GP.condition(features, domain.owner, targets, theta)
    return Reason(kind, process, (0.5 - shift) / scale)


def _some(labels: Floats) -> Ints:
    """The places of at most `MOST_POINTS` labels: half of them 1, and of each the newest and an even selection."""
    if len(labels) <= MOST_POINTS:
        return np.arange(len(labels))
    places = []
    for label in (0.0, 1.0):
        mine = np.flatnonzero(labels == label)
        most = max(MOST_POINTS // 2, MOST_POINTS - int((labels != label).sum()))
        if len(mine) > most:
            older = mine[: len(mine) - most // 2]
            even = np.linspace(0, len(older) - 1, most - most // 2).astype(np.int64)
            mine = np.concatenate([older[even], mine[-(most // 2) :]])
        places.append(mine)
    return np.sort(np.concatenate(places))


class Risky:
    """A surrogate, and how likely a trial is to fail."""

    steep: ClassVar[bool] = True

    def __init__(self, model: Model | Joint | Priced, failing: Failing) -> None:
        self._model = model
        self._failing = failing
        self.domain = model.domain
        self.known, self.at_known, self.lengths = model.known, model.at_known, model.lengths

    @property
    def best(self) -> float:
        return self._model.best

    def believe(self, points: Floats) -> None:
        self._model.believe(points)

    def hope(self, points: Floats, deviations: float) -> Floats:
        return self._model.hope(points, deviations) - self._log_safe(points)

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """The model's score, and the log of the probability that the trial does not fail; shape (n,)."""
        return self._model.score(points, best) + self._log_safe(points)

    def watch(self, points: Floats) -> Scores:
        """The score of these points, whatever is believed later."""
        scores, safe = self._model.watch(points), self._log_safe(points)
        return lambda best=None: scores(best) + safe

    def _log_safe(self, points: Floats) -> Floats:
        return self._failing.log_safe(self.domain.features(points))

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        inner = self._model.slopes(starts, best)
        numbers, places = self.domain.numbers, self.domain.places
        features_of = self.domain.moving(starts)
        reasons_of = [reason.slopes(places) for reason in self._failing.reasons]

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            value, gradient = inner(points)
            gradient, features = np.array(gradient), features_of(points)
            for safe_of in reasons_of:
                safe, moved = safe_of(features)
                value = value + self._failing.weight * safe
                gradient[:, numbers] += self._failing.weight * moved
            return value, gradient

        return slopes

    def describe(self, point: Floats) -> str:
        """What is expected of a point, and by which reasons it may fail."""
        features = self.domain.features(point[None])
        risks = [
            f"{reason.kind} {100 * -math.expm1(float(reason.log_safe(features)[0])):.0f} %"
            for reason in self._failing.reasons
        ]
        return f"{self._model.describe(point)}; may fail: {', '.join(risks)}"
