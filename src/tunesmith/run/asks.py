"""What a trial's program asks for by name: see `core.asking`.

The worst that could happen is a config in the study that is not what the objective ran with. So what nobody had suggested is
stored before the objective gets it, and each name that is used is told to whoever runs the trial at once, for a trial may be
killed at any time.
"""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from tunesmith.core.asking import differs, drawn, same
from tunesmith.core.errors import Paused, SpaceError, Stopped, TransitionError, did_you_mean
from tunesmith.core.space.labels import Labels, labelled
from tunesmith.core.space.parameter import MISSING, Choice, Float, Group, Int, Tunable
from tunesmith.core.space.space import Config, Space, parameter_name
from tunesmith.core.text import as_tag, shorten, utf8
from tunesmith.core.trial import Kind, Reason

#: `Asks` has methods of these names.
_Float: TypeAlias = float
_Int: TypeAlias = int


#: Characters of a tag.
_LONGEST_TAG: Final = 2000


class Question(NamedTuple):
    """What is to be stored before a trial goes on: see `events.Asked`."""

    parameters: Mapping[str, Any]
    values: Config
    only: tuple[str, ...] | None = None


class Line(Protocol):
    """The way to whoever runs the trial."""

    def ask(self, question: Question) -> Reason | None:
        """Have it stored; None to go on, or why the trial is to end."""
        ...

    def note(self, name: str) -> None:
        """A value is used that was suggested."""
        ...


