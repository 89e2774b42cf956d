"""Scrambled Sobol points: fill the space more evenly than chance does.

Sobol' (1967); scrambling by Owen, "Scrambling Sobol' and Niederreiter-Xing points" (1998), in
SciPy's implementation (linear matrix scramble with a digital shift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Suggestion

#: Points drawn at first; later blocks double. A power of two keeps the net balanced.
_FIRST_BLOCK = 64
#: Give up on a relation that fewer points than one in this many satisfy, and sample instead.
_MOST_SKIPPED = 512


@dataclass(frozen=True, slots=True)
class Sobol:
    """Trial k gets the k-th point (of those that satisfy the relations), however it is asked for.

    O(parameters) amortised per config.
    """

    valid: ClassVar[bool] = True
    instant: ClassVar[bool] = True

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        sequence = history.memo(Sobol, lambda: Sequence(space, history.seed))
        first = len(history)
        return [
            Suggestion(sequence.config(k) or space.sample(rng), f"Sobol point {k}")
            for k in range(first, first + n)
        ]


class Sequence:
    """The configs of one scrambled sequence, made in blocks and kept."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = derive_seed(seed, 0, "sobol")
        self._configs: list[Config] = []
        self._points: NDArray[np.float64] = np.empty((0, len(space)))
        self._used = 0
        #: Whether too many points in a row were skipped: there are no more configs.
        self._dry = False

    def config(self, k: int) -> Config | None:
        """The k-th config; None where the relations leave too few."""
        while len(self._configs) <= k and not self._dry:
            self._dry = not self._extend()
        return dict(self._configs[k]) if k < len(self._configs) else None

    def _extend(self) -> bool:
        """Decode points up to the next one that satisfies the relations."""
        for _ in range(_MOST_SKIPPED):
            if self._used == len(self._points):
                self._draw(max(_FIRST_BLOCK, 2 * self._used))
            config = self._space.decode(self._points[self._used])
            self._used += 1
            if self._space.satisfies(config):
                self._configs.append(config)
                return True
        return False

    def _draw(self, size: int) -> None:
        if not len(self._space):
            self._points = np.empty((size, 0))
            return
        from scipy.stats import qmc  # 1 s to import

        engine = qmc.Sobol(len(self._space), scramble=True, rng=np.random.default_rng(self._seed))
        self._points = engine.random(size)


SEARCHER = Sobol
