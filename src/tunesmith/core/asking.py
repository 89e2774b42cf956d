"""Define by run: a space that is learned from what trials ask for.

A trial asks for its parameters by name as it goes. Its value for a name is, first, what its config has (a searcher's
suggestion, or a person's, made before it began); else it is drawn by a random stream of the trial's seed and the name, so
that every attempt at the trial gets the same one. What it asked for is its config: an `Asked` event for what nobody
expected, and one for what was suggested and never asked for. When a trial has ended, the space is edited where it does not
say what that trial asked for: new parameters, and when they are asked for (`core.learning`). Suggestions come from the
space as it is, so they are functions of the history as anywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tunesmith.core import events
from tunesmith.core.errors import ConfigError, did_you_mean, shown
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import MISSING, Parameter, parameter_from_dict, plain
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import StudySpec

#: The origin of a trial about whose parameters nothing is known yet.
BLANK: Final = "blank"
#: What tells the members of a family of names apart: ``units0``, ``units1``.
_NUMBERS: Final = re.compile(r"\d+")


class Declared(NamedTuple):
    """How a parameter was asked for first, by which trial, of which version of the program (0: not known)."""

    declaration: Mapping[str, Any]
    trial: int
    version: int


class Asking:
    """What the trials of a study have asked for."""

    def __init__(self) -> None:
        #: In the order in which they were first asked for.
        self.declared: dict[str, Declared] = {}
        #: Names whose declaration is another one than that from which the space has them.
        self.changed: set[str] = set()
        #: What trials were given to run with, where that is not what they asked for.
        self.plans: dict[int, Config] = {}
        #: What people have put into the queue, as they named it, by trial.
        self.given: dict[int, Config] = {}

    def take(self, e: events.Asked, version: int, config: Config) -> Config:
        """The config that the trial has after `e`."""
        for name, declaration in e.parameters.items():
            known = self.declared.get(name)
            other = known is not None and not same(known.declaration, declaration)
            if other:
                self.changed.add(name)
            if known is None or other or known.version != version:
                self.declared[name] = Declared(declaration, e.trial, version)
        plan = {**self.plans.get(e.trial, config), **e.values}
        now = {**config, **e.values}
        if e.only is not None:
            now = {name: plan[name] for name in e.only if name in plan}
        self.plans.pop(e.trial, None)
        if plan.keys() != now.keys():
            self.plans[e.trial] = plan
        return now

    def known(self, version: int) -> dict[str, Mapping[str, Any]]:
        """How parameters have been asked for by this version of the program."""
        return {
            name: one.declaration for name, one in self.declared.items() if one.version == version
        }


def drawn(seed: int, number: int, name: str, parameter: Parameter) -> Any:
    """The value of a parameter that a trial asks for and nobody has suggested; `seed` is the trial's own. A study begins
    in the middle of all ranges, as with a declared space."""
    u = 0.5 if number == 0 else float(stream(seed, 0, f"asked {name}").random())
    return parameter.standard() if parameter.size == 1 else parameter.decode(u)  # type: ignore[union-attr]


def words(name: str, declaration: Mapping[str, Any]) -> str:
    """A declaration as it is written in a program."""
    for kind in ("float", "int"):
        if kind in declaration:
            ends = ", ".join(f"{end!r}" for end in declaration[kind])
            options = "".join(
                f", {k}={declaration[k]!r}" for k in ("log", "step") if k in declaration
            )
            return f"trial.{kind}({name!r}, {ends}{options})"
    return f"trial.choice({name!r}, {shown(declaration.get('choice'))})"


def differs(name: str, before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> str:
    return (
        f"{words(name, now)} was {words(name, before)} before, in {where}: a parameter has one range in a study. Ask for the "
        "widest one everywhere, or give each its own name"
    )


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two declarations are: 1 and True are two values."""
    return a == b and json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def blank(spec: StudySpec) -> bool:
    """Whether nothing is known yet of the parameters that trials will ask for."""
    return spec.learned and not spec.space.parameters


def queued(spec: StudySpec, config: Mapping[str, Any]) -> Config:
    """A config that somebody wants run, as it is kept: completed, but in a learned space, where a trial asks for the rest.
    Raises ConfigError, SpaceError."""
    if not spec.learned:
        return spec.space.filled(config)
    if not isinstance(config, Mapping):
        raise ConfigError(f"a config is a mapping of names to values, not {shown(config)}")
    check(spec.space, config)
    return {str(name): plain(value) for name, value in config.items()}


def unheard(space: Space, asking: Asking, config: Iterable[str]) -> list[str]:
    """The names of a config that no trial has asked for so far, nor anybody declared."""
    return [name for name in config if name not in space and name not in asking.declared]


def misspelt(space: Space, asking: Asking, config: Iterable[str]) -> str:
    """What to say of a config's names that look as if others were meant; else empty: trials may ask for new ones."""
    known = {*space, *asking.declared}
    families = {_NUMBERS.sub("0", name) for name in known}
    said = [
        f"no trial has asked for {name!r} so far{near}"
        for name in unheard(space, asking, config)
        if _NUMBERS.sub("0", name) not in families
        and (near := did_you_mean(name, known, listed=False))
    ]
    return ". ".join(said)


def unused(space: Space, asking: Asking, config: Iterable[str]) -> str:
    """What to say of a trial that has not asked for names that a person gave it, and no other has; else empty."""
    known = {*space, *asking.declared}
    said = [
        f"it was given {name!r}, for which no trial has asked so far{did_you_mean(name, known)}"
        for name in unheard(space, asking, config)
    ]
    return ". ".join(said)


def check(space: Space, config: Mapping[str, Any]) -> None:
    """Raise ConfigError for a value that is none of a parameter that is known."""
    for name, value in config.items():
        if name in space and (problem := space[name].problem(value)):
            raise ConfigError(f"the config does not fit the space: {name} {problem}")


def redraws(seed: int, number: int, plan: Mapping[str, Any], e: events.Asked) -> Sequence[str]:
    """The names whose values in `e` are neither what was planned nor what is drawn: for replay."""
    wrong = []
    for name, declaration in e.parameters.items():
        parameter, value = parameter_from_dict(name, declaration), e.values.get(name, MISSING)
        planned = plan.get(name, MISSING)
        if planned is not MISSING and parameter.problem(planned) is None:
            expected = parameter.clean(planned)
        else:
            expected = drawn(seed, number, name, parameter)
        if expected != value:
            wrong.append(name)
    return wrong