class Asks:
    """The part of a running trial that gives parameters their values.

    In a study without a declared space, a value is what the searcher has suggested for the name, or drawn at random where
    it has not met it yet. In one with a declared space it is that of the config. Raises SpaceError for a range that is
    another one than before.
    """

    def __init__(
        self,
        number: int,
        config: Config,
        seed: int,
        asked: Mapping[str, Mapping[str, Any]] | None,
        given: bool,
        line: Line | None,
        so_far: Iterable[str] = (),
        stored: Iterable[str] | None = None,
    ) -> None:
        """`so_far` are the names that this attempt has asked for elsewhere; `stored`, those that its config in the study has,
        where that is not all of `config`."""
        #: The trial's number in its study, from 0 on.
        self.number = number
        #: A 32-bit seed of the trial's own, the same in every attempt.
        self.seed = seed
        #: What it runs with: all of it, or, in a study without a declared space, what it has asked for so far.
        self.config: Config = config
        if asked is not None:
            self.config = {name: config[name] for name in so_far if name in config}
        #: The same as the program has it: objects for their names, names that no space may have.
        self.params: dict[str, Any] = dict(self.config)
        #: What the program wants kept with the trial: see `set_user_attr`.
        self.user_attrs: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self._plan, self._asked, self._given, self._line = config, asked, given, line
        #: How this very trial has asked, and by which name of the program's.
        self._declared: dict[str, Mapping[str, Any]] = {}
        self._names: dict[str, str] = {}
        #: The names that its config in the study is made of.
        self._stored: set[str] = set(config if stored is None else stored)
        self._stopped: Reason | None = None
        self._process: Final = os.getpid()
        self._asking = threading.Lock()

    @property
    def told(self) -> Reason | None:
        """Why it is to end, once it has been told so."""
        return self._stopped

    # -- asking -------------------------------------------------------------------------------

    def float(
        self,
        name: str,
        low: _Float,
        high: _Float,
        *,
        log: bool = False,
        step: _Float | None = None,
        group: Group | None = None,
    ) -> _Float:
        """A real number: see `Float`."""
        value: _Float = self._value(name, Float(low, high, log=log, step=step, group=group))
        return value

    def int(
        self,
        name: str,
        low: _Int,
        high: _Int,
        *,
        log: bool = False,
        step: _Int = 1,
        group: Group | None = None,
    ) -> _Int:
        """A whole number: see `Int`."""
        value: _Int = self._value(name, Int(low, high, log=log, step=step, group=group))
        return value

    def choice(
        self, name: str, *values: Any, ordered: bool = False, group: Group | None = None
    ) -> Any:
        """One of several values, or of a list of them; objects go by their names in the study."""
        if len(values) == 1 and isinstance(values[0], (list, tuple, range)):
            values = tuple(values[0])
        if len(values) == 1 and isinstance(values[0], (set, frozenset)):
            raise SpaceError(f"{name}: a set has no order that stays; write a list of values")
        labels = labelled(values)
        return self._value(name, Choice(*labels.labels, ordered=ordered, group=group), labels)

    # -- as Optuna spells them ----------------------------------------------------------------

    def suggest_float(
        self,
        name: str,
        low: _Float,
        high: _Float,
        *,
        step: _Float | None = None,
        log: bool = False,
    ) -> _Float:
        """As `float`; the end is moved onto the grid of `step`."""
        if step:
            high = low + math.floor((high - low) / step + 1e-9) * step
        value: _Float = self._value(name, Float(low, high, log=log, step=step), theirs=True)
        return value

    def suggest_int(
        self, name: str, low: _Int, high: _Int, *, step: _Int = 1, log: bool = False
    ) -> _Int:
        """As `int`; the end is moved onto the grid of `step`."""
        high = low + (high - low) // step * step if step else high
        value: _Int = self._value(name, Int(low, high, log=log, step=step), theirs=True)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As `choice`."""
        labels = labelled(choices)
        return self._value(name, Choice(*labels.labels), labels, theirs=True)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a word or value with the trial, as one of its tags, when it ends."""
        self.user_attrs[str(key)] = value
        self.tags[utf8(str(key))] = utf8(shorten(as_tag(value), _LONGEST_TAG)).replace("\0", "")

    # -- how ----------------------------------------------------------------------------------

    def _value(
        self, name: str, parameter: Tunable, labels: Labels | None = None, *, theirs: bool = False
    ) -> Any:
        self._check_process("ask for values: leave that to")
        key = parameter_name(name) if theirs else name
        declaration = parameter.to_dict()
        with self._asking:
            if self._names.get(key, name) != name:
                raise SpaceError(
                    f"{name!r} and {self._names[key]!r} would both be {key!r}: give one another name"
                )
            before = self._declared.get(key)
            if before is None:
                Space({key: parameter})  # raises for a name that none can have
                value = self._first(key, parameter, declaration)
                self._declared[key], self._names[key] = declaration, name
                self.config[key] = value
                self.params[name] = value if labels is None else labels.original(value)
            elif not same(before, declaration):
                raise SpaceError(differs(key, before, declaration, "this very trial"))
        value = self.params[name]
        return copy.deepcopy(value) if isinstance(value, (list, dict)) else value

    def _first(self, name: str, parameter: Tunable, declaration: Mapping[str, Any]) -> Any:
        """The value for a name that this trial has not asked for yet; stored, or told."""
        planned = self._plan.get(name, MISSING)
        problem = None if planned is MISSING else parameter.problem(planned)
        if self._asked is None:
            return self._of_declared(name, parameter, planned, problem)
        if problem is not None and self._given:
            raise SpaceError(f"the config that this trial was given does not fit: {name} {problem}")
        known = self._asked.get(name)
        if known is not None and not same(known, declaration):
            raise SpaceError(differs(name, known, declaration, "other trials"))
        if planned is MISSING or problem is not None:
            value = drawn(self.seed, self.number, name, parameter)
        else:
            value = parameter.clean(planned)
            if known is not None and type(value) is type(planned) and value == planned:
                if self._line is not None:
                    self._line.note(name)
                return value
        self._tell(Question({name: declaration}, {name: value}))
        self._stored.add(name)
        return value

    def _of_declared(self, name: str, parameter: Tunable, planned: Any, problem: str | None) -> Any:
        if planned is MISSING:
            raise SpaceError(
                f"{name!r} is none of this trial's parameters{did_you_mean(name, self._plan)}: the study has a declared "
                "space; add it there, or leave the space out and let trials ask for all"
            )
        if problem is not None:
            raise SpaceError(f"the study's declared space has another range: {name} {problem}")
        return parameter.clean(planned)

    def _say_only(self) -> None:
        """Have it stored what the trial has asked for so far, where its config in the study is another one."""
        if self._asked is None:
            return
        with self._asking:
            names = tuple(self.config)
            if names and self._stored != set(names):
                self._tell(Question({}, {}, names))
                self._stored = set(names)

    def _tell(self, question: Question) -> None:
        reason = None if self._line is None else self._line.ask(question)
        if reason is None:
            return
        self._stopped = reason
        if reason.kind is Kind.ERROR:
            raise SpaceError(reason.message)
        raise stopped(reason)

    def _check_process(self, how: str) -> None:
        if os.getpid() != self._process:
            raise TransitionError(
                f"process {os.getpid()} was forked by trial {self.number} and cannot {how} the process that "
                "runs the objective"
            )

    def __getitem__(self, name: str) -> Any:
        raise SpaceError(
            f"this study has no declared space, so the objective is given the trial: write trial.float({name!r}, low, high), "
            "or give tune() a space"
        )


def stopped(reason: Reason) -> Stopped:
    """What to raise in a trial that is to end for `reason`."""
    return (Paused if reason.kind is Kind.PAUSED else Stopped)(reason.message)
