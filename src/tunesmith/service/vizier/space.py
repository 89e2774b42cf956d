"""Vizier's parameters as a space, and the values of its trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.parameter import MISSING, Choice, Float, Int, Parameter
from tunesmith.core.space.space import Config, Space
from tunesmith.service.sagemaker.names import parameter_names
from tunesmith.service.vizier.names import invalid, shortened

#: So many parameters, and values of one, at most.
MOST: Final = 1000
#: As near two numbers of a DISCRETE parameter are the same, as Vizier has it.
_NEAR: Final = 1e-10
_CONDITIONS: Final = {
    "parent_discrete_values": "DISCRETE",
    "parent_int_values": "INTEGER",
    "parent_categorical_values": "CATEGORICAL",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """A parameter: its id there (others may have it, under other values of a parent), its name here."""

    id: str
    name: str
    spec: Any
    parameter: Parameter
    #: The parent's name here, and its values; "" for one that is always active.
    parent: str
    values: tuple[Any, ...]


class Parameters:
    """The parameters of a study, there and here."""

    def __init__(self, specs: Iterable[Any]) -> None:
        """Raises Problem, SpaceError."""
        found = list(_walk(specs, None, ()))
        if not found:
            raise invalid("study_spec has no parameters")
        if len(found) > MOST:
            raise invalid(f"a study has {MOST} parameters at most, not {len(found)}")
        counts = Counter(spec.parameter_id for spec, _, _ in found)
        wanted = [
            spec.parameter_id
            if counts[spec.parameter_id] == 1 or not values
            else f"{spec.parameter_id}_{'_'.join(map(str, values))}"[:80]
            for spec, _, values in found
        ]
        named = list(parameter_names(wanted))
        by_spec = {id(spec): name for (spec, _, _), name in zip(found, named, strict=True)}
        self._known: list[_Known] = []
        kept: dict[str, _Known] = {}
        for (spec, parent, values), name in zip(found, named, strict=True):
            above = "" if parent is None else by_spec[id(parent)]
            when = None
            if above:
                when = {above: [_matching(kept[above], value) for value in values]}
            try:
                parameter = _parameter(spec, when)
            except SpaceError as error:
                raise SpaceError(f"parameter {shortened(spec.parameter_id)}: {error}") from None
            one = _Known(
                spec.parameter_id, name, spec, parameter, above, tuple(when[above]) if when else ()
            )
            kept[name] = one
            self._known.append(one)
        self._check_apart()
        self.space = Space({one.name: one.parameter for one in self._known})

    def _check_apart(self) -> None:
        """Raise Problem where two of one id may be active at the same time."""
        seen: dict[str, list[_Known]] = {}
        for one in self._known:
            for other in seen.setdefault(one.id, []):
                apart = one.parent and one.parent == other.parent
                if not (apart and not set(one.values) & set(other.values)) and not self._excluded(
                    one, other
                ):
                    raise invalid(
                        f"two parameters are called {shortened(one.id)}, and a trial could have both: "
                        "give one of them another name"
                    )
            seen[one.id].append(one)

    def _excluded(self, one: _Known, other: _Known) -> bool:
        """Whether some parent's value lets only one of two be active."""
        by_name = {known.name: known for known in self._known}

        def needs(known: _Known) -> dict[str, set[Any]]:
            needed: dict[str, set[Any]] = {}
            while known.parent:
                needed[known.parent] = set(known.values)
                known = by_name[known.parent]
            return needed

        first, second = needs(one), needs(other)
        return any(not first[name] & second[name] for name in first.keys() & second.keys())

    def levels(self, doubles: int) -> dict[str, int]:
        """How many values of each number a grid has: all whole ones, as Vizier does it."""
        return {
            one.name: min(one.parameter.size, 10 * MOST)
            if isinstance(one.parameter, Int)
            else doubles
            for one in self._known
            if isinstance(one.parameter, (Int, Float))
        }

    def config(self, given: Iterable[Any]) -> Config:
        """The values of a trial's parameters; those that it leaves out are left out. Raises Problem."""
        values: dict[str, Any] = {}
        for one in given:
            if one.parameter_id in values:
                raise invalid(f"parameter {shortened(one.parameter_id)} is there twice")
            values[one.parameter_id] = one.value
        config: Config = {}
        used = set()
        for known in self._known:
            if known.id not in values or not _is_active(known, config):
                continue
            config[known.name] = _value(known, values[known.id])
            used.add(known.id)
        for name in values:
            if name not in used:
                raise invalid(
                    f"parameter {shortened(name)} is none of this study's, or inactive with these values of the others"
                )
        return config

    def missing(self, config: Mapping[str, Any]) -> list[str]:
        """The parameters without which a trial would not be whole."""
        return [k.id for k in self._known if k.name not in config and _is_active(k, config)]

    def fill(self, trial: Any, config: Mapping[str, Any]) -> None:
        """Put a config into a trial's message."""
        for known in self._known:
            if known.name not in config:
                continue
            made = trial.parameters.add(parameter_id=known.id)
            value = config[known.name]
            if isinstance(value, str):
                made.value.string_value = value
            else:
                made.value.number_value = float(value)


