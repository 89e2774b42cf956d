"""The percentile stopping rule: a trial stops if it is worse than most others were at the same step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import options
from tunesmith.strategy.behind import behind, breaks


@dataclass(frozen=True, slots=True)
class Percentile:
    """Stop a trial whose best value so far is not among the best `keep` percent of what others had at
    the same step: with several objectives in none of them, and another beats it there.

    One that is sure to break a constraint stops where `keep` percent of the others are not. Not before step `after`, nor before `trials` others have been there. The rule of Optuna's
    PercentilePruner. A decision takes O(log trials).
    """

    instant: ClassVar[bool] = True

    keep: float = 25.0
    after: int = 1
    trials: int = 5

    def __post_init__(self) -> None:
        options.number("percentile", "keep", self.keep, above=0.0, below=100.0)
        options.whole("percentile", "after", self.after)
        options.whole("percentile", "trials", self.trials)

    def decide(self, history: History, trial: int) -> Decision:
        share = self.keep / 100.0
        broken = breaks(history, trial, self.after, self.trials, share)
        if broken:
            return Decision(Verdict.STOP, broken)
        worse = behind(history, trial, self.after, self.trials, lambda s: s.bests.quantile(share))
        if not worse:
            return CONTINUE
        step, others, *_ = worse[0]
        mine = " and ".join(mine for _, _, mine, _ in worse)
        theirs = " and ".join(theirs for *_, theirs in worse)
        verb = "is" if len(worse) == 1 else "are"
        return Decision(
            Verdict.STOP,
            f"at step {step} {mine} {verb} not among the best {self.keep:g} % of {others} others, which had {theirs} or better",
        )


SCHEDULER = Percentile
