"""Quadratic regression of a function near its minimum: how well it predicts, and where it is lowest in a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The ridge penalty on standardised terms, as a share of the number of points.
RIDGE: Final = 1e-7


def terms(d: int) -> int:
    """How many coefficients a quadratic function of `d` numbers has."""
    return (d + 1) * (d + 2) // 2


@dataclass(frozen=True)
class Quadratic:
    """f(t) = slope . t + t' H t / 2 + a constant, t = (x - centre) / scale; slope, centre, scale: (d,), H: (d, d).

    `explained` is R2 of the leave-one-out predictions: 1 where every value is predicted by the others.
    """

    centre: Floats
    scale: Floats
    slope: Floats
    H: Floats
    explained: float

    @classmethod
    def fit(cls, x: Floats, y: Floats) -> Quadratic:
        """By least squares, with hardly a penalty: x, shape (n, d), y, shape (n,), n > terms(d)."""
        n, d = x.shape
        centre = x.mean(axis=0)
        scale = np.maximum(x.std(axis=0), 1e-9)
        t = (x - centre) / scale
        first, second = np.triu_indices(d)
        design = np.hstack([t, t[:, first] * t[:, second]])
        design -= design.mean(axis=0)
        values = y - y.mean()
        gram = design.T @ design
        gram.flat[:: len(gram) + 1] += RIDGE * n
        solved = np.linalg.solve(gram, design.T)
        coefficients = solved @ values
        leverage = 1.0 / n + np.einsum("ij,ji->i", design, solved)
        out = (values - design @ coefficients) / np.maximum(1.0 - leverage, 1e-9)
        total = float(values @ values)
        H = np.zeros((d, d))
        H[first, second] = coefficients[d:]
        explained = 1.0 - float(out @ out) / total if total > 0.0 else 0.0
        return cls(centre, scale, coefficients[:d], H + H.T, explained)

    def lowest(self, begin: Floats, low: Floats, high: Floats) -> Floats:
        """A minimum in the box between `low` and `high`, from `begin`; shape (d,) each."""
        from scipy.optimize import minimize

        def value(t: Floats) -> tuple[float, Floats]:
            turned = self.H @ t
            return float(self.slope @ t + 0.5 * (t @ turned)), self.slope + turned

        edges = [(edge - self.centre) / self.scale for edge in (low, high)]
        start = np.clip((begin - self.centre) / self.scale, *edges)
        optimum = minimize(value, start, jac=True, method="L-BFGS-B", bounds=np.column_stack(edges))
        found: Floats = np.clip(self.centre + self.scale * optimum.x, low, high)
        return found
