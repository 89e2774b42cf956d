"""When a parameter is asked for, found in what trials have asked for: the values of others that tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tunesmith.core.space.parameter import Choice, Int, Parameter

#: An int with more values than this is no condition's parent.
_MOST_VALUES: Final = 64


def rule(
    having: Sequence[Mapping[str, Any]],
    lacking: Sequence[Mapping[str, Any]],
    parents: Mapping[str, Any],
) -> dict[str, Any] | None:
    """The values of `parents`, by name, with which trials asked for something: `having` did, `lacking` did not. None where
    they do not tell. The fewest parents that do, those that tell most first."""
    found: dict[str, Any] = {}
    allowed = {
        parent: values
        for parent, parameter in parents.items()
        if all(parent in trial for trial in having)
        and (values := _values(parameter, [t[parent] for t in having], [t[parent] for t in lacking if parent in t]))
    }  # fmt: skip
    while lacking:
        told = {
            parent: [t for t in lacking if parent not in t or not _among(t[parent], values)]
            for parent, values in allowed.items()
        }
        best = max(told, key=lambda parent: len(told[parent]), default=None)
        if best is None or not told[best]:
            return None
        values = found[best] = allowed.pop(best)
        lacking = [t for t in lacking if best in t and _among(t[best], values)]
    return found


def _values(parameter: Any, having: list[Any], lacking: list[Any]) -> list[Any]:
    """The values of a parent with which something is asked for, as far as they are known; of an int, all on that side
    of those without. Empty where the parent tells nothing."""
    if isinstance(parameter, Choice):
        return [value for value in parameter.values if _among(value, having)]
    if not isinstance(parameter, Int) or parameter.size > _MOST_VALUES:
        return []
    every = list(parameter.levels(_MOST_VALUES))
    if not lacking or min(having) > max(lacking):
        return [value for value in every if value >= min(having)]
    if max(having) < min(lacking):
        return [value for value in every if value <= max(having)]
    return [value for value in every if value in having]


def _among(value: Any, values: Iterable[Any]) -> bool:
    return any(value == other and type(value) is type(other) for other in values)


def replace_when(parameter: Parameter, when: Mapping[str, Any] | None) -> Parameter:
    """`parameter`, active under another condition."""
    if isinstance(parameter, Choice):
        return Choice(
            *parameter.values,
            ordered=parameter.ordered,
            default=parameter.default,
            prior=parameter.prior,
            group=parameter.group,
            structural=parameter.structural,
            when=when,
        )
    return replace(parameter, when=when)
