"""The configs of a space whose every parameter has a list of levels, walked lazily.

Conditional branches are walked once each: a parameter that is inactive has no levels to walk. A
relation prunes a branch as soon as everything it names is set.
"""

from __future__ import annotations

import ast
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tunesmith.core.space.axis import Steps
from tunesmith.core.space.feasible import Variable, narrow, numeric
from tunesmith.core.space.linear import Linear, linear_parts
from tunesmith.core.space.parameter import Fixed, identity
from tunesmith.core.space.space import Config, Space

#: Steps that `Lattice.count` takes before it gives up on relations.
_MOST_WALKED: Final = 20_000
#: Levels up to this number are all looked at.
_FEW: Final = 8
#: Combinations of parents remembered while counting.
_MOST_STATES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Count:
    """How many points: `exact`, or an upper bound."""

    points: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.points:,}" if self.exact else f"at most {self.points:,}"


@dataclass(frozen=True)
class Lattice:
    """`levels` has a list of values for each tunable parameter of `space`."""

    space: Space
    levels: Mapping[str, Sequence[Any]]
    #: The relations that can be looked at when so many steps of the plan are set.
    _due: tuple[tuple[Any, ...], ...] = field(init=False, repr=False)
    #: What relations say of the bounds of a parameter with many levels, given those that are set before it.
    _bounds: _Bounds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        place = {step.name: i for i, step in enumerate(self.space.plan, 1)}
        due: list[list[Any]] = [[] for _ in range(len(place) + 1)]
        for relation in self.space.relations:
            due[max((place[name] for name in relation.names), default=0)].append(relation)
        object.__setattr__(self, "_due", tuple(map(tuple, due)))
        object.__setattr__(self, "_bounds", _Bounds(self.space, self.levels))

    def walk(self) -> Iterator[Config]:
        """Every config in order, the last parameter fastest; O(parameters) memory and per step."""
        for config in self._walk(0, {}):
            yield {name: config[name] for name in self.space if name in config}

    def _walk(
        self, depth: int, config: Config, budget: list[int] | None = None
    ) -> Iterator[Config]:
        """The configs that go on from `config`, which has what `depth` steps of the plan have set.

        Ends when `budget` values have been tried, if there is one.
        """
        if not self._allowed(depth, config):
            return
        if depth == len(self.space.plan):
            yield config
            return
        step = self.space.plan[depth]
        if step.active is not None and not step.active(config):
            yield from self._walk(depth + 1, config, budget)
            return
        fixed = isinstance(step.parameter, Fixed)
        for value in (step.parameter.standard(),) if fixed else self._within(step.name, config):
            if budget is not None:
                budget[0] -= 1
                if budget[0] <= 0:
                    return
            yield from self._walk(depth + 1, config | {step.name: value}, budget)

    def _within(self, name: str, config: Config) -> Iterable[Any]:
        """The levels of a parameter that relations may allow: of many that rise, those within its bounds."""
        levels = self.levels[name]
        if not self._bounds.know(name):
            return levels
        low, high = self._bounds.within(name, config)
        return (levels[k] for k in range(bisect_left(levels, low), bisect_right(levels, high)))

    def _allowed(self, depth: int, config: Config) -> bool:
        return all(
            relation.holds(config)
            for relation in self._due[depth]
            if all(name in config for name in relation.names)
        )

    def count(self) -> Count:
        """How many points `walk` gives.

        Conditions are counted exactly without walking (dynamic programming over the parents that
        later conditions still name). Relations are counted by walking, 20,000 steps at most;
        beyond that the count is an upper bound.
        """
        bound = self._count_conditions()
        if not self.space.relations:
            return bound
        points = 0
        budget = [_MOST_WALKED]
        for _ in self._walk(0, {}, budget):
            points += 1
        return Count(points, exact=True) if budget[0] > 0 else Count(bound.points, exact=False)

    def _count_conditions(self) -> Count:
        plan = self.space.plan
        # needed[i]: the parents that a condition at i or later names
        needed: list[frozenset[str]] = [frozenset()] * (len(plan) + 1)
        for i in range(len(plan) - 1, -1, -1):
            condition = plan[i].active
            needed[i] = needed[i + 1] | (condition.parents if condition else frozenset())
        memo: dict[tuple[int, tuple[Any, ...]], int] = {}

        def count(depth: int, config: Config) -> int:
            if depth == len(plan):
                return 1
            state = (
                depth,
                tuple(sorted((n, identity(config[n])) for n in needed[depth] if n in config)),
            )
            if state in memo:
                return memo[state]
            if len(memo) > _MOST_STATES:
                raise OverflowError
            step = plan[depth]
            if step.active is not None and not step.active(config):
                total = count(depth + 1, config)
            elif isinstance(step.parameter, Fixed):
                total = count(depth + 1, config | {step.name: step.parameter.constant})
            elif step.name in needed[depth + 1]:
                total = sum(
                    count(depth + 1, config | {step.name: v}) for v in self.levels[step.name]
                )
            else:
                total = len(self.levels[step.name]) * count(depth + 1, config)
            memo[state] = total
            return total

        try:
            return Count(count(0, {}), exact=True)
        except (OverflowError, RecursionError):
            product = 1
            for values in self.levels.values():
                product *= len(values)
            return Count(product, exact=False)


class _Bounds:
    """What linear relations leave of a parameter with many rising levels, given some others: no value beyond is
    allowed. Relations that name what may be inactive are left out, for then they do not count."""

    def __init__(self, space: Space, levels: Mapping[str, Sequence[Any]]) -> None:
        always = {step.name: step.parameter for step in space.plan if step.active is None}
        constants = {n: p.constant for n, p in always.items() if isinstance(p, Fixed)}
        named = [relation for relation in space.relations if relation.names <= always.keys()]
        self._variables = {
            name: Variable(p)
            for name, p in always.items()
            if not isinstance(p, Fixed) and numeric(p) and any(name in r.names for r in named)
        }
        known = self._variables.keys() | constants.keys()
        read = [
            constraint
            for relation in named
            if relation.names <= known
            for constraint in linear_parts(
                ast.parse(relation.text.strip(), mode="eval").body, self._variables, constants
            )
        ]
        self._of: dict[str, list[Linear]] = {
            name: constraints
            for name in self._variables
            if len(levels[name]) > _FEW and _rise(levels[name])
            and (constraints := [c for c in read if name in c.terms])
        }  # fmt: skip

    def know(self, name: str) -> bool:
        return name in self._of

    def within(self, name: str, config: Config) -> tuple[float, float]:
        """The least and the greatest value of a known parameter; the former is greater where none is left."""
        constraints, variables = self._of[name], self._variables
        bounds: dict[str, tuple[float, float]] = {}
        for other in {n for c in constraints for n in c.terms}:
            x = None if other == name else config.get(other)
            bounds[other] = (variables[other].low, variables[other].high) if x is None else (x, x)
        if not all(narrow(c, bounds, variables, set()) for c in constraints):
            return math.inf, -math.inf
        low, high = bounds[name]
        return low - 1e-9 * abs(low), high + 1e-9 * abs(high)


def _rise(levels: Sequence[Any]) -> bool:
    return isinstance(levels, (range, Steps)) or all(one < other for one, other in pairwise(levels))
