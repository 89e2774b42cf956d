"""Limited-memory BFGS, one step at a time: which way to go, and how far after a step that was too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A pair counts if the function bends upwards along it by at least this share of |y| |s|.
_CURVED: Final = 1e-8


def direction(gradient: Floats, moves: Sequence[Floats], changes: Sequence[Floats]) -> Floats:
    """-H g, shape (d,), with H from pairs of moves s and changes of the gradient y, the newest last.

    Nocedal & Wright 2006, algorithm 7.4. Pairs along which the function does not bend upwards are left out; with
    none left it is -g. Always downhill: H is positive definite.
    """
    pairs = [(s, y) for s, y in zip(moves, changes, strict=True) if curved(s, y)]
    q = gradient.copy()
    alphas = []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (s @ y))
        q -= alphas[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - (y @ q) / (s @ y)) * s
    return -q


def curved(move: Floats, change: Floats) -> bool:
    """Whether the function bends upwards along a move."""
    norms = float(np.linalg.norm(move) * np.linalg.norm(change))
    return float(move @ change) > _CURVED * norms


def shorter(before: float, after: float, slope: float) -> float:
    """By which factor to shorten a step that led from value `before` to `after`: where the parabola that begins
    with `slope` (the derivative times the step, below 0) has its minimum, between a tenth and a half.

    Nocedal & Wright 2006, equation 3.58. A quarter where `after` is not finite.
    """
    rise = after - before - slope
    if not np.isfinite(rise) or rise <= 0.0:
        return 0.25
    return float(np.clip(-slope / (2.0 * rise), 0.1, 0.5))
