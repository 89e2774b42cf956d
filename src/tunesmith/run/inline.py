"""Trials in this very process and thread, one after the other: the least overhead.

What it cannot do: interrupt an objective that neither returns nor reports, or survive one that
crashes the interpreter. The process executor does both.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.base import Happened
from tunesmith.run.live import LiveTrial
from tunesmith.run.objective import Objective, reason_of


class InlineExecutor:
    """Runs one trial inside each call of `events`.

    Since the objective is on the stack then, its reports cannot wait for that call to return: they
    go to `deliver` at once, which stores them and calls `stop` if the trial should end.
    """

    def __init__(
        self,
        objective: Callable[..., Any],
        *,
        metric: str,
        deliver: Callable[[Reported], None],
        directory: Callable[[int], Path],
    ) -> None:
        self._objective = Objective.of(objective, metric)
        self._deliver = deliver
        self._directory = directory
        self._waiting: deque[Start] = deque()
        self._stops: dict[int, Reason] = {}
        #: Whether an objective is on the stack.
        self.busy = False

    def start(self, command: Start) -> None:
        self._waiting.append(command)

    def stop(self, command: Stop) -> None:
        self._stops[command.trial] = command.reason

    def events(self, timeout_s: float) -> list[Happened]:
        if not self._waiting:
            time.sleep(timeout_s)
            return []
        return [self._run(self._waiting.popleft())]

    def close(self) -> None:
        self._waiting.clear()

    def _run(self, start: Start) -> Exited:
        number = start.trial
        returned: Any = None
        reason = self._stops.pop(number, None)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        if reason is None:
            self.busy = True
            try:
                returned = self._objective(start.config, lambda: self._live(start))
            except KeyboardInterrupt:
                reason = Reason(Kind.INTERRUPTED, "stopped by Ctrl-C")
            except Exception as error:  # noqa: BLE001 (the user's code may raise anything)
                reason = reason_of(error)
                if reason.kind is Kind.STOPPED:
                    reason = self._stops.get(number, reason)
            finally:
                self.busy = False
            self._stops.pop(number, None)
        cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
        return Exited(time.time(), number, start.attempt, returned, reason, cost)

    def _live(self, start: Start) -> LiveTrial:
        """The trial as its objective sees it."""

        def send(step: int, metrics: dict[str, float | None]) -> Reason | None:
            self._deliver(Reported(time.time(), start.trial, start.attempt, step, metrics))
            return self._stops.get(start.trial)

        folder = partial(self._directory, start.trial)
        return LiveTrial(
            start.trial, start.attempt, start.config, start.seed, folder, send, start.reported
        )
