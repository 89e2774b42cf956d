"""Population-based training: members copy the weights of better ones, and go on with other values.

Jaderberg et al., "Population based training of neural networks" (arXiv 1711.09846, 2017), with
truncation selection. What is found is not one config but a schedule: see `Result.schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from tunesmith.core.history import History
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Decision, Resume
from tunesmith.strategy import options
from tunesmith.strategy.population import (
    Floats,
    Population,
    changeable,
    changed,
    check_changeable,
)


@dataclass(frozen=True, slots=True)
class Pbt:
    """Every `interval` steps a member in the worst `quantile` gives way to a copy of one in the best, whose
    values are multiplied by 1 - `factor` or 1 + `factor`, or drawn anew with probability `resample`.

    `max` is the last step of a whole run. The study's `trials` are the members of the population; copies do not count. Trials need checkpoints. `change`
    names what may change in the middle of a run; without it, every parameter that is not structural (see
    `Space.structural`: choices and the group ``model`` are). Choices move to a neighbour if they are ordered, and stay otherwise unless drawn anew. A
    decision takes O(members log members).
    """

    objectives: ClassVar[str] = "first"
    instant: ClassVar[bool] = True

    max: int
    interval: int
    quantile: float = 0.25
    resample: float = 0.25
    factor: float = 0.2
    change: Sequence[str] | None = None

    def __post_init__(self) -> None:
        Population("pbt", self.max, self.interval, self.quantile)
        options.number("pbt", "resample", self.resample, least=0.0, below=1.0000001)
        options.number("pbt", "factor", self.factor, above=0.0, below=1.0)

    def check(self, space: Space) -> None:
        """Raise StrategyError if nothing of `space` may change."""
        check_changeable("pbt", space, self.change)

    def decide(self, history: History, trial: int) -> Decision:
        return Population("pbt", self.max, self.interval, self.quantile).decide(history, trial)

    def resume(self, history: History, rng: Generator) -> Resume | None:
        space = history.space

        def explore(parent: int, rng: Generator) -> Config:
            return changed(space, history.trial(parent).config, self._moves(space), rng)

        population = Population("pbt", self.max, self.interval, self.quantile)
        return population.resume(history, rng, explore)

    def _moves(self, space: Space) -> _Moves:
        return _Moves(space, changeable("pbt", space, self.change), self.resample, self.factor)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Moves of a point of the unit cube, shape (d,)."""

    space: Space
    names: Sequence[str]
    resample: float
    factor: float

    def __call__(self, point: Floats, rng: Generator) -> Floats:
        moved = point.copy()
        for column, (name, parameter) in enumerate(self.space.tunables.items()):
            if name not in self.names:
                continue
            if rng.random() < self.resample:
                moved[column] = rng.random()
                continue
            sign = 1.0 if rng.random() < 0.5 else -1.0
            moved[column] = _moved(parameter, float(point[column]), sign, self.factor)
        return moved


def _moved(parameter: Float | Int | Choice, u: float, sign: float, factor: float) -> float:
    """The coordinate after one step: a value times ``1 + sign * factor``, at least to its neighbour."""
    if isinstance(parameter, Choice):
        if not parameter.ordered:
            return u
        return float(np.clip(u + sign / parameter.size, 0.0, 1.0 - 1e-9))
    value = parameter.decode(min(max(u, 0.0), 1.0))
    if parameter.low < 0:
        return u + sign * factor / 2  # a product would never cross 0
    target = value * (1.0 + sign * factor)
    if isinstance(parameter, Int):
        target = value + sign * max(1.0, abs(target - value))
    within = min(max(target, parameter.low), parameter.high)
    return float(parameter.unit(within))


SCHEDULER = Pbt
