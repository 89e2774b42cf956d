"""Where trials fail: a Gaussian process on labels for each reason, where reasons depend on the config.

A trial that ends in time, or in memory, has the label 0, one that does not has 1; what failed for another reason tells
nothing. The latent function is taken for normal, and a point runs well with the probability that it lies under 1/2, noise
included: least-squares classification (Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, section 6.5).
A reason has a model only if that predicts the failures better, each left out, than their share alone does; failures that
come by chance must not move the search.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.trial import BLAMED, Kind, State
from tunesmith.numeric import acquisition, gp
from tunesmith.numeric.ascent import Slopes
from tunesmith.numeric.candidates import representatives
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.priced import Priced
from tunesmith.search.bayes.surrogate import MOST_POINTS, Model, checkpoint
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]
V = os.environ.get("FAILV", "A")
POWER = float(os.environ.get("POWER", "1"))
#: Failures of one reason from which it has a model.
FEWEST: Final = int(os.environ.get("FEWEST", "2"))
#: By how much a model has to predict better than the share of failures does, in nats.
MARGIN: Final = float(os.environ.get("MARGIN", "0.5"))


@dataclass
class Failing:
    """The reasons that depend on the config: `kinds`, and the posterior of each and its border."""

    domain: Domain
    kinds: list[Kind]
    processes: list[gp.GP]
    borders: list[float]
    explained: NDArray[np.bool_]

    @classmethod
    def of(cls, domain: Domain, history: History) -> Failing | None:
        """None where nothing fails for a reason that depends on the config."""
        blamed = history.blamed
        counts = np.bincount(blamed[history.usable], minlength=len(BLAMED) + 1)[1:]
        if V == "A" or not (counts >= FEWEST).any() or not domain.d:
            return None
        ran = history.where(State.COMPLETED, State.STOPPED, State.PAUSED)
        failed = history.where(State.FAILED) & (blamed > 0)
        if V == "C" and failed.sum() < 0.2 * (failed.sum() + ran.sum()):
            return None
        out = cls(domain, [], [], [], np.zeros(len(history), dtype=np.bool_))
        for code in (1 + np.flatnonzero(counts >= FEWEST)).tolist():
            mine = failed & (blamed == code)
            rows = np.flatnonzero(ran | mine)
            labels = mine[rows].astype(np.float64)
            if not 0.0 < labels.mean() < 1.0:
                continue
            out._learn(BLAMED[code - 1], code, history.points[rows], labels, mine)
        return out if out.kinds or out.explained.any() else None

    def _learn(
        self, kind: Kind, code: int, points: Floats, labels: Floats, mine: NDArray[np.bool_]
    ) -> None:
        domain = self.domain
        subset = representatives(points, labels, domain.choices, MOST_POINTS)
        early = np.arange(min(checkpoint(len(labels)), len(labels)))
        if labels[early].std() == 0.0:
            early = np.arange(len(labels))
        learned = early[representatives(points[early], labels[early], domain.choices, MOST_POINTS)]
        scale, shift = float(labels[learned].std()) or 1.0, float(labels[learned].mean())
        theta = domain.fitted(f"fails {kind}", points[learned], (labels[learned] - shift) / scale)
        z = (labels[subset] - shift) / scale
        process = gp.GP.condition(domain.features(points[subset]), domain.owner, z, theta)
        border = (0.5 - shift) / scale
        if _gain(process, z, border) < MARGIN:
            if "D" in V and mine.sum() >= 4:
                self.explained |= mine
            return
        self.kinds.append(kind)
        self.processes.append(process)
        self.borders.append(border)
        self.explained |= mine

    def rest(self, evidence: Evidence) -> Evidence:
        """Without the failures that are known here."""
        out = self.explained[evidence.rows]
        return Evidence(
            evidence.rows[~out],
            evidence.losses[~out],
            evidence.pending,
            evidence.deviations[~out],
        )

    def log_safe(self, features: Floats) -> Floats:
        """The log of the probability that a trial runs well, shape (n,)."""
        total = np.zeros(len(features))
        for process, border in zip(self.processes, self.borders, strict=True):
            mean, deviation = process.predict(features)
            total += POWER * acquisition.log_below(
                mean, np.sqrt(deviation**2 + process.noise), border
            )
        return total


def _gain(process: gp.GP, z: Floats, border: float) -> float:
    """By how much the labels are likelier as they are predicted, each left out (Rasmussen & Williams, eq. 5.12), than by
    the share of the others, in nats."""
    from scipy.linalg.lapack import dpotri
    from scipy.special import log_ndtr

    n = len(z)
    inverse = dpotri(process.lower[:n, :n], lower=1)[0].diagonal()
    mean = z - process.alpha[:n] / inverse
    bad = z > border
    side = np.where(bad, -1.0, 1.0)
    predicted = log_ndtr(side * (border - mean) * np.sqrt(inverse))
    same = np.where(bad, bad.sum(), n - bad.sum())
    return float(predicted.sum() - np.log((same - 0.5) / n).sum())


class Risky:
    """A surrogate, and the probability that a trial fails."""

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

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        return self._model.predict(points)

    def hope(self, points: Floats, deviations: float) -> Floats:
        safe = self._failing.log_safe(self.domain.features(points))
        return self._model.hope(points, deviations) - safe

    def score(self, points: Floats, best: float | None = None) -> Floats:
        """The model's score, and the log of the probability that the trial runs well; shape (n,)."""
        safe = self._failing.log_safe(self.domain.features(points))
        return self._model.score(points, best) + safe

    def slopes(self, starts: Floats, best: float | None = None) -> Slopes:
        """The score and its gradient, for points whose choices and activity are those of `starts`."""
        inner = self._model.slopes(starts, best)
        numbers, places = self.domain.numbers, self.domain.places
        features_of = self.domain.moving(starts)
        failing = self._failing

        def slopes(points: Floats) -> tuple[Floats, Floats]:
            value, gradient = inner(points)
            gradient = np.array(gradient)
            features = features_of(points)
            for process, border in zip(failing.processes, failing.borders, strict=True):
                mean, deviation, by_mean, by_deviation = process.slopes(features, places)
                whole = np.sqrt(deviation**2 + process.noise)
                kept, to_mean, to_whole = acquisition.log_below_slopes(mean, whole, border)
                value = value + POWER * kept
                to_mean, to_whole = POWER * to_mean, POWER * to_whole
                gradient[:, numbers] += to_mean[:, None] * by_mean
                gradient[:, numbers] += (to_whole * deviation / whole)[:, None] * by_deviation
            return value, gradient

        return slopes

    def describe(self, point: Floats) -> str:
        failing = self._failing
        features = self.domain.features(point[None])
        parts = []
        for kind, process, border in zip(
            failing.kinds, failing.processes, failing.borders, strict=True
        ):
            mean, deviation = process.predict(features)
            safe = float(
                np.exp(
                    acquisition.log_below(mean, np.sqrt(deviation**2 + process.noise), border)[0]
                )
            )
            parts.append(f"{kind} {100 * (1 - safe):.0f} %")
        return f"{self._model.describe(point)}; fails with a probability of: {', '.join(parts)}"
