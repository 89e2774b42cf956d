"""The percentile stopping rule: a trial stops if it is worse than most others were at the same step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import Standings, step_of_best


@dataclass(frozen=True, slots=True)
class Percentile:
    """Stop a trial whose best value so far is not among the best `keep` percent of what others had at
    the same step.

    Not before step `after`, nor before `trials` others have been there. The rule of Optuna's
    PercentilePruner. A decision takes O(log trials).
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    keep: float = 25.0
    after: int = 1
    trials: int = 5

    def __post_init__(self) -> None:
        options.number("percentile", "keep", self.keep, above=0.0, below=100.0)
        options.whole("percentile", "after", self.after)
        options.whole("percentile", "trials", self.trials)

    def decide(self, history: History, trial: int) -> Decision:
        standing = Standings.of(history).compare(history, trial)
        if standing is None:
            return CONTINUE
        step, mine, _, others = standing
        if step < self.after or len(others) < self.trials:
            return CONTINUE
        bar = others.quantile(self.keep / 100.0)
        if mine <= bar:
            return CONTINUE
        metric, sign = history.first_objective.metric, history.first_objective.sign
        return Decision(
            Verdict.STOP,
            f"at step {step} its best {metric} of {sign * mine:.4g}{step_of_best(history, trial, step)} is not among the best "
            f"{self.keep:g} % of {len(others)} others, which had {sign * bar:.4g} or better",
        )


SCHEDULER = Percentile
