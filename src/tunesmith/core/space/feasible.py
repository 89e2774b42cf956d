"""Configs under relations that few random ones satisfy: orders, sums, products, ratios.

A relation that is linear in its parameters, or in their logarithms (products and ratios of positive
ones), is read as ``sum(coefficients * values) <= bound``, or ``==``. Parameters are then set one after
the other, each within the bounds that the rest leaves it (bounds propagation: Apt, "Principles of
constraint programming", 2003, section 6.4), and blocks of them are drawn again, given the others, until
the order in which they were set is forgotten (Gibbs sampling; two at a time where an equality ties
them). Every other relation is only looked at: what breaks it is drawn again.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.space.axis import Axis
from tunesmith.core.space.expression import Expression
from tunesmith.core.space.linear import Linear, linear_parts
from tunesmith.core.space.parameter import Choice, Float, Int

if TYPE_CHECKING:
    from tunesmith.core.space.space import Config, Space

#: How often choices and conditions are drawn anew, and the numbers under each, before it gives up.
_SKELETONS: Final = 40
_STARTS: Final = 8
#: Draws of the numbers before the relations are solved for, and, where they cannot be, before it gives up.
_DRAWS: Final = 12
_MOST_DRAWN: Final = 20_000
#: So many configs come from one start, when many are asked for at a time.
_CHAINED: Final = 16
#: Sets of values up to this size are gone through where only some of them fit.
_MOST_LISTED: Final = 20_000
#: Between bounds nearer than this on the scale, the grid of suggested values is too coarse.
_NARROW: Final = 2e-5
#: Bounds count as kept up to this share of them: the relation itself has the last word.
_SLACK: Final = 1e-12


class Variable:
    """A number, or a choice among numbers: its bounds, and draws between bounds."""

    def __init__(self, parameter: Float | Int | Choice) -> None:
        self.parameter = parameter
        self.values: NDArray[np.float64] | None = None
        self.whole = isinstance(parameter, Int)
        if isinstance(parameter, Choice):
            self.values = np.sort(np.array([float(v) for v in parameter.values]))
            self._own = {float(v): v for v in parameter.values}
            self.low, self.high = float(self.values[0]), float(self.values[-1])
            self.whole = all(isinstance(v, int) for v in parameter.values)
        else:
            self.low, self.high = float(parameter.low), float(parameter.high)
            if parameter.axis.count is not None and parameter.axis.count <= _MOST_LISTED:
                self.values = np.array(list(parameter.levels(parameter.axis.count)), dtype=float)

    def clean(self, x: float) -> Any:
        if isinstance(self.parameter, Choice):
            return self._own[x]
        return self.parameter.clean(round(x) if self.whole else x)

    def only(self, fits: NDArray[np.bool_]) -> Variable:
        """The same with those of its values that fit."""
        assert self.values is not None
        narrowed = Variable(self.parameter)
        narrowed.values = self.values[fits]
        return narrowed

    def between(self, low: float, high: float) -> slice:
        """Where in the list the values in [low, high] are."""
        assert self.values is not None
        ends = (low - _SLACK * max(1.0, abs(low)), high + _SLACK * max(1.0, abs(high)))
        return slice(
            int(self.values.searchsorted(ends[0])), int(self.values.searchsorted(ends[1], "right"))
        )

    @cached_property
    def _shares(self) -> NDArray[np.float64]:
        """How likely each value, or one before it, is on the parameter's scale: summed, the first is 0."""
        assert self.values is not None
        return np.concatenate([[0.0], np.cumsum(self._weights(self.values))])

    def _weights(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if isinstance(self.parameter, Choice):
            return np.ones(len(values))
        axis = self.parameter.axis
        half = 0.5 * (axis.step or 0.0)
        with np.errstate(all="ignore"):
            width = _unit(axis, values + half) - _unit(axis, values - half)
        return np.maximum(width, 1e-300)

    def draw(self, low: float, high: float, near: float | None, rng: Generator) -> float | None:
        """A value in [low, high], uniform on the parameter's scale, or the one nearest to `near`."""
        if self.values is not None:
            return self.pick(self.between(low, high), near, rng)
        assert not isinstance(self.parameter, Choice)
        axis = self.parameter.axis
        low, high = max(low, self.low), min(high, self.high)
        if low > high:
            return None
        first, last = float(axis.unit(low)), float(axis.unit(high))
        if near is not None:
            u = float(axis.unit(min(max(near, low), high)))
        else:
            u = first + (last - first) * rng.random()
        if axis.step is None and last - first < _NARROW:
            return _decimal(low + (high - low) * rng.random(), low, high)
        x = float(self.parameter.decode(u))
        if low <= x <= high:
            return x
        if axis.step is None:
            return low if x < low else high
        k = math.ceil((low - axis.low) / axis.step - 1e-9)
        x = axis.nth(min(max(k, 0), (axis.count or 1) - 1))
        return x if x <= high + _SLACK * abs(high) else None

    def pick(self, where: slice, near: float | None, rng: Generator) -> float | None:
        """One of the values there."""
        assert self.values is not None
        first, last = where.start, where.stop
        if first >= last:
            return None
        if near is not None:
            values = self.values[where]
            return float(values[np.argmin(np.abs(values - near))])
        shares = self._shares
        low, high = shares.item(first), shares.item(last)
        k = int(shares.searchsorted(low + rng.random() * (high - low), "right")) - 1
        return self.values.item(min(max(k, first), last - 1))

    def pick_of(
        self, places: NDArray[np.int64], near: float | None, rng: Generator
    ) -> float | None:
        """One of the values at these places of the list."""
        assert self.values is not None
        if not len(places):
            return None
        if near is not None:
            values = self.values[places]
            return float(values[np.argmin(np.abs(values - near))])
        shares = np.cumsum(self._shares[places + 1] - self._shares[places])
        k = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
        return self.values.item(places.item(min(k, len(places) - 1)))


def _decimal(x: float, low: float, high: float) -> float:
    """`x` rounded to a thousandth of what is between `low` and `high`."""
    if low == high:
        return low
    return min(max(round(x, 3 - math.floor(math.log10(high - low))), low), high)


def _unit(axis: Axis, x: NDArray[np.float64]) -> NDArray[np.float64]:
    places: NDArray[np.float64] = np.nan_to_num(axis.unit(x), nan=0.0)
    return places


class Feasible:
    """Draws configs of one space that satisfy its relations."""

    def __init__(self, space: Space) -> None:
        self._space = space
        named = frozenset().union(*(r.names for r in space.relations))
        parents: set[str] = set()
        for step in space.plan:
            parents |= step.active.parents if step.active else frozenset()
        #: What may be set by the relations: numbers that no condition depends on.
        self._variables = {
            name: Variable(p)
            for name, p in space.tunables.items()
            if name in named and name not in parents and numeric(p)
        }
        self._trees = [ast.parse(r.text.strip(), mode="eval").body for r in space.relations]
        self._read: dict[Any, _System] = {}

    def samples(self, n: int, rng: Generator) -> list[Config]:
        """`n` configs, or fewer where none was found in so many tries.

        Choices and whatever conditions depend on are drawn first, then the numbers under them: a
        branch is as likely as any other, however few of its configs satisfy the relations.
        """
        space = self._space
        made: list[Config] = []
        failed = 0
        while len(made) < n and failed < _SKELETONS:
            config = space.draw(rng)
            free = [(name, v.parameter) for name, v in self._variables.items() if name in config]
            for _ in range(_DRAWS):
                if space.satisfies(config):
                    made.append(config)
                    break
                for name, parameter in free:
                    config[name] = parameter.decode(float(rng.random()))
            else:
                system = self._system(config)
                if not system.solvable or not system.start(config, rng):
                    failed += 1
                    continue
                system.mix(config, rng, 2 * len(system.free))
                for _ in range(min(_CHAINED, n - len(made))):
                    made.append(space.arranged(config))
                    system.mix(config, rng, 2)
        for _ in range(0 if made else _MOST_DRAWN):
            config = space.draw(rng)
            if space.satisfies(config):
                return [config]
        return made

    def repair(self, config: Mapping[str, Any], rng: Generator) -> Config | None:
        """A config that satisfies the relations, near `config`; None where none was found."""
        mended = dict(config)
        system = self._system(mended)
        if not system.start(mended, rng, near=True):
            return None
        return self._space.arranged(mended)

    def _system(self, config: Mapping[str, Any]) -> _System:
        """The relations between the numbers of `config`, given its choices and what is active."""
        free = tuple(name for name in self._variables if name in config)
        constants = {
            name: config[name]
            for relation in self._space.relations
            for name in relation.names
            if name in config and name not in free
        }
        key = (free, repr(sorted(constants.items(), key=lambda item: item[0])))
        if key not in self._read:
            if len(self._read) > 256:
                self._read.clear()
            self._read[key] = _System(
                [(r, t) for r, t in zip(self._space.relations, self._trees, strict=True)
                 if all(name in config for name in r.names)],
                {name: self._variables[name] for name in free},
                constants,
            )  # fmt: skip
        return self._read[key]


class _System:
    """The relations between some variables."""

    def __init__(
        self,
        relations: Sequence[tuple[Expression, ast.expr]],
        variables: Mapping[str, Variable],
        constants: Mapping[str, Any],
    ) -> None:
        self._relations = [relation for relation, _ in relations]
        self._constraints: list[Linear] = []
        for _, tree in relations:
            self._constraints += linear_parts(tree, variables, constants)
        names = {name for relation in self._relations for name in relation.names}
        self._variables = {n: v for n, v in variables.items() if n in names}
        self.free = list(self._variables)
        self._naming = {n: [r for r in self._relations if n in r.names] for n in self.free}
        self._of: dict[str, list[Linear]] = {
            name: [c for c in self._constraints if name in c.terms] for name in self.free
        }
        self._divisors()

    @property
    def solvable(self) -> bool:
        """Whether something is known of the variables beyond what breaks the relations."""
        return bool(self._constraints)

    def _divisors(self) -> None:
        """Of a product of whole numbers that is given, every factor is a divisor."""
        for c in self._constraints:
            whole = all(e >= 1 and self._variables[n].whole for n, e in c.terms.items())
            product = math.exp(c.bound) if c.bound < 36.0 else math.inf
            if not (c.log and c.equal and whole and abs(product - round(product)) < 1e-6):
                continue
            for name, exponent in c.terms.items():
                variable = self._variables[name]
                if variable.values is None or exponent != 1:
                    continue
                fits = np.remainder(round(product), np.maximum(variable.values, 1.0)) == 0.0
                self._variables[name] = variable.only(fits)

    def start(self, config: Config, rng: Generator, *, near: bool = False) -> bool:
        """Set all variables in `config`; whether that succeeded."""
        wanted = {name: float(config[name]) for name in self.free} if near else {}
        for _ in range(_STARTS if self.free else 1):
            if self._set(config, self.free, rng, wanted):
                return True
        return False

    def mix(self, config: Config, rng: Generator, sweeps: int) -> None:
        """Draw blocks of the variables again, given the others, `sweeps` times round."""
        for _ in range(sweeps):
            for name in rng.permutation(self.free).tolist():
                block = self._block(name, rng)
                before = {n: config[n] for n in block}
                if not self._set(config, block, rng, {}):
                    config.update(before)

    def _block(self, name: str, rng: Generator) -> list[str]:
        """`name`, and another of each equality that it is tied by, and so on."""
        block = [name]
        for member in block:
            for c in self._of[member]:
                others = [n for n in c.terms if n not in block]
                if c.equal and others and len(c.terms) - len(others) < 2:
                    block.append(others[int(rng.integers(len(others)))])
        return block

    def _set(
        self, config: Config, block: Sequence[str], rng: Generator, near: Mapping[str, float]
    ) -> bool:
        """Set the variables of `block`, one after the other, in any order."""
        touched = list({id(c): c for name in block for c in self._of[name]}.values())
        bounds = {name: (x, x) for c in touched for name in c.terms for x in (float(config[name]),)}
        for name in block:
            variable = self._variables[name]
            values = variable.values
            if values is None:
                bounds[name] = (variable.low, variable.high)
            elif len(values):
                bounds[name] = (float(values[0]), float(values[-1]))
            else:
                return False
        order = rng.permutation(len(block)).tolist() if len(block) > 1 else [0] * len(block)
        waiting = set(block)
        relevant = touched
        for k in order:
            name = block[k]
            if not self._propagate(bounds, touched, relevant):
                return False
            waiting.discard(name)
            x = self._choose(name, bounds, waiting, near.get(name), rng)
            if x is None:
                return False
            bounds[name] = (x, x)
            config[name] = self._variables[name].clean(x)
            touched = [c for c in relevant if name in c.terms]
        relations = {id(r): r for name in block for r in self._naming[name]} if block else {}
        return all(
            relation.holds(config)
            for relation in (relations.values() if len(block) < len(self.free) else self._relations)
        )

    def _choose(
        self,
        name: str,
        bounds: Mapping[str, tuple[float, float]],
        waiting: set[str],
        near: float | None,
        rng: Generator,
    ) -> float | None:
        """A value of `name` within its bounds, such that the last one of an equality has one too."""
        variable = self._variables[name]
        low, high = bounds[name]
        if variable.values is None:
            return variable.draw(low, high, near, rng)
        where = variable.between(low, high)
        places: NDArray[np.int64] | None = None
        for c in self._of[name]:
            if not c.equal:
                continue
            last = [n for n in c.terms if n in waiting]
            other = self._variables[last[0]] if len(last) == 1 else variable
            if len(last) == 1 and other.values is not None:
                if places is None:
                    places = np.arange(where.start, where.stop)
                values = variable.values[places]
                rest = c.bound - sum(
                    a * _scale(bounds[n][0], c.log)
                    for n, a in c.terms.items()
                    if n not in (name, last[0])
                )
                with np.errstate(all="ignore"):
                    moved = np.log(values) if c.log else values
                    needed = (rest - c.terms[name] * moved) / c.terms[last[0]]
                    needed = np.exp(needed) if c.log else needed
                there = other.values[other.between(*bounds[last[0]])]
                places = places[_among(needed, there)]
        if places is None:
            return variable.pick(where, near, rng)
        return variable.pick_of(places, near, rng)

    def _propagate(
        self,
        bounds: dict[str, tuple[float, float]],
        constraints: Sequence[Linear],
        relevant: Sequence[Linear],
    ) -> bool:
        """Narrow all bounds to what `constraints`, and those that they reach, leave; False for nothing."""
        for _ in range(2 * len(bounds) + 2):
            reached: set[str] = set()
            for c in constraints:
                if not narrow(c, bounds, self._variables, reached):
                    return False
            if not reached:
                return True
            constraints = [c for c in relevant if reached & c.terms.keys()]
        return True


def narrow(
    c: Linear,
    bounds: dict[str, tuple[float, float]],
    variables: Mapping[str, Variable],
    changed: set[str],
) -> bool:
    """Narrow the bounds of the constraint's variables; False where one has nothing left."""
    ends = {}
    least = most = 0.0
    for name, a in c.terms.items():
        low, high = bounds[name]
        low, high = a * _scale(low, c.log), a * _scale(high, c.log)
        ends[name] = (low, high) if a > 0 else (high, low)
        least += ends[name][0]
        most += ends[name][1]
    slack = _SLACK * max(1.0, abs(c.bound), abs(least), abs(most))
    if least > c.bound + slack or (c.equal and most < c.bound - slack):
        return False
    for name, a in c.terms.items():
        low, high = bounds[name]
        if low == high:
            continue
        top = (c.bound - (least - ends[name][0])) / a
        bottom = (c.bound - (most - ends[name][1])) / a if c.equal else None
        upper, lower = (top, bottom) if a > 0 else (bottom, top)
        new_low = low if lower is None else max(low, _unscale(lower, c.log, down=True))
        new_high = high if upper is None else min(high, _unscale(upper, c.log, down=False))
        if variables[name].whole:
            new_low, new_high = math.ceil(new_low - 1e-9), math.floor(new_high + 1e-9)
        if new_low > new_high + slack:
            return False
        new_high = max(new_low, new_high)
        if new_low - low > 1e-9 * (high - low) or high - new_high > 1e-9 * (high - low):
            changed.add(name)
            bounds[name] = (new_low, new_high)
    return True


def _scale(x: float, log: bool) -> float:
    return math.log(x) if log else x


def _unscale(t: float, log: bool, *, down: bool) -> float:
    if not log:
        return t
    x = math.exp(min(t, 700.0))
    return x * (1.0 - _SLACK if down else 1.0 + _SLACK)


def _among(needed: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of `needed` are values, up to rounding."""
    if not len(values):
        return np.zeros(len(needed), dtype=np.bool_)
    at = np.clip(np.searchsorted(values, needed), 0, len(values) - 1)
    before = np.maximum(at - 1, 0)
    off = np.minimum(np.abs(values[at] - needed), np.abs(values[before] - needed))
    fits: NDArray[np.bool_] = off <= 1e-9 * np.maximum(1.0, np.abs(needed))
    return fits


def numeric(parameter: Float | Int | Choice) -> bool:
    """Whether all values are numbers."""
    if not isinstance(parameter, Choice):
        return True
    return all(type(v) in (int, float) for v in parameter.values) and len(
        set(map(float, parameter.values))
    ) == len(parameter.values)
