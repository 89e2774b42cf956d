"""What every trial had when it came to certain steps: a fold of a history's reports."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

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
        self._highest: dict[int, int] = {}
        self._read = 0
        self._rungs = [_Rung() for _ in levels]

    def update(self, history: History) -> Rungs:
        new = history.reports(self._read)
        self._read = new.upto
        for k, (level, rung) in enumerate(zip(self.levels, self._rungs, strict=True)):
            there = np.flatnonzero(new.steps >= level)
            if not len(there):
                break
            _, first = np.unique(new.trials[there], return_index=True)
            for i in there[np.sort(first)].tolist():
                trial = int(new.trials[i])
                rung.add(trial, float(new.losses[i]), int(new.numbers[i]))
                self._highest[trial] = max(k, self._highest.get(trial, -1))
        return self

    def just_came(self, k: int, trial: int) -> bool:
        """Whether the last report that was read is the first with which `trial` is at rung `k`."""
        return self._rungs[k].report_of(trial) == self._read - 1

    def highest(self, trial: int) -> int:
        """The highest rung to which `trial` has come; -1 for none."""
        return self._highest.get(trial, -1)

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

    def ordered(self, k: int) -> list[tuple[float, int]]:
        """Loss and number of all that came to rung `k`, the best first, of equal ones the earlier.

        O(1); a trial that comes costs O(log n) comparisons and a shift of n pointers.
        """
        return self._rungs[k].ordered()

    def reports(self, k: int) -> Ints:
        """The reports with which trials came to rung `k`, as in `at`."""
        return self._rungs[k].reports

    def reopen(self, k: int, trial: int) -> None:
        """Let `first` look at `trial` again: it has come to rung `k` once more."""
        self._rungs[k].reopen(trial)

    def first(self, k: int, wanted: Callable[[int], bool]) -> int | None:
        """The best trial at rung `k` for which `wanted` holds. Where it does not, the trial is not looked
        at again before `reopen`. Amortised O(log n)."""
        return self._rungs[k].first(wanted)


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
        self._reports = np.zeros(16, dtype=np.int64)
        #: Loss and number in order, and those of them that `first` has not passed over; made when asked for.
        self._ordered: list[tuple[float, int]] | None = None
        self._open: list[tuple[float, int]] = []

    def add(self, trial: int, loss: float, report: int = 0) -> None:
        if trial in self._place:
            return
        i = self._place[trial] = len(self._place)
        if i == len(self._trials):
            self._trials = np.resize(self._trials, 2 * i)
            self._losses = np.resize(self._losses, 2 * i)
            self._reports = np.resize(self._reports, 2 * i)
        self._trials[i] = trial
        self._losses[i] = loss
        self._reports[i] = report
        if self._ordered is not None:
            insort(self._ordered, (loss, trial))
            heappush(self._open, (loss, trial))

    @property
    def arrays(self) -> tuple[Ints, Floats]:
        n = len(self._place)
        return self._trials[:n], self._losses[:n]

    @property
    def reports(self) -> Ints:
        return self._reports[: len(self._place)]

    def loss(self, trial: int) -> float:
        return float(self._losses[self._place[trial]])

    def report_of(self, trial: int) -> int:
        return int(self._reports[self._place[trial]])

    def ordered(self) -> list[tuple[float, int]]:
        if self._ordered is None:
            trials, losses = self.arrays
            self._ordered = sorted(zip(losses.tolist(), trials.tolist(), strict=True))
            self._open = list(self._ordered)
        return self._ordered

    def reopen(self, trial: int) -> None:
        if self._ordered is not None:
            heappush(self._open, (self.loss(trial), trial))

    def first(self, wanted: Callable[[int], bool]) -> int | None:
        self.ordered()
        while self._open and not wanted(self._open[0][1]):
            heappop(self._open)
        return self._open[0][1] if self._open else None
