"""The threshold stopping rule: a trial stops when it is beyond a bound that you know."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import anybody


@dataclass(frozen=True, slots=True)
class Threshold:
    """Stop a trial whose value is worse than `worst` (in the metric's own units) from step `after` on,
    or not finite at a step where others have a value."""

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    worst: float
    after: int = 1

    def __post_init__(self) -> None:
        options.number("threshold", "worst", self.worst)
        options.whole("threshold", "after", self.after)

    def decide(self, history: History, trial: int) -> Decision:
        objective = history.first_objective
        report = next(history.back(trial))
        if objective.metric not in report.metrics:
            return CONTINUE
        value = report.metrics[objective.metric]
        if math.isnan(value):
            if not anybody(history, report.step):
                return CONTINUE
            return Decision(
                Verdict.STOP, f"at step {report.step} its {objective.metric} is not finite"
            )
        if report.step < self.after or objective.sign * value <= objective.sign * self.worst:
            return CONTINUE
        return Decision(
            Verdict.STOP,
            f"at step {report.step} its {objective.metric} of {value:.4g} is worse than {self.worst:g}",
        )


SCHEDULER = Threshold
