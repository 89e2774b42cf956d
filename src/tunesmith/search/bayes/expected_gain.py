"""The expected gain of more trials and an upper bound on it, by the Gaussian process over those that are there."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.strategy import Outlook
from tunesmith.numeric.candidates import mutants
from tunesmith.numeric.design import latin
from tunesmith.search.bayes.domain import SPREAD, Domain
from tunesmith.search.bayes.surrogate import Model

Floats = NDArray[np.float64]

#: Functions that are drawn from the model, and where: this many near the best, beside those all over.
SAMPLES: Final = 256
NEAR: Final = 192
PARENTS: Final = 5

#: Words in the names of metrics that end at 1 (or 100), and of those that end at 0.
SHARES: Final = frozenset(
    ("accuracy", "acc", "auc", "auroc", "f1", "precision", "recall", "iou", "dice", "r2")
)
ERRORS: Final = frozenset(("error", "err", "rmse", "mse", "mae", "mape", "logloss", "brier"))


def room(history: History) -> float:
    """How much better the first objective could get, going by what its name means; inf where it does not tell."""
    best = history.best
    if best is None:
        return np.inf
    objective, losses = history.first_objective, history.first_losses
    words = set(re.split(r"[^a-z0-9]+", objective.metric.lower().replace("log_loss", "logloss")))
    values = objective.sign * losses[np.isfinite(losses)]
    best_value = objective.sign * float(losses[best])
    if objective.goal == "maximize" and words & SHARES and values.max() <= 100.0:
        return (1.0 if values.max() <= 1.0 else 100.0) - best_value
    if objective.goal == "minimize" and words & ERRORS and values.min() >= 0.0:
        return best_value
    return np.inf


def expected_gain(
    domain: Domain, model: Model, n: int, rng: Generator, most: float = np.inf
) -> Outlook:
    """What `n` more trials would gain, if that cannot be more than `most`.

    Functions are drawn from the posterior. Where the first `n` of them are lowest, trials would go (Thompson
    sampling); by how much the lowest of these places is below the best one known, on the other functions, is
    the gain. The bound is that of Makarova et al., "Automatic termination for hyperparameter optimization"
    (AutoML 2022), eq. 3: the lowest upper confidence bound of what was tried less the lowest lower one anywhere,
    one deviation each. Both in the metric's units.
    """
    known = model.known
    best = int(np.argmin(model.at_known))
    top = known[np.argsort(model.at_known)[:PARENTS]]
    near = mutants(top, NEAR, domain.least, domain.choices, rng)
    # no Sobol sequence: it would load scipy.stats, which is 0.4 s of a report
    spread = latin(SPREAD, domain.d, rng)
    points = domain.points.snap(np.vstack([spread, near]))
    points = np.vstack([known[best : best + 1], points[domain.points.satisfies(points)]])
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
    bound = min(model.back(upper) - model.back(lower), most)
    # where nearly all is known, rounding is more than what is to gain
    gains = np.minimum(gains, bound)
    return Outlook(n, float(gains.mean()), float(gains.std()), bound, model.noise)
