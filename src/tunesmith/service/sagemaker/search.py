"""`Search`: expressions of filters, over what descriptions say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tunesmith.service.sagemaker.protocol import invalid
from tunesmith.service.sagemaker.shapes import Expression, Filter, NestedFilters

_ORDERED: Final = ("GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")


def fits(expression: Expression, found: Mapping[str, Any]) -> bool:
    """Whether a description is one of those that are searched for. Raises Fault."""
    parts = [
        *(_holds(one, _value(found, one.Name)) for one in expression.Filters),
        *(_nested(one, found) for one in expression.NestedFilters),
        *(fits(one, found) for one in expression.SubExpressions),
    ]
    return all(parts) if expression.Operator == "And" or not parts else any(parts)


def place(found: Mapping[str, Any], by: str, name: str) -> tuple[Any, ...]:
    """Where a description stands in the order of a property: numbers, then texts, then those that have none."""
    value = _value(found, by)
    if isinstance(value, (int, float)):
        return (0, float(value), name)
    return (1, value, name) if isinstance(value, str) else (2, "", name)


def _value(found: Mapping[str, Any], path: str) -> Any:
    """A property of a description, by its name; None where there is none."""
    kind, _, name = path.partition(".")
    if kind == "Tags":
        return next((tag["Value"] for tag in found.get("Tags", ()) if tag["Key"] == name), None)
    if kind == "Metrics":
        values = found.get("FinalMetricDataList", ())
        return next((one["Value"] for one in values if one["MetricName"] == name), None)
    if kind == "HyperParameters":  # whose names may have dots
        return found.get(kind, {}).get(name)
    value: Any = found
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _holds(one: Filter, value: Any) -> bool:
    if one.Operator == "Exists":
        return value is not None
    if one.Operator == "NotExists":
        return value is None
    if one.Value is None:
        raise invalid(f"SearchExpression: {one.Name}: {one.Operator} needs a Value")
    if value is None:
        return one.Operator == "NotEquals"
    if one.Operator == "Contains":
        return isinstance(value, str) and one.Value in value
    if one.Operator == "In":
        return any(_equal(one.Name, value, text.strip()) for text in one.Value.split(","))
    if one.Operator in _ORDERED:
        number, given = _number(value), _given(one.Name, one.Value)
        if given is None:
            raise invalid(
                f"SearchExpression: {one.Name}: {one.Operator} is for numbers and times, not {one.Value[:100]!r}"
            )
        return (
            number is not None
            and {
                "GreaterThan": number > given,
                "GreaterThanOrEqualTo": number >= given,
                "LessThan": number < given,
                "LessThanOrEqualTo": number <= given,
            }[one.Operator]
        )
    return _equal(one.Name, value, one.Value) == (one.Operator == "Equals")


def _equal(name: str, value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == text.lower()
    if isinstance(value, str):
        return value == text
    number, given = _number(value), _given(name, text)
    return number is not None and number == given


def _number(value: Any) -> float | None:
    """Hyperparameters are texts, and compared as the numbers that they are."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _given(name: str, text: str) -> float | None:
    """What a filter has, as a number: of a time, the seconds since the epoch."""
    number = _number(text)
    if number is not None or not name.endswith("Time"):
        return number
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _nested(one: NestedFilters, found: Mapping[str, Any]) -> bool:
    """Whether one and the same item of a list has all that is asked for."""
    items = _value(found, one.NestedPropertyName)
    prefix = f"{one.NestedPropertyName}."
    return isinstance(items, list) and any(
        all(_holds(f, _value(item, f.Name.removeprefix(prefix))) for f in one.Filters)
        for item in items
        if isinstance(item, Mapping)
    )
