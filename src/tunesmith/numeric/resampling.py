"""Resampling of rows that are independent, or independent in clusters.

The Bayesian bootstrap weighs where the bootstrap draws: all rows stay in, so that no class is ever missing. Rubin,
"The Bayesian bootstrap" (Annals of Statistics 1981).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def interval(
    statistic: Callable[[Floats], float],
    cluster: Places,
    rng: Generator,
    *,
    share: float = 0.9,
    draws: int = 400,
    of: int | None = None,
) -> tuple[float, float]:
    """The interval (lowest, highest) of a statistic of weighted rows that has its true value with a probability of
    `share`.

    `statistic` is of weights, shape (rows,); `cluster`: which one each row is in, from 0 on, shape (rows,); `of`: how
    many clusters there are, where these are a part of them. Percentiles of the Bayesian bootstrap, their distances from
    the statistic widened by Student's t for a few clusters. It holds the statistic, and is endless with one cluster.
    """
    clusters = int(cluster.max()) + 1
    if clusters < 2:
        return -np.inf, np.inf
    middle = statistic(np.ones(len(cluster)))
    values = [statistic(rng.exponential(size=clusters)[cluster]) for _ in range(draws)]
    tail = (1.0 - share) / 2
    low, high = np.quantile(values, (tail, 1.0 - tail))
    freedom = clusters - 1
    wider = np.sqrt(clusters / freedom) * stats.t.isf(tail, freedom) / stats.norm.isf(tail)
    wider *= np.sqrt(clusters / (of or clusters))
    return middle - wider * max(0.0, middle - low), middle + wider * max(0.0, high - middle)


def bootstrap(cluster: Places, rng: Generator) -> Places:
    """How often each row is drawn, shape (rows,), where as many clusters as there are, are drawn with replacement."""
    clusters = int(cluster.max()) + 1
    drawn = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)
    return np.asarray(drawn[cluster])


def some(cluster: Places, most: int, rng: Generator) -> Places:
    """Places of about `most` rows, at most, in order: those of whole clusters, by chance; one cluster at least."""
    if len(cluster) <= most:
        return np.arange(len(cluster))
    order = rng.permutation(int(cluster.max()) + 1)
    sizes = np.cumsum(np.bincount(cluster)[order])
    chosen = order[: max(1, int(np.searchsorted(sizes, most, side="right")))]
    return np.flatnonzero(np.isin(cluster, chosen))


def blocks(time: Floats) -> Places:
    """Clusters of rows that are neighbours in time, shape (rows,), with all rows of one time in one: as many as two
    thirds' power of the different times.

    The rate is that of Carlstein, "The use of subseries values for estimating the variance of a general statistic from
    a stationary sequence" (Annals of Statistics 1986).
    """
    times, place = np.unique(time, return_inverse=True)
    count = max(1, round(len(times) ** (2 / 3)))
    return np.asarray(place * count // len(times), dtype=np.intp)
