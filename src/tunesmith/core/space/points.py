"""A space's unit cube, many points at a time: which cells, which columns are active, which relations
hold. `Space` does the same for one config; here rows of arrays are the configs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.space.condition import Condition
from tunesmith.core.space.parameter import Choice, Fixed, Tunable
from tunesmith.core.space.space import Config, Space

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Numbers with more values than this are taken for a continuum.
_MOST_LEVELS: Final = 10_000
#: Combinations of parents up to which a condition becomes a table.
_MOST_COMBINATIONS: Final = 4096


@dataclass(frozen=True)
class Column:
    """One tunable parameter. `levels`, shape (k,): its values' coordinates; None for a continuum.

    `edges`, shape (k - 1,), part the levels' cells. `choices` is k for an unordered choice, else 0.
    """

    parameter: Tunable
    levels: Floats | None
    edges: Floats | None
    choices: int

    @classmethod
    def of(cls, parameter: Tunable) -> Column:
        if isinstance(parameter, Choice):
            k = parameter.size
            levels = np.asarray(parameter.unit(np.arange(k)), dtype=np.float64)
            return cls(parameter, levels, np.arange(1, k) / k, 0 if parameter.ordered else k)
        axis = parameter.axis
        if axis.span == 0.0:
            return cls(parameter, np.array([0.5]), np.empty(0), 0)
        if axis.count is None or axis.count > _MOST_LEVELS:
            return cls(parameter, None, None, 0)
        assert axis.step is not None
        levels = axis.unit(np.array([axis.nth(k) for k in range(axis.count)]))
        between: Floats = axis.low + (np.arange(1.0, axis.count) - 0.5) * axis.step
        return cls(parameter, levels, axis.unit(between), 0)

    def index(self, coordinates: Floats) -> NDArray[np.int64]:
        """Which level each coordinate belongs to."""
        assert self.edges is not None
        return np.searchsorted(self.edges, coordinates, side="right")


class Points:
    """Operations on rows of coordinates, shape (n, d), for one space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.columns = tuple(Column.of(p) for p in space.tunables.values())
        self._place = {name: i for i, name in enumerate(space.tunables)}
        self._active: list[tuple[str, int, Callable[[Floats, Mapping[str, Mask]], Mask] | None]]
        self._active = [
            (step.name, step.column, None if step.active is None else self._rule(step.active))
            for step in space.plan
        ]
        #: Whether some parameter is a continuum: what is suggested is rounded to a grid then.
        self.rounded = any(c.levels is None for c in self.columns)
        self.conditional = any(rule is not None for _, column, rule in self._active if column >= 0)

    @property
    def choices(self) -> list[int]:
        """For each column, how many unordered choices it has; 0 for a number."""
        return [column.choices for column in self.columns]

    @property
    def cells(self) -> Floats:
        """The widest cell of each stepped number, shape (d,); 0 for a continuum or a choice."""
        return np.array(
            [
                0.0
                if c.levels is None or c.choices or len(c.levels) < 2
                else float(np.diff(c.levels).max())
                for c in self.columns
            ]
        )

    @property
    def size(self) -> int | None:
        """How many combinations of levels there are; None with a continuum among them."""
        total = 1
        for column in self.columns:
            if column.levels is None:
                return None
            total *= len(column.levels)
        return total

    def snap(self, points: Floats) -> Floats:
        """The points' configs as `Space.encode` has them: cells' centres, NaN where inactive.

        Coordinates of parameters that are active must be in [0, 1].
        """
        out = np.array(points, dtype=np.float64)
        for j, column in enumerate(self.columns):
            if column.levels is not None:
                known = ~np.isnan(out[:, j])
                out[known, j] = column.levels[column.index(out[known, j])]
        if self.conditional:
            out[~self.active(out)] = np.nan
        return out

    def active(self, points: Floats) -> Mask:
        """Which coordinates stand for active parameters, shape (n, d)."""
        out = np.ones(points.shape, dtype=np.bool_)
        known: dict[str, Mask] = {}
        for name, column, rule in self._active:
            mask = np.ones(len(points), dtype=np.bool_) if rule is None else rule(points, known)
            known[name] = mask
            if column >= 0:
                out[:, column] = mask
        return out

    def whole(self, points: Floats) -> Mask:
        """Which points (snapped) have a coordinate for every active parameter, shape (n,)."""
        if not self.conditional:
            return np.ones(len(points), dtype=np.bool_)
        out: Mask = np.all(~self.active(points) | ~np.isnan(points), axis=1)
        return out

    def satisfies(self, points: Floats) -> Mask:
        """Which points (snapped) satisfy every relation of the space, shape (n,)."""
        out = np.ones(len(points), dtype=np.bool_)
        for relation in self.space.relations:
            for row in np.flatnonzero(out):
                config = self._values(relation.names, points[row])
                out[row] = len(config) < len(relation.names) or relation.holds(config)
        return out

    def mended(self, points: Floats, rng: Generator) -> Floats:
        """Snapped points, those that break a relation moved to where all hold, or left out."""
        if not self.space.relations:
            return points
        rows = []
        for point, holds in zip(points, self.satisfies(points), strict=True):
            config = None if holds else self.space.repaired(self.config(point), rng)
            if holds:
                rows.append(point)
            elif config is not None:
                rows.append(self.space.encode(config))
        return np.array(rows, dtype=np.float64).reshape(len(rows), points.shape[1])

    def config(self, point: Floats) -> Config:
        """The config at a snapped point that is whole."""
        return self.space.decode(np.where(np.isnan(point), 0.5, point))

    def exact(self, point: Floats) -> Config:
        """The tuned values there, to 12 digits: what somebody wrote who is exactly there."""
        places = zip(self.space.tunables.items(), point.tolist(), strict=True)
        return {name: p.exact(u) for (name, p), u in places if not math.isnan(u)}

    def all(self) -> Floats:
        """Every point of a finite space once, relations aside, shape (configs, d)."""
        grids = [column.levels for column in self.columns if column.levels is not None]
        size = math.prod(len(grid) for grid in grids)
        cube = np.array(list(product(*grids)), dtype=np.float64).reshape(size, len(self.columns))
        snapped = self.snap(cube)
        _, first = np.unique(np.nan_to_num(snapped, nan=-1.0), axis=0, return_index=True)
        every: Floats = snapped[np.sort(first)]
        return every

    def _values(self, names: frozenset[str], point: Floats) -> Config:
        """The values of those of `names` that are active (fixed ones always count as active)."""
        config: Config = {}
        for name in names:
            if name not in self._place:
                config[name] = self.space[name].standard()
            elif not np.isnan(u := point[self._place[name]]):
                config[name] = self.columns[self._place[name]].parameter.decode(float(u))
        return config

    def _rule(self, condition: Condition) -> Callable[[Floats, Mapping[str, Mask]], Mask]:
        """`condition` for many points, given the masks of the parameters it names."""
        parents = sorted(condition.parents)
        fixed = {n: p.standard() for n in parents if isinstance(p := self.space[n], Fixed)}
        free = [(n, self.columns[self._place[n]]) for n in parents if n not in fixed]
        combinations = 1
        for _, column in free:
            combinations *= _MOST_COMBINATIONS if column.levels is None else len(column.levels)
        if combinations >= _MOST_COMBINATIONS:
            return lambda points, known: self._row_by_row(condition, parents, points, known)
        values = [[c.parameter.decode(float(u)) for u in c.levels] for _, c in free]  # type: ignore[union-attr]
        table = np.array(
            [
                condition(fixed | {n: v for (n, _), v in zip(free, row, strict=True)})
                for row in product(*values)
            ],
            dtype=np.bool_,
        ).reshape([len(v) for v in values])

        def rule(points: Floats, known: Mapping[str, Mask]) -> Mask:
            mask = np.ones(len(points), dtype=np.bool_)
            for name in parents:
                mask &= known[name]
            rows = np.flatnonzero(mask)
            at = tuple(c.index(points[rows, self._place[n]]) for n, c in free)
            mask[rows] = table[at] if free else bool(table)
            return mask

        return rule

    def _row_by_row(
        self, condition: Condition, parents: list[str], points: Floats, known: Mapping[str, Mask]
    ) -> Mask:
        """The slow way, for conditions on numbers with many values."""
        mask = np.ones(len(points), dtype=np.bool_)
        for name in parents:
            mask &= known[name]
        names = frozenset(parents)
        for row in np.flatnonzero(mask):
            mask[row] = condition(self._values(names, points[row]))
        return mask
