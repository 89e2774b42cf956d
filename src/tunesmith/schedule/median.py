"""The median stopping rule: a trial stops if it is worse than the median of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import Standings, step_of_best


@dataclass(frozen=True, slots=True)
class Median:
    """Stop a trial whose best value so far is worse than the median of what others had on average until
    the same step.

    Not before step `after`, nor before `trials` others have been there. Golovin et al., "Google Vizier"
    (KDD 2017), section 3.2.2. A decision takes O(log trials).
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    after: int = 1
    trials: int = 5

    def __post_init__(self) -> None:
        options.whole("median", "after", self.after)
        options.whole("median", "trials", self.trials)

    def decide(self, history: History, trial: int) -> Decision:
        standing = Standings.of(history).compare(history, trial)
        if standing is None:
            return CONTINUE
        step, mine, others, _ = standing
        if step < self.after or len(others) < self.trials:
            return CONTINUE
        middle = others.median
        if mine <= middle:
            return CONTINUE
        metric, sign = history.first_objective.metric, history.first_objective.sign
        return Decision(
            Verdict.STOP,
            f"at step {step} its best {metric} of {sign * mine:.4g}{step_of_best(history, trial, step)} is worse than {sign * middle:.4g}, "
            f"the median of {len(others)} others' means",
        )


SCHEDULER = Median
