"""A preference: the user's rule by which one trial of a front is the best.

Without one, no trial of several objectives is best. With one, `Result.best` is the trial of the front that it chooses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.objective import Objective

Floats = NDArray[np.float64]

#: The keys under which a preference has weights of objectives, and limits to them, instead of tolerances.
WEIGHTS: Final = "weights"
LIMITS: Final = {"at_most": 1.0, "at_least": -1.0}
_HOW: Final = (
    "write prefer={'error': 0.01} (the least error, or one at most 0.01 worse; among those the best of the next objective), "
    "prefer={'weights': {'error': 1, 'seconds': 0.001}} (the least sum), or prefer={'at_most': {'seconds': 60}} (the best "
    "that keeps the limit)"
)


@dataclass(frozen=True, slots=True)
class Preference:
    """Objectives in the order of their importance, each with how much worse than the best is as good (in its units), the
    others behind them with 0; or weights of the objectives in a sum of which less is better. Either way among those that
    keep the limits, if any does."""

    tolerances: tuple[tuple[str, float], ...] = ()
    weights: tuple[tuple[str, float], ...] = ()
    #: A word of LIMITS, a metric, and its bound.
    limits: tuple[tuple[str, str, float], ...] = ()

    def choose(self, losses: Floats, objectives: Sequence[Objective]) -> int:
        """The row of `losses`, shape (n, m), n at least 1, that is preferred; of equal ones the first. O(n m)."""
        place = {objective.metric: j for j, objective in enumerate(objectives)}
        feasible = np.ones(len(losses), dtype=np.bool_)
        for word, name, bound in self.limits:
            j = place[name]
            feasible &= LIMITS[word] * objectives[j].sign * losses[:, j] <= LIMITS[word] * bound
        rows = np.flatnonzero(feasible) if feasible.any() else np.arange(len(losses))
        if self.weights:
            sums = sum(w * losses[rows, place[name]] for name, w in self.weights)
            return int(rows[np.argmin(sums)])
        named = dict(self.tolerances)
        for name in [*named, *(o.metric for o in objectives if o.metric not in named)]:
            column = losses[rows, place[name]]
            rows = rows[column <= column.min() + named.get(name, 0.0)]
        return int(rows[0])

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = (
            {WEIGHTS: dict(self.weights)} if self.weights else dict(self.tolerances)
        )
        for word, name, bound in self.limits:
            out.setdefault(word, {})[name] = bound
        return out

    def __str__(self) -> str:
        parts = [
            f"{name} within {t:g} of its best" if t else f"the best {name}"
            for name, t in self.tolerances
        ]
        if self.weights:
            parts = ["the least of " + " + ".join(f"{w:g} {name}" for name, w in self.weights)]
        limits = [f"{name} {word.replace('_', ' ')} {b:g}" for word, name, b in self.limits]
        return ", then ".join([*([" and ".join(limits)] if limits else []), *parts])


def preference_of(prefer: Any, objectives: Sequence[Objective]) -> Preference | None:
    """A preference from what users write, for these objectives. Raises StudyError."""
    if prefer is None or isinstance(prefer, Preference):
        return prefer
    metrics = [objective.metric for objective in objectives]
    if isinstance(prefer, str):
        prefer = {prefer: 0.0}
    if not isinstance(prefer, Mapping) or not prefer:
        raise StudyError(f"prefer: {_HOW}; not {prefer!r}")
    if len(metrics) == 1:
        raise StudyError(
            f"prefer chooses between several objectives; this study has one, {metrics[0]}"
        )
    words = {key for key in (WEIGHTS, *LIMITS) if key in prefer and key not in metrics}
    for key in words:
        if not isinstance(prefer[key], Mapping) or not prefer[key]:
            raise StudyError(f"prefer: {_HOW}; not {dict(prefer)!r}")
    tolerances = {name: value for name, value in prefer.items() if name not in words}
    weights = prefer[WEIGHTS] if WEIGHTS in words else {}
    if weights and tolerances:
        raise StudyError(f"prefer has weights or tolerances, not both: {_HOW}")
    limits = [(key, name, b) for key in LIMITS if key in words for name, b in prefer[key].items()]
    for what, numbers in (("tolerance", tolerances), ("weight", weights)):
        for name, value in numbers.items():
            _check(what, name, value, metrics, 0.0)
    for _, name, value in limits:
        _check("limit", name, value, metrics, -math.inf)
    if weights and not any(weights.values()):
        raise StudyError("prefer: with all weights 0 every trial is as good")
    return Preference(
        tuple((str(name), float(value)) for name, value in tolerances.items()),
        tuple((str(name), float(value)) for name, value in weights.items()),
        tuple((word, str(name), float(value)) for word, name, value in limits),
    )


def _check(what: str, name: Any, value: Any, metrics: Sequence[str], least: float) -> None:
    """Raise StudyError unless `name` is an objective and `value` a number from `least` on."""
    if name not in metrics:
        hint = did_you_mean(str(name), [*metrics, WEIGHTS, *LIMITS])
        raise StudyError(f"prefer: {name!r} is none of the objectives {', '.join(metrics)}{hint}")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value < math.inf:
        at_least = " from 0 on" if least == 0.0 else ""
        raise StudyError(f"prefer: the {what} of {name!r} is a number{at_least}, not {value!r}")
