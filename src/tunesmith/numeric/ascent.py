"""Multi-start gradient ascent: L-BFGS climbs an acquisition function from several points at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.numeric.descent import descend

Floats = NDArray[np.float64]
#: A climb ends where no slope is above the one, or a step gains less than the other, as a share of the value.
GTOL: Final = 1e-2
FTOL: Final = 1e-4
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
    *,
    steep: bool = False,
) -> Floats:
    """Where L-BFGS arrives from `starts`, shape (m, d), inside the unit cube, or a box from `low` to `high`, (d,).

    Only coordinates that are `movable`, shape (m, d), change. The points climb in one run, since
    their values are independent: one evaluation serves all of them. `scale`, shape (d,), are
    lengths over which the function changes; they make the problem round. Where the function is `steep` in places, as logs of
    small probabilities are, one point's slope sets the step of all, and scipy's search along the line is worth its time.
    """
    if not movable.any():
        return starts
    unit = np.broadcast_to(scale, starts.shape)[movable]
    least, most = (np.broadcast_to(edge, starts.shape)[movable] for edge in (low, high))
    points, places, downhill = starts.copy(), np.flatnonzero(movable), -unit
    flat = points.reshape(-1)

    def objective(v: Floats) -> tuple[float, Floats]:
        flat[places] = v * unit
        values, gradient = slopes(points)
        return -float(values.sum()), gradient.reshape(-1)[places] * downhill

    begin, least_at, most_at = starts[movable] / unit, least / unit, most / unit
    if steep:
        end = _by_scipy(objective, begin, least_at, most_at, steps)
    else:
        end, _ = descend(
            objective, begin, least_at, most_at, evaluations=2 * steps, gtol=GTOL, ftol=FTOL
        )
    points[movable] = np.clip(end * unit, least, most)
    return points


def _by_scipy(
    objective: Callable[[Floats], tuple[float, Floats]],
    begin: Floats,
    low: Floats,
    high: Floats,
    steps: int,
) -> Floats:
    from scipy.optimize import minimize

    optimum = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([low, high]),
        options={"maxiter": steps, "maxfun": 2 * steps, "gtol": 1e-3, "ftol": 1e-6},
    )
    return np.asarray(optimum.x)
