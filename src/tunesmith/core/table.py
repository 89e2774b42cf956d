"""A study's trials as arrays: row i is trial i, running ones included.

Adding a row is O(1) amortised; reading every config again, in an edited space, is O(trials). A million
trials of ten parameters take some 700 MB. Goal signs are normalised here and nowhere else: `losses` are
always to be minimised.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.constraint import Constraint, values_of
from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.objective import Objective
from tunesmith.core.space.space import Config, Space
from tunesmith.core.trial import CODES, USER, Cost, Origin, State

Array = NDArray[Any]

_FIRST_CAPACITY: Final = 64
_COMPLETED: Final = CODES[State.COMPLETED]

#: name -> (dtype, value of a new row). Times are in seconds, memory in bytes.
_COLUMNS: Final[dict[str, tuple[Any, Any]]] = {
    "state": (np.int8, CODES[State.WAITING]),
    "attempt": (np.int32, -1),
    "retracted": (np.bool_, False),
    "outside": (np.bool_, False),
    "broken": (np.bool_, False),
    "version": (np.int32, 0),
    "aged": (np.bool_, False),
    "blamed": (np.int8, 0),
    "searcher": (np.int16, 0),
    "seen": (np.int64, 0),
    "first": (np.int32, 0),
    "asked": (np.int32, 0),
    "pick": (np.int32, 0),
    "created_at": (np.float64, np.nan),
    "started_at": (np.float64, np.nan),
    "ended_at": (np.float64, np.nan),
    "wall_s": (np.float64, np.nan),
    "cpu_s": (np.float64, np.nan),
    "memory_bytes": (np.float64, np.nan),
    "money": (np.float64, np.nan),
}


class Table:
    """The arrays have room for more rows than the `size` that there are: outside the ledger, read `column`."""

    # Declared for the type checker; `__init__` makes them from _COLUMNS.
    state: Array
    attempt: Array
    retracted: Array
    outside: Array
    broken: Array
    version: Array
    #: Which trials ran a version of the program that is set aside.
    aged: Array
    #: What kind of failure the config is blamed for: its place in BLAMED, counted from 1; 0 for none.
    blamed: Array
    searcher: Array
    seen: Array
    first: Array
    asked: Array
    pick: Array
    created_at: Array
    started_at: Array
    ended_at: Array
    wall_s: Array
    cpu_s: Array
    memory_bytes: Array
    money: Array
    #: The first trial with each row of numbers; the config asked for last, with its own.
    _keys: dict[bytes, int]
    _last_row: tuple[Mapping[str, Any], list[float]]

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        *,
        learned: bool = False,
    ) -> None:
        self.space = space
        self.constraints = tuple(constraints)
        self.size = 0
        self.metrics: dict[str, NDArray[np.float64]] = {}
        self._signs = tuple(objective.sign for objective in objectives)
        self._capacity = _FIRST_CAPACITY
        self._searchers: dict[str, int] = {USER: 0}
        self._names = [USER]
        self._why: dict[int, str] = {}
        #: The configs that lie outside the space, by trial.
        self._foreign: dict[int, Config] = {}
        #: The config of every trial, where the space is learned from them: what a trial did not ask for is inactive in it,
        #: whatever the conditions say.
        self._own: list[Config] | None = [] if learned else None
        #: How many of these have each name.
        self._having: Counter[str] = Counter()
        for name, (dtype, fill) in _COLUMNS.items():
            setattr(self, name, np.full(self._capacity, fill, dtype=dtype))
        self.losses = np.full((self._capacity, len(objectives)), np.nan)
        self.excess = np.full((self._capacity, len(self.constraints)), np.nan)
        self._reset_numbers()

    # -- reading ------------------------------------------------------------------------------

    def column(self, name: str) -> Array:
        """A read-only array over all trials: one of _COLUMNS, "numbers", "losses", "excess" or "points"."""
        if name == "points":
            self._fill_points()
        view: Array = getattr(self, name)[: self.size]
        view.flags.writeable = False
        return view

    @property
    def first_losses(self) -> NDArray[np.float64]:
        """The losses of the first objective, shape (n,)."""
        return self.losses[: self.size, 0]

    def config(self, i: int) -> Config:
        if self._own is not None:
            return dict(self._own[i])
        if i in self._foreign:
            return dict(self._foreign[i])
        return self.space.from_row(self.numbers[i].tolist())

    def find(self, row: list[float]) -> int | None:
        """The first trial with these numbers."""
        return self._keys.get(array("d", row).tobytes())

    def row(self, config: Config | Mapping[str, Any]) -> list[float]:
        """The config's numbers; those of the config asked for last are remembered."""
        if self._last_row[0] is not config:
            self._last_row = (config, self.space.row(config))
        return self._last_row[1]

    @property
    def own(self) -> Sequence[Config]:
        """Every trial's config, of a space that is learned; not to be changed."""
        return self._own or ()

    @property
    def own_names(self) -> Iterable[str]:
        """The names that any of `own` has, in the order in which they came. O(names)."""
        return self._having.keys()

    def values(self, i: int) -> tuple[float, ...] | None:
        """The objectives' values as the user's metrics have them."""
        if len(self._signs) == 1:
            loss: float = self.losses.item(i, 0)
            return (loss * self._signs[0] + 0.0,) if loss == loss else None
        losses: list[float] = self.losses[i].tolist()
        if losses[0] != losses[0]:
            return None
        return tuple(loss * sign + 0.0 for loss, sign in zip(losses, self._signs, strict=True))

    def metrics_of(self, i: int) -> dict[str, float]:
        metrics = {}
        for name, column in self.metrics.items():
            if i < len(column) and (value := column.item(i)) == value:
                metrics[name] = math.nan if value == NOT_FINITE else value
        return metrics

    def cost(self, i: int) -> Cost:
        # NaN is what is not equal to itself; `item` is the cheapest way to a Python number
        wall_s, cpu_s = self.wall_s.item(i), self.cpu_s.item(i)
        memory, money = self.memory_bytes.item(i), self.money.item(i)
        return Cost(
            wall_s if wall_s == wall_s else None,
            cpu_s if cpu_s == cpu_s else None,
            int(memory) if memory == memory else None,
            money if money == money else None,
        )

    def origin(self, i: int) -> Origin:
        return Origin(
            self._names[self.searcher.item(i)],
            self._why.get(i, ""),
            self.seen.item(i),
            self.first.item(i),
            self.asked.item(i),
            self.pick.item(i),
        )

    # -- writing ------------------------------------------------------------------------------

    def add(self, config: Config, origin: Origin, at: float) -> int:
        """A new row, of a trial that waits; its number."""
        i = self.size
        if i == self._capacity:
            self._grow()
        if self._own is not None:
            self._own.append(dict(config))
            self._having.update(config.keys())
            self._write_asked(i)
        else:
            self._write_numbers(i, config)
        self.created_at[i] = at
        code = self._searchers.get(origin.searcher)
        if code is None:
            code = self._searchers[origin.searcher] = len(self._searchers)
            self._names.append(origin.searcher)
        self.searcher[i] = code
        if origin.asked:
            self.seen[i] = origin.seen
            self.first[i] = origin.first
            self.asked[i] = origin.asked
            self.pick[i] = origin.pick
        if origin.why:
            self._why[i] = origin.why
        self.size = i + 1
        return i

    def set_config(self, i: int, config: Config) -> None:
        """Row `i` has another config, of a space that is learned; `find` still finds the one before, too."""
        assert self._own is not None
        before, self._own[i] = self._own[i], config
        self._having.update(name for name in config if name not in before)
        for name in before.keys() - config.keys():
            self._having[name] -= 1
            if not self._having[name]:
                del self._having[name]
        self._write_asked(i)
        if i < self._points_done:
            self.points[i] = self.space.units(self.numbers[i : i + 1])[0]

    def set_values(self, i: int, values: tuple[float, ...]) -> None:
        if len(self._signs) == 1:
            self.losses[i, 0] = values[0] * self._signs[0]
        else:
            self.losses[i] = [v * sign for v, sign in zip(values, self._signs, strict=True)]

    def set_metrics(self, i: int, metrics: Mapping[str, float | None]) -> None:
        for name, value in metrics.items():
            column = self.metrics.get(name)
            if column is None or len(column) <= i:
                fresh = np.full(self._capacity, np.nan)
                if column is not None:
                    fresh[: len(column)] = column
                column = self.metrics[name] = fresh
            column[i] = NOT_FINITE if value is None else value

    def judge(self, i: int) -> None:
        """By how much the results of row `i` break each constraint, if there are results. What a trial that was stopped has
        not reported yet is not known, which breaks nothing."""
        if not self.constraints or self.losses[i, 0] != self.losses[i, 0]:
            return
        values = values_of(self.config(i), self.metrics_of(i), self.cost(i))
        ended = self.state[i] == _COMPLETED
        for j, constraint in enumerate(self.constraints):
            known = ended or constraint.expression.names <= values.keys()
            self.excess[i, j] = constraint.excess(self.space, values) if known else np.nan
        self.broken[i] = bool((self.excess[i] > 0.0).any())

    def bind(self, constraints: Sequence[Constraint]) -> None:
        """Judge every row by other constraints: O(trials)."""
        self.constraints = tuple(constraints)
        self.excess = np.full((self._capacity, len(self.constraints)), np.nan)
        self.broken[: self.size] = False
        for i in range(self.size):
            self.judge(i)

    def add_cost(self, i: int, cost: Cost) -> None:
        """Add what an attempt took to what those before it took."""
        if cost.wall_s is not None:
            self.wall_s[i] = cost.wall_s + _or_zero(self.wall_s.item(i))
        if cost.cpu_s is not None:
            self.cpu_s[i] = cost.cpu_s + _or_zero(self.cpu_s.item(i))
        if cost.memory_bytes is not None:
            self.memory_bytes[i] = max(cost.memory_bytes, _or_zero(self.memory_bytes.item(i)))
        if cost.money is not None:
            self.money[i] = cost.money + _or_zero(self.money.item(i))

    def move_to(self, space: Space) -> None:
        """Read every config again in an edited space; what falls outside is kept and marked."""
        if self._own is not None:
            self.space = space
            self._reset_numbers()
            for i in range(self.size):
                self._write_asked(i)
            return
        configs = [self.config(i) for i in range(self.size)]
        self.space = space
        self._foreign = {}
        self._reset_numbers()
        for i, config in enumerate(configs):
            full = space.complete(config)
            inside = bool(space.contains(full))
            self.outside[i] = not inside
            if inside:
                self._write_numbers(i, full, new=not self.aged[i])
            else:
                self._foreign[i] = config

    def age(self, aged: NDArray[np.bool_]) -> None:
        """Set the rows aside that ran an earlier version: their configs may be run again. O(trials)."""
        self.aged[: self.size] = aged
        self._keys = {}
        for i in np.flatnonzero(~aged & ~self.outside[: self.size]).tolist():
            self.remember(i)

    def remember(self, i: int) -> None:
        """Row `i` is what `find` finds, unless an earlier one is the same."""
        self._keys.setdefault(array("d", self.numbers[i].tolist()).tobytes(), i)

    def _write_asked(self, i: int) -> None:
        """The numbers of what trial `i` asked for: NaN for the rest."""
        assert self._own is not None
        row = self.space.partial_row(self._own[i])
        self.outside[i] = row is None
        self.numbers[i] = np.nan if row is None else row
        if row is not None and not self.aged[i]:
            self._keys.setdefault(array("d", row).tobytes(), i)

    def _write_numbers(self, i: int, config: Config, *, new: bool = True) -> None:
        packed = array("d", self.row(config)).tobytes()
        at = i * len(packed)
        self._numbers_bytes[at : at + len(packed)] = packed  # a third of the time of a list
        if new:
            self._keys.setdefault(packed, i)

    def _grow(self) -> None:
        extra = self._capacity
        for name, (dtype, fill) in _COLUMNS.items():
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full(extra, fill, dtype=dtype)]))
        for name in ("losses", "numbers", "excess"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((extra, old.shape[1]), np.nan)]))
        self._numbers_bytes = _bytes_of(self.numbers)
        self._capacity += extra

    def _reset_numbers(self) -> None:
        width = len(self.space)
        self.numbers = np.full((self._capacity, width), np.nan)
        self._numbers_bytes = _bytes_of(self.numbers)
        #: The same in the unit cube, filled when they are asked for.
        self.points = np.empty((0, width))
        self._points_done = 0
        self._keys = {}
        self._last_row = ({}, [])

    def _fill_points(self) -> None:
        done = self._points_done
        if len(self.points) < self._capacity:
            grown = np.empty((self._capacity, len(self.space)))
            grown[:done] = self.points[:done]
            self.points = grown
        self.points[done : self.size] = self.space.units(self.numbers[done : self.size])
        self._points_done = self.size


def _bytes_of(numbers: NDArray[np.float64]) -> memoryview:
    """The memory of an array that has any, to be written to."""
    return numbers.data.cast("B") if numbers.size else memoryview(bytearray())


def known(value: Any) -> float | None:
    """A number of a column; None where it is NaN."""
    number = float(value)
    return None if number != number else number


def _or_zero(value: float) -> float:
    return 0.0 if value != value else value
