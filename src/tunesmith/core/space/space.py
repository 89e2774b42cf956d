"""A search space: named parameters, conditions between them, and relations that must hold.

A config is a plain ``dict[str, value]`` with one value for every *active* parameter. A parameter is
active when it has no condition, or when its condition holds and everything the condition names is
active itself.

Arrays: a space has one column for each tunable parameter, in the order of declaration. ``row`` gives
a config's *numbers* (values and choice indices), ``encode`` its place in the unit cube; inactive
parameters are NaN in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.errors import ConfigError, SpaceError, did_you_mean, shorten, shown
from tunesmith.core.space.condition import Condition
from tunesmith.core.space.expression import Expression
from tunesmith.core.space.feasible import Feasible
from tunesmith.core.space.parameter import (
    MISSING,
    Choice,
    Fixed,
    Float,
    Parameter,
    Tunable,
    parameter_from_dict,
)
from tunesmith.core.text import read_mapping, write_yaml

Config: TypeAlias = dict[str, Any]
Floats: TypeAlias = NDArray[np.float64]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
#: The key under which a space's dict form keeps its relations.
RELATIONS: Final = "require"
#: What else people call them.
_CALLED: Final = frozenset(
    {"relation", "relations", "constraint", "constraints", "condition", "conditions", "requires", "where"}
)  # fmt: skip
#: Random configs that say which relation it is that cannot be satisfied.
_MOST_TRIES: Final = 2000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one parameter of a config (or with the relation named)."""

    parameter: str
    why: str

    def __str__(self) -> str:
        return f"{self.parameter} {self.why}"


@dataclass(frozen=True, slots=True)
class Membership:
    """The answer of `Space.contains`: true or false, and the problems that make it false."""

    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems)) or "contained"


@dataclass(frozen=True, slots=True)
class _Step:
    """How one parameter is decoded: `column` is -1 for a fixed value."""

    name: str
    parameter: Parameter
    column: int
    active: Condition | None


