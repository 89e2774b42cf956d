"""Multi-start gradient ascent: L-BFGS-B climbs an acquisition function from several points at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Points, shape (m, d), to values, shape (m,), and their gradients, shape (m, d).
Slopes: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]


def climb(
    slopes: Slopes,
    starts: Floats,
    movable: NDArray[np.bool_],
    scale: Floats,
    steps: int,
    low: Floats | float = 0.0,
    high: Floats | float = 1.0,
) -> Floats:
    """Where L-BFGS-B arrives from `starts`, shape (m, d), inside the unit cube, or a box from `low` to `high`, (d,).

    Only coordinates that are `movable`, shape (m, d), change. The points climb in one run, since
    their values are independent: one evaluation serves all of them. `scale`, shape (d,), are
    lengths over which the function changes; they make the problem round.
    """
    from scipy.optimize import minimize

    if not movable.any():
        return starts
    unit = np.broadcast_to(scale, starts.shape)[movable]
    least, most = (np.broadcast_to(edge, starts.shape)[movable] for edge in (low, high))
    points = starts.copy()

    def objective(v: Floats) -> tuple[float, Floats]:
        points[movable] = v * unit
        values, gradient = slopes(points)
        return -float(values.sum()), -(gradient[movable] * unit)

    optimum = minimize(
        objective,
        starts[movable] / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([least / unit, most / unit]),
        options={"maxiter": steps, "maxfun": 2 * steps, "gtol": 1e-3, "ftol": 1e-6},
    )
    points[movable] = np.clip(optimum.x * unit, least, most)
    return points
