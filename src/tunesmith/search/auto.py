"""The default: tunesmith chooses, and says what it chose."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from tunesmith.core.history import History
from tunesmith.core.space import Space
from tunesmith.core.strategy import Suggestion
from tunesmith.search.sobol import Sobol


@dataclass(frozen=True, slots=True)
class Auto:
    """The defaults if there are any, then Sobol points (8 per parameter, at least 32), then chance."""

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        start = len(history)
        suggestions: list[Suggestion] = []
        if start == 0 and any(parameter.has_default for parameter in space.tunables.values()):
            default = space.default()
            if space.satisfies(default):
                suggestions.append(Suggestion(default, "the defaults"))
        design = _design_size(len(space))
        points = min(n, design - start)
        if points > 0:  # trial k gets point k, so the defaults stand in for point 0
            suggestions += Sobol().suggest(space, history, points, rng)[len(suggestions) :]
        while len(suggestions) < n:
            suggestions.append(
                Suggestion(space.sample(rng), f"random, after {design} Sobol points")
            )
        return suggestions


def _design_size(parameters: int) -> int:
    """A power of two, at least 32 and at least 8 per parameter."""
    return int(2 ** max(5, (8 * parameters - 1).bit_length() if parameters else 0))


SEARCHER = Auto
