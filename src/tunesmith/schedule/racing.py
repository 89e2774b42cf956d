"""Racing: folds or seeds are the steps of a trial, and it stops once it is surely worse than the best.

Maron & Moore, "Hoeffding races" (NeurIPS 1993) and Birattari et al., "A racing algorithm for
configuring metaheuristics" (GECCO 2002), here with a paired t-test against the best completed trial: on the
same folds, most of what makes folds differ cancels out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError, did_you_mean
from tunesmith.core.history import History
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.core.trial import State
from tunesmith.strategy import options
from tunesmith.strategy.rungs import anybody


@dataclass(frozen=True, slots=True)
class Racing:
    """Stop a trial that is worse than the best one on the same folds, by a one-sided paired t-test at level
    `alpha`.

    Each step is a fold (or a seed), and its report that fold's own value; what the trial returns is their mean. Not before
    `folds` of them, at least 2. With `among`, a parameter, a trial is only stopped for the best one that has the same value of
    it: where results are blended, the best of each algorithm are wanted. A decision takes O(folds), or O(trials) with
    `among`.
    """

    instant: ClassVar[bool] = True
    objectives: ClassVar[str] = "one"
    repeats: ClassVar[bool] = True

    alpha: float = 0.05
    folds: int = 3
    among: str | None = None

    def __post_init__(self) -> None:
        options.number("racing", "alpha", self.alpha, above=0.0, below=0.5)
        options.whole("racing", "folds", self.folds, 2)
        if self.among is not None and not isinstance(self.among, str):
            raise StrategyError(f"racing: among is the name of a parameter, not {self.among!r}")

    def check(self, space: Space) -> None:
        """Raise StrategyError if `among` is not in the space."""
        if self.among is not None and self.among not in space.parameters:
            raise StrategyError(
                f"racing: among is a parameter, and the space has no {self.among!r}"
                f"{did_you_mean(self.among, list(space.parameters))}"
            )

    def decide(self, history: History, trial: int) -> Decision:
        objective, best = history.first_objective, self._rival(history, trial)
        if objective.metric not in next(history.back(trial)).metrics or best is None:
            return CONTINUE
        mine, theirs = folds(history, trial), folds(history, best)
        if mine and not math.isfinite(mine[last := next(reversed(mine))]):
            if not anybody(history, last):
                return CONTINUE
            return Decision(Verdict.STOP, f"its {objective.metric} is not finite")
        common = [
            step for step in sorted(mine.keys() & theirs.keys()) if _either(mine, theirs, step)
        ]
        worse = np.array([mine[step] - theirs[step] for step in common])
        n = len(worse)
        if n < self.folds or not np.isfinite(worse).all() or worse.mean() <= 0.0:
            return CONTINUE
        p = chance_of_luck(worse)
        if p >= self.alpha:
            return CONTINUE
        error = worse.std(ddof=1) / math.sqrt(n)
        return Decision(
            Verdict.STOP,
            f"after {n} folds its {objective.metric} is worse than trial {best}'s on the same ones by "
            f"{worse.mean():.3g} ± {error:.2g} (p = {p:.2g})",
        )

    def _rival(self, history: History, trial: int) -> int | None:
        """The best completed trial, of those that are alike if that is asked."""
        names = list(history.space.tunables)
        if self.among not in names or history.best is None:
            return history.best
        column = history.numbers[:, names.index(self.among)]
        return _best_of(history, history.where(State.COMPLETED) & (column == column[trial]))


def _best_of(history: History, candidates: NDArray[np.bool_]) -> int | None:
    """The one with the least loss that keeps the constraints."""
    kept = candidates & ~(history.excess > 0.0).any(axis=1)
    losses = np.where(kept, history.first_losses, np.nan)
    return None if np.isnan(losses).all() else int(np.nanargmin(losses))


def folds(history: History, trial: int) -> dict[int, float]:
    """The loss of each fold of a trial."""
    objective = history.first_objective
    return {
        report.step: objective.sign * report.metrics[objective.metric]
        for report in history.as_reported(trial)
        if objective.metric in report.metrics
    }


def _either(mine: dict[int, float], theirs: dict[int, float], step: int) -> bool:
    return math.isfinite(mine[step]) or math.isfinite(theirs[step])


def chance_of_luck(differences: NDArray[np.float64]) -> float:
    """The p-value of a one-sided t-test that the mean of `differences`, shape (n,), is above 0."""
    from scipy.special import stdtr

    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    if error == 0.0:
        return 0.0 if differences.mean() > 0.0 else 1.0
    return float(stdtr(n - 1, -float(differences.mean()) / error))


SCHEDULER = Racing
