"""What the model of a study's results predicts anywhere in the space, and how sure it is: for figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.rng import stream
from tunesmith.core.space.points import Points
from tunesmith.core.trial import State
from tunesmith.numeric.rough import Mixture
from tunesmith.numeric.threads import one_thread
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.surrogate import Model, needed

Floats = NDArray[np.float64]

#: Places that are worked out together.
TOGETHER: Final = 64
#: The band holds the function with this probability.
COVERED: Final = 0.9


class Band(NamedTuple):
    """The middle of what is predicted, and from where to where with a probability of 90 %, each of shape (m,), in the
    metric's own units."""

    middle: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Results:
    """What a model of one objective is made of, apart from the history that it is from: that may go on meanwhile."""

    domain: Domain
    rows: NDArray[np.int64]
    points: Floats
    losses: Floats
    sign: float
    seed: int
    objective: int

    @classmethod
    def of(cls, history: History, objective: int = 0) -> Results | None:
        """The completed trials; None where they are too few, all equal, or there is nothing tuned."""
        losses = history.losses[:, objective]
        rows = np.flatnonzero(history.where(State.COMPLETED) & np.isfinite(losses) & history.usable)
        losses = losses[rows]
        if len(rows) < needed(len(history.space)) or not len(history.space):
            return None
        if float(np.ptp(losses)) == 0.0:
            return None
        domain = Domain(
            history.space,
            history.seed,
            history.past,
            history.earlier_versions(),
            len(history.objectives),
        )
        sign = history.objectives[objective].sign
        return cls(domain, rows, history.points[rows].copy(), losses, sign, history.seed, objective)

    def fit(self) -> Landscape:
        """Some 0.2 to 2 s of computing."""
        with one_thread(), np.errstate(all="ignore"):
            model = Model.likeliest_of(
                self.domain, self.rows, self.points, self.losses, np.zeros(len(self.losses)),
                alone=self.objective > 0,
            )  # fmt: skip
            rng = stream(self.seed, len(self.rows), "landscape")
            return Landscape(self, model, model.mixture(rng))


@dataclass(frozen=True)
class Landscape:
    """A fitted model. Immutable, for several threads."""

    results: Results
    model: Model
    mixture: Mixture

    @property
    def space(self) -> Points:
        return self.results.domain.points

    def predict(self, points: Floats) -> Band:
        """At snapped points, shape (m, d): the average over runs, over plausible hyperparameters, noise and roughness."""
        made = np.empty((3, len(points)))
        with one_thread(), np.errstate(all="ignore"):
            for k in range(0, len(points), TOGETHER):
                features = self.results.domain.features(points[k : k + TOGETHER])
                made[:, k : k + TOGETHER] = self.mixture.band(features, COVERED)
        back = np.vectorize(self.model.back, otypes=[float])
        middle, low, high = self.results.sign * back(made)
        return Band(middle, np.minimum(low, high), np.maximum(low, high))
