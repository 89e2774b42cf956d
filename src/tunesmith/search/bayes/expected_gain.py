"""The expected gain of more trials and an upper bound on it, by the Gaussian process over those that are there."""

from __future__ import annotations

import math
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
#: Known points that may be best, by value and as many by the model.
TRIED: Final = 15
#: Places for each trial, up to so many trials: measured, see docs/decisions/0031.
AHEAD: Final = 6
MOST_AHEAD: Final = 100
#: The probability with which no more than the bound is to gain.
SURE: Final = 0.95
#: What is taken for rounding, of the variance of standardised values.
ROUNDING: Final = 1e-9

#: Words in the names of metrics that end at 1 (or 100).
SHARES: Final = frozenset(
    ("accuracy", "acc", "auc", "auroc", "f1", "precision", "recall", "iou", "dice", "r2")
)


def room(history: History) -> float:
    """How much better the first objective could get: as far as its name tells, and down to 0 where no loss was below.

    inf where neither tells. Many quantities are never negative; of one that is, a negative value shows it soon.
    """
    best = history.best
    if best is None:
        return np.inf
    objective, losses = history.first_objective, history.first_losses
    words = set(re.split(r"[^a-z0-9]+", objective.metric.lower().replace("log_loss", "logloss")))
    values = objective.sign * losses[np.isfinite(losses)]
    best_value = objective.sign * float(losses[best])
    if objective.goal == "maximize" and words & SHARES and values.max() <= 100.0:
        return (1.0 if values.max() <= 1.0 else 100.0) - best_value
    if objective.goal == "minimize" and values.min() >= 0.0:
        return best_value
    return np.inf


def expected_gain(
    domain: Domain, model: Model, n: int, rng: Generator, most: float = np.inf
) -> Outlook:
    """What `n` more trials would gain, if that cannot be more than `most`: both in the metric's units.

    Functions are drawn from the posterior, over plausible hyperparameters, noise and roughness (`Model.mixture`). Where
    some of them are lowest, trials would go (Thompson sampling): `AHEAD` times `n` places, for each result says better
    where the next one should be. By how much the one that is taken is below the best known one, on the other functions,
    is the gain. The bound is the quantile `SURE` of what could be gained by knowing the function.
    """
    known = model.known
    order = np.argsort(model.at_known, kind="stable")
    near = mutants(known[order[:PARENTS]], NEAR, domain.least, domain.choices, rng)
    # no Sobol sequence: it would load scipy.stats, which is 0.4 s of a report
    spread = latin(SPREAD, domain.d, rng)
    points = domain.points.snap(np.vstack([spread, near]))
    tried = known[_leading(model)]
    points = np.vstack([tried, points[domain.points.satisfies(points)]])
    ahead = AHEAD * min(n, MOST_AHEAD)
    mixture = model.mixture(rng)
    drawn, noise = mixture.sample(domain.features(points), ahead + SAMPLES, rng)
    best = int(drawn[:, : len(tried)].mean(axis=0).argmin())
    places = np.unique(drawn[:ahead].argmin(axis=1))
    drawn, noise = drawn[ahead:], noise[ahead:]
    here = _back(model, drawn[:, best])
    gains = np.minimum(here - _back(model, _taken(drawn, noise, places, best, rng)), most)
    gain = max(float(gains.mean()), 0.0)
    bound = float(np.quantile(here - _back(model, drawn.min(axis=1)), SURE))
    return Outlook(
        n,
        gain,
        float(gains.std()),
        min(max(bound, gain), most),
        model.worth(math.sqrt(mixture.noise)),
    )


def _leading(model: Model) -> NDArray[np.int64]:
    """The rows of the known points that may be best, by value and by what the model expects."""
    losses = np.where(np.isnan(model.losses), np.inf, model.losses)
    first = np.argsort(losses, kind="stable")[:TRIED]
    likely = np.argsort(model.at_known, kind="stable")[:TRIED]
    return np.union1d(first, likely)


def _taken(
    drawn: Floats, noise: Floats, places: NDArray[np.int64], best: int, rng: Generator
) -> Floats:
    """What is taken of each function after one run at each of `places`, shape (count,): what is expected to be the best
    given all these results, which with noise it need not be.

    The functions themselves are the joint distribution, as in an ensemble Kalman filter (Evensen, "The ensemble Kalman
    filter", Ocean Dynamics 53, 2003). O(places^3).
    """
    values = drawn[:, [best, *places.tolist()]]
    there = values[:, 1:]
    results = there + np.sqrt(noise)[:, None] * rng.standard_normal(there.shape)
    mean, covariance = values.mean(axis=0), np.cov(values, rowvar=False)
    own = covariance[1:, 1:].copy()
    own.flat[:: len(own) + 1] += float(noise.mean()) + ROUNDING
    expected = mean + (results - mean[1:]) @ np.linalg.solve(own, covariance[1:])
    taken: Floats = values[np.arange(len(values)), expected.argmin(axis=1)]
    return taken


def _back(model: Model, values: Floats) -> Floats:
    """In the metric's units."""
    return np.array([model.back(float(z)) for z in values])
