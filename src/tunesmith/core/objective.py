"""An objective: the metric that counts, and whether more or less of it is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tunesmith.core.errors import StudyError, did_you_mean

Goal: TypeAlias = Literal["minimize", "maximize"]
GOALS: Final = ("minimize", "maximize")


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and whether more of it is better."""

    metric: str
    goal: Goal = "minimize"

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise StudyError(f"the metric is a name such as 'accuracy', not {self.metric!r}")
        if self.goal not in GOALS:
            hint = did_you_mean(str(self.goal), GOALS)
            raise StudyError(f"goal is 'minimize' or 'maximize', not {self.goal!r}{hint}")

    @property
    def sign(self) -> float:
        """What the history multiplies the metric by, so that less is better."""
        return 1.0 if self.goal == "minimize" else -1.0


def objectives_of(metric: Any, goal: Any) -> tuple[Objective, ...]:
    """Objectives from a metric's name, or several, and as many goals (or one for all)."""
    metrics = [metric] if isinstance(metric, str) else metric
    if not isinstance(metrics, Sequence) or not metrics:
        raise StudyError(f"metric is a name, or a list of names, not {metric!r}")
    goals = [goal] * len(metrics) if isinstance(goal, str) else goal
    if not isinstance(goals, Sequence) or len(goals) != len(metrics):
        raise StudyError(f"{len(metrics)} metrics need one goal, or {len(metrics)}, not {goal!r}")
    return tuple(Objective(m, g) for m, g in zip(metrics, goals, strict=True))
