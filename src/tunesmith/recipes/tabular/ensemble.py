"""A greedy ensemble of what was checked: Caruana et al., "Ensemble selection from libraries of models"
(ICML 2004). From the best pipeline on, whichever one improves the mean of predictions most is added, again and
again, with replacement; how often each was taken is its weight.

All on predictions for held-out rows, so that nothing is fitted anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular.metrics import METRICS, Metric

Floats = NDArray[np.float64]

#: The best so many trials, and the best few of each algorithm, may come into the ensemble.
CANDIDATES: Final = 30
OF_EACH: Final = 3
#: How often something is added.
ROUNDS: Final = 30
#: More rows than this do not change the choice.
ROWS: Final = 20_000
#: A gain that is a smaller share of the loss is none.
GAIN: Final = 1e-9
#: The weight of how sure predictions are, where the metric only asks which class is the likeliest.
TIES: Final = 0.01


def candidates(algorithms: Sequence[str]) -> list[int]:
    """Places of the pipelines that may come into the ensemble, by the algorithms of all of them, the best first."""
    counts: Counter[str] = Counter()
    places = []
    for rank, algorithm in enumerate(algorithms):
        counts[algorithm] += 1
        if rank < CANDIDATES or counts[algorithm] <= OF_EACH:
            places.append(rank)
    return places


def choose(
    y: Floats,
    predictions: Sequence[Floats],
    metric: Metric,
    most: int,
    rounds: int = ROUNDS,
    weight: Floats | None = None,
    patience: int = ROUNDS,
) -> dict[int, float]:
    """Weights, summing to 1, of at most `most` of `predictions`, each of shape (rows, outputs); `weight` is of
    the rows. It ends after `patience` rounds without a gain.

    O(rounds * predictions * rows).
    """
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))[:ROWS]
    y, stack = y[rows], np.stack([p[rows] for p in predictions])
    weight = None if weight is None else weight[rows]
    best, first = min((loss(metric, y, p, weight), k) for k, p in enumerate(stack))
    total, taken, length = stack[first].copy(), [first], 1
    for size in range(2, rounds + 1):
        distinct = sorted(set(taken))
        open_to = distinct if len(distinct) >= most else range(len(stack))
        losses = [(loss(metric, y, (total + stack[k]) / size, weight), k) for k in open_to]
        value, k = min(losses)
        total += stack[k]
        taken.append(k)
        if value < best - GAIN * abs(best):
            best, length = value, size
        elif size - length >= patience:
            break
    counts = Counter(taken[:length])
    return {k: n / length for k, n in sorted(counts.items())}


def loss(metric: Metric, y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
    """What is minimised: the metric, and for classes a little of the log loss, which tells equals apart."""
    if metric.regression:
        return metric.sign * metric.of(y, predicted[:, 0], weight)
    value = metric.sign * metric.of(y, predicted, weight)
    if metric.calibrated:
        return value
    return value + TIES * METRICS["log_loss"].of(y, predicted, weight)
