"""The bandit rule: a trial stops when it is further behind the best one than a slack allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.rungs import Standings, step_of_best


@dataclass(frozen=True, slots=True)
class Bandit:
    """Stop a trial whose best value so far is worse than the best one that others had by the same step, and by more than the
    slack: `amount` in the metric's own units, or `factor` as a share (a best accuracy of 0.8 with 0.2 allows 0.8 / 1.2, a
    best loss of 0.8 allows 0.8 * 1.2).

    It looks at each `every`-th report of a trial, from number `delay` on. The rule of Azure's BanditPolicy; where the best
    value is below 0, the slack is a share of its size, so that it never lies on the other side of it. A decision takes O(log trials).
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    factor: float | None = None
    amount: float | None = None
    every: int = 1
    delay: int = 0

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.amount is None):
            raise StrategyError(
                "bandit: the slack is a factor or an amount: {bandit: {factor: 0.2}}"
            )
        for name in ("factor", "amount"):
            if getattr(self, name) is not None:
                options.number("bandit", name, getattr(self, name), least=0.0)
        options.whole("bandit", "every", self.every)
        options.whole("bandit", "delay", self.delay, 0)

    def decide(self, history: History, trial: int) -> Decision:
        standing = Standings.of(history).compare(history, trial)
        if standing is None or not len(standing.bests) or not standing.due(self.every, self.delay):
            return CONTINUE
        objective = history.first_objective
        best = standing.bests[0]
        limit = best + self._slack(best, larger_is_better=objective.sign < 0)
        if not math.isfinite(best) or standing.best <= limit:
            return CONTINUE
        of = step_of_best(history, trial, standing.step, objective)
        return Decision(
            Verdict.STOP,
            f"at step {standing.step} its best {objective.metric} of {objective.sign * standing.best:.4g}{of} is beyond "
            f"{objective.sign * limit:.4g}, what the best of the others, {objective.sign * best:.4g}, leaves as slack",
        )

    def _slack(self, best: float, *, larger_is_better: bool) -> float:
        if self.amount is not None:
            return self.amount
        assert self.factor is not None
        share = self.factor / (1.0 + self.factor) if larger_is_better else self.factor
        return abs(best) * share


SCHEDULER = Bandit
