"""The number line of one Float or Int: its scale, its steps, and its map onto [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SpaceError

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """A number line between `low` and `high`, and the scale on which it becomes [0, 1].

    ``step`` is None for a continuum; otherwise the values are ``low + k * step`` and each owns a
    cell that reaches half a step to either side.
    """

    low: float
    high: float
    log: bool | Literal["reverse"]
    step: float | None
    count: int | None = field(init=False)
    start: float = field(init=False)
    span: float = field(init=False)
    decimals: int = field(init=False)

    def __post_init__(self) -> None:
        low, high, step = self.low, self.high, self.step
        if step is None:
            count, first, last = None, low, high
            decimals = 14 - math.ceil(math.log10(max(abs(low), abs(high)) or 1.0))
        else:
            count = round((high - low) / step) + 1
            first = low - min(step / 2, low / 2) if self.log else low - step / 2
            last = high + step / 2
            if self.log == "reverse":
                first = low - step / 2
                last = high + min(step / 2, (1.0 - high) / 2)
            decimals = max(_decimals(low), _decimals(step))
        start = float(self.forward(first))
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "span", float(self.forward(last)) - start)
        object.__setattr__(self, "decimals", decimals)

    def forward(self, x: float | Floats) -> Any:
        if self.log is True:
            return np.log(x)
        if self.log == "reverse":
            return -np.log1p(np.negative(x))
        return x

    def backward(self, t: float) -> float:
        if self.log is True:
            return math.exp(t)
        if self.log == "reverse":
            return -math.expm1(-t)
        return t

    def unit(self, x: float | Floats) -> Any:
        """The place of `x` in [0, 1], by element; NaN stays NaN."""
        if self.span == 0.0:
            return np.full_like(x, 0.5, dtype=np.float64)
        return np.clip((self.forward(x) - self.start) / self.span, 0.0, 1.0)

    def stretch(self, x: Floats) -> Floats:
        """By how much a value grows per unit of [0, 1], at the values `x`: the derivative of `value`."""
        if self.log is True:
            return self.span * x
        if self.log == "reverse":
            return self.span * (1.0 - x)
        return np.full_like(x, self.span)

    def value(self, u: float) -> float:
        """The value at `u` in [0, 1].

        Continuous values are rounded to a decimal grid some 100 times coarser than a double (14
        digits of the range, 12 significant ones on log scales): that is what makes
        ``value(unit(x)) == x`` exact for every value this method returns, and for every decimal
        that people write.
        """
        span = self.span
        if span == 0.0:
            return self.low
        x = self.start + u * span
        if self.log:
            x = self.backward(x)
        if self.count is not None:
            assert self.step is not None
            return self.nth(min(max(round((x - self.low) / self.step), 0), self.count - 1))
        if u <= 0.0 or x <= self.low:
            return self.low
        if u >= 1.0 or x >= self.high:
            return self.high
        x = float(f"{x:.12g}") if self.log is True else round(x, self.decimals)
        return (
            min(max(x, self.low), self.high) + 0.0
        )  # never -0.0, which is stored as another number

    def nth(self, k: int) -> float:
        """The k-th value of a stepped axis, as the decimal a person would write."""
        assert self.step is not None
        return round(self.low + k * self.step, self.decimals) + 0.0

    def levels(self, most: int) -> list[float]:
        """At most `most` values, evenly spread on the scale, both ends included; all if stepped."""
        if self.count is not None:
            return [self.nth(k) for k in range(self.count)]
        if self.span == 0.0:
            return [self.low]
        if most == 1:
            return [self.value(0.5)]
        return [self.value(k / (most - 1)) for k in range(most)]


def _decimals(x: float) -> int:
    """The decimal places of `x` as a person would write it."""
    digits, _, exponent = repr(x).partition("e")
    fraction = digits.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(exponent or 0))


def check_axis(owner: str, low: float, high: float, log: object, step: float | None) -> None:
    if low > high:
        raise SpaceError(f"{owner}: low is above high; write ({high:g}, {low:g})")
    if log not in (True, False, "reverse"):
        raise SpaceError(f"{owner}: log is True, False or 'reverse', not {log!r}")
    if log is True and low <= 0:
        raise SpaceError(f"{owner}: a log scale needs low > 0")
    if log == "reverse" and high >= 1:
        raise SpaceError(
            f"{owner}: log='reverse' spreads out values just below 1 (a momentum, a decay), "
            "so it needs high < 1"
        )
    if step is not None:
        if step <= 0:
            raise SpaceError(f"{owner}: step is above 0, not {step:g}")
        count = (high - low) / step
        if abs(count - round(count)) > 1e-9 * max(1.0, abs(count)):
            below = low + math.floor(count) * step
            raise SpaceError(
                f"{owner}: high is not low + k * step; the nearest highs that are: "
                f"{below:.12g} and {below + step:.12g}"
            )
    elif low != high and high - low < 1e-9 * max(abs(low), abs(high)):
        raise SpaceError(
            f"{owner}: the range is too narrow for floating point; tune an offset from {low!r}"
        )


def on_grid(value: float, low: float, step: float) -> bool:
    """Whether `value` is ``low + k * step``, up to rounding."""
    position = (value - low) / step
    return abs(position - round(position)) <= 1e-9 * max(1.0, abs(position))
