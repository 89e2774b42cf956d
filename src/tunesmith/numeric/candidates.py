"""Candidate points, made from points that are known: mutants and neighbours; in the unit cube, NaN where inactive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Mutations' typical sizes, log-uniform between these.
STEPS: Final = (0.003, 0.3)
#: By how many levels neighbours differ.
_NEAR: Final = (-4, -2, -1, 1, 2, 4)
#: The most values of one choice that are tried in one go.
MOST_CHOICES: Final = 16


def mutants(
    parents: Floats, count: int, least: Floats, choices: NDArray[np.bool_], rng: Generator
) -> Floats:
    """`count` mutants of `parents`, shape (k, d), in turn; what was inactive is drawn at random.

    Each changes a random share of its coordinates by steps of one size; coordinate j by at least
    `least[j]`, and to a random place if it is one of `choices`.
    """
    d = parents.shape[1]
    random = rng.random((count, d))
    origin = parents[np.arange(count) % len(parents)]
    origin = np.where(np.isnan(origin), random, origin)
    share = np.maximum(rng.random((count, 1)) ** 2, 1.0 / d)
    change = rng.random((count, d)) < share
    change[np.arange(count), rng.integers(d, size=count)] = True
    low, high = map(math.log, STEPS)
    move = np.exp(rng.uniform(low, high, (count, 1))) * rng.standard_normal((count, d))
    move = np.where(choices, random - origin, np.sign(move) * np.maximum(np.abs(move), least))
    moved = np.abs(origin + np.where(change, move, 0.0))  # reflected at 0, then at 1
    return np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)


def neighbours(
    point: Floats, levels: Sequence[Floats | None], choices: NDArray[np.bool_], rng: Generator
) -> Floats:
    """Points that differ from `point`, shape (d,), in one choice or by a few levels in one number.

    Columns whose `levels` are None stay. What was inactive is drawn at random.
    """
    filled = np.where(np.isnan(point), rng.random(len(point)), point)
    out: list[Floats] = []
    for j, values in enumerate(levels):
        if values is None or np.isnan(point[j]):
            continue
        at = int(np.argmin(np.abs(values - point[j])))
        if choices[j]:
            others = other_choices(at, len(values), rng)
        else:
            others = [at + s for s in _NEAR if 0 <= at + s < len(values)]
        for k in others:
            neighbour = filled.copy()
            neighbour[j] = values[k]
            out.append(neighbour)
    return np.array(out).reshape(len(out), len(point))


def other_choices(here: int, size: int, rng: Generator) -> list[int]:
    """The other values of a choice of `size`, or a random selection where there are many."""
    others = [k for k in range(size) if k != here]
    if len(others) > MOST_CHOICES:
        others = rng.choice(others, MOST_CHOICES, replace=False).tolist()
    return others


def lowest(losses: Floats, count: int) -> NDArray[np.int64]:
    """The places of the lowest losses, ties by place. O(n)."""
    bound = np.partition(losses, count - 1)[count - 1]
    below = np.flatnonzero(losses < bound)
    ties = np.flatnonzero(losses == bound)[: count - len(below)]
    return np.concatenate([below, ties])


def representatives(
    points: Floats, losses: Floats, choices: NDArray[np.bool_], most: int
) -> NDArray[np.int64]:
    """Which rows stand for all, at most `most`, in order: O(n d).

    A third are the best, a third the nearest to the best one, the rest an even selection of what
    remains. Losses that are NaN (failures) are the last to be taken for the best.
    """
    n = len(losses)
    if n <= most:
        return np.arange(n)
    third = most // 3
    order = np.where(np.isnan(losses), np.inf, losses)
    best = np.argpartition(order, third)[:third]
    top = best[np.lexsort((best, order[best]))[0]]
    apart = np.nan_to_num(points, nan=0.5) - np.nan_to_num(points[top], nan=0.5)
    apart[:, choices] = apart[:, choices] != 0.0
    distance = np.einsum("ij,ij->i", apart, apart)
    distance[best] = np.inf
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[best] = chosen[np.argpartition(distance, third)[:third]] = True
    rest = np.flatnonzero(~chosen)
    even = np.linspace(0, len(rest) - 1, most - int(chosen.sum())).astype(np.int64)
    chosen[rest[even]] = True
    return np.flatnonzero(chosen)
