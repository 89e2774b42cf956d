"""Random search: each config uniform on the parameters' scales.

Bergstra & Bengio, "Random search for hyper-parameter optimization", JMLR 13 (2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.core.history import History
from tunesmith.core.space.space import Config, Space


@dataclass(frozen=True, slots=True)
class Random:
    """Independent random configs. O(parameters) per config, whatever the history."""

    valid: ClassVar[bool] = True
    instant: ClassVar[bool] = True

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Config]:
        return space.samples(n, rng)


SEARCHER = Random
