"""All reports of a study in a few arrays: O(1) amortised to add, O(own reports) to read a trial's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.trial import Report

_FIRST_CAPACITY = 64
#: What columns hold for a metric that was reported but is not finite (NaN stands for none).
NOT_FINITE = float("inf")


class Curves:
    """Reports, chained by trial: each knows the trial's report before it."""

    def __init__(self) -> None:
        self._size = 0
        self._trial = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._step = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._at = np.zeros(_FIRST_CAPACITY)
        self._before = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._metrics: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        self._last: dict[int, int] = {}
        #: Whether any trial has reported more than once.
        self.long = False

    def __len__(self) -> int:
        return self._size

    def add(
        self,
        trial: int,
        step: int,
        metrics: Mapping[str, float | None],
        at: float,
        *,
        first: bool = False,
    ) -> None:
        """Append a report to the curve of `trial`; None is a value that is not finite.

        The `first` report of an attempt takes the place of what earlier attempts reported at that step
        and later: a trial that goes on from a checkpoint has one curve.
        """
        i = self._size
        if i == len(self._step):
            self._grow()
        self._trial[i] = trial
        self._step[i] = step
        self._at[i] = at
        before = self._last.get(trial, -1)
        while first and before >= 0 and self._step[before] >= step:
            before = int(self._before[before])
        self._before[i] = before
        self.long = self.long or before >= 0
        for name, value in metrics.items():
            column = self._metrics.get(name)
            if column is None:
                column = self._metrics[name] = np.full(len(self._step), np.nan)
            column[i] = NOT_FINITE if value is None else value
        self._last[trial] = i
        self._size = i + 1

    def of(self, trial: int) -> tuple[Report, ...]:
        """The reports of `trial`, oldest first."""
        if trial not in self._last:
            return ()
        return tuple(reversed(tuple(self.back(trial))))

    def back(self, trial: int) -> Iterator[Report]:
        """The reports of `trial`, newest first; O(1) each."""
        i = self._last.get(trial, -1)
        while i >= 0:
            yield self._read(i)
            i = int(self._before[i])

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics that were reported, in the order in which they came."""
        return list(self._metrics)

    def columns(
        self, metric: str, since: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Trials, steps and values of `metric` of the reports from number `since` on, as they came.

        A value is NaN where the metric was not reported, NOT_FINITE where it was not finite.
        """
        part = slice(since, self._size)
        values = self._metrics.get(metric)
        if values is None:
            values = np.full(self._size, np.nan)
        return self._trial[part], self._step[part], values[part]

    def at(self, number: int) -> tuple[int, Report]:
        """Report `number` of all, and whose it is."""
        return int(self._trial[number]), self._read(number)

    def last(self, trial: int) -> Report | None:
        i = self._last.get(trial)
        return None if i is None else self._read(i)

    def latest(self, trial: int) -> Mapping[str, float]:
        """The last value of each metric that `trial` ever reported; NaN if that was not finite."""
        merged: dict[str, float] = {}
        for report in self.of(trial):
            merged.update(report.metrics)
        return merged

    def _read(self, i: int) -> Report:
        metrics = {
            name: math.nan if column[i] == NOT_FINITE else float(column[i])
            for name, column in self._metrics.items()
            if column[i] == column[i]
        }
        return Report(int(self._step[i]), metrics, float(self._at[i]))

    def _grow(self) -> None:
        size = 2 * len(self._step)
        self._trial = np.resize(self._trial, size)
        self._step = np.resize(self._step, size)
        self._at = np.resize(self._at, size)
        self._before = np.resize(self._before, size)
        for name, column in self._metrics.items():
            self._metrics[name] = np.concatenate([column, np.full(size - len(column), np.nan)])
