"""What every trial had when it came to certain steps: a fold of a history's reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Rungs:
    """For each of some steps (`levels`, rising), the trials that came to it and their losses there.

    A trial's loss at a rung is its first report at that step or a later one. `update` reads what is
    new in a history; O(new reports), amortised. Use one per history's memo.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = tuple(levels)
        self._read = 0
        self._rungs = [_Rung() for _ in levels]

    def update(self, history: History) -> Rungs:
        new = history.reports(self._read)
        self._read = new.upto
        for level, rung in zip(self.levels, self._rungs, strict=True):
            there = np.flatnonzero(new.steps >= level)
            if not len(there):
                break
            _, first = np.unique(new.trials[there], return_index=True)
            for i in there[np.sort(first)].tolist():
                rung.add(int(new.trials[i]), float(new.losses[i]))
        return self

    def crossed(self, before: int, step: int) -> int | None:
        """The highest rung that a trial comes to by going from step `before` to `step`."""
        reached = [k for k, level in enumerate(self.levels) if before < level <= step]
        return reached[-1] if reached else None

    def at(self, k: int) -> tuple[Ints, Floats]:
        """Trials and their losses at rung `k`, in the order they came."""
        return self._rungs[k].arrays

    def loss(self, k: int, trial: int) -> float:
        """What `trial` had at rung `k`."""
        return self._rungs[k].loss(trial)


class Standings:
    """At each step that anybody reported: who was there, with which mean and best loss until then."""

    def __init__(self) -> None:
        self._read = 0
        self._sums: dict[int, tuple[int, float, float]] = {}
        self._steps: dict[int, tuple[_Rung, _Rung]] = {}

    def update(self, history: History) -> Standings:
        """Read what is new in `history`: O(new reports)."""
        new = history.reports(self._read)
        self._read = new.upto
        for trial, step, loss in zip(
            new.trials.tolist(), new.steps.tolist(), new.losses.tolist(), strict=True
        ):
            count, total, best = self._sums.get(trial, (0, 0.0, np.inf))
            count, total, best = count + 1, total + loss, min(best, loss)
            self._sums[trial] = count, total, best
            means, bests = self._steps.setdefault(step, (_Rung(), _Rung()))
            means.add(trial, total / count)
            bests.add(trial, best)
        return self

    def compare(self, history: History, trial: int) -> tuple[int, float, Floats, Floats] | None:
        """Where `trial` stands at its last report: the step, its best loss until then, and the mean and
        best losses of all usable others that reported at that step. None if it lacks the metric.
        """
        last = next(history.back(trial))
        if history.objectives[0].metric not in last.metrics:
            return None
        means, bests = self._steps[last.step]
        trials, mean = means.arrays
        others = history.usable[trials] & (trials != trial)
        return last.step, bests.loss(trial), mean[others], bests.arrays[1][others]


class _Rung:
    """Trials, each once, and a number for each."""

    def __init__(self) -> None:
        self._place: dict[int, int] = {}
        self._trials = np.zeros(16, dtype=np.int64)
        self._losses = np.zeros(16)

    def add(self, trial: int, loss: float) -> None:
        if trial in self._place:
            return
        i = self._place[trial] = len(self._place)
        if i == len(self._trials):
            self._trials = np.resize(self._trials, 2 * i)
            self._losses = np.resize(self._losses, 2 * i)
        self._trials[i] = trial
        self._losses[i] = loss

    @property
    def arrays(self) -> tuple[Ints, Floats]:
        n = len(self._place)
        return self._trials[:n], self._losses[:n]

    def loss(self, trial: int) -> float:
        return float(self._losses[self._place[trial]])
