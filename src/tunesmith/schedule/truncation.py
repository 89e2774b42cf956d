"""Truncation: of the trials that come to a step, the worst share stops there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import Standings, step_of_best


@dataclass(frozen=True, slots=True)
class Truncation:
    """Stop a trial whose best value so far is among the worst `percent` of what all trials had by the same step, itself
    among them: of 10 trials and 20 percent the last two, of 4 none.

    It looks at each `every`-th report of a trial, from number `delay` on. The rule of Azure's TruncationSelectionPolicy; who comes
    early is judged by those that were there before. A decision takes O(log trials).
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    percent: float
    every: int = 1
    delay: int = 0

    def __post_init__(self) -> None:
        options.number("truncation", "percent", self.percent, above=0.0, below=100.0)
        options.whole("truncation", "every", self.every)
        options.whole("truncation", "delay", self.delay, 0)

    def decide(self, history: History, trial: int) -> Decision:
        standing = Standings.of(history).compare(history, trial)
        if standing is None or not standing.due(self.every, self.delay):
            return CONTINUE
        everyone = len(standing.bests) + 1
        last = int(everyone * self.percent / 100.0)
        if standing.bests.lower < everyone - last:
            return CONTINUE
        objective = history.first_objective
        of = step_of_best(history, trial, standing.step, objective)
        return Decision(
            Verdict.STOP,
            f"at step {standing.step} its best {objective.metric} of {objective.sign * standing.best:.4g}{of} is among the "
            f"worst {self.percent:g} % of {everyone} trials: {standing.bests.lower} were better",
        )


SCHEDULER = Truncation
