"""Several objectives: who is better than whom, and an order of all.

Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE
TEC 2002), section III. Losses, shape (n, m), are minimised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fronts(losses: Floats) -> Ints:
    """The front of each row, shape (n,): 0 for those that no other dominates, 1 for those that only rows of
    front 0 do, and so on. O(n^2 m)."""
    n = len(losses)
    ranks = np.full(n, -1, dtype=np.int64)
    one, other = losses[:, None, :], losses[None, :, :]
    dominates = np.all(one <= other, axis=2) & np.any(one < other, axis=2)
    left = dominates.sum(axis=0)
    front, current = 0, np.flatnonzero(left == 0)
    while len(current):
        ranks[current] = front
        left = left - dominates[current].sum(axis=0)
        front += 1
        current = np.flatnonzero((left == 0) & (ranks < 0))
    return ranks


def crowding(losses: Floats) -> Floats:
    """How far each row of one front is from its neighbours, shape (n,); the outermost are at infinity."""
    n, m = losses.shape
    distance = np.zeros(n)
    for j in range(m):
        order = np.argsort(losses[:, j], kind="stable")
        column = losses[order, j]
        distance[order[[0, -1]]] = np.inf
        if n > 2 and np.isfinite(column).all() and column[-1] / 2 - column[0] / 2 > 0.0:
            width = column[-1] / 2 - column[0] / 2
            distance[order[1:-1]] += (column[2:] / 2 - column[:-2] / 2) / width
    return distance


def order(losses: Floats) -> Ints:
    """The rows from best to worst, shape (n,): by front, within a front the lonelier first, then as they
    stand."""
    front = fronts(losses)
    lonely = np.zeros(len(losses))
    for f in range(int(front.max(initial=-1)) + 1):
        rows = np.flatnonzero(front == f)
        lonely[rows] = crowding(losses[rows])
    return np.lexsort((np.arange(len(losses)), -lonely, front))


def knee(losses: Floats) -> int:
    """The row of a front, shape (n, m), n at least 1, where giving up a little of one objective gains most of the others:
    the least sum, each objective scaled from the front's best to its worst; of equal ones the first.

    For two objectives it is the point farthest below the line between the ends (Das, "On characterizing the knee of the
    Pareto curve", Structural Optimization 1999). O(n m).
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    return int(np.argmin(((losses - low) / np.where(high > low, high - low, 1.0)).sum(axis=1)))
