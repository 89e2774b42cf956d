"""The number line of one Float or Int: its scale, its steps, and its map onto [0, 1]."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SpaceError

Floats: TypeAlias = NDArray[np.float64]

#: Suggested values of a continuum are on a grid no coarser than this share of its scale.
RESOLUTION: Final = 1e-6
_EPS: Final = sys.float_info.epsilon


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
    #: The decimal places of a stepped or linear axis' values; of a log one's the significant digits.
    decimals: int = field(init=False)
    #: Grid places of a continuum that are nearer to an end than these are the end itself.
    near_low: float = field(init=False, repr=False)
    near_high: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        low, high, step = self.low, self.high, self.step
        decimals = 0
        if step is None:
            count, first, last = None, low, high
        else:
            count = round((high - low) / step) + 1
            first = low - min(step / 2, low / 2) if self.log else low - step / 2
            last = high + step / 2
            if self.log == "reverse":
                first = low - step / 2
                last = high + min(step / 2, (1.0 - high) / 2)
            if (1024.0 if self.log else 64.0) * _EPS * max(abs(low), abs(high)) > step:
                first, last = low, high  # half steps are lost: the cells of the ends are half ones
                # ... and steps in the logarithm, which is a straight line there
                if high - low < 1e-3 * low:
                    object.__setattr__(self, "log", False)
            decimals = max(_decimals(low), _decimals(step))
        start = float(self.forward(first))
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "start", start)
        span = float(self.forward(last)) - start
        if step is None and span > 0.0:
            decimals = -math.floor(math.log10(span) + math.log10(RESOLUTION))
            if self.log:
                # digits beyond these are lost in the logarithm
                most = 14.0 - math.log10(1.0 + max(abs(start), abs(start + span)))
                decimals = 1 + max(min(decimals, math.floor(most)), 1)
        object.__setattr__(self, "span", span)
        object.__setattr__(self, "decimals", decimals)
        near = 0.02 * RESOLUTION * span
        if self.log:  # what rounding does to a logarithm is no distance
            near = max(near, 4.0 * _EPS * max(abs(start), abs(start + span)))
        object.__setattr__(self, "near_low", self.backward(start + near))
        object.__setattr__(self, "near_high", self.backward(start + span - near))

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

        Continuous values are on a decimal grid, the coarsest that has at least a million places on
        this scale: people can read them, and rounding, which differs from processor to processor,
        is lost. ``value(unit(x)) == x`` for every value that this method returns.
        """
        if self.span == 0.0:
            return self.low
        if self.count is not None:
            return self.nth(self.place(u))
        x = self._at(u)
        if self.log is True:
            x = float(f"{x:.{self.decimals}g}")
        elif self.log == "reverse":
            left = max(1.0 - x, 1e-15)
            x = round(x, min(self.decimals - 1 - math.floor(math.log10(left)), 15))
        else:
            x = round(x, self.decimals)
        if u <= 0.0 or x <= self.near_low:
            return self.low
        if u >= 1.0 or x >= self.near_high:
            return self.high
        return x + 0.0  # never -0.0, which is stored as another number

    def exact(self, u: float) -> float:
        """The value at `u` to 12 significant digits: the one that somebody wrote who is at `u`."""
        if self.count is not None or self.span == 0.0:
            return self.value(u)
        x = self._at(u)
        if self.log is True:
            x = float(f"{x:.12g}")
        else:
            x = round(x, 14 - math.ceil(math.log10(max(abs(self.low), abs(self.high)))))
        return min(max(x, self.low), self.high) + 0.0

    def _at(self, u: float) -> float:
        t = self.start + u * self.span
        return self.backward(t) if self.log else t

    def place(self, u: float) -> int:
        """Which value of a stepped axis is at `u` in [0, 1], from 0.

        Beyond some 2^40 values these are only as many as doubles tell apart on the way to [0, 1] and back.
        """
        assert self.count is not None
        assert self.step is not None
        last = self.count - 1
        if u <= 0.0 or u >= 1.0:
            return last if u >= 1.0 else 0
        k = min(max(round((self._at(u) - self.low) / self.step), 0), last)
        most = max(abs(self.low), abs(self.high)) / self.step
        if most < 2.0**40:
            return k
        unsure = 16.0 * _EPS * (1.0 + max(abs(self.start), abs(self.start + self.span)))
        if not self.log:
            unsure = 16.0 * _EPS * most
        elif self.log is True:
            unsure *= self.low / self.step
        k = _coarse(
            k, max(math.ceil(math.log2(unsure)) if unsure > 1.0 else 0, k.bit_length() - 40)
        )
        return last if k >= last - ((1 << last.bit_length()) >> 38) else k

    def nth(self, k: int) -> float:
        """The k-th value of a stepped axis, as the decimal a person would write; the last is `high`."""
        assert self.step is not None
        if k + 1 == self.count:
            return self.high
        return round(self.low + k * self.step, self.decimals) + 0.0

    def levels(self, most: int) -> Sequence[float]:
        """At most `most` values, evenly spread on the scale, both ends included; all if stepped.

        O(most) memory, however many steps there are.
        """
        if self.count is not None:
            return Steps(self)
        if self.span == 0.0:
            return [self.low]
        if most == 1:
            return [self.value(0.5)]
        return [self.value(k / (most - 1)) for k in range(most)]


