"""Gaussian-process regression where what is not smooth is noise, roughness of the function, or both.

What a smooth kernel leaves over, of variance v, is noise if the same config run again gives another value, and belongs
to the function if it gives the same. With D the Euclidean distance of features, and theta as in `gp`:

    f = m + g + h,   cov g = s M(R2),   cov h = c v exp(-D / r),   y = f + e,   var e = (1 - c) v

`share` c and `reach` r are not known: their posterior is worked out on a grid, for several theta that are plausible.
Results that lie closer than r tell the two apart, as does a config that was run twice; elsewhere both stay possible.
The exponential kernel is that of the roughest continuous functions (Rasmussen & Williams, "Gaussian Processes for
Machine Learning", 2006, eq. 4.9); the grid is Bayesian model averaging (Hoeting et al., "Bayesian model averaging: a
tutorial", 1999).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.numeric import gp

Floats = NDArray[np.float64]

#: What is not smooth is all noise, all roughness, or in part, with these probabilities beforehand: programs that are
#: tuned are more often noisy than rough.
SHARES: Final = ((0.0, 0.6), (0.5, 0.1), (0.9, 0.1), (1.0, 0.2))
#: Up to this share it counts as noise.
HALF: Final = 0.5
#: How far roughness reaches, in parts of a parameter's range, all as likely beforehand.
REACHES: Final = (0.01, 0.03, 0.1, 0.3)
#: Of roughness alone, what is left as noise: rounding.
ROUNDING: Final = 1e-3
#: Plausible hyperparameters that are averaged over, and how many times as many they are chosen from.
DRAWN: Final = 8
MORE: Final = 8
#: Functions are drawn by so many parts.
PICKS: Final = 16
#: Laplace's approximation is scaled by so much, to draw from.
WIDER: Final = 1.3
#: Of an interval: the posterior's deviations are this many times what they are worked out to be, and where noise is at least so
#: probable the interval holds what it would be if all was noise, too. Measured: see docs/decisions/0031.
STRETCH: Final = 1.2
DOUBT: Final = 0.1
#: log v ~ N(log NOISE, ANY_NOISE^2): where reports state something, noise may be anything.
NOISE: Final = 1e-2
ANY_NOISE: Final = 2.5


@dataclass(frozen=True)
class Part:
    """One way to see the results, its probability, and its posterior given them: `lower` (n, n) and `alpha` (n,) as
    in `gp.GP`."""

    chance: float
    theta: Floats
    share: float
    reach: float
    mean: float
    lower: Floats
    alpha: Floats


@dataclass(frozen=True)
class Mixture:
    """The posterior of f given (features, y), over all `parts`. Build with `of`."""

    features: Floats
    owner: NDArray[np.int64]
    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls,
        features: Floats,
        owner: NDArray[np.int64],
        y: Floats,
        thetas: list[Floats],
        extra: Floats | float = 0.0,
    ) -> Mixture:
        """O(parts n^3); `thetas` are as likely, `extra` as in `gp.MarginalLikelihood`."""
        apart = distances(features, features)
        decays = [np.exp(-apart / reach) for reach in REACHES]
        parts: list[Part] = []
        logs: list[float] = []
        for theta in thetas:
            at: list[tuple[float, Part]] = []
            smooth = _smooth(features, features, owner, theta)
            for share, chance in SHARES:
                for reach, decay in zip(REACHES, decays, strict=True):
                    if share == 0.0 and reach != REACHES[0]:
                        continue
                    beforehand = math.log(chance / (1 if share == 0.0 else len(REACHES)))
                    density, part = _part(smooth, decay, y, theta, share, reach, extra)
                    at.append((density + beforehand, part))
            densities = np.array([density for density, _ in at])
            logs += (densities - np.logaddexp.reduce(densities)).tolist()
            parts += [part for _, part in at]
        chances = np.exp(np.array(logs)) / len(thetas)
        some = [
            replace(part, chance=float(chance))
            for part, chance in zip(parts, chances, strict=True)
            if chance > 1e-4
        ]
        return cls(features, owner, tuple(some))

    @property
    def noise_chance(self) -> float:
        """The probability that at least half of what is not smooth is noise, if that was as likely as not beforehand:
        what the results themselves say."""
        before = sum(chance for share, chance in SHARES if share <= HALF)
        noise = sum(p.chance for p in self.parts if p.share <= HALF) / before
        rough = sum(p.chance for p in self.parts if p.share > HALF) / (1.0 - before)
        return noise / (noise + rough)

    @property
    def noise(self) -> float:
        """The mean variance of the noise."""
        return sum(p.chance * (1.0 - p.share) * math.exp(p.theta[-1]) for p in self.parts) / sum(
            p.chance for p in self.parts
        )

    def interval(self, features: Floats, level: float) -> tuple[Floats, Floats]:
        """From where to where f is with probability `level` at `features`, shape (m,) each. O(parts m n^2)."""
        return self._interval(*self._normals(features), level)

    def band(self, features: Floats, level: float) -> tuple[Floats, Floats, Floats]:
        """The median of f, and its `interval`, at `features`: shape (m,) each."""
        normals = self._normals(features)
        return (_quantile(self._chances, *normals, 0.5), *self._interval(*normals, level))

    @property
    def _chances(self) -> Floats:
        return np.array([part.chance for part in self.parts])

    def _normals(self, features: Floats) -> tuple[Floats, Floats]:
        """Each part's means and deviations, shape (parts, m)."""
        from scipy.linalg.lapack import dtrtrs

        apart, m = distances(self.features, features), len(features)
        means, deviations = np.empty((len(self.parts), m)), np.empty((len(self.parts), m))
        for k, part in enumerate(self.parts):
            rough, cross = self._across(part, features, apart)
            solved = dtrtrs(part.lower, cross, lower=1)[0]
            variance = math.exp(part.theta[-2]) + rough - np.square(solved).sum(axis=0)
            means[k] = part.mean + part.alpha @ cross
            deviations[k] = STRETCH * np.sqrt(np.maximum(variance, 1e-12))
        return means, deviations

    def _interval(self, means: Floats, deviations: Floats, level: float) -> tuple[Floats, Floats]:
        """Of all parts; where it is in doubt whether the rest is noise, it holds that of the noisy ones as well."""
        chances = self._chances
        ends = _within(chances, means, deviations, level)
        noise = np.array([part.share <= HALF for part in self.parts])
        if chances[noise].sum() >= DOUBT * chances.sum():
            low, high = _within(chances[noise], means[noise], deviations[noise], level)
            ends = np.minimum(ends[0], low), np.maximum(ends[1], high)
        return ends

    def sample(
        self, features: Floats, count: int, rng: Generator, picks: int = PICKS
    ) -> tuple[Floats, Floats]:
        """`count` functions drawn at `features`, shape (count, m), and each one's variance of noise, (count,), in random
        order. O(picks m (n + m)^2): by so many parts, the more likely ones the more often."""
        from scipy.linalg.lapack import dtrtrs

        chosen = _resampled(self._chances, min(picks, count), rng)
        which = np.sort(chosen[np.arange(count) % len(chosen)])
        m = len(features)
        apart, among = distances(self.features, features), distances(features, features)
        drawn, noises = np.empty((count, m)), np.empty(count)
        for k in np.unique(which).tolist():
            part, rows = self.parts[k], np.flatnonzero(which == k)
            signal = math.exp(part.theta[-2])
            rough, cross = self._across(part, features, apart)
            own = _smooth(features, features, self.owner, part.theta)
            if rough:
                own += rough * np.exp(-among / part.reach)
            solved = dtrtrs(part.lower, cross, lower=1)[0]
            own -= solved.T @ solved
            own.flat[:: m + 1] += 1e-8 * signal
            lower, _ = gp.cholesky(own, signal)
            mean = part.mean + part.alpha @ cross
            drawn[rows] = mean + rng.standard_normal((len(rows), m)) @ np.tril(lower).T
            noises[rows] = _noise(part.theta, part.share)
        order = rng.permutation(count)
        return drawn[order], noises[order]

    def _across(self, part: Part, features: Floats, apart: Floats) -> tuple[float, Floats]:
        """The variance of h, and cov f of the known features and these, (n, m), which are so far apart."""
        rough = part.share * math.exp(part.theta[-1])
        cross = _smooth(self.features, features, self.owner, part.theta)
        if rough:
            cross += rough * np.exp(-apart / part.reach)
        return rough, cross


