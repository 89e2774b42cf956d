"""Rungs: every trial's loss when it came to certain steps; a fold of a history's reports."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.objective import Objective

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: A number for each of some reports, by their numbers, shape (n,).
Values: TypeAlias = Callable[[History, Ints], Floats]


class Rungs:
    """For each of some steps (`levels`, rising), the trials that came to it and their losses there.

    A trial's loss at a rung is its first report at that step or a later one; with `values`, what that makes of the numbers of
    such reports. `update` reads what is new in a history; O(new reports), amortised. Use one per history's memo.
    """

    def __init__(self, levels: Sequence[int], values: Values | None = None) -> None:
        self.levels = tuple(levels)
        self._values = values
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
            came = there[np.sort(first)]
            losses = new.losses[came]
            if self._values is not None:
                losses = self._values(history, new.numbers[came])
            for i, loss in zip(came.tolist(), losses.tolist(), strict=True):
                trial = int(new.trials[i])
                rung.add(trial, loss, int(new.numbers[i]))
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

    def reports(self, k: int) -> Ints:
        """The numbers of the reports with which they came there, in the same order."""
        return self._rungs[k].numbers

    def loss(self, k: int, trial: int) -> float:
        """What `trial` had at rung `k`."""
        return self._rungs[k].loss(trial)

    def ordered(self, k: int) -> list[tuple[float, int]]:
        """Loss and number of all that came to rung `k`, the best first, of equal ones the earlier.

        O(1); a trial that comes costs O(log n) comparisons and a shift of n pointers.
        """
        return self._rungs[k].ordered()

    def report(self, k: int, trial: int) -> int:
        """The number of the report with which `trial` came to rung `k`."""
        return self._rungs[k].report_of(trial)

    def reopen(self, k: int, trial: int) -> None:
        """Let `first` look at `trial` again: it has come to rung `k` once more."""
        self._rungs[k].reopen(trial)

    def first(self, k: int, wanted: Callable[[int], bool]) -> int | None:
        """The best trial at rung `k` for which `wanted` holds. Where it does not, the trial is not looked
        at again before `reopen`. Amortised O(log n)."""
        return self._rungs[k].first(wanted)


def anybody(history: History, step: int) -> bool:
    """Whether any usable trial has had a finite value at `step`: where none has, a value that is not finite says
    nothing about a trial (no episode has ended yet, say). O(reports)."""
    reports = history.reports()
    there = (reports.steps == step) & np.isfinite(reports.losses)
    return bool(history.usable[reports.trials[there]].any())


class Others:
    """Numbers in order, but for one of them: what the others have. O(log n) to make."""

    def __init__(self, ordered: array[float], own: float) -> None:
        self._ordered = ordered
        self._own = bisect_left(ordered, own)

    def __len__(self) -> int:
        return len(self._ordered) - 1

    def __getitem__(self, place: int) -> float:
        return self._ordered[place if place < self._own else place + 1]

    @property
    def lower(self) -> int:
        """How many are below the one that is left out."""
        return self._own

    @property
    def median(self) -> float:
        n = len(self)
        return (self[(n - 1) // 2] + self[n // 2]) / 2

    def quantile(self, share: float) -> float:
        """The lower one of the two nearest."""
        return self[int((len(self) - 1) * share)]


class Standing(NamedTuple):
    """Where a trial stands at a step: its best loss until then; the means, and the best losses, until then of all
    usable others that reported at that step; and how often it has reported the metric."""

    step: int
    best: float
    means: Others
    bests: Others
    reports: int

    def due(self, every: int, delay: int) -> bool:
        """Whether a rule looks at this report that looks at each `every`-th one, from number `delay` on."""
        return self.reports >= delay and self.reports % every == 0


def step_of_best(history: History, trial: int, step: int, objective: Objective) -> str:
    """Which step a trial's best loss is from, in words; empty where it is the `step` that is judged."""
    reports = [
        (objective.sign * report.metrics[objective.metric], report.step)
        for report in history.curve(trial)
        if math.isfinite(report.metrics.get(objective.metric, math.nan))
    ]
    best_step = min(reports, default=(0.0, step))[1]
    return "" if best_step == step else f" (of step {best_step})"


class Standings:
    """At each step that anybody reported: the mean and the best loss until then of all who did.

    Use `Standings.of`: it reads what is new, O(new reports), and begins anew when a trial is retracted or comes
    to lie outside the space.
    """

    def __init__(self, objective: int = 0) -> None:
        self._objective = objective
        self._read = 0
        #: For each trial: how many losses, their sum, the best one, and the last step.
        self._sums: dict[int, tuple[int, float, float, int]] = {}
        self._steps: dict[int, tuple[_Column, _Column]] = {}

    @classmethod
    def of(cls, history: History, objective: int = 0) -> Standings:
        """By one of the objectives."""
        unusable = np.flatnonzero(~history.usable)
        standings: Standings = history.memo(
            ("standings", objective, unusable.tobytes()), lambda: cls(objective)
        )
        standings._update(history, frozenset(unusable.tolist()))
        return standings

    def _update(self, history: History, unusable: frozenset[int]) -> None:
        new = history.reports(self._read)
        self._read = new.upto
        losses = new.losses
        if self._objective:
            losses = history.losses_at(new.numbers)[:, self._objective]
        for trial, step, loss in zip(
            new.trials.tolist(), new.steps.tolist(), losses.tolist(), strict=True
        ):
            if loss != loss:
                continue  # this objective is not in the report
            count, total, best, last = self._sums.get(trial, (0, 0.0, np.inf, None))
            if trial in unusable or (last is not None and step <= last):
                continue  # a trial that starts over has been here before
            if math.isinf(loss) and step not in self._steps:
                self._sums[trial] = count, total, best, step
                continue  # nobody has had a number there
            count, total, best = count + 1, total + loss, min(best, loss)
            self._sums[trial] = count, total, best, step
            means, bests = self._steps.setdefault(step, (_Column(), _Column()))
            means.add(total / count)
            bests.add(best)

    def compare(self, history: History, trial: int) -> Standing | None:
        """Where `trial` stands with its last report; None if that lacks the metric, or is of an earlier step."""
        report = next(history.back(trial))
        known = self._sums.get(trial)
        if history.objectives[self._objective].metric not in report.metrics or known is None:
            return None
        count, total, best, step = known
        if step != report.step or step not in self._steps:
            return None
        means, bests = self._steps[step]
        others = Others(means.ordered(), total / count), Others(bests.ordered(), best)
        return Standing(step, best, *others, count)


class _Column:
    """Numbers in order: a few new ones are put in their places, many are sorted in."""

    def __init__(self) -> None:
        self._ordered: array[float] = array("d")
        self._new: list[float] = []

    def add(self, number: float) -> None:
        self._new.append(number)

    def ordered(self) -> array[float]:
        if len(self._new) < 32:
            for number in self._new:
                insort(self._ordered, number)
        else:
            self._ordered = array("d", sorted([*self._ordered, *self._new]))
        self._new.clear()
        return self._ordered


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
    def numbers(self) -> Ints:
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
