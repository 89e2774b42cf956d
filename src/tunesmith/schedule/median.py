"""The median stopping rule: a trial stops if it is worse than the median of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options, thaw
from tunesmith.strategy.behind import behind, breaks
from tunesmith.strategy.lengths import longest_run


@dataclass(frozen=True, slots=True)
class Median:
    """Stop a trial whose best value so far is worse than the median of what others had on average until
    the same step: with several objectives in every one of them, and by another that beats it there.

    One that is sure to break a constraint stops where half of the others are not. Not before step `after`, nor before `trials`
    others have been there. Golovin et al., "Google Vizier" (KDD 2017), section 3.2.2. A trial goes on nevertheless where its
    chance to become the best of the study is at least `spare`, by a model of all curves and configs (0: the rule alone), in
    studies of up to 1,000 trials. It looks at each `every`-th report of a trial, from number `delay` on. A decision takes
    O(log trials), and the model O(1) where it is asked.
    """

    after: int = 1
    trials: int = 5
    spare: float = 0.03
    every: int = 1
    delay: int = 0

    def __post_init__(self) -> None:
        options.whole("median", "after", self.after)
        options.whole("median", "trials", self.trials)
        options.whole("median", "every", self.every)
        options.whole("median", "delay", self.delay, 0)
        options.number("median", "spare", self.spare, least=0.0, below=1.0)

    @property
    def instant(self) -> bool:
        """Whether it answers at once."""
        return not self.spare

    def decide(self, history: History, trial: int) -> Decision:
        broken = breaks(history, trial, self.after, self.trials, 0.5)
        if broken:
            return Decision(Verdict.STOP, broken)
        worse = behind(
            history, trial, self.after, self.trials, lambda s: s.means.median, every=self.every, delay=self.delay
        )  # fmt: skip
        if not worse or self._spares(history, trial):
            return CONTINUE
        step, others, *_ = worse[0]
        values = " and ".join(f"{mine} is worse than {theirs}" for _, _, mine, theirs in worse)
        medians = "the median" if len(worse) == 1 else "the medians"
        return Decision(
            Verdict.STOP, f"at step {step} {values}, {medians} of {others} others' means"
        )

    def _spares(self, history: History, trial: int) -> bool:
        longest = longest_run(history) if self.spare else None
        value = next(history.back(trial)).metrics[history.first_objective.metric]
        finite = math.isfinite(value)
        return longest is not None and finite and thaw.spares(history, trial, longest, self.spare)


SCHEDULER = Median
