"""Durations and sizes as people write them: ``2h``, ``1h30m``, ``4GiB``."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from tunesmith.core.errors import StudyError

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "ms": 1e-3}
_BYTES: Final[dict[str, int]] = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for suffix, base in (("", 1024), ("b", 1000), ("ib", 1024))
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def seconds(value: Any, name: str) -> float:
    """Seconds from a number of them or a text such as ``90s``, ``10m``, ``1h30m``, ``2d``."""
    if isinstance(value, str):
        text = value.strip().lower()
        parts = _DURATION.findall(text)
        if parts and "".join(n + u for n, u in parts) == re.sub(r"\s+", "", text):
            value = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        else:
            raise StudyError(f"{name}: {value!r} is no duration; write 90s, 10m, 1h30m or 2d")
    return _positive(value, name, "a duration: seconds, or a text such as 90s, 10m, 1h30m")


def size_bytes(value: Any, name: str) -> int:
    """Bytes from a number of them or a text such as ``512MiB``, ``4GB``, ``4G``."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip().lower())
        if match and match[2] in _BYTES:
            value = float(match[1]) * _BYTES[match[2]]
        else:
            raise StudyError(f"{name}: {value!r} is no size; write 512MiB, 4GiB or 4GB")
    return math.ceil(_positive(value, name, "a size: bytes, or a text such as 512MiB, 4GB"))


def _positive(value: Any, name: str, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise StudyError(f"{name}: {value!r} is not {expected}")
    if not math.isfinite(value) or value <= 0:
        raise StudyError(f"{name}: {value!r} is not above 0")
    return float(value)


def count(n: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``, ``2 studies``, ``2 processes``."""
    several = (
        f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun[-1] == 's' else 's'}"
    )
    return f"{n:,} {noun if n == 1 else several}"


def are(n: int) -> str:
    """The verb behind so many: ``is`` or ``are``."""
    return "is" if n == 1 else "are"


def show_seconds(value: float | None) -> str:
    """``1.2 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if value is None or not math.isfinite(value):
        return "-"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def show_bytes(value: float | None) -> str:
    """``512 MiB``, ``1.5 GiB``."""
    if value is None:
        return "-"
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def show_number(value: float | None, digits: int = 5) -> str:
    """A metric or parameter at a glance: at most `digits` significant digits."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{digits}g}"
