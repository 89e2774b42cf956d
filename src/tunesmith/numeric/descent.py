"""Limited-memory BFGS in a box, for functions that take no longer than a general optimiser does around them.

scipy's L-BFGS-B spends 0.1 ms around an evaluation, an acquisition function takes less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.numeric.quasi_newton import shorter

Floats = NDArray[np.float64]

#: Pairs of moves and changes of the gradient that are remembered.
PAIRS: Final = 10
#: A step has to bring this share of what the slope promises (Armijo).
ENOUGH: Final = 1e-4
#: No coordinate moves farther in one step.
LONGEST: Final = 2.0
#: Steps are not shortened further than to this share.
SHORTEST: Final = 1e-3
#: A pair counts if the function bends upwards along it by at least this share of |y|^2.
CURVED: Final = 1e-10


def descend(
    function: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    low: Floats,
    high: Floats,
    *,
    evaluations: int,
    gtol: float,
    ftol: float,
) -> tuple[Floats, float]:
    """Where it arrives downhill from `start`, shape (k,), between `low` and `high`, and the value there.

    Nocedal & Wright, "Numerical optimization" (2006), algorithms 7.4 and 3.1: coordinates are held at a bound that the
    gradient presses them against, and steps are shortened until they bring enough. Ends when no free coordinate's
    slope is above `gtol`, a step brings less than `ftol` of the value (or of 1), or after so many `evaluations`.
    """
    x = np.minimum(np.maximum(start, low), high)
    value, gradient = function(x)
    moves: list[Floats] = []
    changes: list[Floats] = []
    bends: list[float] = []
    left = evaluations - 1
    while left > 0:
        free = ~(((x <= low) & (gradient > 0.0)) | ((x >= high) & (gradient < 0.0)))
        pull = gradient * free
        steepest = float(np.abs(pull).max())
        if not steepest >= gtol:
            break
        way = -_inverse(pull, moves, changes, bends) * free
        if not float(way @ pull) < 0.0:
            moves, changes, bends = [], [], []
            way = -pull
        most = LONGEST if moves else 1.0
        length = min(1.0, most / float(np.abs(way).max()))
        while True:
            trial = np.minimum(np.maximum(x + length * way, low), high)
            after, slope = function(trial)
            left -= 1
            step = trial - x
            promised = float(gradient @ step)
            better = promised < 0.0 and after <= value + ENOUGH * promised
            if better or left <= 0 or length < SHORTEST:
                break
            length *= shorter(value, after, promised) if promised < 0.0 else 0.25
        if not better:
            if not moves:
                break
            moves, changes, bends = [], [], []  # what it has learned leads nowhere: once more
            continue
        change = slope - gradient
        bend = float(step @ change)
        if bend > CURVED * float(change @ change):
            moves, changes, bends = (
                [*moves[1 - PAIRS :], step],
                [*changes[1 - PAIRS :], change],
                [*bends[1 - PAIRS :], bend],
            )
        gained = value - after
        x, value, gradient = trial, after, slope
        if gained <= ftol * max(abs(value), 1.0):
            break
    return x, value


def _inverse(
    gradient: Floats, moves: list[Floats], changes: list[Floats], bends: list[float]
) -> Floats:
    """The inverse Hessian times `gradient` (algorithm 7.4)."""
    q = gradient.copy()
    alphas = []
    for s, y, b in zip(moves[::-1], changes[::-1], bends[::-1], strict=True):
        alpha = float(s @ q) / b
        alphas.append(alpha)
        q -= alpha * y
    if moves:
        y = changes[-1]
        q *= bends[-1] / float(y @ y)
    for s, y, b, alpha in zip(moves, changes, bends, alphas[::-1], strict=True):
        q += (alpha - float(y @ q) / b) * s
    return q