class Space:
    """The parameters to tune.

    >>> space = Space(
    ...     optimizer=Choice("sgd", "adam"),
    ...     momentum=Float(0, 0.99, when={"optimizer": "sgd"}),
    ...     epochs=10,
    ... )
    >>> space.contains({"optimizer": "adam", "momentum": 0.9, "epochs": 10}).problems[0].why
    'is given, but it is inactive: it needs optimizer = sgd'

    A mapping as the only positional argument gives parameters whose names are no identifiers
    (``Space({"model.depth": Int(1, 8)})``).
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        specs = {**(parameters or {}), **named}
        self._parameters: dict[str, Parameter] = {}
        for name, spec in specs.items():
            _check_name(name, spec)
            self._parameters[name] = parameter_from_dict(name, spec)
        self._tunables = {n: p for n, p in self._parameters.items() if not isinstance(p, Fixed)}
        self._conditions = {
            name: Condition.of(name, p.when, self._parameters)
            for name, p in self._parameters.items()
            if p.when is not None
        }
        self._plan = self._order()
        self._decoders = [
            (step.name, step.active, step.column, _decoder(step.parameter)) for step in self._plan
        ]
        self._numberers = [(name, _numberer(p)) for name, p in self._tunables.items()]
        #: Whether some value is a list or mapping, which whoever gets a config could change.
        self.nested = any(
            isinstance(value, (list, dict))
            for p in self._parameters.values()
            for value in (
                p.values if isinstance(p, Choice) else [p.constant] if isinstance(p, Fixed) else []
            )
        )
        self._declared = [step.name for step in self._plan] == list(self._parameters)
        self._relations: tuple[Expression, ...] = ()
        self._feasible: Feasible | None = None

    # -- what it is ---------------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every parameter by name, fixed values included, in the order of declaration."""
        return MappingProxyType(self._parameters)

    @property
    def tunables(self) -> Mapping[str, Tunable]:
        """The parameters that have a column in `row` and `encode`."""
        return MappingProxyType(self._tunables)

    @property
    def relations(self) -> tuple[Expression, ...]:
        return self._relations

    @property
    def plan(self) -> Sequence[_Step]:
        """The parameters, parents before children."""
        return self._plan

    def condition(self, name: str) -> Condition | None:
        """When `name` is active; None for always (as far as it itself is concerned)."""
        return self._conditions.get(name)

    @property
    def structural(self) -> frozenset[str]:
        """The tuned parameters that must not change in the middle of a run, since weights trained with one value do
        not fit another: those with `structural=True`; without a word about it choices, the group ``model``, and
        those on which it depends whether others are active."""
        parents = frozenset[str]().union(*(c.parents for c in self._conditions.values()))
        return frozenset(
            name
            for name, p in self._tunables.items()
            if (
                isinstance(p, Choice) or p.group == "model" or name in parents
                if p.structural is None
                else p.structural
            )
        )

    def __len__(self) -> int:
        return len(self._tunables)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self._parameters[name]
        except KeyError:
            raise SpaceError(f"no parameter {name!r}{did_you_mean(name, self)}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # `require` changes a space in place

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={p!r}" for name, p in self._parameters.items())
        return f"Space({inner})" + "".join(f".require({r.text!r})" for r in self._relations)

    def require(self, relation: str) -> Space:
        """Demand that `relation` holds in every config, e.g. ``"min_leaf <= max_leaf"``.

        Changes this space in place and returns it; a study takes a copy of its own. A relation
        that names an inactive parameter does not apply. Raises ExpressionError.
        """
        expression = Expression(relation)
        expression.check(self._parameters, {n: p.standard() for n, p in self._parameters.items()})
        self._relations = (*self._relations, expression)
        self._feasible = None
        return self

    # -- configs ------------------------------------------------------------------------------

    def sample(self, rng: Generator) -> Config:
        """A random config: uniform on each parameter's scale, relations respected.

        Where few random configs satisfy the relations, see `tunesmith.core.space.feasible`. Raises
        SpaceError where none is found.
        """
        if not self._relations:
            return self.draw(rng)
        return self.samples(1, rng)[0]

    def samples(self, n: int, rng: Generator) -> list[Config]:
        """`n` random configs, as `sample` gives; those that are hard to find are next to one another."""
        if not self._relations:
            return [self.draw(rng) for _ in range(n)]
        made: list[Config] = []
        while len(made) < n:
            more = self.feasible.samples(n - len(made), rng)
            if not more:
                raise self._unsatisfied(rng)
            made += more
        return made

    def repaired(self, config: Mapping[str, Any], rng: Generator) -> Config | None:
        """`config`, or one near it that satisfies the relations; None where none was found."""
        return dict(config) if self.satisfies(config) else self.feasible.repair(config, rng)

    @property
    def feasible(self) -> Feasible:
        if self._feasible is None:
            self._feasible = Feasible(self)
        return self._feasible

    def draw(self, rng: Generator) -> Config:
        """A random config, whatever the relations."""
        return self._decode(rng.random(len(self._tunables)).tolist())

    def _unsatisfied(self, rng: Generator) -> SpaceError:
        configs = [self.draw(rng) for _ in range(_MOST_TRIES)]
        shares = [sum(_applies_and_holds(r, c) for c in configs) for r in self._relations]
        texts = [repr(r.text) for r in self._relations]
        hard = [text for text, share in zip(texts, shares, strict=True) if not share]
        about = (
            f"none satisfies {' or '.join(hard)}" if hard else f"none satisfies {', '.join(texts)}"
        )
        return SpaceError(
            f"no config was found that satisfies every relation of the space: of {_MOST_TRIES:,} random "
            f"ones {about}{'' if hard else ' together'}; loosen them, narrow the ranges to where they "
            "hold, or write them as orders, sums or products of parameters"
        )

    def default(self) -> Config:
        """Each parameter's `standard` value: its default, else its prior's centre, else its middle."""
        config: Config = {}
        for step in self._plan:
            if step.active is None or step.active(config):
                config[step.name] = step.parameter.standard()
        return self.arranged(config)

    def corner(self, u: float) -> Config:
        """The smallest config (`u` 0), the largest (1), or one between; relations respected.

        Every parameter is at `u` on its scale; where relations forbid that, the nearest of some that
        satisfy them is taken.
        """
        return self._nearest(self._decode([u] * len(self)), u)

    def nearest(self, config: Config) -> Config:
        """`config`; where relations forbid it, the nearest of some that satisfy them. Raises SpaceError where none
        is found."""
        return self._nearest(config, self.encode(config))

    def _nearest(self, config: Config, point: Floats | float) -> Config:
        from tunesmith.core.rng import stream

        if self.satisfies(config):
            return config
        rng = stream(0, 0, "corner")
        repaired = [c for _ in range(8) if (c := self.repaired(config, rng)) is not None]
        drawn = [c for c in (self.draw(rng) for _ in range(2000)) if self.satisfies(c)]
        near = [*repaired, *drawn] or self.samples(16, rng)
        return min(near, key=lambda c: float(np.nansum((self.encode(c) - point) ** 2)))

    def complete(self, config: Mapping[str, Any]) -> Config:
        """`config` with `default` values for what it leaves out; unknown names are kept."""
        _check_mapping(config)
        full: Config = {}
        for step in self._plan:
            if step.name in config:
                full[step.name] = config[step.name]
            elif step.active is None or step.active(full):
                full[step.name] = step.parameter.standard()
        return self.arranged(full) | {k: v for k, v in config.items() if k not in full}

    def filled(self, config: Mapping[str, Any]) -> Config:
        """`config` as a trial runs it: completed, then cleaned. Raises ConfigError."""
        return self.clean(self.complete(config))

    def adopt(self, config: Mapping[str, Any]) -> Config | None:
        """What `config`, of another space, is in this one; None if a value is none of mine.

        Unknown parameters are left out, missing ones take their `standard` values. Relations may be
        broken.
        """
        here: Config = {}
        for step in self._plan:
            if step.active is not None and not step.active(here):
                continue
            value = config.get(step.name, MISSING)
            if value is MISSING or isinstance(step.parameter, Fixed):
                here[step.name] = step.parameter.standard()
            elif step.parameter.problem(value) is None:
                here[step.name] = step.parameter.clean(value)
            else:
                return None
        return here

    def contains(self, config: Mapping[str, Any]) -> Membership:
        """Whether `config` is one of mine; if not, which parameters are wrong and why."""
        problems = [
            Problem(str(name), f"is no parameter of this space{did_you_mean(str(name), self)}")
            for name in config
            if name not in self._parameters
        ]
        known: Config = {}
        for step in self._plan:
            active = step.active is None or step.active(known)
            value = config.get(step.name, MISSING)
            if value is MISSING:
                if active:
                    problems.append(Problem(step.name, "is missing"))
            elif not active:
                needs = self._conditions[step.name].text
                problems.append(
                    Problem(step.name, f"is given, but it is inactive: it needs {needs}")
                )
            elif why := step.parameter.problem(value):
                problems.append(Problem(step.name, why))
            else:
                known[step.name] = step.parameter.clean(value)
        if not problems:
            problems = [
                Problem(r.text, f"does not hold for {_values(r, known)}")
                for r in self._relations
                if not _applies_and_holds(r, known)
            ]
        return Membership(tuple(problems))

    def clean(self, config: Mapping[str, Any]) -> Config:
        """`config` in this space's own types and order; raises ConfigError if not contained."""
        _check_mapping(config)
        membership = self.contains(config)
        if not membership:
            raise ConfigError(f"the config does not fit the space: {membership}")
        return {n: p.clean(config[n]) for n, p in self._parameters.items() if n in config}

    def satisfies(self, config: Mapping[str, Any]) -> bool:
        """Whether every relation holds (for a config that is otherwise contained)."""
        return all(_applies_and_holds(r, config) for r in self._relations)

    # -- arrays -------------------------------------------------------------------------------

    def row(self, config: Mapping[str, Any]) -> list[float]:
        """The numbers of a contained config, one per column."""
        get = config.get
        return [
            _NAN if (value := get(name, MISSING)) is MISSING else number(value)
            for name, number in self._numberers
        ]

    def partial_row(self, config: Mapping[str, Any]) -> list[float] | None:
        """The numbers of what `config` has of mine, NaN for the rest; None where a value is none of its parameter's."""
        out = []
        for name, parameter in self._parameters.items():
            value = config.get(name, MISSING)
            if value is not MISSING and parameter.problem(value) is not None:
                return None
            if not isinstance(parameter, Fixed):
                out.append(_NAN if value is MISSING else parameter.number(value))
        return out

    def active(self, config: Mapping[str, Any]) -> set[str]:
        """The parameters whose conditions hold in `config`, as far as it goes."""
        return {step.name for step in self._plan if step.active is None or step.active(config)}

    def from_row(self, row: Sequence[float]) -> Config:
        """The config with these numbers: the inverse of `row`."""
        config: Config = {}
        for step in self._plan:
            if step.active is None or step.active(config):
                p = step.parameter
                config[step.name] = (
                    p.constant if isinstance(p, Fixed) else p.value(row[step.column])
                )
        return config if self._declared else self.arranged(config)

    def units(self, rows: Floats) -> Floats:
        """Rows of numbers, (n, d), as points of the unit cube, (n, d)."""
        out = np.empty_like(rows)
        for column, parameter in enumerate(self._tunables.values()):
            out[:, column] = parameter.unit(rows[:, column])
        return out

    def encode(self, config: Mapping[str, Any]) -> Floats:
        """The point of the unit cube, shape (d,), that stands for a contained config."""
        row = np.array([self.row(config)], dtype=np.float64).reshape(1, len(self))
        point: Floats = self.units(row)[0]
        return point

    def decode(self, point: Sequence[float] | Floats) -> Config:
        """The config at a point of the unit cube, shape (d,); inactive columns are ignored.

        ``decode(encode(config)) == config`` for every config that the space itself makes; other
        floats are rounded to the grid of what is suggested (see `Axis.value`).
        """
        coordinates = [float(u) for u in point]
        if len(coordinates) != len(self):
            raise ConfigError(
                f"the point has {len(coordinates)} coordinates, the space {len(self)}"
            )
        config = self._decode([u if 0.0 <= u <= 1.0 else 0.5 for u in coordinates])
        for name, u in zip(self._tunables, coordinates, strict=True):
            if name in config and not 0.0 <= u <= 1.0:
                raise ConfigError(f"{name} is active, but its coordinate is {u}, not in [0, 1]")
        return config

    def _decode(self, point: list[float]) -> Config:
        config: Config = {}
        for name, active, column, decode in self._decoders:
            if active is None or active(config):
                config[name] = decode(point[column] if column >= 0 else 0.0)
        return config if self._declared else self.arranged(config)

    def arranged(self, config: Config) -> Config:
        """`config` in the order of declaration."""
        return {name: config[name] for name in self._parameters if name in config}

    # -- as data ------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The space in JSON's types; `from_dict` reads it back equal."""
        out: dict[str, Any] = {name: p.to_dict() for name, p in self._parameters.items()}
        for name in _CALLED & out.keys():  # which a bare value would make a mistake
            if not isinstance(out[name], dict):
                out[name] = {"value": out[name]}
        if self._relations:
            out[RELATIONS] = [r.text for r in self._relations]
        return out

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any], *, stored: bool = False) -> Space:
        """A space from its dict form (what a job file has under ``space:``). Raises SpaceError.

        `stored`: it was written by `to_dict`, perhaps of an earlier version, and is no mistake of anybody's."""
        if not isinstance(spec, Mapping):
            raise SpaceError(f"a space is a mapping of parameter names, not {shown(spec)}")
        relations = spec.get(RELATIONS, [])
        if isinstance(relations, str):
            relations = [relations]
        if not isinstance(relations, Sequence):
            raise SpaceError(f"{RELATIONS}: a list of relations is needed, not {shown(relations)}")
        space = cls(
            {
                name: Fixed(p) if stored and not isinstance(p, Mapping) else p
                for name, p in spec.items()
                if name != RELATIONS
            }
        )
        for relation in relations:
            space.require(relation)
        return space

    @classmethod
    def from_yaml(cls, text: str) -> Space:
        """A space from YAML or JSON text. Raises SpaceError."""
        return cls.from_dict(read_mapping(text, "space"))

    def to_yaml(self) -> str:
        """The space as YAML, one parameter a line."""
        return write_yaml(self.to_dict())

    def _order(self) -> list[_Step]:
        graph = {
            name: sorted(self._conditions[name].parents) if name in self._conditions else []
            for name in self._parameters
        }
        columns = {name: column for column, name in enumerate(self._tunables)}
        rank = {name: place for place, name in enumerate(self._parameters)}
        try:
            # depth by depth, each in the order of declaration
            sorter = TopologicalSorter(graph)
            sorter.prepare()
            order: list[str] = []
            while sorter.is_active():
                ready = sorted(sorter.get_ready(), key=rank.__getitem__)
                order += ready
                sorter.done(*ready)
        except CycleError as error:
            path = " -> ".join(reversed(error.args[1]))
            raise SpaceError(f"the conditions go round in a circle: {path}") from None
        return [
            _Step(name, self._parameters[name], columns.get(name, -1), self._conditions.get(name))
            for name in order
        ]