def _within(
    weights: Floats, means: Floats, deviations: Floats, level: float
) -> tuple[Floats, Floats]:
    """The ends of the middle `level` of mixtures of normal distributions, shape (m,) each; means and deviations (k, m)."""
    shares = (1.0 - level) / 2.0, (1.0 + level) / 2.0
    low, high = (_quantile(weights, means, deviations, share) for share in shares)
    return low, high


def _quantile(weights: Floats, means: Floats, deviations: Floats, share: float) -> Floats:
    """Below which such mixtures have `share` of their weight, shape (m,)."""
    from scipy.special import ndtr

    low, high = (means - 9.0 * deviations).min(axis=0), (means + 9.0 * deviations).max(axis=0)
    for _ in range(40):
        middle = (low + high) / 2.0
        below = weights @ ndtr((middle - means) / deviations) < share * weights.sum()
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found: Floats = (low + high) / 2.0
    return found


def distances(a: Floats, b: Floats) -> Floats:
    """Euclidean, shape (n, m); those of equal rows are 0, whatever rounding makes of them."""
    apart = np.sqrt(gp.squared_distances(a, b))
    close_a, close_b = np.nonzero(apart < 1e-6)
    same = (a[close_a] == b[close_b]).all(axis=1)
    apart[close_a[same], close_b[same]] = 0.0
    return apart


