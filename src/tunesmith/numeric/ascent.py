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
    evaluations: int,
    low: Floats | float = 0.0,
    high: Floats | float = 1.0,
) -> Floats:
    """Where L-BFGS arrives from `starts`, shape (m, d), in so many evaluations, inside the unit cube, or a box from
    `low` to `high`, (d,).

    Only coordinates that are `movable`, shape (m, d), change. The points climb in one run, since
    their values are independent: one evaluation serves all of them. `scale`, shape (d,), are
    lengths over which the function changes; they make the problem round.
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

    end, _ = descend(
        objective,
        starts[movable] / unit,
        least / unit,
        most / unit,
        evaluations=evaluations,
        gtol=GTOL,
        ftol=FTOL,
    )
    points[movable] = np.clip(end * unit, least, most)
    return points