@dataclass(frozen=True, slots=True)
class Steps(Sequence[float]):
    """The values of a stepped axis, each made when it is asked for."""

    axis: Axis

    def __len__(self) -> int:
        assert self.axis.count is not None
        return self.axis.count

    @overload
    def __getitem__(self, k: int) -> float: ...
    @overload
    def __getitem__(self, k: slice) -> list[float]: ...
    def __getitem__(self, k: int | slice) -> float | list[float]:
        places = range(len(self))[k]
        return self.axis.nth(places) if isinstance(places, int) else [*map(self.axis.nth, places)]


def _coarse(k: int, bits: int) -> int:
    """`k` rounded to a multiple of ``2**bits``."""
    return k if bits <= 0 else (k + (1 << (bits - 1))) >> bits << bits


def _decimals(x: float) -> int:
    """The decimal places of `x` as a person would write it."""
    digits, _, exponent = repr(x).partition("e")
    fraction = digits.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(exponent or 0))


def check_axis(owner: str, low: float, high: float, log: object, step: float | None) -> None:
    if low > high:
        raise SpaceError(f"{owner}: low is above high; write ({high:g}, {low:g})")
    if not math.isfinite(high - low):
        raise SpaceError(f"{owner}: the range is wider than floating point; tune a share of it")
    if log not in (True, False, "reverse"):
        raise SpaceError(f"{owner}: log is True, False or 'reverse', not {log!r}")
    if log is True and low <= 0:
        raise SpaceError(
            f"{owner}: a log scale needs low > 0; write a small one such as 1e-6, or leave log out"
        )
    if log == "reverse" and high >= 1:
        raise SpaceError(
            f"{owner}: log='reverse' spreads out values just below 1 (a momentum, a decay), "
            "so it needs high < 1"
        )
    if step is not None:
        if step <= 0:
            raise SpaceError(f"{owner}: step is above 0, not {step:g}")
        count = (high - low) / step
        whole = isinstance(step, int)  # those are worked out in Python's own, which are exact
        if not whole and 4.0 * _EPS * max(abs(low), abs(high)) > 0.25 * step:
            raise SpaceError(
                f"{owner}: steps of {step:g} are too fine for floating point; tune an offset from {low!r}"
            )
        off = (high - low) % step if whole else abs(count - round(count))
        if off > (0.0 if whole else _tolerance(count, low, high, step)):
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
    return abs(position - round(position)) <= _tolerance(position, low, value, step)


def _tolerance(position: float, low: float, value: float, step: float) -> float:
    """How far from a whole number of steps a value may be: by decimals that were written, and by rounding."""
    written = min(1e-9 * max(1.0, abs(position)), 1e-3)
    return written + 4.0 * _EPS * max(abs(low), abs(value)) / step
