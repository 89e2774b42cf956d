"""Checks of strategies' options: each raises StrategyError with what to write instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tunesmith.core.errors import StrategyError


def whole(owner: str, name: str, value: Any, least: int = 1) -> None:
    """Raise unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise StrategyError(f"{owner}: {name} is a whole number from {least}, not {value!r}")


def number(
    owner: str,
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise unless `value` is a finite number from `least`, above `above` and below `below`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (math.isfinite(value) and value >= least and above < value < below)
    ):
        bounds = [
            f" {word} {bound:g}"
            for word, bound in (("from", least), ("above", above), ("below", below))
            if math.isfinite(bound)
        ]
        which = " and".join(bounds) or ", and finite"
        raise StrategyError(f"{owner}: {name} is a number{which}, not {value!r}")


def one_of(owner: str, name: str, value: Any, known: Sequence[str]) -> None:
    """Raise unless `value` is one of `known`."""
    if value not in known:
        raise StrategyError(f"{owner}: {name} is {' or '.join(map(repr, known))}, not {value!r}")