_NAN: Final = float("nan")


def _check_name(name: object, spec: Any) -> None:
    if name == RELATIONS:
        raise SpaceError(
            f"a parameter cannot be called {RELATIONS!r}: relations go by that name; write "
            f"Space(...).require({_relation(spec)!r})"
        )
    if name in _CALLED and (callable(spec) or isinstance(spec, (str, list, tuple, set, frozenset))):
        raise SpaceError(
            f"{name}: {shown(spec)} would be a parameter that never changes; for relations between parameters write "
            f"Space(...).require({_relation(spec)!r}) ({RELATIONS}: [...] in a job file), for such a parameter "
            f"{name}=Fixed(...) ({{value: ...}})"
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        suggestion = re.sub(r"[^A-Za-z0-9_.]+", "_", str(name)).strip("_.")
        raise SpaceError(
            f"{name!r} cannot name a parameter: letters, digits and underscores (dots between "
            f"parts), not starting with a digit; write {suggestion or 'a_name'!r}?"
        )


def parameter_name(wanted: str) -> str:
    """`wanted`, or the nearest name that a parameter may have."""
    parts = [re.sub(r"[^A-Za-z0-9_]+", "_", part) for part in str(wanted).split(".")]
    name = ".".join(part if _NAME.fullmatch(part) else f"_{part}" for part in parts)
    return f"{name}_" if name == RELATIONS else name


def _relation(spec: Any) -> str:
    """The first of the relations that somebody wrote, if that is what they are."""
    first = next(iter(spec), "") if isinstance(spec, (list, tuple)) else spec
    return shorten(first) if isinstance(first, str) and first else "low < high"


def _decoder(parameter: Parameter) -> Callable[[float], Any]:
    """How a coordinate becomes a value; a Float's axis is asked without a detour."""
    if isinstance(parameter, Fixed):
        return lambda _: parameter.standard()
    return parameter.axis.value if isinstance(parameter, Float) else parameter.decode


def _numberer(parameter: Tunable) -> Callable[[Any], float]:
    """How a value becomes a number; a number is its own."""
    return parameter.number if isinstance(parameter, Choice) else float


def _check_mapping(config: Any) -> None:
    if not isinstance(config, Mapping):
        raise ConfigError(f"a config is a mapping of names to values, not {config!r}")


def _applies_and_holds(relation: Expression, config: Mapping[str, Any]) -> bool:
    return not all(name in config for name in relation.names) or relation.holds(config)


def _values(relation: Expression, config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {config[name]!r}" for name in sorted(relation.names))
