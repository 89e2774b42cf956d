"""What is still to gain: how much better more trials would get, by the model of those that are there."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.strategy import Outlook
from tunesmith.numeric.candidates import mutants
from tunesmith.numeric.design import latin
from tunesmith.search.bayes.ground import SPREAD, Ground
from tunesmith.search.bayes.model import Model

Floats = NDArray[np.float64]

#: Functions that are drawn from the model, and where: this many near the best, beside those all over.
SAMPLES: Final = 256
NEAR: Final = 192
PARENTS: Final = 5


def outlook(ground: Ground, model: Model, n: int, rng: Generator) -> Outlook:
    """What `n` more trials would gain.

    Functions are drawn from the posterior. Where the first `n` of them are lowest, trials would go (Thompson
    sampling); by how much the lowest of these places is below the best one known, on the other functions, is
    the gain. The bound is that of Makarova et al., "Automatic termination for hyperparameter optimization"
    (AutoML 2022), eq. 3: the lowest upper confidence bound of what was tried less the lowest lower one anywhere,
    one deviation each. Both in the metric's units.
    """
    known = model.known
    best = int(np.argmin(model.at_known))
    top = known[np.argsort(model.at_known)[:PARENTS]]
    near = mutants(top, NEAR, ground.least, ground.choices, rng)
    # no Sobol sequence: it would load scipy.stats, which is 0.4 s of a report
    spread = latin(SPREAD, ground.d, rng)
    points = ground.points.snap(np.vstack([spread, near]))
    points = np.vstack([known[best : best + 1], points[ground.points.satisfies(points)]])
    drawn = model.sample(points, n + SAMPLES, rng)
    places = np.unique(drawn[:n].argmin(axis=1))
    here, there = drawn[n:, 0], drawn[n:, places].min(axis=1)
    gains = np.array(
        [model.back(a) - model.back(min(a, b)) for a, b in zip(here, there, strict=True)]
    )
    mean, deviation = model.predict(points)
    tried_mean, tried_deviation = model.predict(known)
    upper = float((tried_mean + tried_deviation).min())
    lower = min(float((mean - deviation).min()), upper)
    bound = model.back(upper) - model.back(lower)
    gains = np.minimum(
        gains, bound
    )  # where nearly all is known, rounding is more than what is to gain
    return Outlook(n, float(gains.mean()), float(gains.std()), bound, model.noise)
