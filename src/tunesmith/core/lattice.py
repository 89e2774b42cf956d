"""The configs of a space whose every parameter has a list of levels, walked lazily.

Conditional branches are walked once each: a parameter that is inactive has no levels to walk. A
relation prunes a branch as soon as everything it names is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tunesmith.core.parameter import Fixed, identity
from tunesmith.core.space import Config, Space

#: Points counted one by one before `Lattice.count` gives up on relations.
_MOST_WALKED: Final = 200_000
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
    _due: tuple[tuple[Any, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        place = {step.name: i for i, step in enumerate(self.space.plan)}
        due: list[list[Any]] = [[] for _ in self.space.plan]
        for relation in self.space.relations:
            due[max((place[name] for name in relation.names), default=0)].append(relation)
        object.__setattr__(self, "_due", tuple(map(tuple, due)))

    def walk(self, after: Mapping[str, Any] | None = None) -> Iterator[Config]:
        """Every config in order, the last parameter fastest; O(parameters) memory and per step.

        With `after`, starts behind that config; if it is none of the lattice's, at the first.
        """
        start = None if after is None else self._indices(after)
        fresh = self._walk(0, {}, start)
        if start is not None:
            next(fresh, None)  # `after` itself
        for config in fresh:
            yield {name: config[name] for name in self.space if name in config}

    def _walk(self, depth: int, config: Config, start: list[int] | None) -> Iterator[Config]:
        if depth == len(self.space.plan):
            yield config
            return
        step = self.space.plan[depth]
        if step.active is not None and not step.active(config):
            values: Sequence[Any] = ()
        elif isinstance(step.parameter, Fixed):
            values = (step.parameter.standard(),)
        else:
            values = self.levels[step.name]
        if not values:
            if self._allowed(depth, config):
                yield from self._walk(depth + 1, config, start)
            return
        first = 0 if start is None else start[depth]
        for index in range(first, len(values)):
            extended = config | {step.name: values[index]}
            if self._allowed(depth, extended):
                yield from self._walk(depth + 1, extended, start if index == first else None)

    def _allowed(self, depth: int, config: Config) -> bool:
        return all(
            relation.holds(config)
            for relation in self._due[depth]
            if all(name in config for name in relation.names)
        )

    def _indices(self, config: Mapping[str, Any]) -> list[int] | None:
        if not self.space.contains(config):
            return None
        indices: list[int] = []
        for step in self.space.plan:
            if step.name not in config or isinstance(step.parameter, Fixed):
                indices.append(0)
                continue
            wanted = identity(config[step.name])
            for index, value in enumerate(self.levels[step.name]):
                if identity(value) == wanted:
                    indices.append(index)
                    break
            else:
                return None
        return indices

    def count(self) -> Count:
        """How many points `walk` gives.

        Conditions are counted exactly without walking (dynamic programming over the parents that
        later conditions still name). Relations are counted by walking, up to 200,000 points;
        beyond that the count is an upper bound.
        """
        bound = self._count_conditions()
        if not self.space.relations:
            return bound
        points = 0
        for _ in self.walk():
            points += 1
            if points > _MOST_WALKED:
                return Count(bound.points, exact=False)
        return Count(points, exact=True)

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
