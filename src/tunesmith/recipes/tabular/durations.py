"""Texts that are durations or times of day, as seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from tunesmith.recipes.tabular.tokens import SAME

CLOCK: Final = re.compile(
    r"(?P<sign>[-+])?(?:(?P<days>\d+) ?d(?:ays?)?,? (?P<ahead>[-+])?)?(?P<first>\d{1,5}):(?P<second>[0-5]\d)"
    r"(?::(?P<third>[0-5]\d(?:[.,]\d+)?))?(?P<half> ?[AaPp]\.?[Mm]\.?)?"
)
_PART: Final = re.compile(
    r"(?P<count>\d+(?:[.,]\d+)?) ?(?P<unit>weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|millis(?:econds)?|ms)"
    r"(?![^\W\d_])\.?,?\s*(?:and )?",
    re.IGNORECASE,
)
_ISO: Final = re.compile(
    r"(?P<sign>[-+])?P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)
_SECONDS: Final = {
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "mi": 60.0,
}


def several_units(values: Sequence[str]) -> bool:
    units = set()
    for text in values:
        if _ISO.fullmatch(text):
            return True
        units |= {_unit_of(m) for m in _PART.finditer(text)}
    return len(units) > 1


def _unit_of(match: re.Match[str]) -> str:
    unit = match["unit"].lower()
    return "ms" if unit.startswith("mil") or unit == "ms" else unit[0]


def read(text: str, two: str) -> float:
    """Seconds; NaN for what is no duration. `two` says what two parts are; "any": no two parts are one."""
    text = text.translate(SAME).strip()
    match = CLOCK.fullmatch(text)
    if match is not None:
        return _clock(match, two)
    match = _ISO.fullmatch(text)
    if match is not None:
        parts = [match[k] for k in ("weeks", "days", "hours", "minutes", "seconds")]
        if not any(parts):
            return math.nan
        scale = (604_800, 86_400, 3600, 60, 1)
        value = sum(float(p.replace(",", ".")) * s for p, s in zip(parts, scale, strict=True) if p)
        return -value if match["sign"] == "-" else value
    negative = text.startswith("-")
    rest, at, total, largest = text.lstrip("+-"), 0, 0.0, math.inf
    for match in _PART.finditer(rest):
        size = _SECONDS[_unit_of(match)]
        if match.start() != at or size >= largest:
            return math.nan
        at, largest = match.end(), size
        total += float(match["count"].replace(",", ".")) * size
    if not at or at != len(rest):
        return math.nan
    return -total if negative else total


def _clock(match: re.Match[str], two: str) -> float:
    first, second = float(match["first"]), float(match["second"])
    half = (match["half"] or "").strip().lower()
    if half:
        if not 1 <= first <= 12 or match["days"] or match["sign"]:
            return math.nan
        first = first % 12 + 12 * (half[0] == "p")
    if match["third"]:
        value = 3600 * first + 60 * second + float(match["third"].replace(",", "."))
    elif half or match["days"]:
        value = 3600 * first + 60 * second
    elif two == "any":
        return math.nan
    else:
        value = 3600 * first + 60 * second if two == "h:mm" else 60 * first + second
    if match["days"]:
        days = 86_400 * float(match["days"])
        if match["ahead"]:  # pandas: -1 days +23:00:00
            ahead = -value if match["ahead"] == "-" else value
            return (-days if match["sign"] == "-" else days) + ahead
        value += days
    return -value if match["sign"] == "-" else value
