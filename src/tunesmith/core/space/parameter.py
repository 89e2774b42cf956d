"""Float, Int, Choice and fixed values: one hyperparameter each.

Every parameter maps its values one to one onto cells (or points) of the unit interval, so that a
searcher sees a cube. Numbers are laid out on the parameter's scale (linear, log, reverse log); ints
and stepped numbers own a cell each, padded by half a step so that end values are as likely as any
other; the i-th of n choices owns the cell ``[i/n, (i+1)/n)``.

A parameter also has a *number* for each value (the value itself, or a choice's index), which is
what the history stores in its arrays.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from tunesmith.core.errors import SpaceError, did_you_mean, shown
from tunesmith.core.space import prior as priors
from tunesmith.core.space.axis import Axis, check_axis, on_grid
from tunesmith.core.space.prior import Normal
from tunesmith.core.text import check_bounds

Group: TypeAlias = Literal["model", "optimizer", "data"]
GROUPS: Final = ("model", "optimizer", "data")
When: TypeAlias = Mapping[str, Any] | str

#: Not every reader of JSON takes integers this large.
_TOO_LARGE: Final = 10**300
#: Ints beyond this are not exact as doubles.
MAX_INT: Final = 2**53


class _Missing:
    """The default of a `Choice` that has none (None is a fine choice)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def plain(value: Any) -> Any:
    """`value` in JSON's types: tuples become lists, numpy scalars Python numbers.

    Raises SpaceError for what JSON does not have (NaN, sets, functions, keys that are no strings).
    """
    if value is None or type(value) is bool:
        return value
    if isinstance(value, int):  # an enum, say
        if abs(value) >= _TOO_LARGE:
            raise SpaceError(f"{shown(value)} is too large; write it as a text")
        return int(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise SpaceError(f"{value!r} is not a finite number")
        return float(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple, Mapping)):
        check_bounds(value)
        return _plain_parts(value)
    raise _no_json(value)


def _plain_parts(value: Any) -> Any:
    """`plain` for a list or mapping of which the bounds are known."""
    if isinstance(value, (list, tuple)):
        return [_plain_parts(item) for item in value]
    if not isinstance(value, Mapping):
        return plain(value)
    if not all(isinstance(key, str) for key in value):
        raise _no_json(value)
    return {_text(key): _plain_parts(item) for key, item in value.items()}


def _no_json(value: Any) -> SpaceError:
    return SpaceError(
        f"{shown(value)} ({type(value).__name__}) is no JSON value; use its name and look it up in your "
        "training code"
    )


def _text(value: str) -> str:
    """`value` as a bare str. Raises SpaceError if UTF-8, and so the store, does not have it."""
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SpaceError(f"{shown(text)} is no valid text: UTF-8 does not have it") from None
    return text


def _require_number(owner: str, name: str, value: Any) -> float:
    if not _is_number(value):
        raise SpaceError(f"{owner}: {name} is a number, not {shown(value)}")
    if not is_finite(value):
        raise SpaceError(f"{owner}: {name} is a finite number, not {shown(value)}")
    return float(value) + 0.0  # no -0.0


