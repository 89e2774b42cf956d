"""Covariance matrix adaptation, as pure functions of a state.

Hansen, "The CMA evolution strategy: a tutorial" (arXiv 1604.00772), cited as H, for the updates;
Hansen, "Injecting external solutions into CMA-ES" (arXiv 1110.4181), since points may come from
anywhere; Hamano, Saito, Nomura & Shirakawa, "CMA-ES with margin" (GECCO 2022), for stepped numbers.
Variable names follow H. Points are in the unit cube and values are minimised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The first step size, and where a run has converged: values are no finer (in units of the ranges).
SIGMA: Final = 0.25
CONVERGED: Final = 1e-6


@dataclass(frozen=True)
class Rates:
    """What depends on dimension and population alone (H, table 1)."""

    d: int
    size: int

    @cached_property
    def weights(self) -> Floats:
        """Shape (size,), the negative ones scaled (H, eq. 49-53)."""
        raw = math.log((self.size + 1) / 2) - np.log(np.arange(1, self.size + 1))
        good, bad = raw[raw >= 0], raw[raw < 0]
        mu_bad = bad.sum() ** 2 / (bad**2).sum() if len(bad) else 0.0
        by_rank = 1 + self.c1 / max(self.cmu, 1e-12)
        by_mu = 1 + 2 * mu_bad / (self.mueff + 2)
        by_d = (1 - self.c1 - self.cmu) / max(self.d * self.cmu, 1e-12)
        scale = min(by_rank, by_mu, by_d) / max(float(np.abs(bad).sum()), 1e-12)
        return np.where(raw >= 0, raw / good.sum(), raw * scale)

    @cached_property
    def mueff(self) -> float:
        raw = math.log((self.size + 1) / 2) - np.log(np.arange(1, self.size + 1))
        good = raw[raw > 0]
        return float(good.sum() ** 2 / (good**2).sum())

    @property
    def cs(self) -> float:
        return (self.mueff + 2) / (self.d + self.mueff + 5)

    @property
    def damping(self) -> float:
        return 1 + 2 * max(0.0, math.sqrt((self.mueff - 1) / (self.d + 1)) - 1) + self.cs

    @property
    def cc(self) -> float:
        return (4 + self.mueff / self.d) / (self.d + 4 + 2 * self.mueff / self.d)

    @property
    def c1(self) -> float:
        return 2 / ((self.d + 1.3) ** 2 + self.mueff)

    @property
    def cmu(self) -> float:
        most = 1 - self.c1
        rate = 2 * (self.mueff - 2 + 1 / self.mueff) / ((self.d + 2) ** 2 + self.mueff)
        return min(most, rate)

    @property
    def length(self) -> float:
        """E |N(0, I)| (H, p. 28)."""
        return math.sqrt(self.d) * (1 - 1 / (4 * self.d) + 1 / (21 * self.d**2))


def population(d: int) -> int:
    """The default size of a population (H, eq. 48)."""
    return 4 + int(3 * math.log(max(d, 1)))


@dataclass(frozen=True)
class State:
    """m: (d,) mean; sigma: step size; C: (d, d); ps, pc: (d,) evolution paths; stretch: (d,) the
    margin's diagonal; generation: updates since the start."""

    m: Floats
    sigma: float
    C: Floats
    ps: Floats
    pc: Floats
    stretch: Floats
    size: int
    generation: int = 0

    @classmethod
    def start(cls, m: Floats, size: int) -> State:
        d = len(m)
        return cls(m, SIGMA, np.eye(d), np.zeros(d), np.zeros(d), np.ones(d), size)

    @cached_property
    def axes(self) -> tuple[Floats, Floats]:
        """Eigenvectors B, (d, d), and root eigenvalues D, (d,), of C."""
        values, vectors = np.linalg.eigh(self.C)
        return vectors, np.sqrt(np.maximum(values, 1e-20))

    @property
    def deviations(self) -> Floats:
        """The standard deviation along each coordinate, shape (d,)."""
        return self.sigma * self.stretch * np.sqrt(np.maximum(np.diag(self.C), 1e-20))

    def sample(self, n: int, rng: Generator) -> Floats:
        """Points, shape (n, d), mirrored at the borders of the cube (H, eq. 38-40)."""
        B, D = self.axes
        y = rng.standard_normal((n, len(self.m))) * D @ B.T
        x = np.abs(self.m + self.sigma * self.stretch * y) % 2.0
        return np.where(x > 1.0, 2.0 - x, x)

    def update(self, x: Floats) -> State:
        """After a generation `x`, shape (n, d), the best first; what is inactive (NaN) teaches
        nothing about its coordinate. n may differ from `size` (H, eq. 41-47 and 58)."""
        d = len(self.m)
        rates = Rates(d, len(x))
        B, D = self.axes
        y = np.nan_to_num((x - self.m) / (self.sigma * self.stretch), nan=0.0)
        white = (y @ B) / D
        lengths = np.sqrt(np.einsum("ij,ij->i", white, white))
        most = math.sqrt(d) + 2 * d / (d + 2)  # injection, eq. 4
        clip = np.minimum(1.0, most / np.maximum(lengths, 1e-300))[:, None]
        y, white, lengths = y * clip, white * clip, lengths * clip[:, 0]
        w = rates.weights
        good = np.maximum(w, 0.0)
        step = good @ y
        m = np.clip(self.m + self.sigma * self.stretch * step, 0.0, 1.0)
        ps = (1 - rates.cs) * self.ps + math.sqrt(rates.cs * (2 - rates.cs) * rates.mueff) * (
            (good @ white) @ B.T
        )
        norm = float(np.linalg.norm(ps))
        g = self.generation + 1
        slow = norm / math.sqrt(1 - (1 - rates.cs) ** (2 * g)) < (1.4 + 2 / (d + 1)) * rates.length
        pc = (1 - rates.cc) * self.pc
        if slow:
            pc = pc + math.sqrt(rates.cc * (2 - rates.cc) * rates.mueff) * step
        signed = np.where(w >= 0, w, w * d / np.maximum(lengths**2, 1e-12))
        missing = 0.0 if slow else rates.c1 * rates.cc * (2 - rates.cc)
        C = (1 + missing - rates.c1 - rates.cmu * w.sum()) * self.C
        C = C + rates.c1 * np.outer(pc, pc) + rates.cmu * (signed[:, None] * y).T @ y
        sigma = self.sigma * math.exp(
            min(1.0, rates.cs / rates.damping * (norm / rates.length - 1))
        )
        return replace(
            self, m=m, sigma=min(sigma, 1.0), C=(C + C.T) / 2, ps=ps, pc=pc, generation=g
        )

    def with_margin(self, low: Floats, high: Floats, least: float) -> State:
        """Stretched so that every coordinate leaves its cell [low, high] with probability `least`.

        low, high: (d,), infinite for what has no cell, or none beyond (Hamano et al., section 4).
        """
        from scipy.special import ndtr

        plain = self.sigma * np.sqrt(np.maximum(np.diag(self.C), 1e-20))

        def leaving(deviation: Floats) -> Floats:
            chance: Floats = ndtr((low - self.m) / deviation) + ndtr((self.m - high) / deviation)
            return chance

        celled = np.isfinite(low) | np.isfinite(high)
        short = celled & (leaving(plain) < least)
        narrow, wide = plain.copy(), np.maximum(plain, 2.0)
        for _ in range(40):
            middle = np.sqrt(narrow * wide)
            enough = leaving(middle) >= least
            narrow, wide = np.where(enough, narrow, middle), np.where(enough, middle, wide)
        return replace(self, stretch=np.where(short, wide / plain, 1.0))

    @property
    def converged(self) -> bool:
        """Whether nothing is left to be found around here."""
        plain = self.sigma * math.sqrt(max(float(np.diag(self.C).max()), 0.0))
        _, root = self.axes
        return plain < CONVERGED or float(root.max() / root.min()) > 1e7
