"""Learning-curve extrapolation: the last losses of trials that ended early, carried on as those of others went on.

Steps are looked at on a grid, each half as far again as the one before. From one to the next, the
improvement of those that went on is regressed on where they were, shrunk towards the same for all; so a loss is
carried up the grid to the step of whole runs, its uncertainty growing on the way. Nothing is assumed of a
curve's form but that those who are worse at a step improve more or less than others by a linear rule.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.strategy.lengths import longest_run
from tunesmith.strategy.rungs import Rungs, Values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: 1, 2, 3, 5, 8, 11, 17, 26, .., beyond any number of steps.
GRID: Final = tuple(sorted({round(1.5**k) for k in range(100)}))
#: How many observations of "all improve alike" each regression begins with.
PRIOR: Final = 4.0
#: Fewer that went on say nothing.
FEWEST: Final = 2
#: By how much more, of what one was worse, one may improve.
STEEPEST: Final = (-0.5, 0.8)


class Ends(NamedTuple):
    """Predicted losses at the end of a whole run, shape (n,), and their standard deviations, (n,)."""

    losses: Floats
    deviations: Floats


class Chance(NamedTuple):
    """Of one trial: its expected losses at the end, (objectives,), their standard deviations, and the probability that no
    completed trial beats it there and it keeps the constraints."""

    expected: Floats
    deviation: Floats
    of_best: float


class Stride(NamedTuple):
    """How trials went from one step of the grid to the next: who was at `middle` improved by `gain`, and by
    `slope` more for each unit above, up to `reach`; `noise` is the deviation of the rest."""

    middle: float
    gain: float
    slope: float
    reach: float
    noise: float

    @classmethod
    def of(cls, before: Floats, after: Floats) -> Stride:
        """Fitted to losses at one step and the next, shape (n,) both."""
        middle = float(np.median(before))
        gained = before - after
        gain = float(np.median(gained))
        reach = 3.0 * float(np.median(np.abs(before - middle))) or 1.0
        away = np.clip(before - middle, -reach, reach)
        square = float(away @ away) * (1.0 + PRIOR / len(before))
        slope = float(away @ (gained - gain)) / square if square > 0.0 else 0.0
        slope = min(max(slope, STEEPEST[0]), STEEPEST[1])
        rest = gained - gain - slope * away
        noise = float(np.sqrt(np.mean(np.square(rest)) * (1.0 + PRIOR / len(before))))
        return cls(middle, gain, slope, reach, noise)

    def carry(self, losses: Floats, deviations: Floats) -> tuple[Floats, Floats]:
        """Losses and their deviations at the next step."""
        away = np.clip(losses - self.middle, -self.reach, self.reach)
        spread = (1.0 - self.slope) * deviations + self.noise
        return losses - self.gain - self.slope * away, spread


class Extrapolation:
    """Where every trial was at the steps of the grid, up to the `longest` completed run: a fold of a
    history's reports. Droppable. Losses are those of the first objective, or what `values` gives."""

    def __init__(self, longest: int | None, values: Values | None = None) -> None:
        within = (step for step in GRID if longest is None or step < longest)
        #: The steps at which trials are looked at.
        self.grid = (*within, *([] if longest is None else [longest]))
        self._rungs = Rungs(self.grid, values)
        self._strides: dict[tuple[int, int], Stride] = {}

    @classmethod
    def of(cls, history: History, objective: int = 0) -> Extrapolation:
        """Of an objective's losses in a history as it is: O(new reports), and O(reports) when a longer run has been
        completed, or where results are hidden."""
        values: Values | None = None
        if objective:
            values = lambda history, numbers: history.losses_at(numbers)[:, objective]  # noqa: E731
        return cls._of(history, ("objective", objective), values)

    @classmethod
    def of_excess(cls, history: History, constraint: int) -> Extrapolation:
        """Of how much a constraint is broken."""
        return cls._of(
            history,
            ("constraint", constraint),
            lambda history, numbers: history.excess_at(numbers, constraint),
        )

    @classmethod
    def _of(cls, history: History, what: tuple[str, int], values: Values | None) -> Extrapolation:
        longest = longest_run(history)
        extrapolation: Extrapolation = history.fold(
            ("extrapolation", *what, longest), lambda: cls(longest, values)
        )
        extrapolation._rungs.update(history)
        return extrapolation

    def ends(self, history: History, trials: Ints) -> Ends:
        """What `trials`, which have reported, would come to; NaN where that was not finite.

        O(trials * grid), and now and then O(reports at a step of the grid) for a fit.
        """
        highest = np.array([self._rungs.highest(trial) for trial in trials.tolist()])
        losses, deviations = np.full(len(trials), np.nan), np.zeros(len(trials))
        for i, (k, trial) in enumerate(zip(highest.tolist(), trials.tolist(), strict=True)):
            if k >= 0:
                losses[i] = self._rungs.loss(k, trial)
        losses[np.isinf(losses)] = np.nan
        usable = history.usable
        known = None if usable.all() else usable
        lowest = int(highest[highest >= 0].min(initial=len(self.grid)))
        for k in range(lowest, len(self.grid) - 1):
            stride = self._stride(k, known)
            if stride is None:
                if not len(self._rungs.at(k + 1)[0]):
                    break
                continue
            there = (highest >= 0) & (highest <= k)
            losses[there], deviations[there] = stride.carry(losses[there], deviations[there])
        return Ends(losses, deviations)

    def reaches(self, history: History, trials: Ints) -> NDArray[np.bool_]:
        """Of which of `trials` it is known how others went on, step by step to the longest completed run, shape (n,). Where
        none has been completed, from some step to the next will do, if losses do not fall: they will not do so later."""
        usable = history.usable
        known = None if usable.all() else usable
        strides = [self._stride(k, known) for k in range(len(self.grid) - 1)]
        highest = np.array([self._rungs.highest(trial) for trial in trials.tolist()])
        if longest_run(history) is None:
            gains = [stride.gain for stride in strides if stride is not None]
            level = bool(gains) and max(gains) <= 0.0
            return (highest >= 0) & level
        missing = [k for k, stride in enumerate(strides) if stride is None]
        return highest >= (missing[-1] + 1 if missing else 0)

    def _stride(self, k: int, usable: NDArray[np.bool_] | None) -> Stride | None:
        """From step `k` of the grid to the next, by the first of the usable trials (None: all are) that went
        there: fitted again whenever they are a tenth more."""
        trials, after = self._rungs.at(k + 1)
        count = _checkpoint(len(trials))
        if usable is None and (k, count) in self._strides:
            return self._strides[k, count]
        trials, after = trials[:count], after[:count]
        before = np.array([self._rungs.loss(k, trial) for trial in trials.tolist()])
        paired = np.isfinite(before) & np.isfinite(after)
        if usable is not None:
            paired &= usable[trials]
        if int(paired.sum()) < FEWEST:
            return None
        stride = Stride.of(before[paired], after[paired])
        if usable is None:
            self._strides[k, count] = stride
        return stride


def _checkpoint(count: int) -> int:
    """The last of 2, 3, .., 10, 11, 13, .. (each a tenth more) that is at most `count`."""
    at = min(count, FEWEST)
    while (following := max(at + 1, math.ceil(at * 1.1))) <= count:
        at = following
    return at
