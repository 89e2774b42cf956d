"""Asynchronous successive halving: most trials end early, the best run to the end.

Li et al., "A system for massively parallel hyperparameter tuning" (MLSys 2020). In its stopping form no
trial waits for others and none is resumed: at the rungs min, min * reduction, min * reduction^2, .. a
trial goes on if it is among the best 1/reduction of those that have come there so far. In its promotion
form (algorithm 2) every trial pauses at each rung, and whenever there is room, one that is among the best
1/reduction of its rung, and has not been promoted yet, goes on to the next: the highest rung first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Resume, Verdict
from tunesmith.strategy import halving, options, thaw
from tunesmith.strategy.lengths import longest_run
from tunesmith.strategy.rungs import Rungs


@dataclass(frozen=True, slots=True)
class Asha:
    """Stop a trial that is not among the best ``1/reduction`` at a rung (`type` ``stopping``), or pause
    all of them there and let the best go on (``promotion``; trials need checkpoints).

    `max` is the last step of a whole run (an epoch, a fold, a number of trees: whatever trials report as
    `step`); without it, the longest run that has been completed. `min` is the first rung; without it,
    a 27th of `max`, at least 1. A lower `min` stops sooner, and more often wrongly, where early values say
    little about late ones. A decision takes O(trials at the rung), a microsecond for some hundred.

    In its stopping form a trial goes on nevertheless where its chance to become the best of the study is at least `spare`, by a model of
    all curves and configs (0: the rule alone, which takes no time), in studies of up to 1,000 trials.

    With several `brackets` (section 3.2), trial k belongs to bracket ``k mod brackets``; bracket b
    begins at rung b. A hedge where early values may mislead.
    """

    max: int | None = None
    min: int | None = None
    reduction: float = 3.0
    type: Literal["stopping", "promotion"] = "stopping"
    brackets: int = 1
    spare: float = 0.03

    def __post_init__(self) -> None:
        for name in ("max", "min"):
            if getattr(self, name) is not None:
                options.whole("asha", name, getattr(self, name))
        if self.max is not None and self.min is not None and self.min >= self.max:
            raise StrategyError(f"asha: min is below max, unlike {self.min} and {self.max}")
        options.number("asha", "reduction", self.reduction, above=1.0)
        options.one_of("asha", "type", self.type, ("stopping", "promotion"))
        options.whole("asha", "brackets", self.brackets)
        options.number("asha", "spare", self.spare, least=0.0, below=1.0)

    def levels(self, longest: int) -> tuple[int, ...]:
        """The rungs, where a whole run has `longest` steps."""
        return halving.levels(longest, self.min, self.reduction)

    def decide(self, history: History, trial: int) -> Decision:
        rungs = self._rungs(history)
        k = None if rungs is None else halving.crossed(history, rungs, trial)
        if rungs is None or k is None or k < trial % self.brackets:
            return CONTINUE
        if self.type == "promotion":
            return halving.pause(history, rungs, k, trial)
        among = self._bracket(history, trial % self.brackets)
        decision = halving.continue_or_stop(history, rungs, k, trial, self.reduction, among=among)
        if decision.verdict is not Verdict.STOP or math.isinf(rungs.loss(k, trial)):
            return decision
        return CONTINUE if self._spares(history, trial) else decision

    def _spares(self, history: History, trial: int) -> bool:
        longest = (self.max or longest_run(history)) if self.spare else None
        return longest is not None and thaw.spares(history, trial, longest, self.spare)

    @property
    def instant(self) -> bool:
        """Whether it answers at once."""
        return self.type == "promotion" or not self.spare

    @property
    def pauses(self) -> bool:
        """Whether it pauses trials, or stops them."""
        return self.type == "promotion"

    def resume(self, history: History, rng: Generator) -> Resume | None:
        """The best of the highest rung that has one to promote."""
        rungs = self._rungs(history) if self.type == "promotion" else None
        if rungs is None:
            return None
        for k in reversed(range(len(rungs.levels))):
            for b in range(min(k + 1, self.brackets)):
                among = self._bracket(history, b)
                promotion = halving.promote(history, rungs, k, self.reduction, among=among)
                if promotion is not None:
                    return promotion
        return halving.finish(history, rungs)

    def _bracket(self, history: History, b: int) -> halving.Among:
        """The trials of bracket `b`."""
        return None if self.brackets == 1 else range(b, len(history), self.brackets)

    def _rungs(self, history: History) -> Rungs | None:
        """All the rungs; None while nobody knows how long a whole run is."""
        longest = self.max or longest_run(history)
        if longest is None:
            return None
        levels = self.levels(longest)
        return history.memo(("asha", levels), lambda: Rungs(levels)).update(history)


SCHEDULER = Asha