def _is_number(value: Any) -> bool:
    """Whether `value` is a Python or NumPy number; a truth value is none."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether a number is finite as a double: integers may be too large for one."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_common(owner: str, group: Any, when: Any, structural: Any = None) -> None:
    if structural not in (None, True, False):
        raise SpaceError(f"{owner}: structural is True or False, not {shown(structural)}")
    if group is not None and group not in GROUPS:
        raise SpaceError(
            f"{owner}: group {group!r} is none of {', '.join(GROUPS)}"
            f"{did_you_mean(str(group), GROUPS)}"
        )
    if when is not None and not isinstance(when, (Mapping, str)):
        raise SpaceError(
            f"{owner}: when= is a mapping like {{'optimizer': 'sgd'}} or a text like "
            f"'layers >= 2', not {when!r}"
        )
    if isinstance(when, Mapping) and not when:
        raise SpaceError(f"{owner}: when= is empty; leave it out")


def _common_to_dict(parameter: Float | Int | Choice | Fixed) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if parameter.group is not None:
        options["group"] = parameter.group
    if getattr(parameter, "structural", None) is not None:
        options["structural"] = parameter.structural  # type: ignore[union-attr]
    if parameter.when is not None:
        when = parameter.when
        options["when"] = (
            when
            if isinstance(when, str)
            else {
                name: plain(sorted(v, key=repr) if isinstance(v, (set, frozenset)) else v)
                for name, v in when.items()
            }
        )
    return options


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between `low` and `high`, both included.

    `log=True` searches orders of magnitude (a learning rate), ``log="reverse"`` orders of magnitude
    of the distance to 1 (a momentum); `step` restricts to ``low + k * step``. `prior` says around
    which value you expect the best: the search begins there, and believes its results more and more.
    `structural=True`: it stays as it is in the middle of a run (see `Space.structural`).
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool | Literal["reverse"] = False
    step: float | None = None
    default: float | None = None
    prior: Normal | None = None
    group: Group | None = None
    when: When | None = None
    structural: bool | None = None
    axis: Axis = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner = f"Float({shown(self.low)}, {shown(self.high)})"
        for name in (
            "low",
            "high",
            *(n for n in ("step", "default") if getattr(self, n) is not None),
        ):
            object.__setattr__(self, name, _require_number(owner, name, getattr(self, name)))
        check_axis(owner, self.low, self.high, self.log, self.step)
        _check_common(owner, self.group, self.when, self.structural)
        object.__setattr__(self, "axis", Axis(self.low, self.high, self.log, self.step))
        if self.prior is not None:
            object.__setattr__(self, "prior", priors.normal(owner, self.prior, self.axis))
        if self.default is not None and (problem := self.problem(self.default)):
            raise SpaceError(f"{owner}: the default {problem}")

    @property
    def size(self) -> int | None:
        """How many values there are; None for a continuum."""
        return 1 if self.low == self.high else self.axis.count

    @property
    def has_default(self) -> bool:
        return self.default is not None

    def problem(self, value: Any) -> str | None:
        """Why `value` is none of mine, or None if it is."""
        if not _is_number(value):
            return f"is {shown(value)}, not a number"
        if not self.low <= value <= self.high:  # catches NaN too
            return f"is {shown(value)}, outside {self.low:g} .. {self.high:g}"
        if self.step is not None and not on_grid(float(value), self.low, self.step):
            return f"is {value!r}, not {self.low:g} + k * {self.step:g}"
        return None

    def clean(self, value: Any) -> float:
        return float(value) + 0.0

    def standard(self) -> float:
        """The default, else where the prior is highest, else the middle of the range."""
        if self.default is not None:
            return self.default
        return self.decode(0.5 if self.prior is None else self.prior.place(self.axis)[0])

    def number(self, value: Any) -> float:
        return float(value)

    def value(self, number: float) -> float:
        return number

    def unit(self, numbers: Any) -> Any:
        return self.axis.unit(numbers)

    def decode(self, u: float) -> float:
        return self.axis.value(u)

    def exact(self, u: float) -> float:
        """As `decode`, to 12 digits: what somebody wrote who is there."""
        return self.axis.exact(u)

    def levels(self, most: int) -> Sequence[float]:
        return self.axis.levels(most)

    def to_dict(self) -> dict[str, Any]:
        return _range_to_dict("float", self)


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number between `low` and `high`, both included; options as in `Float`."""

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int = 1
    default: int | None = None
    prior: Normal | None = None
    group: Group | None = None
    when: When | None = None
    structural: bool | None = None
    axis: Axis = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner = f"Int({shown(self.low)}, {shown(self.high)})"
        for name in ("low", "high", "step", *(["default"] if self.default is not None else [])):
            number = getattr(self, name)
            _require_number(owner, name, number)
            if number != int(number):
                raise SpaceError(f"{owner}: {name} is a whole number, not {number!r}; use Float?")
            if abs(int(number)) > MAX_INT:
                raise SpaceError(f"{owner}: {name} is beyond ±2^53, where doubles skip integers")
            object.__setattr__(self, name, int(number))
        if self.log not in (True, False):
            raise SpaceError(f"{owner}: log is True or False, not {self.log!r}")
        check_axis(owner, self.low, self.high, self.log, self.step)
        _check_common(owner, self.group, self.when, self.structural)
        axis = Axis(float(self.low), float(self.high), self.log, float(self.step))
        object.__setattr__(self, "axis", axis)
        if self.prior is not None:
            object.__setattr__(self, "prior", priors.normal(owner, self.prior, axis))
        if self.default is not None and (problem := self.problem(self.default)):
            raise SpaceError(f"{owner}: the default {problem}")

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    @property
    def has_default(self) -> bool:
        return self.default is not None

    def problem(self, value: Any) -> str | None:
        """Why `value` is none of mine, or None if it is."""
        if not _is_number(value):
            return f"is {shown(value)}, not a whole number"
        if not is_finite(value) or value != int(value):
            return f"is {shown(value)}, not a whole number"
        if not self.low <= value <= self.high:
            return f"is {shown(value)}, outside {self.low} .. {self.high}"
        if (int(value) - self.low) % self.step:
            return f"is {value!r}, not {self.low} + k * {self.step}"
        return None

    def clean(self, value: Any) -> int:
        return int(value)

    def standard(self) -> int:
        """The default, else where the prior is highest, else the middle of the range."""
        if self.default is not None:
            return self.default
        return self.decode(0.5 if self.prior is None else self.prior.place(self.axis)[0])

    def number(self, value: Any) -> float:
        return float(value)

    def value(self, number: float) -> int:
        return int(number)

    def unit(self, numbers: Any) -> Any:
        return self.axis.unit(numbers)

    def decode(self, u: float) -> int:
        k = self.axis.place(u)
        return self.high if k + 1 == self.axis.count else self.low + k * self.step

    def exact(self, u: float) -> int:
        return self.decode(u)

    def levels(self, most: int) -> Sequence[int]:
        """At most `most` values, evenly spread on the scale, both ends included; all with a step.

        O(most) memory, however many steps there are.
        """
        if self.size <= most or self.step > 1:
            return range(self.low, self.high + 1, self.step)
        spread = (
            [self.decode(k / (most - 1)) for k in range(most)] if most > 1 else [self.decode(0.5)]
        )
        return sorted(set(spread))

    def to_dict(self) -> dict[str, Any]:
        return _range_to_dict("int", self)


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of several values of any JSON type; `ordered=True` where their order means something.

    `prior` weighs the values by how likely they are the best: ``prior={"relu": 3}`` for three times
    as likely as any other, or a weight for each in order. `structural=False`: it may change in the middle of a
    run (see `Space.structural`).

    >>> Choice("relu", "tanh", group="model").decode(0.9)
    'tanh'
    """

    values: tuple[Any, ...]
    ordered: bool
    default: Any
    prior: tuple[float, ...] | None
    group: Group | None
    when: When | None
    structural: bool | None
    _index: dict[Any, int] = field(repr=False, compare=False)
    _mutable: bool = field(repr=False, compare=False)

    def __init__(
        self,
        *values: Any,
        ordered: bool = False,
        default: Any = MISSING,
        prior: Mapping[Any, float] | Sequence[float] | None = None,
        group: Group | None = None,
        when: When | None = None,
        structural: bool | None = None,
    ) -> None:
        check_bounds(values)
        owner = f"Choice({', '.join(map(shown, values[:4]))}{', ...' if len(values) > 4 else ''})"
        if not values:
            raise SpaceError("Choice() has no values; write Choice('relu', 'tanh')")
        if (
            len(values) == 1
            and isinstance(values[0], (list, tuple, set, range))
            and len(values[0]) > 1
        ):
            raise SpaceError(
                f"{owner}: the values are separate arguments; write Choice({shown(list(values[0]))[1:-1]}), or Choice(*values)"
            )
        try:
            cleaned = tuple(plain(value) for value in values)
        except SpaceError as error:
            raise SpaceError(f"{owner}: {error}") from None
        index: dict[Any, int] = {}
        for position, value in enumerate(cleaned):
            if index.setdefault(identity(value), position) != position:
                raise SpaceError(f"{owner}: {shown(value)} is there twice; name each value once")
        _check_common(owner, group, when, structural)
        object.__setattr__(self, "values", cleaned)
        object.__setattr__(self, "ordered", bool(ordered))
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "when", when)
        object.__setattr__(self, "structural", structural)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_mutable", any(isinstance(v, (list, dict)) for v in cleaned))
        if default is not MISSING:
            if problem := self.problem(default):
                raise SpaceError(f"{owner}: the default {problem}")
            default = self.clean(default)
        object.__setattr__(self, "default", default)
        weights = None if prior is None else priors.weights(owner, prior, cleaned, self._find)
        object.__setattr__(self, "prior", weights)

    @property
    def size(self) -> int:
        return len(self.values)

    def _find(self, value: Any) -> int | None:
        try:
            position = self._index.get(identity(value))
        except SpaceError:
            return None
        if position is None:
            for k, mine in enumerate(self.values):
                if _same_number(mine, value):
                    return k
        return position

    @property
    def has_default(self) -> bool:
        return self.default is not MISSING

    def problem(self, value: Any) -> str | None:
        """Why `value` is none of mine, or None if it is."""
        if self._find(value) is not None:
            return None
        try:
            check_bounds(value)
        except SpaceError as error:
            return f"cannot be used: {error}"
        text = value if isinstance(value, str) else shown(value)
        hint = did_you_mean(text, [str(v) for v in self.values])
        return f"is {shown(value)}, which is none of the {len(self.values)} choices{hint}"

    def clean(self, value: Any) -> Any:
        return self.value(self.number(value))

    def standard(self) -> Any:
        """The default, else the choice of the highest prior, else the first one."""
        if self.default is not MISSING:
            return self.clean(self.default)
        return self.value(0 if self.prior is None else self.prior.index(max(self.prior)))

    def number(self, value: Any) -> float:
        position = self._index.get(value) if type(value) is str else self._find(value)
        if position is None:
            raise KeyError(value)
        return float(position)

    def value(self, number: float) -> Any:
        value = self.values[int(number)]
        return copy.deepcopy(value) if self._mutable else value

    def unit(self, numbers: Any) -> Any:
        return (np.asarray(numbers, dtype=np.float64) + 0.5) / len(self.values)

    def decode(self, u: float) -> Any:
        return self.value(min(max(int(u * len(self.values)), 0), len(self.values) - 1))

    def exact(self, u: float) -> Any:
        return self.decode(u)

    def levels(self, most: int) -> list[Any]:
        """All values: a grid visits every choice, however many `most` asks of numbers."""
        return [self.value(k) for k in range(len(self.values))]

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"choice": list(self.values)}
        if self.ordered:
            out["ordered"] = True
        if self.default is not MISSING:
            out["default"] = self.default
        if self.prior is not None:
            out["prior"] = list(self.prior)
        return out | _common_to_dict(self)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that does not change; in a space, ``epochs=10`` means ``epochs=Fixed(10)``."""

    constant: Any
    _: KW_ONLY
    group: Group | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "constant", plain(self.constant))
        _check_common(f"Fixed({shown(self.constant)})", self.group, self.when)

    @property
    def size(self) -> int:
        return 1

    def problem(self, value: Any) -> str | None:
        """Why `value` is not my constant, or None if it is."""
        try:
            same = identity(value) == identity(self.constant) or _same_number(self.constant, value)
        except SpaceError:
            same = False
        return None if same else f"is {shown(value)}, but is fixed at {shown(self.constant)}"

    def clean(self, value: Any) -> Any:
        return self.standard()

    def standard(self) -> Any:
        return copy.deepcopy(self.constant)

    def to_dict(self) -> Any:
        """The bare value where that says it all."""
        options = _common_to_dict(self)
        if options or isinstance(self.constant, dict):
            return {"value": self.constant, **options}
        return self.constant


