"""Exact Gaussian-process regression: Matern-5/2 with one lengthscale per parameter.

Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006), cited as RW. With
standardised targets y, shape (n,), and features F, shape (n, p), of d parameters:

    K = s M(R2) + v I,   R2_ab = sum_j w_j |F_aj - F_bj|^2,   w = 1 / l^2
    M(R2) = (1 + r + r^2/3) exp(-r),   r = sqrt(5 R2)                              (RW eq. 4.17)

The constant mean is the generalised least-squares one (RW eq. 2.41 with a vague prior). The
hyperparameters theta = (log l_1 .. log l_d, log s, log v) are the maximum a posteriori.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.numeric.descent import descend

Floats = NDArray[np.float64]

#: Bounds of the lengthscales, the signal's variance and the noise's.
LENGTH_BOUNDS: Final = (0.02, 50.0)
SIGNAL_BOUNDS: Final = (0.05, 20.0)
NOISE_BOUNDS: Final = (1e-7, 1.0)
#: The weight of the lengthscales' prior.
LENGTH_PRIOR: Final = 0.3
#: log v ~ N(log NOISE_MEDIAN, NOISE_SPREAD^2)
NOISE_MEDIAN: Final = 1e-3
NOISE_SPREAD: Final = 2.0


class Prior(NamedTuple):
    """What is believed of the hyperparameters before any result: see `log_prior`."""

    length_weight: float = LENGTH_PRIOR
    noise_median: float = NOISE_MEDIAN
    noise_spread: float = NOISE_SPREAD


USUAL: Final = Prior()
#: ... where results are taken at their word: hardly any noise, and functions as rough as that needs.
LITERAL: Final = Prior(0.02, 1e-4, 0.7)
#: A fit ends where no slope is above the one, or a step gains less than the other, as a share of the value.
GTOL: Final = 5e-2
FTOL: Final = 1e-5
#: Numbers in a block of the cross-covariance: it stays in the processor's cache.
_BLOCK: Final = 1 << 14
#: Added to the diagonal, as a share of s, until the Cholesky factorisation succeeds.
_JITTERS: Final = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2)


def matern(squared: Floats) -> Floats:
    """M at squared distances, in their place."""
    r = np.sqrt(squared, out=squared)
    r *= math.sqrt(5.0)
    out = r / 3.0
    out += 1.0
    out *= r
    out += 1.0
    np.negative(r, out=r)
    np.exp(r, out=r)
    out *= r
    return out


def matern_and_slope(squared: Floats) -> tuple[Floats, Floats]:
    """M and dM/dR2 at squared distances, in their place; both are finite at 0."""
    r = np.sqrt(squared, out=squared)
    r *= math.sqrt(5.0)
    decay = np.exp(-r)
    slope = r + 1.0
    value = r * r
    value *= 1.0 / 3.0
    value += slope
    value *= decay
    slope *= decay
    slope *= -5.0 / 6.0
    return value, slope


def squared_distances(a: Floats, b: Floats) -> Floats:
    """|a_i - b_j|^2, shape (n, m)."""
    squared: Floats = a @ b.T
    squared *= -2.0
    squared += np.einsum("ij,ij->i", a, a)[:, None]
    squared += np.einsum("ij,ij->i", b, b)
    return np.maximum(squared, 0.0, out=squared)


def _stretch(d: int) -> float:
    """By what lengthscales grow with the dimension, as distances do: 1 up to 10 parameters."""
    return math.sqrt(max(1.0, d / 10.0))


def start(sizes: Sequence[int]) -> Floats:
    """Where a fit begins, for parameters of `sizes` (0: a number, k: a choice of k): at the prior's mode, but with
    ten times the noise.

    Two random values of a choice of k are at a mean squared distance of 1 - 1/k, two random numbers at 1/6. So the
    lengthscale of a choice is longer by sqrt(6 (1 - 1/k)): a choice counts beforehand as much as a number.
    """
    d = len(sizes)
    theta = np.zeros(d + 2)
    theta[:d] = math.log(_stretch(d))
    theta[:d] += [0.5 * math.log(6.0 * (1.0 - 1.0 / k)) if k > 1 else 0.0 for k in sizes]
    theta[d + 1] = math.log(1e-2)
    return theta


def log_prior(theta: Floats, begin: Floats, prior: Prior = USUAL) -> tuple[float, Floats]:
    """The log density of theta up to a constant, and its gradient; `begin` has the mode of the lengthscales.

    With w = (mode / l)^2: -length_weight (w + 1/w), as Optuna's GPSampler has it. It is steep on
    both sides. That matters under noise: a prior that forgives long lengthscales makes "nothing
    matters, all is noise" the best explanation of few noisy results, and the search stops looking.
    s ~ Gamma(2, 1); log v ~ N(log noise_median, noise_spread^2).
    """
    d = len(theta) - 2
    gradient = np.empty_like(theta)
    w = np.exp(2.0 * (begin[:d] - theta[:d]))
    gradient[:d] = 2.0 * prior.length_weight * (w - 1.0 / w)
    signal = math.exp(theta[d])
    gradient[d] = 1.0 - signal
    noisy = (theta[d + 1] - math.log(prior.noise_median)) / prior.noise_spread
    gradient[d + 1] = -noisy / prior.noise_spread
    value = (
        -prior.length_weight * float((w + 1.0 / w).sum()) + theta[d] - signal - 0.5 * noisy * noisy
    )
    return value, gradient


class MarginalLikelihood:
    """The log marginal likelihood of (features, y) as a function of theta (RW eq. 5.8, 5.9).

    `extra`, shape (n,), are known variances of the targets, beside the noise that all have.
    """

    def __init__(
        self,
        features: Floats,
        owner: NDArray[np.int64],
        y: Floats,
        extra: Floats | float = 0.0,
    ) -> None:
        self._extra = extra
        self._features = features
        self._squares = features * features
        self._owner = owner
        self._firsts = np.flatnonzero(np.diff(owner, prepend=-1))
        self._y = y

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient; no matrix larger than n x n is made."""
        from scipy.linalg.lapack import dpotri

        n, d = len(self._y), len(theta) - 2
        weights = np.exp(-2.0 * theta[:d])
        signal, noise = math.exp(theta[d]), math.exp(theta[d + 1])
        scaled = self._features * np.sqrt(weights)[self._owner]
        correlation, slope = matern_and_slope(squared_distances(scaled, scaled))
        covariance = signal * correlation
        covariance.flat[:: n + 1] += noise + self._extra
        lower, _ = cholesky(covariance, signal)
        log_root = float(np.log(lower.diagonal()).sum())
        inverse = dpotri(lower, lower=1, overwrite_c=1)[0]  # its upper part is 0
        inverse = inverse + inverse.T
        inverse.flat[:: n + 1] *= 0.5
        ones = inverse.sum(axis=1)
        mean = float(ones @ self._y) / float(ones.sum())
        alpha = inverse @ (self._y - mean)
        value = (
            -0.5 * float((self._y - mean) @ alpha) - log_root - 0.5 * n * math.log(2.0 * math.pi)
        )
        outer = np.outer(alpha, alpha)
        outer -= inverse
        outer *= 0.5
        gradient = np.empty_like(theta)
        trace = float(outer.trace())
        gradient[d] = signal * float(np.vdot(outer, correlation))
        gradient[d + 1] = noise * trace
        pull = np.multiply(outer, slope, out=outer)
        pull *= signal
        by_feature = 2.0 * (
            pull.sum(axis=1) @ self._squares
            - np.einsum("ij,ij->j", self._features, pull @ self._features)
        )
        by_weight = np.add.reduceat(by_feature, self._firsts)
        gradient[:d] = -2.0 * weights * by_weight
        return value, gradient


