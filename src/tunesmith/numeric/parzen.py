"""The Parzen estimator: a mixture of products of kernels over the unit cube, the density that TPE compares.

Bergstra, Bardenet, Bengio & Kegl, "Algorithms for hyper-parameter optimization", NeurIPS 2011;
Falkner, Klein & Hutter (BOHB), ICML 2018, for the joint kernels; Watanabe, "Tree-structured Parzen
estimator" (2023), section 3.3, for the bandwidths.

Every observation is one component, beside a uniform one (the prior). A number's kernel is a
Gaussian truncated to [0, 1], a choice's puts most of its mass on the chosen one. Where an
observation or a query is inactive (NaN), that column's factor is uniform, which is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.numeric.acquisition import LOG_ROOT_TAU

Floats = NDArray[np.float64]

#: Bandwidth of one observation; more make it narrower (Scott's rule).
_WIDTH: Final = 0.2


@dataclass(frozen=True)
class Parzen:
    """centres: (k, d), NaN where inactive; log_weights: (k + 1,), the last one the prior's;
    widths: (d,); choices: (d,), 0 for a number; off: (d,), the mass of each other choice."""

    centres: Floats
    log_weights: Floats
    widths: Floats
    choices: NDArray[np.int64]
    off: Floats

    @classmethod
    def of(cls, centres: Floats, choices: Sequence[int], cells: Floats) -> Parzen:
        """The estimate from observations, shape (k, d).

        `cells`, shape (d,), are the widths of the levels of stepped numbers (0 for a continuum): no
        kernel is narrower than half of one.
        """
        k, d = centres.shape
        sizes = np.asarray(choices, dtype=np.int64)
        width = max(_WIDTH * max(k, 1) ** (-1.0 / (d + 4)), 1.0 / min(100, k + 1) if k < 4 else 0.0)
        widths = np.maximum(np.full(d, max(width, 0.01)), 0.5 * cells)
        prior = 1.0 / (k + 1)
        log_weights = np.full(k + 1, math.log(prior))
        # a choice's kernel: the observation once, and the prior's share spread over all of them
        off = np.where(sizes > 0, 1.0 / np.maximum(sizes * (1 + min(k, 25)), 1), 0.0)
        return cls(centres, log_weights, widths, sizes, off)

    def sample(self, n: int, rng: Generator) -> Floats:
        """Points, shape (n, d); what is inactive in a component is drawn uniformly."""
        k, d = self.centres.shape
        component = rng.choice(k + 1, size=n, p=np.exp(self.log_weights))
        uniform = rng.random((n, d))
        centres = np.vstack([self.centres, np.full((1, d), np.nan)])[component]
        active = ~np.isnan(centres)
        middle = np.nan_to_num(centres, nan=0.5)
        moved = middle + self.widths * _truncated(middle, self.widths, uniform)
        jump = rng.random((n, d)) < self.off * self.choices
        numbers = self.choices == 0
        near = np.where(numbers, np.clip(moved, 0.0, 1.0), np.where(jump, uniform, middle))
        return np.where(active, near, uniform)

    def log_density(self, points: Floats) -> Floats:
        """Shape (m,), for points of shape (m, d). O(m k d)."""
        m, d = points.shape
        k = len(self.centres)
        total = np.zeros((m, k))
        for j in range(d):
            x, c = points[:, j][:, None], self.centres[:, j][None]
            if self.choices[j]:
                size = int(self.choices[j])
                same = np.floor(np.minimum(x, 1 - 1e-12) * size) == np.floor(c * size)
                off = float(self.off[j])
                factor = np.where(same, math.log(1.0 - off * (size - 1)), math.log(off))
                factor = factor + math.log(size)  # against the uniform distribution's 1 / size
            else:
                s = float(self.widths[j])
                factor = -0.5 * ((x - c) / s) ** 2 - _log_mass(c, s) - math.log(s) - LOG_ROOT_TAU
            total += np.where(np.isnan(x + c), 0.0, factor)
        whole = np.column_stack([total, np.zeros(m)]) + self.log_weights
        top = whole.max(axis=1)
        density: Floats = top + np.log(np.exp(whole - top[:, None]).sum(axis=1))
        return density


def _log_mass(centre: Floats, width: float) -> Floats:
    """log of a Gaussian's mass inside [0, 1]."""
    from scipy.special import ndtr

    mass: Floats = np.log(ndtr((1.0 - centre) / width) - ndtr(-centre / width))
    return mass


def _truncated(centre: Floats, width: Floats, uniform: Floats) -> Floats:
    """Standard normals such that centre + width * z lies in [0, 1], by inversion."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-centre / width), ndtr((1.0 - centre) / width)
    z: Floats = ndtri(low + uniform * (high - low))
    return z
