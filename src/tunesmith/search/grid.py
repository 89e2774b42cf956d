"""Grid search: every combination of levels once, conditional branches included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

from numpy.random import Generator

from tunesmith.core.errors import StrategyError, did_you_mean
from tunesmith.core.history import History
from tunesmith.core.space.lattice import Count, Lattice
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Suggestion


@dataclass(frozen=True, slots=True)
class Grid:
    """Walks the lattice of `levels`, the last parameter fastest.

    `levels` is how many values a number gets (evenly spread on its scale, both ends included), for
    all parameters or by name; by name it may also be the list of values. Choices, and numbers with
    a step, have all their values. The walk is lazy: memory does not grow with the size of the grid.
    A suggestion is O(parameters); the first one after a resume is O(points already run).
    """

    valid: ClassVar[bool] = True
    instant: ClassVar[bool] = True

    levels: int | Mapping[str, int | Sequence[Any]] = 5

    def __post_init__(self) -> None:
        if not isinstance(self.levels, Mapping):
            if not _is_count(self.levels):
                raise _wrong(repr(self.levels))
            return
        for name, wanted in self.levels.items():
            if not (_is_count(wanted) or _is_list(wanted)):
                raise _wrong(f"{wanted!r} for {name}")

    def lattice(self, space: Space) -> Lattice:
        """The lattice over `space`. Raises StrategyError if `levels` do not fit it."""
        by_name = self.levels if isinstance(self.levels, Mapping) else {}
        for name in by_name:
            if name not in space.tunables:
                hint = did_you_mean(name, space.tunables)
                raise StrategyError(
                    f"grid: levels name {name!r}, which is no parameter to tune{hint}"
                )
        default = 5 if isinstance(self.levels, Mapping) else self.levels
        levels: dict[str, Sequence[Any]] = {}
        for name, parameter in space.tunables.items():
            wanted = by_name.get(name, default)
            if not isinstance(wanted, Sequence):
                levels[name] = parameter.levels(wanted)
                continue
            for value in wanted:
                if why := parameter.problem(value):
                    raise StrategyError(f"grid: a level of {name} {why}")
            levels[name] = [parameter.clean(value) for value in wanted]
        return Lattice(space, levels)

    def count(self, space: Space) -> Count:
        """How many points the grid has."""
        return self.lattice(space).count()

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        walk = history.memo(Grid, lambda: Walk(self.lattice(space)))
        return walk.untried(history, n)


def _is_count(wanted: object) -> bool:
    return isinstance(wanted, Integral) and not isinstance(wanted, bool) and int(wanted) >= 1


def _is_list(wanted: object) -> bool:
    return isinstance(wanted, Sequence) and not isinstance(wanted, (str, bytes)) and bool(wanted)


def _wrong(wanted: str) -> StrategyError:
    return StrategyError(
        "grid: levels are a whole number from 1, or by name such a number or a list of values "
        f"({{'x': [0.1, 0.5]}}), not {wanted}"
    )


@dataclass(slots=True)
class Walk:
    """How far a grid has been walked: every point before `ahead` has been run."""

    lattice: Lattice
    ahead: list[Suggestion] = field(default_factory=list)
    _points: Iterator[Config] = field(init=False)
    _count: Count = field(init=False)
    _walked: int = 0

    def __post_init__(self) -> None:
        self._points = self.lattice.walk()
        self._count = self.lattice.count()

    def untried(self, history: History, n: int) -> list[Suggestion]:
        """The first `n` points, in the order of the walk, that no trial has."""
        self.ahead = [s for s in self.ahead if history.find(s.config) is None]
        while len(self.ahead) < n:
            config = next(self._points, None)
            if config is None:
                break
            self._walked += 1
            if history.find(config) is None:
                why = f"grid point {self._walked:,} of {self._count}"
                self.ahead.append(Suggestion(config, why))
        return self.ahead[:n]


SEARCHER = Grid