def fit(
    features: Floats,
    owner: NDArray[np.int64],
    y: Floats,
    begin: Floats,
    extra: Floats | float = 0.0,
    *,
    steps: int = 50,
    prior: Prior = USUAL,
) -> tuple[Floats, float]:
    """The theta of the highest posterior density that L-BFGS finds from `begin`, the prior's mode, in at most `steps`
    evaluations, and its log."""
    likelihood = MarginalLikelihood(features, owner, y, extra)
    d = len(begin) - 2

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = likelihood(theta)
        before, slope = log_prior(theta, begin, prior)
        return -(value + before), -(gradient + slope)

    bounds = np.log([LENGTH_BOUNDS] * d + [SIGNAL_BOUNDS, NOISE_BOUNDS])
    theta, value = descend(
        objective, begin, bounds[:, 0], bounds[:, 1], evaluations=steps, gtol=GTOL, ftol=FTOL
    )
    return theta, -value


def cholesky(covariance: Floats, scale: float) -> tuple[Floats, float]:
    """The lower factor, shape (n, n), column-major, and the jitter that it took."""
    from scipy.linalg.lapack import dpotrf

    n = len(covariance)
    for jitter in _JITTERS:
        if jitter:
            covariance = covariance.copy()
            covariance.flat[:: n + 1] += jitter * scale
        lower, info = dpotrf(covariance, lower=1, clean=1)
        if info == 0:
            return lower, jitter
    raise np.linalg.LinAlgError("the covariance is not positive definite, even with jitter")


