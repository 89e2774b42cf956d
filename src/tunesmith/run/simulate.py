"""The simulation executor: trials in virtual time, a discrete-event simulation of learning curves.

A trial is a curve: an iterable of ``(seconds, metrics)``, one for each report, the seconds since the one
before. Nothing waits: the clock jumps from event to event. A trial that was paused or interrupted goes on
where it was, as if saving and restoring took no time; a copy of a trial goes on at its step, on the curve of its
own config.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.outcome import finite
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.base import Happened
from tunesmith.run.objective import reason_of

#: Ends after which a trial may go on where it was.
GOES_ON: Final = frozenset({Kind.PAUSED, Kind.INTERRUPTED, Kind.LOST})
Step: TypeAlias = tuple[float, float | Mapping[str, float]]
Curve: TypeAlias = Callable[[dict[str, Any]], Iterable[Step]]


@dataclass(slots=True)
class Running:
    """A trial, and where on its curve it is."""

    start: Start
    steps: Iterator[Step]
    began: float
    step: int = 0
    #: What it reported last.
    metrics: Mapping[str, float] | None = None
    #: What it reports next, after how many seconds; None if it ends then.
    following: tuple[float, Mapping[str, float]] | None = None
    stopped: Reason | None = None

    @classmethod
    def begun(
        cls,
        curve: Curve,
        start: Start,
        at: float,
        off: dict[int, Running],
        steps: Mapping[int, int],
    ) -> Running:
        """One of those that are `off` and goes on, or a new one; a copy goes on at the step of the trial that it is of."""
        running = off.pop(start.trial, None)
        if running is None:
            step = 0 if start.parent is None else steps.get(start.parent, 0)
            return cls(start, islice(curve(dict(start.config)), step, None), at, step)
        running.start, running.began, running.stopped = start, at, None
        return running

    def advance(self, metric: str) -> float:
        """See what it does next; in how many seconds. What was broken off is done again."""
        if self.following is None:
            try:
                step = next(self.steps, None)
            except Exception as error:  # noqa: BLE001 (a curve may fail as a training does)
                self.stopped, step = reason_of(error), None
            if step is not None:
                seconds, measured = step
                metrics = measured if isinstance(measured, Mapping) else {metric: measured}
                self.following = seconds, {name: float(v) for name, v in metrics.items()}
        return 0.0 if self.following is None else self.following[0]

    def reported(self, at: float) -> Reported:
        """What it had before it."""
        assert self.following is not None
        (_, self.metrics), self.following = self.following, None
        self.step += 1
        return Reported(at, self.start.trial, self.start.attempt, self.step, finite(self.metrics))

    def exited(self, at: float) -> Exited:
        returned = None if self.stopped else self.metrics
        cost = Cost(at - self.began)
        return Exited(at, self.start.trial, self.start.attempt, returned, self.stopped, cost)


class SimulateExecutor:
    """Runs `curve` of each config on a clock of its own, which begins at `began` (seconds)."""

    def __init__(self, curve: Curve, *, metric: str, began: float = 0.0) -> None:
        self._curve = curve
        self._metric = metric
        self._now = began
        #: How long trials have run, all of them together.
        self.busy_s = 0.0
        #: When each running trial's next event is, with its number.
        self._agenda: list[tuple[float, int]] = []
        self._running: dict[int, Running] = {}
        #: Trials that are off and may go on, and at which step every trial was last.
        self._off: dict[int, Running] = {}
        self._steps: dict[int, int] = {}
        #: The trial whose report is being thought about.
        self._reported: int | None = None

    def clock(self) -> float:
        """The virtual time, in seconds."""
        return self._now

    def start(self, command: Start) -> None:
        running = Running.begun(self._curve, command, self._now, self._off, self._steps)
        self._running[command.trial] = running
        self._plan(running)

    def stop(self, command: Stop) -> None:
        running = self._running.get(command.trial)
        if running is not None:
            running.stopped = command.reason

    def events(self, timeout_s: float) -> list[Happened]:
        """What happens next; the clock is there then. O(log trials) and the curve's own work."""
        if self._reported is not None:
            running = self._running[self._reported]
            self._reported = None
            if running.stopped is not None:
                return [self._exit(running)]
            self._plan(running)
        if not self._agenda:
            self._now += timeout_s
            return []
        self._now, number = heapq.heappop(self._agenda)
        running = self._running[number]
        if running.stopped is not None or running.following is None:
            return [self._exit(running)]
        self._reported = number
        reported = running.reported(self._now)
        self._steps[number] = running.step
        return [reported]

    def close(self) -> None:
        self.busy_s += sum(self._now - running.began for running in self._running.values())
        self._running.clear()
        self._agenda.clear()

    def _plan(self, running: Running) -> None:
        """Put the trial's next report, or its end, on the agenda."""
        seconds = running.advance(self._metric)
        heapq.heappush(self._agenda, (self._now + seconds, running.start.trial))

    def _exit(self, running: Running) -> Exited:
        number = running.start.trial
        del self._running[number]
        if running.stopped is not None and running.stopped.kind in GOES_ON:
            self._off[number] = running
        self.busy_s += self._now - running.began
        return running.exited(self._now)
