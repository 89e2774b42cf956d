"""Output warping, so that a Gaussian process fits: standardise, compress the bad tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Compress when the bad tail is this many times longer than the good one.
TAIL_GATE: Final = 3.0
#: Nothing is farther from the mean than this many deviations.
_MOST: Final = 12.0


@dataclass(frozen=True)
class OutputWarp:
    """z = (w(y) - shift) / scale, increasing; w is linear up to `knee`, logarithmic beyond.

    w(y) = (y - knee)/span for y <= knee, log1p((y - knee)/span) beyond (if `bent`): values below
    the median keep their distances, and a few awful ones cannot flatten the model of the good ones.
    """

    knee: float
    span: float
    bent: bool
    shift: float
    scale: float

    @classmethod
    def of(cls, values: Floats, *, bend: bool = True) -> OutputWarp:
        """The warp that fits finite `values`, shape (n,), n >= 1; without `bend` it is linear."""
        knee = float(np.median(values))
        low, high = float(values.min()), float(values.max())
        # halves keep differences of numbers near the largest double finite
        span = 2.0 * (knee / 2 - low / 2)
        reach = 2.0 * (high / 2 - knee / 2)
        if span <= 0.0:
            span = reach if reach > 0.0 else max(abs(knee), 1.0)
        span = min(span, 1e308)
        bent = bend and reach > TAIL_GATE * span
        raw = cls(knee, span, bent, 0.0, 1.0)
        bentvalues = raw(values)
        scale = float(bentvalues.std())
        return cls(knee, span, bent, float(bentvalues.mean()), scale if scale > 0.0 else 1.0)

    def _away(self, values: Floats) -> Floats:
        return 2.0 * (values / 2 / self.span - self.knee / 2 / self.span)

    def log_slope(self, values: Floats) -> float:
        """The sum of log w'(y) over `values`: what makes of a log density of z one of y (Snelson, Rasmussen &
        Ghahramani, "Warped Gaussian processes", 2004, eq. 6)."""
        straight = -len(values) * (math.log(self.scale) + math.log(self.span))
        bent = float(np.log1p(np.maximum(self._away(values), 0.0)).sum()) if self.bent else 0.0
        return straight - bent

    def __call__(self, values: Floats) -> Floats:
        away = self._away(values)
        if self.bent:
            away = np.where(away > 0.0, np.log1p(np.maximum(away, 0.0)), away)
        return np.clip((away - self.shift) / self.scale, -_MOST, _MOST)

    def deviations(self, values: Floats, deviations: Floats) -> Floats:
        """Of warped values, from those of the values: half of what lies between one below and one above."""
        apart = self(values + deviations) - self(values - deviations)
        return np.where(deviations > 0.0, apart / 2.0, 0.0)

    def back(self, z: float) -> float:
        """The value that is warped to `z`."""
        away = z * self.scale + self.shift
        if self.bent and away > 0.0:
            away = math.expm1(min(away, 700.0))
        return self.knee + away * self.span

    @property
    def unit(self) -> float:
        """What one unit of z is worth in the units of the values, where w is linear."""
        return self.scale * self.span


def impute_failures(z: Floats, failed: NDArray[np.bool_]) -> Floats:
    """`z` with what failed at the worst value plus half the range (Vizier's rule, 2408.11527)."""
    out = np.array(z)
    if failed.all():
        out[:] = 0.0
        return out
    good = z[~failed]
    out[failed] = good.max() + 0.5 * max(float(good.max() - good.min()), 1.0)
    return out