@dataclass(frozen=True)
class GP:
    """The posterior given (features, y) at theta. Build with `condition`.

    weights: (p,) root weights of the features; scaled: (n, p); lower: (n, n); alpha: (n,); fitted: the predicted means at
    the features, (n,), of what was believed later not.
    """

    theta: Floats
    weights: Floats
    scaled: Floats
    lower: Floats
    alpha: Floats
    mean: float
    signal: float
    noise: float
    fitted: Floats

    @classmethod
    def condition(
        cls,
        features: Floats,
        owner: NDArray[np.int64],
        y: Floats,
        theta: Floats,
        extra: Floats | float = 0.0,
    ) -> GP:
        """The posterior (RW eq. 2.25, 2.26, about the GLS mean); `extra` as in `MarginalLikelihood`."""
        from scipy.linalg.lapack import dpotrs

        d = len(theta) - 2
        signal, noise = math.exp(theta[d]), math.exp(theta[d + 1])
        weights = np.exp(-theta[:d])[owner]
        scaled = features * weights
        covariance = matern(squared_distances(scaled, scaled))
        covariance *= signal
        covariance.flat[:: len(y) + 1] += noise + extra
        lower, jitter = cholesky(covariance, signal)
        sides = dpotrs(lower, np.column_stack([y, np.ones_like(y)]), lower=1)[0]
        mean = float(sides[:, 0].sum()) / float(sides[:, 1].sum())
        alpha = sides[:, 0] - mean * sides[:, 1]
        fitted = y - (noise + extra + jitter * signal) * alpha  # the mean + K alpha
        return cls(theta, weights, scaled, lower, alpha, mean, signal, noise, fitted)

    def believe(self, features: Floats) -> tuple[GP, Floats]:
        """The posterior after seeing one's own predicted mean at `features`, shape (m, p), and that mean, (m,).

        The mean stays (so the new alphas are 0) and the variance vanishes there, noise or not: what
        is running need not be tried again. "Kriging believer": Ginsbourger, Le Riche & Carraro,
        "Kriging is well-suited to parallelize optimization" (2010). O(m n^2).
        """
        from scipy.linalg.lapack import dtrtrs

        m = len(features)
        if not m:
            return self, np.empty(0)
        n = len(self.alpha)
        new = features * self.weights
        cross = self.signal * matern(squared_distances(self.scaled, new))
        means = self.mean + self.alpha @ cross
        solved = dtrtrs(self.lower, cross, lower=1)[0]
        rest = self.signal * matern(squared_distances(new, new)) - solved.T @ solved
        rest.flat[:: m + 1] += 1e-8 * self.signal
        lower = np.empty((n + m, n + m), order="F")  # only the lower part is looked at
        lower[:n, :n] = self.lower
        lower[n:, :n] = solved.T
        lower[n:, n:] = cholesky(rest, self.signal)[0]
        scaled, alpha = np.vstack([self.scaled, new]), np.concatenate([self.alpha, np.zeros(m)])
        return replace(self, scaled=scaled, lower=lower, alpha=alpha), means

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noise-free function, shape (m,) each."""
        from scipy.linalg.lapack import dtrtrs

        query = features * self.weights
        mean, variance = np.empty(len(query)), np.empty(len(query))
        block = max(1, _BLOCK // len(self.alpha))
        for first in range(0, len(query), block):
            part = slice(first, first + block)
            cross = matern(squared_distances(query[part], self.scaled))
            cross *= self.signal
            mean[part] = self.mean + cross @ self.alpha
            solved = dtrtrs(self.lower, cross.T, lower=1, overwrite_b=1)[0]
            variance[part] = self.signal - np.einsum("ij,ij->j", solved, solved)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self.signal))

    def sample(self, features: Floats, count: int, rng: Generator) -> Floats:
        """`count` functions drawn from the posterior, at `features`: shape (count, m). O(m n^2 + m^3)."""
        from scipy.linalg.lapack import dtrtrs

        query = features * self.weights
        cross = matern(squared_distances(self.scaled, query))
        cross *= self.signal
        mean = self.mean + self.alpha @ cross
        solved = dtrtrs(self.lower, cross, lower=1)[0]
        covariance = self.signal * matern(squared_distances(query, query)) - solved.T @ solved
        covariance.flat[:: len(query) + 1] += 1e-8 * self.signal
        lower, _ = cholesky(covariance, self.signal)
        drawn: Floats = mean + rng.standard_normal((count, len(query))) @ np.tril(lower).T
        return drawn

    def slopes(self, columns: NDArray[np.int64]) -> Callable[[Floats], tuple[Floats, ...]]:
        """Mean, deviation, shape (m,), and their gradients along feature `columns`, (m, c), as a function of features."""
        from scipy.linalg.lapack import dtrtrs

        known, scale = self.scaled[:, columns], self.weights[columns]
        norms = np.einsum("ij,ij->i", self.scaled, self.scaled)[:, None]
        alpha = self.alpha[:, None]

        def slopes(features: Floats) -> tuple[Floats, ...]:
            query = features * self.weights
            squared = self.scaled @ query.T
            squared *= -2.0
            squared += norms
            squared += np.einsum("ij,ij->i", query, query)
            correlation, slope = matern_and_slope(np.maximum(squared, 0.0, out=squared))
            cross = np.multiply(correlation, self.signal, out=correlation)
            mean = self.mean + self.alpha @ cross
            solved = dtrtrs(self.lower, cross, lower=1)[0]
            variance = self.signal - np.einsum("ij,ij->j", solved, solved)
            deviation = np.sqrt(np.maximum(variance, 1e-12 * self.signal))
            inverse = dtrtrs(self.lower, solved, lower=1, trans=1)[0]
            slope *= 2.0 * self.signal  # d cross_im / d query_m = slope_im (query_m - scaled_i)
            inverse *= slope
            inverse *= -2.0
            slope *= alpha
            at = query[:, columns]
            by_mean = slope.sum(axis=0)[:, None] * at - slope.T @ known
            by_variance = inverse.sum(axis=0)[:, None] * at - inverse.T @ known
            by_mean *= scale
            by_variance *= scale / (2.0 * deviation[:, None])
            return mean, deviation, by_mean, by_variance

        return slopes


class Watch:
    """Mean and deviation at fixed features, shape (m, p), as more and more points are believed.

    What is solved with the Cholesky factor, shape (n, m), gets a row for each point that is believed: O(n m), where
    predicting anew is O(n^2 m); the first time it is that, too. The means do not change (see `GP.believe`).
    """

    def __init__(self, process: GP, features: Floats) -> None:
        from scipy.linalg.lapack import dtrtrs

        self._query = features * process.weights
        cross = matern(squared_distances(process.scaled, self._query))
        cross *= process.signal
        self._mean = process.mean + process.alpha @ cross
        self._known = len(cross)
        self._solved = np.empty((2 * self._known, len(features)))
        self._solved[: self._known] = dtrtrs(process.lower, cross, lower=1)[0]
        self._variance = process.signal - np.square(self._solved[: self._known]).sum(axis=0)

    def follow(self, process: GP) -> tuple[Floats, Floats]:
        """As its `predict`; the process is the one of the beginning, which may believe more points now."""
        from scipy.linalg.lapack import dtrtrs

        before, self._known = self._known, len(process.alpha)
        if self._known > before:
            cross = matern(squared_distances(process.scaled[before:], self._query))
            cross *= process.signal
            cross -= process.lower[before:, :before] @ self._solved[:before]
            rows = dtrtrs(process.lower[before:, before:], cross, lower=1)[0]
            if self._known > len(self._solved):
                more = np.empty((self._known, len(self._query)))
                self._solved = np.vstack([self._solved, more])
            self._solved[before : self._known] = rows
            self._variance -= np.square(rows).sum(axis=0)
        return self._mean, np.sqrt(np.maximum(self._variance, 1e-12 * process.signal))