#: What a searcher may change.
Tunable: TypeAlias = Float | Int | Choice
Parameter: TypeAlias = Float | Int | Choice | Fixed


def identity(value: Any) -> Any:
    """A hashable that tells choices apart: 1, 1.0, True and "1" are four different values."""
    if type(value) is str:
        return value
    bare = plain(value)  # numpy's texts and a StrEnum's are texts like any other
    return bare if type(bare) is str else ("json", json.dumps(bare, sort_keys=True))


def _same_number(mine: Any, value: Any) -> bool:
    """Whether `value` is my number in another type: 1.0 for 1, as some JSON writers have it."""
    numbers = (int, float, np.integer, np.floating)
    return (
        type(mine) in (int, float)
        and type(value) is not bool
        and (isinstance(value, numbers) and bool(mine == value))
    )


def _range_to_dict(kind: str, parameter: Float | Int) -> dict[str, Any]:
    out: dict[str, Any] = {kind: [parameter.low, parameter.high]}
    if parameter.log:
        out["log"] = parameter.log
    if parameter.step is not None and not (kind == "int" and parameter.step == 1):
        out["step"] = parameter.step
    if parameter.default is not None:
        out["default"] = parameter.default
    if parameter.prior is not None:
        out["prior"] = parameter.prior.to_dict()
    return out | _common_to_dict(parameter)


