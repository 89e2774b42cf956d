"""Asynchronous successive halving: most trials stop early, the best run to the end.

Li et al., "A system for massively parallel hyperparameter tuning" (MLSys 2020), in its stopping form: no
trial waits for others and none is resumed. At the rungs min, min * reduction, min * reduction^2, .. a
trial goes on if it is among the best 1/reduction of those that have come there so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tunesmith.core import options
from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.rungs import Rungs
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.core.trial import State

#: Without `min`, the first rung is at this share of the longest run.
FIRST: Final = 27


@dataclass(frozen=True, slots=True)
class Asha:
    """Stop a trial that is not among the best ``1/reduction`` at a rung.

    `max` is the last step of a whole run (an epoch, a fold, a number of trees: whatever trials report as
    `step`); without it, the longest run that has been completed. `min` is the first rung; without it,
    a 27th of `max`, at least 1. A lower `min` stops sooner, and more often wrongly, where early values say
    little about late ones. A decision takes O(trials at the rung), a microsecond for some hundred.
    """

    max: int | None = None
    min: int | None = None
    reduction: float = 3.0

    def __post_init__(self) -> None:
        for name in ("max", "min"):
            if getattr(self, name) is not None:
                options.whole("asha", name, getattr(self, name))
        if self.max is not None and self.min is not None and self.min >= self.max:
            raise StrategyError(f"asha: min is below max, unlike {self.min} and {self.max}")
        options.number("asha", "reduction", self.reduction, above=1.0)

    def levels(self, longest: int) -> tuple[int, ...]:
        """The rungs, where a whole run has `longest` steps."""
        level = float(self.min or max(1, math.ceil(longest / FIRST)))
        found: list[int] = []
        while math.ceil(level) < longest:
            if not found or math.ceil(level) > found[-1]:
                found.append(math.ceil(level))
            level *= self.reduction
        return tuple(found)

    def decide(self, history: History, trial: int) -> Decision:
        longest = self.max or _longest(history)
        if longest is None:
            return CONTINUE
        levels = self.levels(longest)
        rungs = history.memo(("asha", levels), lambda: Rungs(levels)).update(history)
        metric = history.objectives[0].metric
        back = history.back(trial)
        last = next(back)
        if metric not in last.metrics:
            return CONTINUE
        before = next((report.step for report in back if metric in report.metrics), 0)
        k = rungs.crossed(before, last.step)
        if k is None:
            return CONTINUE
        return judged(history, rungs, k, trial, self.reduction)


def judged(history: History, rungs: Rungs, k: int, trial: int, reduction: float) -> Decision:
    """Whether `trial` is among the best ``1/reduction`` at rung `k`."""
    trials, losses = rungs.at(k)
    losses = losses[history.usable[trials] | (trials == trial)]
    n, mine = len(losses), rungs.loss(k, trial)
    if math.isinf(mine):
        return Decision(
            Verdict.STOP,
            f"its {history.objectives[0].metric} is not finite at step {rungs.levels[k]}",
        )
    place = int(np.count_nonzero(losses < mine)) + 1
    most = int(n / reduction)
    if n < reduction or place <= max(most, 1):
        return CONTINUE
    value = history.objectives[0].sign * mine
    return Decision(
        Verdict.STOP,
        f"at step {rungs.levels[k]} its {history.objectives[0].metric} of {value:.4g} is number {place} "
        f"of {n}; the best {most} go on",
    )


def _longest(history: History) -> int | None:
    """The last step of the longest completed run: O(new reports and trials)."""
    found: _Longest = history.memo("asha: longest", _Longest)
    return found.update(history)


class _Longest:
    """The last step of each trial; completed ones count."""

    def __init__(self) -> None:
        self._read = 0
        self._last = np.zeros(0, dtype=np.int64)

    def update(self, history: History) -> int | None:
        new = history.reports(self._read)
        self._read = new.upto
        if len(self._last) < len(history):
            grown = np.zeros(2 * len(history), dtype=np.int64)
            grown[: len(self._last)] = self._last
            self._last = grown
        np.maximum.at(self._last, new.trials, new.steps)
        ended = np.flatnonzero(history.where(State.COMPLETED))
        return int(self._last[ended].max()) or None if len(ended) else None


SCHEDULER = Asha
