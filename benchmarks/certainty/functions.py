"""Functions of six kinds, drawn at random for each case, whose truth is known.

Values of all kinds have about the same range, so that noise of one size is comparable. A case's half is its seed's: even ones are
for developing, odd ones for the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

import tunesmith as ts

Floats: TypeAlias = NDArray[np.float64]
Config: TypeAlias = dict[str, Any]

KINDS: Final = ("smooth", "rough", "noisy", "heavy-tailed", "rough and noisy", "uneven noise")
#: The standard deviation of noise, in parts of what lies between the best and the median.
NOISE: Final = (0.03, 0.3)


@dataclass(frozen=True)
class Case:
    """`true` is what a config is worth, `noise` the standard deviation of a run of it."""

    space: ts.Space
    true: Callable[[Config], float]
    noise: Callable[[Config], float]

    def observe(self, config: Config, rng: Generator) -> float:
        return self.true(config) + self.noise(config) * float(rng.standard_normal())


def case(kind: str, seed: int) -> Case:
    rng = default_rng([seed, KINDS.index(kind)])
    d = int(rng.integers(2, 5))
    space = ts.Space({f"x{j}": ts.Float(0, 1) for j in range(d)})
    function = _smooth(d, rng)
    if kind.startswith("rough"):
        function = _sum(function, _rough(d, rng))
    if kind == "heavy-tailed":
        function = _heavy(function, rng)
    draws = default_rng(0).random((2000, d))
    values = np.array([function(x) for x in draws])
    unit = float(np.median(values) - values.min())
    shift = 0.0  # losses that are all positive, or some of each sign
    if kind != "heavy-tailed":
        positive = bool(rng.integers(2))
        shift = rng.uniform(0.5, 2.0) * unit - values.min() if positive else -np.median(values)

    def true(config: Config) -> float:
        return float(function(_point(config)) + shift)

    share = math.exp(rng.uniform(*np.log(NOISE)))
    if kind in ("noisy", "rough and noisy"):
        return Case(space, true, lambda _: share * unit)
    if kind == "uneven noise":
        # ten times as much at one end of a direction as at the other, as of a rate or a sample's size
        way = rng.standard_normal(d)
        along = draws @ way
        low, high = np.quantile(along, (0.02, 0.98))

        def noise(config: Config) -> float:
            at = float(np.clip((_point(config) @ way - low) / (high - low), 0.0, 1.0))
            return float(share * unit * 10.0 ** (at - 0.5))

        return Case(space, true, noise)
    return Case(space, true, lambda _: 0.0)


def _point(config: Config) -> Floats:
    return np.array([config[f"x{j}"] for j in range(len(config))])


def _smooth(d: int, rng: Generator) -> Callable[[Floats], float]:
    """A bowl that is turned and stretched, and three basins in it."""
    best = rng.uniform(0.15, 0.85, d)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.exp(rng.uniform(-1.0, 1.0, d))
    centres, widths = rng.random((3, d)), rng.uniform(0.1, 0.4, 3)
    depths = rng.uniform(0.1, 0.5, 3)

    def function(x: Floats) -> float:
        away = (x - best) @ axes
        basins = depths @ np.exp(-((x - centres) ** 2).sum(1) / (2 * widths**2))
        return float(np.sqrt(0.01 + away @ away) + 0.5 * away @ away - basins)

    return function


def _rough(d: int, rng: Generator) -> Callable[[Floats], float]:
    """Waves of all lengths from the range to a fiftieth of it, the short ones lower: as rough as a path of noise."""
    lengths = np.exp(rng.uniform(0.0, math.log(50.0), 60))
    ways = rng.standard_normal((60, d))
    ways *= (2 * math.pi * lengths / np.linalg.norm(ways, axis=1))[:, None]
    phases, heights = rng.uniform(0, 2 * math.pi, 60), lengths**-0.5
    heights *= rng.uniform(0.1, 0.4) / np.sqrt((heights**2).sum() / 2)

    def function(x: Floats) -> float:
        return float(heights @ np.cos(ways @ x + phases))

    return function


def _sum(a: Callable[[Floats], float], b: Callable[[Floats], float]) -> Callable[[Floats], float]:
    return lambda x: a(x) + b(x)


def _heavy(base: Callable[[Floats], float], rng: Generator) -> Callable[[Floats], float]:
    """Losses that are positive and span orders of magnitude."""
    steepness, floor = rng.uniform(2.0, 6.0), 10.0 ** rng.uniform(-3.0, 0.0)
    return lambda x: floor * math.exp(min(steepness * base(x), 300.0))
