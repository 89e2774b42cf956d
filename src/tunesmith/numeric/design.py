"""Space-filling initial designs in the unit cube."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sobol(n: int, d: int, seed: int) -> Floats:
    """Scrambled Sobol points (Owen 1998), shape (n, d); no worse than random ones for d = 0."""
    from scipy.stats import qmc  # 1 s to import

    engine = qmc.Sobol(max(d, 1), scramble=True, rng=np.random.default_rng(seed))
    return np.asarray(engine.random(n), dtype=np.float64)[:, :d]


def stratified(n: int, choices: Sequence[int], seed: int, spare: int = 8) -> Floats:
    """At least ``spare * n`` points for columns with `choices` (0: a number, k: one of k).

    The first n hold every choice about equally often: their ranks, not their coordinates, say
    which choice they are.
    """
    points = sobol(2 ** max(6, (spare * n - 1).bit_length()), len(choices), seed)
    for column, k in enumerate(choices):
        if k:
            rank = np.argsort(np.argsort(points[:n, column], kind="stable"), kind="stable")
            points[:n, column] = (np.floor(rank * k / n) + 0.5) / k
    return points


def latin(n: int, d: int, rng: Generator) -> Floats:
    """A Latin hypercube, shape (n, d): each column has one value in each n-th of [0, 1) (McKay, Beckman & Conover 1979)."""
    ranks = rng.permuted(np.tile(np.arange(n)[:, None], (1, d)), axis=0)
    points: Floats = (ranks + rng.random((n, d))) / n
    return points
