"""Racing: folds or seeds are the steps of a trial, and it stops once it is surely worse than the best.

Maron & Moore, "Hoeffding races" (NeurIPS 1993) and Birattari et al., "A racing algorithm for
configuring metaheuristics" (GECCO 2002), here with a paired t-test against the best completed trial: on the
same folds, most of what makes folds differ cancels out.

Two things would else stop trials that are truly better. A trial is looked at after every fold, so each look has its part
of alpha (Bonferroni). And the best of many owes a part of its mean to luck on these very folds, which is taken off: the
James-Stein estimate (Efron & Morris, "Data analysis using Stein's estimator", 1975).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError, did_you_mean
from tunesmith.core.history import History
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import CONTINUE, Decision, Verdict
from tunesmith.core.trial import State
from tunesmith.strategy import options
from tunesmith.strategy.rungs import anybody

#: The folds' variance is that of differences to so many of the next best trials.
RUNNERS_UP: Final = 8
#: One deviation below the middle: this share of a normal distribution.
LOW: Final = 0.16


@dataclass(frozen=True, slots=True)
class Racing:
    """Stop a trial that is worse than the best one on the same folds, by a one-sided paired t-test at level
    `alpha` for all of its looks together, allowing for the luck of the best.

    Each step is a fold (or a seed), and its report that fold's own value; what the trial returns is their mean. Not before
    `folds` of them, at least 2. With `among`, a parameter, a trial is only stopped for the best one that has the same value of
    it: where results are blended, the best of each algorithm are wanted. A decision takes O(trials), in a few passes of NumPy's.
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
        objective, rivals = history.first_objective, self._rivals(history, trial)
        best = history.best if rivals is None else _best_of(history, rivals)
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
        lucky = luck(history, best, theirs, rivals)
        worse = np.array([mine[step] - theirs[step] - lucky for step in common])
        n, looks = len(worse), max(1, len(theirs) - self.folds)
        if n < self.folds or not np.isfinite(worse).all() or worse.mean() <= 0.0:
            return CONTINUE
        p = chance_of_luck(worse)
        if p >= self.alpha / looks:
            return CONTINUE
        error = worse.std(ddof=1) / math.sqrt(n)
        allowed = f", {lucky:.2g} of the best's luck taken off" if lucky else ""
        return Decision(
            Verdict.STOP,
            f"after {n} folds its {objective.metric} is worse than trial {best}'s on the same ones by "
            f"{worse.mean():.3g} ± {error:.2g} (p = {p:.2g}{allowed})",
        )

    def _rivals(self, history: History, trial: int) -> NDArray[np.bool_] | None:
        """The completed trials that are alike, if that is asked; None for all."""
        names = list(history.space.tunables)
        if self.among not in names or history.best is None:
            return None
        column = history.numbers[:, names.index(self.among)]
        alike: NDArray[np.bool_] = history.where(State.COMPLETED) & (column == column[trial])
        return alike


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


def luck(
    history: History, best: int, theirs: dict[int, float], rivals: NDArray[np.bool_] | None = None
) -> float:
    """How much lower the best trial's mean is than what it would come to on other folds: 0 or above.

    Means are normal about true values that are normal: the share of their variance that is the folds' is the share of
    the best's lead on the middle that is luck. The spread is that of the better half, since how bad the others are does
    not matter; the folds' variance that of the differences between the best and the next `RUNNERS_UP`. O(trials).
    """
    losses = history.first_losses
    among = history.where(State.COMPLETED) if rivals is None else rivals
    done = np.flatnonzero(among & np.isfinite(losses))
    done = done[~np.isin(done, list(history.confirming))]
    if len(done) < 2:
        return 0.0
    order = done[np.argsort(losses[done], kind="stable")]
    variances = []
    for other in order[order != best][:RUNNERS_UP].tolist():
        others = folds(history, other)
        apart = np.array([others[step] - theirs[step] for step in others.keys() & theirs.keys()])
        if len(apart) > 1 and np.isfinite(apart).all():
            variances.append(float(apart.var(ddof=1)) / 2.0)
    if not variances:
        return 0.0
    by_chance = float(np.mean(variances)) / len(theirs)
    low, middle = np.quantile(losses[done], (LOW, 0.5))
    true = max(float(middle - low) ** 2 - by_chance, 0.0)
    lead = max(float(middle - losses[best]), 0.0)
    return by_chance / (by_chance + true) * lead if by_chance > 0.0 else 0.0


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
