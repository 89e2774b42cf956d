"""Learning-curve forecasts: a trial stops when its chance to become the best falls under a level.

Where a trial would end is predicted from how others went on from where it is (`tunesmith.strategy.extrapolation`: a chain
of robust linear regressions over a grid of steps, each with the deviation of its residuals), without an assumption
on the form of curves. The rule is that of Domhan, Springenberg & Hutter, "Speeding up automatic
hyperparameter optimization of deep neural networks by extrapolation of learning curves" (IJCAI 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.strategy import breach, chance, options
from tunesmith.strategy.extrapolation import Extrapolation
from tunesmith.strategy.lengths import longest_run
from tunesmith.strategy.rungs import anybody

#: Without `after`, nobody is judged before this part of the longest completed run.
WARM_UP: Final = 13


@dataclass(frozen=True, slots=True)
class Forecast:
    """Stop a trial whose chance to end better than the best completed one is under `chance`.

    Not before step `after` (None: a 13th of the longest completed run), nor before `trials` have been completed;
    asked at steps 1, 2, 3, 5, 8, 11, 17, .. A decision takes O(steps of that grid).
    """

    chance: float = 0.02
    after: int | None = None
    trials: int = 4

    def __post_init__(self) -> None:
        options.number("forecast", "chance", self.chance, above=0.0, below=1.0)
        if self.after is not None:
            options.whole("forecast", "after", self.after)
        options.whole("forecast", "trials", self.trials, 2)

    def decide(self, history: History, trial: int) -> Decision:
        objective, stride = history.first_objective, history.stride(trial)
        if stride is None or history.completed < self.trials:
            return CONTINUE
        before, step = stride
        extrapolation = Extrapolation.of(history)
        after = self.after or (longest_run(history) or 0) / WARM_UP
        if step < after or not any(before < at <= step for at in extrapolation.grid):
            return CONTINUE
        if not math.isfinite(next(history.back(trial)).metrics[objective.metric]):
            if not anybody(history, step):
                return CONTINUE
            return Decision(Verdict.STOP, f"its {objective.metric} is not finite at step {step}")
        likely = chance.of(history, trial)
        if likely is None or likely.of_best >= self.chance:
            return CONTINUE
        ends = " and ".join(
            f"its {o.metric} is expected to end at {o.sign * expected:.4g} ± {deviation:.2g}"
            for o, expected, deviation in zip(
                history.objectives, likely.expected, likely.deviation, strict=True
            )
        )
        return Decision(
            Verdict.STOP,
            f"at step {step} {ends}: a chance of {_percent(likely.of_best)} to {_aim(history, trial)}",
        )


def _aim(history: History, trial: int) -> str:
    """What it would have to do to be one of the best, in words."""
    if history.best is None:
        aim = f"be beaten by none of the {len(chance.best(history))} best"
    else:
        value = history.first_objective.sign * float(history.losses[history.best, 0])
        aim = f"beat trial {history.best}'s {value:.4g}"
    broken = breach.named(history, trial)
    return f"{aim}, and to keep {broken}" if broken else aim


def _percent(chance: float) -> str:
    return f"{100 * chance:.1f} %" if chance >= 0.001 else "under 0.1 %"


SCHEDULER = Forecast
