"""Early stopping with patience, as in training: a trial stops when it has ceased to improve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import anybody


@dataclass(frozen=True, slots=True)
class Patience:
    """Stop a trial that has not improved on its own best by more than `least` for `reports` reports.

    It looks at no other trial, unless it has never had a finite value. Not before step `after`.
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    reports: int = 10
    least: float = 0.0
    after: int = 1

    def __post_init__(self) -> None:
        options.whole("patience", "reports", self.reports)
        options.whole("patience", "after", self.after)
        options.number("patience", "least", self.least, least=0.0)

    def decide(self, history: History, trial: int) -> Decision:
        objective = history.first_objective
        best, since, last = math.inf, 0, 0
        for report in history.curve(trial):
            value = report.metrics.get(objective.metric)
            if value is None:
                continue
            loss, last, since = objective.sign * value, report.step, since + 1
            if loss < best - self.least:  # NaN never is
                best, since = loss, 0
        if since < self.reports or last < self.after:
            return CONTINUE
        if math.isinf(best) and not anybody(history, last):
            return CONTINUE
        at = "" if math.isinf(best) else f" on {objective.sign * best:.4g}"
        return Decision(
            Verdict.STOP, f"its {objective.metric} has not improved{at} for {since} reports"
        )


SCHEDULER = Patience