_TUNED: Final = ("default", "prior", "group", "when", "structural")
_KINDS: Final[dict[str, frozenset[str]]] = {
    "float": frozenset({"float", "log", "step", *_TUNED}),
    "int": frozenset({"int", "log", "step", *_TUNED}),
    "choice": frozenset({"choice", "ordered", *_TUNED}),
    "value": frozenset({"value", "group", "when"}),
}


def _check_tuple(name: str, spec: Any) -> None:
    """Raise SpaceError for (low, high), or that and a word, as other tools write ranges."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or not all(map(_is_number, spec[:2])):
        return
    if spec[0] >= spec[1] or not (len(spec) == 2 or isinstance(spec[2], str)):
        return
    low, high = spec[:2]
    kind = "Int" if isinstance(low, int) and isinstance(high, int) else "Float"
    log = ", log=True" if len(spec) > 2 and "log" in spec[2] else ""
    raise SpaceError(
        f"{name}: a tuple is no range; write {kind}({low!r}, {high!r}{log}) for one, "
        f"or Fixed({shown(spec)}) for a value that does not change"
    )


def parameter_from_dict(name: str, spec: Any) -> Parameter:
    """A parameter from its dict form; anything that is no mapping is a fixed value.

    Raises SpaceError, naming the parameter and the key that is wrong.
    """
    if isinstance(spec, (Float, Int, Choice, Fixed)):
        return spec
    if not isinstance(spec, Mapping):
        _check_tuple(name, spec)
        return Fixed(spec)
    try:
        check_bounds(spec)
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None
    kinds = [kind for kind in _KINDS if kind in spec]
    if len(kinds) != 1:
        keys = ", ".join(map(str, spec)) or "nothing"
        hint = did_you_mean(str(next(iter(spec), "")), _KINDS) if len(kinds) == 0 else ""
        raise SpaceError(
            f"{name}: exactly one of 'float', 'int', 'choice', 'value' says what it is; found "
            f"{keys}{hint} (a fixed mapping is written {{value: {{...}}}})"
        )
    kind = kinds[0]
    for key in spec:
        if key not in _KINDS[kind]:
            allowed = _KINDS[kind] - {kind}
            raise SpaceError(
                f"{name}: {kind} has no {key!r}{did_you_mean(str(key), sorted(allowed))}"
            )
    options = {key: value for key, value in spec.items() if key != kind}
    body = spec[kind]
    try:
        if kind == "value":
            return Fixed(body, **options)
        if not isinstance(body, (list, tuple)):
            raise SpaceError(f"{kind} takes a list, not {shown(body)}")
        if kind == "choice":
            return Choice(*body, **options)
        if len(body) != 2:
            raise SpaceError(f"{kind} takes [low, high], not {shown(list(body))}")
        return (Float if kind == "float" else Int)(body[0], body[1], **options)
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None