def _walk(
    specs: Iterable[Any], parent: Any, values: tuple[Any, ...]
) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """All parameters, parents before children, with the values of the parent under which they are active."""
    for spec in specs:
        if not spec.parameter_id:
            raise invalid("a parameter has no parameter_id")
        yield spec, parent, values
        for condition in spec.conditional_parameter_specs:
            kind = condition.WhichOneof("parent_value_condition")
            if kind is None:
                raise invalid(
                    f"parameter {shortened(condition.parameter_spec.parameter_id)}: parent_value_condition is missing"
                )
            under = tuple(getattr(condition, kind).values)
            wanted = (spec.WhichOneof("parameter_value_spec") or "").removesuffix("_value_spec")
            if _CONDITIONS[kind] != wanted.upper() or not under:
                raise invalid(
                    f"parameter {shortened(condition.parameter_spec.parameter_id)}: its parent "
                    f"{shortened(spec.parameter_id)} is {wanted.upper() or 'nothing'}, and {kind} names values of "
                    f"one that is {_CONDITIONS[kind]}"
                )
            yield from _walk([condition.parameter_spec], spec, under)


def _parameter(spec: Any, when: Mapping[str, Any] | None) -> Parameter:
    kind = spec.WhichOneof("parameter_value_spec")
    if kind is None:
        raise SpaceError("it has no *_value_spec, which says what its values are")
    values = getattr(spec, kind)
    default = values.default_value.value if values.HasField("default_value") else None
    scale = spec.ScaleType.Name(spec.scale_type) if spec.scale_type in range(4) else ""
    if not scale:
        raise SpaceError(f"there is no scale_type {spec.scale_type}")
    log, reverse = scale == "UNIT_LOG_SCALE", scale == "UNIT_REVERSE_LOG_SCALE"
    if kind in ("double_value_spec", "integer_value_spec"):
        low, high = values.min_value, values.max_value
        if kind == "double_value_spec":
            if reverse and not 0 < low <= high < 1:
                raise SpaceError(
                    "UNIT_REVERSE_LOG_SCALE is for values between 0 and 1 here (a momentum); tune the distance to the "
                    "upper end on UNIT_LOG_SCALE instead"
                )
            return Float(low, high, log="reverse" if reverse else log, default=default, when=when)
        if reverse:
            raise SpaceError("UNIT_REVERSE_LOG_SCALE is for DOUBLE parameters here")
        return Int(low, high, log=log, default=default, when=when)
    if not 1 <= len(values.values) <= MOST:
        raise SpaceError(f"it has from 1 to {MOST} values, not {len(values.values)}")
    if kind == "categorical_value_spec":
        standard = MISSING if default is None else default
        return Choice(*values.values, default=standard, when=when)
    numbers = sorted(values.values)
    if not all(map(math.isfinite, numbers)):
        raise SpaceError("its values are finite numbers")
    whole = all(number == int(number) and abs(number) < 2**53 for number in numbers)
    shown: list[float] = [int(number) for number in numbers] if whole else numbers
    nearest = MISSING if default is None else min(shown, key=lambda value: abs(value - default))
    return Choice(*shown, ordered=True, default=nearest, when=when)


def _matching(parent: _Known, value: Any) -> Any:
    """A parent's value as it has it itself. Raises Problem."""
    if isinstance(parent.parameter, Choice) and not isinstance(value, str):
        for own in parent.parameter.values:
            if abs(own - value) <= _NEAR:
                return own
    elif parent.parameter.problem(value) is None:
        return value
    raise invalid(
        f"{value!r} is no value of parameter {shortened(parent.id)}, on which others depend"
    )


def _is_active(known: _Known, config: Mapping[str, Any]) -> bool:
    return not known.parent or (known.parent in config and config[known.parent] in known.values)


def _value(known: _Known, given: Any) -> Any:
    """A parameter's value as it came. Raises Problem."""
    kind = given.WhichOneof("kind")
    value = getattr(given, kind) if kind in ("number_value", "string_value", "bool_value") else None
    parameter = known.parameter
    if isinstance(parameter, Choice) and isinstance(parameter.values[0], str):
        if known.spec.external_type == known.spec.AS_BOOLEAN and value in (0.0, 1.0):
            value = str(bool(value))
        if isinstance(value, bool):
            value = str(value)
    elif isinstance(parameter, Choice):
        if isinstance(value, float):
            value = next((own for own in parameter.values if abs(own - value) <= _NEAR), value)
    elif isinstance(parameter, Int) and isinstance(value, float) and math.isfinite(value):
        value = int(value) if value == int(value) else value
    if isinstance(value, bool) or value is None or (problem := parameter.problem(value)):
        what = "is of the wrong type" if value is None or isinstance(value, bool) else problem
        raise invalid(f"parameter {shortened(known.id)} {what}")
    return value
