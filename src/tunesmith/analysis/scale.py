"""Axis scales: linear and log maps of values to pixels, round ticks and their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.analysis.style import plain

_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """One axis: from `low` to `high` (logarithms on a log axis) onto pixels `first` to `last`."""

    log: bool
    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        share = (value - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self, apart_px: float, least: float = 0.0) -> list[tuple[float, str]]:
        """Round values, about `apart_px` apart and at least `least`, and how they are written."""
        count = max(3, int(abs(self.last - self.first) / apart_px))
        if self.log:
            return _log_ticks(self.low, self.high, count)
        step = max(_step((self.high - self.low) / count), least)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [k * step for k in range(first, last + 1)]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(v, _decimal(v, decimals)) for v in values]


def _step(raw: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    every = max(1, math.ceil((last - first + 1) / count))
    if last - first + 1 >= 3:
        return [(10.0**k, _power(k)) for k in range(first, last + 1, every)]
    mantissas = (1.0, 2.0, 5.0) if high - low > 0.5 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    values = [m * 10.0**k for k in range(first - 1, last + 2) for m in mantissas]
    inside = [v for v in values if low - 1e-9 <= math.log10(v) <= high + 1e-9]
    every = max(1, math.ceil(len(inside) / count))
    return [(v, _short(v, 3)) for v in inside[::every]]


def _power(k: int) -> str:
    if -3 <= k <= 4:
        return f"{10.0**k:g}"
    return "10" + str(k).translate(_RAISED)


def _decimal(value: float, decimals: int) -> str:
    """A number on a linear axis, with as many decimals as its neighbours; large and tiny ones as powers."""
    if value == 0 or (abs(value) < 1e6 and decimals <= 5):
        return f"{value + 0.0:,.{decimals}f}" if value else "0"
    return _short(value, 4)


def _short(value: float, digits: int) -> str:
    """A number in at most so many significant digits."""
    shown = f"{value:.{digits}g}"
    if "e" not in shown:
        return shown
    mantissa, _, exponent = shown.partition("e")
    power = "10" + str(int(exponent)).translate(_RAISED)
    return power if mantissa == "1" else f"{mantissa}·{power}"


def scale_of(axis: dict[str, Any], values: list[float], first: float, last: float) -> Scale:
    log = axis.get("type") == "log"
    if "range" in axis:
        low, high = map(float, axis["range"])
        return Scale(log, low, high, first, last)
    if log:
        values = [math.log10(v) for v in values if v > 0]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        pad = abs(low) * 0.1 or 1.0
    else:
        pad = 0.05 * (high - low)
    return Scale(log, low - pad, high + pad, first, last)


def ticks_of(axis: dict[str, Any], scale: Scale, apart_px: float) -> list[tuple[float, str]]:
    if "tickvals" in axis:
        labels = [plain(label) for label in axis["ticktext"]]
        return list(zip(axis["tickvals"], labels, strict=True))
    ticks = scale.ticks(apart_px, float(axis.get("dtick", 0.0)))
    if axis.get("tickformat") == ".0%":
        return [(v, f"{100 * v:.0f} %") for v, _ in ticks]
    return ticks
