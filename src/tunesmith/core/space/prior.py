"""Priors of parameters: where a person expects the good values before anything was tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import SpaceError, did_you_mean
from tunesmith.core.space.axis import Axis


@dataclass(frozen=True, slots=True)
class Normal:
    """ "Around `centre`": the normal distribution on the parameter's own scale.

    `spread` is what one standard deviation away means: on a linear scale a distance; on a log scale
    a factor above 1 (``Normal(1e-3, 3)``: some two thirds of the belief lie between 3.3e-4 and
    3e-3); on a reverse log scale a factor of the distance to 1. Without it a tenth of the scale.
    """

    centre: float
    spread: float | None = None

    def __post_init__(self) -> None:
        for name in ("centre", "spread"):
            value = getattr(self, name)
            if (name == "centre" or value is not None) and not (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and math.isfinite(value)
            ):
                raise SpaceError(f"Normal: {name} is a finite number, not {value!r}")

    def problem(self, axis: Axis) -> str | None:
        """Why this cannot be believed of values on `axis`, or None if it can."""
        if not axis.low <= self.centre <= axis.high:
            return f"is around {self.centre!r}, outside {axis.low:g} .. {axis.high:g}"
        if self.spread is not None and axis.log and self.spread <= 1.0:
            return f"has spread {self.spread!r}, but on a log scale it is a factor above 1, like 3"
        if self.spread is not None and self.spread <= 0.0:
            return f"has spread {self.spread!r}, but a spread is above 0"
        return None

    def place(self, axis: Axis) -> tuple[float, float]:
        """Mean and standard deviation in the unit interval."""
        if self.spread is None or axis.span == 0.0:
            deviation = 0.1
        else:
            deviation = (math.log(self.spread) if axis.log else self.spread) / axis.span
        return float(axis.unit(self.centre)), max(deviation, 1e-3)

    def to_dict(self) -> dict[str, Any]:
        return {"normal": [self.centre, *([] if self.spread is None else [self.spread])]}


def normal(owner: str, prior: Any, axis: Axis) -> Normal:
    """A number's prior from a `Normal` or its dict form. Raises SpaceError."""
    if isinstance(prior, Mapping) and list(prior) == ["normal"]:
        body = prior["normal"]
        arguments = list(body) if isinstance(body, (list, tuple)) else [body]
        prior = Normal(*arguments) if 1 <= len(arguments) <= 2 else None
    if not isinstance(prior, Normal):
        raise SpaceError(
            f"{owner}: the prior of a number is ts.Normal(centre, spread), in a job file "
            f"{{normal: [centre, spread]}}, not {prior!r}"
        )
    if problem := prior.problem(axis):
        raise SpaceError(f"{owner}: the prior {problem}")
    return prior


def weights(
    owner: str, prior: Any, values: Sequence[Any], find: Callable[[Any], int | None]
) -> tuple[float, ...]:
    """A choice's prior: a weight for each value. Raises SpaceError.

    From a sequence of as many weights, or a mapping from some of the values (the others have 1).
    """
    if isinstance(prior, Mapping):
        raw_weights = [1.0] * len(values)
        for value, weight in prior.items():
            position = find(value)
            if position is None:
                hint = did_you_mean(str(value), [str(v) for v in values])
                raise SpaceError(f"{owner}: the prior weighs {value!r}, which is no choice{hint}")
            raw_weights[position] = weight
    elif isinstance(prior, (list, tuple)) and len(prior) == len(values):
        raw_weights = list(prior)
    else:
        raise SpaceError(
            f"{owner}: the prior of a choice is {{value: weight}}, or {len(values)} weights in "
            f"order, not {prior!r}"
        )
    for weight in raw_weights:
        if isinstance(weight, bool) or not (
            isinstance(weight, (int, float)) and 0.0 < weight < math.inf
        ):
            raise SpaceError(f"{owner}: a prior's weight is a number above 0, not {weight!r}")
    return tuple(map(float, raw_weights))
