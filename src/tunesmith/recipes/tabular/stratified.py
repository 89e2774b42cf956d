"""Stratified folds and samples of independent rows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Of a class a sample has at least so many rows, if there are.
RARE: Final = 10


def folds(y: NDArray[np.float64], k: int, repeats: int, seed: int) -> NDArray[np.int8]:
    """Which fold each row is checked in, shape (repeats, rows), 0 to k - 1.

    Stratified: rows that follow each other in the order of the target go to different folds. Of each class a
    fold has as many rows as another, or one more.
    """
    rng = np.random.default_rng(seed)
    n = len(y)
    blocks = -(-n // k)
    out = np.empty((repeats, n), dtype=np.int8)
    for repeat in range(repeats):
        order = np.lexsort((rng.random(n), y))
        if _repeats(y):  # in turn, so that a class that spans two blocks is not twice in a fold
            folds_of = np.tile(rng.permutation(k), blocks)
        else:  # in turn, one fold would have the least of each k values
            folds_of = np.argsort(rng.random((blocks, k)), axis=1).ravel()
        out[repeat, order] = folds_of[:n]
    return out


def _repeats(y: NDArray[np.float64]) -> bool:
    """Whether a value of the target is there twice on average: classes, or amounts like them."""
    return 2 * len(np.unique(y)) <= len(y)


def sample(y: NDArray[np.float64], rows: int, seed: int) -> NDArray[np.intp]:
    """So many rows, stratified by the target, in their order; all or at least 10 of a rare class."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(y)), y))
    rare = np.zeros(len(y), dtype=bool)
    if _repeats(y):
        values, counts = np.unique(y[order], return_counts=True)
        least = min(RARE, rows // (2 * len(values)))
        rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
        rare = np.repeat(counts * rows < least * len(y), counts) & (rank < least)
    others = order[~rare]
    wanted = rows - int(rare.sum())
    step = len(others) / wanted
    spread = np.floor((np.arange(wanted) + rng.random()) * step).astype(int)
    return np.sort(np.concatenate([order[rare], others[np.minimum(spread, len(others) - 1)]]))
