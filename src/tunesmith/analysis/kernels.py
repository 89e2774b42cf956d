"""Posterior draws of a Gaussian process's kernel hyperparameters, for parameter importance.

The searcher's prior keeps every parameter of some importance, so that none is given up too early. To say
what matters, long lengthscales have to be possible: here they are lognormal, wide, and longer in more
dimensions (Hvarfner, Hellsten & Nardi, "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024,
section 4). Draws are from Laplace's approximation about the mode (MacKay, "Information theory, inference, and
learning algorithms", 2003, chapter 27).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.numeric import gp

Floats = NDArray[np.float64]

#: The prior of log lengthscales: above that of one parameter in the unit cube by so much; its deviation.
LONGER: Final = 0.7
WIDE: Final = 1.2
#: The same of the noise's variance, which may be most of what there is.
NOISE: Final = 1e-2
ANY_NOISE: Final = 3.0
#: No draw is farther from the mode than this many deviations of the prior.
FAR: Final = 2.0


def kernels(
    features: Floats, owner: NDArray[np.int64], y: Floats, count: int, rng: Generator
) -> list[Floats]:
    """The mode and `count` - 1 draws of theta (see `gp`); O((count + 1) d n^2 + d n^3)."""
    from scipy.optimize import minimize

    d = int(owner.max()) + 1
    likelihood = gp.MarginalLikelihood(features, owner, y)

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = likelihood(theta)
        prior, slope = _log_prior(theta)
        return -(value + prior), -(gradient + slope)

    bounds = [tuple(map(math.log, gp.LENGTH_BOUNDS))] * d
    bounds += [tuple(map(math.log, gp.SIGNAL_BOUNDS)), tuple(map(math.log, gp.NOISE_BOUNDS))]
    options = {"maxiter": 40, "gtol": 1e-2, "ftol": 1e-6}
    optimum = minimize(
        objective, gp.start([0] * d), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    mode = np.asarray(optimum.x, dtype=np.float64)
    if count == 1:
        return [mode]
    step = 0.05
    hessian = np.array(
        [
            (objective(mode + step * unit)[1] - objective(mode - step * unit)[1]) / (2 * step)
            for unit in np.eye(d + 2)
        ]
    )
    values, axes = np.linalg.eigh((hessian + hessian.T) / 2)
    spread = axes / np.sqrt(np.maximum(values, 1.0 / (FAR * WIDE) ** 2))
    drawn = mode + rng.standard_normal((count - 1, d + 2)) @ spread.T
    low, high = np.array(bounds).T
    return [mode, *np.clip(drawn, low, high)]


def _log_prior(theta: Floats) -> tuple[float, Floats]:
    """The log density of theta up to a constant, and its gradient; the signal's is that of `gp.log_prior`."""
    d = len(theta) - 2
    signal = math.exp(theta[d])
    middle = gp.start([0] * d) + LONGER
    middle[d], middle[d + 1] = theta[d], math.log(NOISE)
    deviation = np.full(d + 2, WIDE)
    deviation[d + 1] = ANY_NOISE
    away = (theta - middle) / deviation
    gradient = -away / deviation
    gradient[d] = 1.0 - signal
    return float(theta[d]) - signal - 0.5 * float(away @ away), gradient
