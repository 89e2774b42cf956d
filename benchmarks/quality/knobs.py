"""A space as tuners without tunesmith see it: floats, ints and choices, conditions, relations.

A *knob* is one parameter in one of the three kinds that every tuner has; its *setting* is the value
in that kind. What a tuner may not have is put differently, so that nothing is lost:

=====================  =========================================================================
parameter              knob
=====================  =========================================================================
float, int             the same, linear or log
reverse-log float x    float ``1 - x``, log
float or int by steps  int: the number of the step
ordered choice         int: the index
choice                 choice: the index as a text (values may be of any type)
=====================  =========================================================================

Only the standard library is needed: this runs in the peers' environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, Literal, TypeAlias

Config: TypeAlias = dict[str, Any]
Settings: TypeAlias = dict[str, Any]

_FUNCTIONS = {"min": min, "max": max, "abs": abs, "round": round, "__builtins__": {}}


@dataclass(frozen=True)
class Knob:
    """One parameter. `parents` maps each parameter that it depends on to the values it needs."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float
    high: float
    log: bool
    parents: Mapping[str, tuple[Any, ...]]
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]

    @property
    def label(self) -> str:
        """The name for tuners to whom a dot means something."""
        return self.name.replace(".", "__")

    @property
    def direct(self) -> bool:
        """Whether the settings are the values."""
        ends = (self.low, self.high)
        return self.kind != "choice" and tuple(map(self.decode, ends)) == ends

    @property
    def settings(self) -> list[str]:
        """A choice's settings."""
        return [str(index) for index in range(int(self.high) + 1)]

    def active(self, config: Config) -> bool:
        """Whether it is, given the parameters before it."""
        return all(config.get(parent, _NONE) in values for parent, values in self.parents.items())


_NONE = object()


class Knobs:
    """All parameters of a space (parents first) and its relations."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        relations = spec.get("require", [])
        knobs = [_knob(name, form) for name, form in spec.items() if name != "require"]
        known: list[Knob] = []
        while knobs:
            names = {knob.name for knob in known}
            ready = [knob for knob in knobs if set(knob.parents) <= names]
            known += ready
            knobs = [knob for knob in knobs if knob not in ready]
        self.all = known
        self.by_name = {knob.name: knob for knob in known}
        self.relations: tuple[str, ...] = tuple(relations)
        self._tests: list[CodeType] = [compile(text, text, "eval") for text in relations]

    def config(self, settings: Mapping[str, Any]) -> Config:
        """The config of a setting for each knob (those of inactive knobs are left out)."""
        config: Config = {}
        for knob in self.all:
            if knob.active(config):
                config[knob.name] = knob.decode(settings[knob.name])
        return config

    def settings(self, config: Config) -> Settings:
        """The settings of the active knobs."""
        return {name: self.by_name[name].encode(value) for name, value in config.items()}

    def holds(self, config: Config) -> bool:
        """Whether every relation whose parameters are active holds."""
        return all(
            bool(eval(test, dict(_FUNCTIONS), config))
            for test in self._tests
            if all(name in config for name in test.co_names if name not in _FUNCTIONS)
        )

    def orderings(self) -> list[tuple[str, str]]:
        """The relations ``left <= right`` between two knobs whose settings are their values."""
        pairs = [relation.split(" <= ") for relation in self.relations]
        return [
            (pair[0], pair[1])
            for pair in pairs
            if len(pair) == 2 and all(n in self.by_name and self.by_name[n].direct for n in pair)
        ]

    def children(self, parent: str | None) -> list[Knob]:
        """The knobs whose only parent is `parent`, or that have none."""
        return [k for k in self.all if list(k.parents) == ([parent] if parent else [])]

    def branch(self, parent: Knob, setting: str) -> list[Knob]:
        """The knobs that are active where `parent`, a choice, has this setting."""
        value = parent.decode(setting)
        return [k for k in self.children(parent.name) if value in k.parents[parent.name]]


def flat(tree: Mapping[str, Any]) -> Settings:
    """The settings in a tree whose branches hold their choice under ``setting``."""
    settings: Settings = {}
    for name, node in tree.items():
        if isinstance(node, Mapping):
            settings |= flat({k: v for k, v in node.items() if k != "setting"})
            settings[name] = node["setting"]
        else:
            settings[name] = node
    return settings


def _knob(name: str, form: Mapping[str, Any]) -> Knob:
    parents = {
        parent: tuple(values) if isinstance(values, list) else (values,)
        for parent, values in form.get("when", {}).items()
    }
    if len(parents) > 1:
        raise ValueError(f"{name}: the peers' adapters know conditions on one parameter only")
    if "choice" in form:
        values = form["choice"]
        kind: Literal["int", "choice"] = "int" if form.get("ordered") else "choice"
        as_setting: Callable[[Any], Any] = int if kind == "int" else str
        return Knob(
            name, kind, 0, len(values) - 1, False, parents,
            lambda s: values[int(s)], lambda v: as_setting(values.index(v)),
        )  # fmt: skip
    integer = "int" in form
    low, high = form["int"] if integer else form["float"]
    log, step = form.get("log", False), form.get("step")
    if step is not None:
        if log:
            raise ValueError(f"{name}: steps on a log scale have no counterpart among the peers")
        number = int if integer else float
        return Knob(
            name, "int", 0, round((high - low) / step), False, parents,
            lambda s: number(round(low + int(s) * step, 10)), lambda v: round((v - low) / step),
        )  # fmt: skip
    if log == "reverse":
        return Knob(
            name, "float", 1 - high, 1 - low, True, parents,
            lambda s: min(max(1 - float(s), low), high), lambda v: 1 - v,
        )  # fmt: skip
    if integer:
        return Knob(name, "int", low, high, log, parents, lambda s: round(float(s)), int)
    return Knob(
        name, "float", low, high, log, parents, lambda s: min(max(float(s), low), high), float
    )