def _resampled(weights: Floats, count: int, rng: Generator) -> NDArray[np.int64]:
    """Low-variance resampling (Kitagawa, "Monte Carlo filter and smoother", 1996): `count` places."""
    places = (np.arange(count) + rng.random()) / count
    chosen = np.searchsorted(np.cumsum(weights / weights.sum()), places)
    return np.minimum(chosen, len(weights) - 1)


def plausible(
    features: Floats,
    owner: NDArray[np.int64],
    y: Floats,
    mode: Floats,
    begin: Floats,
    extra: Floats | float,
    count: int,
    rng: Generator,
) -> list[Floats]:
    """`count` draws of theta, whose prior is that of `gp.fit` about `begin`, but for the noise, which may be more.

    By importance sampling from Laplace's approximation about the mode, which `mode` is near (MacKay, "Information
    theory, inference, and learning algorithms", 2003, chapters 27 and 29). O((MORE count + d) n^3).
    """
    from scipy.optimize import minimize

    likelihood, d = gp.MarginalLikelihood(features, owner, y, extra), len(mode)
    bounds = [gp.LENGTH_BOUNDS] * (d - 2) + [gp.SIGNAL_BOUNDS, gp.NOISE_BOUNDS]
    low, high = np.log(np.array(bounds)).T

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, slope = likelihood(theta)
        prior, to_prior = gp.log_prior(theta, begin)
        usual = (theta[-1] - math.log(gp.NOISE_MEDIAN)) / gp.NOISE_SPREAD
        wide = (theta[-1] - math.log(NOISE)) / ANY_NOISE
        gradient = slope + to_prior
        gradient[-1] += usual / gp.NOISE_SPREAD - wide / ANY_NOISE
        return -(value + prior + 0.5 * (usual * usual - wide * wide)), -gradient

    options = {"maxiter": 20, "gtol": 1e-2, "ftol": 1e-6}
    optimum = minimize(
        objective,
        mode,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options=options,
    )
    mode = np.asarray(optimum.x, dtype=np.float64)
    step = 0.05
    hessian = np.array(
        [
            (objective(mode + step * unit)[1] - objective(mode - step * unit)[1]) / (2.0 * step)
            for unit in np.eye(d)
        ]
    )
    values, axes = np.linalg.eigh((hessian + hessian.T) / 2.0)
    spread = axes / np.sqrt(np.maximum(values, 1.0 / ANY_NOISE**2))
    steps = rng.standard_normal((MORE * count, d)) * WIDER
    steps[0] = 0.0
    drawn = np.clip(mode + steps @ spread.T, low, high)
    logs = np.array([-objective(theta)[0] for theta in drawn]) + 0.5 * (
        np.square(steps / WIDER).sum(axis=1)
    )
    weights = np.exp(logs - logs.max())
    return [drawn[k] for k in _resampled(weights, count, rng).tolist()]


def _smooth(a: Floats, b: Floats, owner: NDArray[np.int64], theta: Floats) -> Floats:
    """cov g of `a` and `b`, shape (n, m)."""
    weights = np.exp(-theta[:-2])[owner]
    covariance = gp.matern(gp.squared_distances(a * weights, b * weights))
    covariance *= math.exp(theta[-2])
    return covariance


def _noise(theta: Floats, share: float) -> float:
    return max(1.0 - share, ROUNDING) * math.exp(theta[-1])


def _part(
    smooth: Floats,
    decay: Floats,
    y: Floats,
    theta: Floats,
    share: float,
    reach: float,
    extra: Floats | float,
) -> tuple[float, Part]:
    """The log marginal likelihood, and the part without its probability."""
    from scipy.linalg.lapack import dpotrs

    n, v = len(y), math.exp(theta[-1])
    covariance = smooth + (share * v) * decay if share else smooth.copy()
    covariance.flat[:: n + 1] += _noise(theta, share) + extra
    lower, _ = gp.cholesky(covariance, math.exp(theta[-2]))
    sides = dpotrs(lower, np.column_stack([y, np.ones_like(y)]), lower=1)[0]
    mean = float(sides[:, 0].sum()) / float(sides[:, 1].sum())
    alpha = sides[:, 0] - mean * sides[:, 1]
    density = -0.5 * float((y - mean) @ alpha) - float(np.log(lower.diagonal()).sum())
    return density, Part(0.0, theta, share, reach, mean, lower, alpha)
