"""Waiting before something is tried again: longer and longer, at random so that none keeps another from it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import count


def pause_s(tries: int) -> float:
    """How long to wait after so many tries (s)."""
    return random.uniform(0.0, min(0.001 * 2 ** min(tries, 8), 0.2))


def pauses() -> Iterator[Callable[[], None]]:
    """For each try the pause after it, to be called where another is to follow."""
    for tries in count(1):
        yield lambda: time.sleep(pause_s(tries))  # noqa: B023 (called before the next)
