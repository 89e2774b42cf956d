"""Gaussian-process regression of learning curves, over a config and how long it was trained.

After Swersky, Snoek & Adams, "Freeze-thaw Bayesian optimization" (arXiv 1406.3896, 2014), section 3, as one process
instead of one for asymptotes and one for each curve. With features F, shape (n, p), times t, shape (n,), in units of a whole
run, and targets y, shape (n,):

    K = s M(R2) (1 + g D) + v I,   D_ab = b / (t_a + t_b + b)                      (their eq. 6, with alpha = 1)

M(R2) as in `gp`: like configs have like ends, and come to them on like curves. What two curves share of their distance from
their ends decays as training goes on. The mean is c_0 + c_1 D_aa, by generalised least squares (RW eq. 2.41): curves fall.
Hyperparameters are theta = (log l_1 .. log l_d, log s, log v, log g, log b), the maximum a posteriori.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.numeric.gp import (
    LENGTH_BOUNDS,
    NOISE_BOUNDS,
    SIGNAL_BOUNDS,
    cholesky,
    log_prior,
    matern,
    matern_and_slope,
    squared_distances,
    start,
)

Floats = NDArray[np.float64]

#: log g and log b are normal, with these medians and a deviation of 1.
GROWTH_MEDIAN: Final = 1.0
DECAY_MEDIAN: Final = 0.1
_LATE_BOUNDS: Final = ((math.log(0.05), math.log(20.0)), (math.log(0.01), math.log(3.0)))
#: What is added to the diagonal of the mean's normal equations: where all times are the same, it has one coefficient.
_RIDGE: Final = 1e-6


def begin(sizes: Sequence[int]) -> Floats:
    """Where a fit begins, shape (d + 4,), for parameters of `sizes`: see `gp.start`."""
    return np.concatenate([start(sizes), [math.log(GROWTH_MEDIAN), math.log(DECAY_MEDIAN)]])


def prior(theta: Floats, first: Floats) -> tuple[float, Floats]:
    """The log density of theta up to a constant, and its gradient; `first` is where the fit begins."""
    value, gradient = log_prior(theta[:-2], first[:-2])
    away = theta[-2:] - np.log([GROWTH_MEDIAN, DECAY_MEDIAN])
    return value - 0.5 * float(away @ away), np.concatenate([gradient, -away])


class MarginalLikelihood:
    """The log marginal likelihood of (features, t, y) as a function of theta, its mean's coefficients the best ones."""

    def __init__(self, features: Floats, owner: NDArray[np.int64], t: Floats, y: Floats) -> None:
        self._features = features
        self._squares = features * features
        self._owner = owner
        self._firsts = np.flatnonzero(np.diff(owner, prepend=-1))
        self._sum = t[:, None] + t
        self._t, self._y = t, y

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient, O(n^3)."""
        from scipy.linalg.lapack import dpotri

        n, d = len(self._y), len(theta) - 4
        weights = np.exp(-2.0 * theta[:d])
        signal, noise, growth, decay = np.exp(theta[d:]).tolist()
        scaled = self._features * np.sqrt(weights)[self._owner]
        correlation, slope = matern_and_slope(squared_distances(scaled, scaled))
        late = decay / (self._sum + decay)
        shape = 1.0 + growth * late
        clean = signal * correlation * shape
        covariance = clean.copy()
        covariance.flat[:: n + 1] += noise
        lower, _ = cholesky(covariance, signal)
        inverse = dpotri(lower, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        basis = _basis(self._t, decay)
        coefficients = _least_squares(basis, inverse @ basis, inverse @ self._y)
        rest = self._y - basis @ coefficients
        alpha = inverse @ rest
        value = (
            -0.5 * float(rest @ alpha)
            - float(np.log(lower.diagonal()).sum())
            - 0.5 * n * math.log(2.0 * math.pi)
        )
        outer = 0.5 * (np.outer(alpha, alpha) - inverse)
        gradient = np.empty_like(theta)
        pull = outer * slope
        pull *= signal
        pull *= shape
        by_feature = 2.0 * (
            pull.sum(axis=1) @ self._squares
            - np.einsum("ij,ij->j", self._features, pull @ self._features)
        )
        gradient[:d] = -2.0 * weights * np.add.reduceat(by_feature, self._firsts)
        curved = outer * (signal * growth) * correlation * late
        diagonal = basis[:, 1]
        gradient[d:] = (
            float(np.vdot(outer, clean)),
            noise * float(outer.trace()),
            float(curved.sum()),
            float(np.vdot(curved, 1.0 - late))
            + coefficients[1] * float(alpha @ (diagonal * (1.0 - diagonal))),
        )
        return value, gradient


def _basis(t: Floats, decay: float) -> Floats:
    """The functions that the mean is made of, shape (n, 2)."""
    return np.column_stack([np.ones_like(t), decay / (2.0 * t + decay)])


def _least_squares(basis: Floats, solved: Floats, target: Floats) -> Floats:
    """The coefficients, from the basis H, K^-1 H and K^-1 y: those of (H' K^-1 H + ridge) c = H' K^-1 y."""
    normal: Floats = basis.T @ solved
    normal.flat[::3] += _RIDGE * float(normal[0, 0])
    return np.asarray(np.linalg.solve(normal, basis.T @ target), dtype=np.float64)


def fit(
    features: Floats,
    owner: NDArray[np.int64],
    t: Floats,
    y: Floats,
    first: Floats,
    steps: int = 30,
) -> Floats:
    """The theta of the highest posterior density that L-BFGS-B finds from `first`."""
    from scipy.optimize import minimize

    likelihood = MarginalLikelihood(features, owner, t, y)
    d = len(first) - 4

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = likelihood(theta)
        density, slope = prior(theta, first)
        return -(value + density), -(gradient + slope)

    bounds = [tuple(map(math.log, LENGTH_BOUNDS))] * d
    bounds += [tuple(map(math.log, SIGNAL_BOUNDS)), tuple(map(math.log, NOISE_BOUNDS))]
    optimum = minimize(
        objective, first, jac=True, method="L-BFGS-B", bounds=[*bounds, *_LATE_BOUNDS],
        options={"maxiter": steps, "gtol": 1e-2, "ftol": 1e-5},
    )  # fmt: skip
    return np.asarray(optimum.x)


@dataclass(frozen=True)
class CurveGP:
    """The posterior given (features, t, y) at theta. Build with `condition`."""

    weights: Floats
    scaled: Floats
    t: Floats
    lower: Floats
    alpha: Floats
    coefficients: Floats
    signal: float
    growth: float
    decay: float

    @classmethod
    def condition(
        cls, features: Floats, owner: NDArray[np.int64], t: Floats, y: Floats, theta: Floats
    ) -> CurveGP:
        """O(n^3)."""
        from scipy.linalg.lapack import dpotrs

        d = len(theta) - 4
        signal, noise, growth, decay = np.exp(theta[d:]).tolist()
        weights = np.exp(-theta[:d])[owner]
        scaled = features * weights
        covariance = matern(squared_distances(scaled, scaled))
        covariance *= signal * (1.0 + growth * decay / (t[:, None] + t + decay))
        covariance.flat[:: len(y) + 1] += noise
        lower, _ = cholesky(covariance, signal)
        basis = _basis(t, decay)
        sides = dpotrs(lower, np.column_stack([y, basis]), lower=1)[0]
        coefficients = _least_squares(basis, sides[:, 1:], sides[:, 0])
        alpha: Floats = sides[:, 0] - sides[:, 1:] @ coefficients
        return cls(weights, scaled, t, lower, alpha, coefficients, signal, growth, decay)

    def predict(self, features: Floats, t: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noise-free curve, shape (m,) each. O(m n^2)."""
        from scipy.linalg.lapack import dtrtrs

        cross = matern(squared_distances(features * self.weights, self.scaled))
        cross *= self.signal * (1.0 + self.growth * self.decay / (t[:, None] + self.t + self.decay))
        mean = _basis(t, self.decay) @ self.coefficients + cross @ self.alpha
        solved = dtrtrs(self.lower, cross.T, lower=1)[0]
        own = self.signal * (1.0 + self.growth * self.decay / (2.0 * t + self.decay))
        variance = own - np.einsum("ij,ij->j", solved, solved)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self.signal))
