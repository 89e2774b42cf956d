"""An objective: the metric that counts, whether more or less of it is better, and how its reports become a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tunesmith.core.errors import StudyError, did_you_mean

Goal: TypeAlias = Literal["minimize", "maximize"]
GOALS: Final = ("minimize", "maximize")
#: How the reports of a trial become its value: ``"last"``, ``"best"``, or the mean of the last N, ``{"mean": N}``.
Use: TypeAlias = str | Mapping[str, int]
LAST: Final = "last"
_MEAN: Final = re.compile(r"mean(?: of(?: the)? last)? (\d+)")


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and whether more of it is better."""

    metric: str
    goal: Goal = "minimize"
    #: ``last``, ``best`` or ``mean of last N``.
    use: str = LAST

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise StudyError(f"the metric is a name such as 'accuracy', not {self.metric!r}")
        if self.goal not in GOALS:
            hint = did_you_mean(str(self.goal), GOALS)
            raise StudyError(f"goal is 'minimize' or 'maximize', not {self.goal!r}{hint}")
        object.__setattr__(self, "use", _use(self.use))

    @property
    def sign(self) -> float:
        """What the history multiplies the metric by, so that less is better."""
        return 1.0 if self.goal == "minimize" else -1.0

    @property
    def window(self) -> int | None:
        """How many of the last reports make the value; None is all of them."""
        if self.use == "best":
            return None
        return 1 if self.use == LAST else int(self.use.rpartition(" ")[2])

    def value_of(self, reported: Sequence[float]) -> float:
        """The value that a trial's reports of the metric make, oldest first, at least one; NaN is one that is not finite."""
        if self.use == LAST:
            return reported[-1]
        if self.use == "best":
            finite = [value for value in reported if math.isfinite(value)]
            return min(finite, key=lambda value: self.sign * value, default=math.nan)
        last = reported[-(self.window or 0) :]
        try:
            return math.fsum(last) / len(last)
        except OverflowError:  # their sum is no float any more; their mean is
            return math.fsum(value / len(last) for value in last)

    def __str__(self) -> str:
        how = {LAST: "", "best": " (best of its reports)"}.get(self.use, f" ({self.use} reports)")
        return f"{self.goal} {self.metric}{how}"


def _use(use: Any) -> str:
    """How reports become a value, as it is stored. Raises StudyError."""
    if isinstance(use, Mapping) and len(use) == 1 and "mean" in use:
        use = f"mean of last {use['mean']}"
    if use in (LAST, "best"):
        return str(use)
    match = _MEAN.fullmatch(use) if isinstance(use, str) else None
    if match is None or int(match[1]) < 1:
        raise StudyError(
            f"use is 'last', 'best' or 'mean of last 10' (any number from 1 on), not {use!r}"
        )
    return f"mean of last {int(match[1])}"


def objectives_of(metric: Any, goal: Any, use: Any = LAST) -> tuple[Objective, ...]:
    """Objectives from a metric's name, or several, and as many goals and uses of reports (or one for all)."""
    metrics = [metric] if isinstance(metric, str) else metric
    if not isinstance(metrics, Sequence) or not metrics:
        raise StudyError(f"metric is a name, or a list of names, not {metric!r}")
    goals = [goal] * len(metrics) if isinstance(goal, str) else goal
    if not isinstance(goals, Sequence) or len(goals) != len(metrics):
        raise StudyError(f"{len(metrics)} metrics need one goal, or {len(metrics)}, not {goal!r}")
    uses = [use] * len(metrics) if isinstance(use, (str, Mapping)) else use
    if not isinstance(uses, Sequence) or len(uses) != len(metrics):
        raise StudyError(f"{len(metrics)} metrics need one use, or {len(metrics)}, not {use!r}")
    return tuple(Objective(m, g, u) for m, g, u in zip(metrics, goals, uses, strict=True))
