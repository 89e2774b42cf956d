"""The hypervolume of a front, and what a point is expected to add to it. Everything is minimised.

The hypervolume of a set of points is the volume of what they dominate, up to a reference point (Zitzler & Thiele,
"Multiobjective evolutionary algorithms", IEEE TEC 1999). What a point adds is summed over disjoint boxes that fill the
region which nothing dominates yet; for independent Gaussian predictions its expectation is exact, with no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tunesmith.numeric.acquisition import LOG_ROOT_TAU, log_h

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def hypervolume(points: Floats, reference: Floats) -> float:
    """Of `points`, shape (n, m), against `reference`, shape (m,); points beyond it add nothing.

    O(n log n) for one or two objectives, for each further one a factor n (by slices).
    """
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    points = points[np.lexsort(points.T[::-1])]
    if points.shape[1] == 2:
        least = np.minimum.accumulate(np.append(reference[1], points[:, 1]))
        return float(((reference[0] - points[:, 0]) * -np.diff(least)).sum())
    points = points[np.argsort(points[:, -1], kind="stable")]
    tops = np.append(points[1:, -1], reference[-1])
    slices = [
        (top - points[i, -1]) * hypervolume(points[: i + 1, :-1], reference[:-1])
        for i, top in enumerate(tops.tolist())
        if top > points[i, -1]
    ]
    return float(sum(slices))


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes that fill what no point of a front dominates, below the reference.

    By objective, `edges` rise from -inf to the reference; box b of objective j lies between `edges[j][low[b, j]]` and
    `edges[j][high[b, j]]`.
    """

    edges: tuple[Floats, ...]
    low: Ints
    high: Ints

    @classmethod
    def of(cls, front: Floats, reference: Floats) -> Boxes:
        """Of a front, shape (n, m), of one to three objectives: n + 1 boxes for two, O(n^2) for three. Points that others
        dominate, or beyond the reference, are no matter."""
        front = front[(front < reference).all(axis=1)]
        m = len(reference)
        edges = tuple(
            np.concatenate([[-np.inf], np.unique(front[:, j]), reference[j : j + 1]])
            for j in range(m)
        )
        places = np.column_stack([np.searchsorted(edges[j], front[:, j]) for j in range(m)]).astype(
            np.int64
        )
        last = np.array([len(e) - 1 for e in edges], dtype=np.int64)
        if m == 1:
            boxes = [([0], [int(places.min(initial=last[0]))])]
        elif m == 2:
            boxes = _strips(places, last)
        else:
            boxes = _slabs(places, last)
        return cls(edges, np.array([b[0] for b in boxes]), np.array([b[1] for b in boxes]))


def _strips(places: Ints, last: Ints) -> list[tuple[list[int], list[int]]]:
    """For two objectives: between neighbours of the front by the first one, below the better one by the second."""
    boxes, left, top = [], 0, int(last[1])
    for a, b in sorted(map(tuple, places.tolist())):
        if b >= top:
            continue
        if a > left:
            boxes.append(([left, 0], [a, top]))
        left, top = a, b
    return [*boxes, ([left, 0], [int(last[0]), top])]


def _slabs(places: Ints, last: Ints) -> list[tuple[list[int], list[int]]]:
    """For three: the strips of all points that come before, between neighbours by the third objective."""
    boxes: list[tuple[list[int], list[int]]] = []
    levels = [0, *np.unique(places[:, 2]).tolist(), int(last[2])]
    for bottom, top in pairwise(levels):
        if top > bottom:
            below = places[places[:, 2] <= bottom][:, :2]
            for low, high in _strips(below, last[:2]):
                boxes.append(([*low, bottom], [*high, top]))
    return boxes


def log_ehvi(mean: Floats, deviation: Floats, boxes: Boxes) -> Floats:
    """The log of the expected hypervolume improvement at n points, from predictions of shape (n, m): shape (n,).

    sum over boxes of prod over objectives of psi(high) - psi(low), psi(a) = E max(a - f, 0) = sd h((a - mean)/sd)
    (Emmerich & Klinkenberg, "The computation of the expected improvement in dominated hypervolume of Pareto front
    approximations", 2008; in logs as Ament et al., 2023, section 4.2).
    """
    total = _log_sides(mean, deviation, boxes)[0].sum(axis=0)
    top = total.max(axis=1)
    value: Floats = top + np.log(np.exp(total - top[:, None]).sum(axis=1))
    return value


def log_ehvi_slopes(mean: Floats, deviation: Floats, boxes: Boxes) -> tuple[Floats, Floats, Floats]:
    """`log_ehvi`, shape (n,), and its derivatives by means and deviations, shape (n, m) each."""
    from scipy.special import log_ndtr

    sides, z = _log_sides(mean, deviation, boxes)
    total = sides.sum(axis=0)
    top = total.max(axis=1)
    shares = np.exp(total - top[:, None])
    mass = shares.sum(axis=1)
    shares /= mass[:, None]
    by_mean, by_deviation = np.empty_like(mean), np.empty_like(mean)
    for j, side in enumerate(sides):
        low, high = boxes.low[:, j], boxes.high[:, j]
        log_phi, log_density = log_ndtr(z[j]), -0.5 * z[j] ** 2 - LOG_ROOT_TAU
        # d psi / d mean = -Phi(z), d psi / d sd = phi(z)
        ratio = np.exp(log_phi[:, high] - side) - np.exp(log_phi[:, low] - side)
        by_mean[:, j] = -(shares * ratio).sum(axis=1)
        ratio = np.exp(log_density[:, high] - side) - np.exp(log_density[:, low] - side)
        by_deviation[:, j] = (shares * ratio).sum(axis=1)
    return top + np.log(mass), by_mean, by_deviation


def _log_sides(mean: Floats, deviation: Floats, boxes: Boxes) -> tuple[Floats, list[Floats]]:
    """log(psi(high) - psi(low)) by objective, point and box, shape (m, n, boxes); and z at the edges, by objective."""
    sides = np.empty((len(boxes.edges), len(mean), len(boxes.low)))
    scores = []
    for j, edges in enumerate(boxes.edges):
        with np.errstate(invalid="ignore"):
            z = (edges - mean[:, j, None]) / deviation[:, j, None]
        psi = np.full(z.shape, -np.inf)
        psi[:, 1:] = log_h(z[:, 1:]) + np.log(deviation[:, j, None])
        high, low = psi[:, boxes.high[:, j]], psi[:, boxes.low[:, j]]
        with np.errstate(divide="ignore"):
            gap = np.where(low > -np.inf, low - high, -np.inf)
            sides[j] = high + np.log(-np.expm1(np.minimum(gap, _LEAST_GAP)))
        scores.append(z)
    return sides, scores


#: Edges nearer than what differences of logs can tell count as this far apart.
_LEAST_GAP = -1e-15
