"""The space behind a program that asks for its parameters as it runs: learned from what its trials have asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.rules import replace_when, rule
from tunesmith.core.space.space import Config, Space
from tunesmith.integrations.distributions import Distributions, Read, free_name


@dataclass(frozen=True, slots=True)
class Asked:
    """A space and the names there; `left_out` are parameters that are asked for by no rule that was found."""

    space: Space
    names: Mapping[str, str]
    left_out: frozenset[str]
    _distributions: Distributions

    def config(
        self, values: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> Config | None:
        """What a trial asked for (and `more`, by the names here) as a config of the space; None where it is none."""
        here: Config = dict(more or {})
        for name, value in values.items():
            if (key := self.names.get(name)) is not None:
                here[key] = self._distributions.stored(key, value)
        full = self.space.complete(here)
        return self.space.clean(full) if self.space.contains(full) else None

    def agrees(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial asked for what the space says it asks for, and no more."""
        asked = {self.names[name] for name in values if name in self.names}
        known = all(name in self.names or name in self.left_out for name in values)
        config = self.config(values)
        return known and config is not None and config.keys() == asked

    def values(self, config: Config) -> dict[str, Any]:
        """A config by the program's own names and values."""
        return self._distributions.parameters(config)


def learn(
    read: Mapping[str, Read], trials: Sequence[Mapping[str, Any]], *, keep_all: bool = False
) -> Asked:
    """The space of parameters `read` by name, in the order in which they are asked for, from what finished trials asked.

    A parameter that some trials did not ask for depends on those before it, if their values tell when. If they do not it is left
    out; with `keep_all` it depends on a choice of its own instead.
    """
    here: dict[str, Any] = {}
    names: dict[str, str] = {}
    left_out: set[str] = set()
    back: dict[str, tuple[str, Any]] = {}
    for name, one in read.items():
        key = free_name(name.replace(".", "_"), here)
        parameter = one.parameter
        asked = [name in trial for trial in trials]
        when: dict[str, Any] | None = None
        if not all(asked):
            having = [trial for trial in trials if name in trial]
            lacking = [trial for trial in trials if name not in trial]
            when = rule(having, lacking, {n: here[names[n]] for n in names})
            if when is not None:
                when = {names[n]: values for n, values in when.items()}
            elif keep_all:
                switch = free_name(f"{key}_asked", here)
                here[switch], when = Choice(False, True), {switch: True}
            else:
                left_out.add(name)
                continue
        here[key] = replace_when(parameter, when)
        names[name], back[key] = key, (name, one.value)
    space = Space(here)
    return Asked(space, names, frozenset(left_out), Distributions(space, back))


def switches(asked: Asked, values: Mapping[str, Any]) -> Config:
    """The values of the choices that `learn` has made up, for a trial that asked for `values`."""
    made: Config = {}
    for name, key in asked.names.items():
        condition = asked.space.condition(key)
        for parent in () if condition is None else condition.parents:
            if parent not in asked.names.values():
                made[parent] = name in values
    return made


def widened(old: Read, new: Read) -> Read:
    """`new`, over the range of both: what a program asked for within other bounds is still evidence."""
    a, b = old.parameter, new.parameter
    try:
        if isinstance(a, Float) and isinstance(b, Float):
            wide = replace(b, low=min(a.low, b.low), high=max(a.high, b.high))
            return replace(new, parameter=wide)
        if isinstance(a, Int) and isinstance(b, Int):
            whole = replace(b, low=min(a.low, b.low), high=max(a.high, b.high))
            return replace(new, parameter=whole)
    except SpaceError:  # steps that do not fit together
        pass
    return new
