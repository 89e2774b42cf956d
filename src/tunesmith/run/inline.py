"""Trials in this very process and thread, one after the other: the least overhead.

What it cannot do: interrupt an objective that neither returns nor reports, or survive one that
crashes the interpreter. The process executor does both.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.base import Happened
from tunesmith.run.live import LiveTrial
from tunesmith.run.objective import call, reason_of, takes_trial


class InlineExecutor:
    """Runs one trial inside each call of `events`.

    Since the objective is on the stack then, its reports cannot wait for that call to return: they
    go to `deliver` at once, which stores them and calls `stop` if the trial should end.
    """

    def __init__(
        self,
        objective: Callable[..., Any],
        deliver: Callable[[Reported], None],
        directory: Callable[[int], Path],
    ) -> None:
        self._objective = objective
        self._with_trial = takes_trial(objective)
        self._deliver = deliver
        self._directory = directory
        self._waiting: deque[Start] = deque()
        self._stops: dict[int, Reason] = {}

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
        number, attempt, config, seed = start

        def send(step: int, metrics: dict[str, float | None]) -> Reason | None:
            self._deliver(Reported(time.time(), number, attempt, step, metrics))
            return self._stops.get(number)

        returned: Any = None
        reason = self._stops.pop(number, None)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        if reason is None:
            trial = LiveTrial(number, attempt, config, seed, lambda: self._directory(number), send)
            try:
                returned = call(self._objective, self._with_trial, trial)
            except KeyboardInterrupt:
                reason = Reason(Kind.INTERRUPTED, "stopped by Ctrl-C")
            except Exception as error:  # noqa: BLE001 (the user's code may raise anything)
                reason = reason_of(error)
                if reason.kind is Kind.STOPPED:
                    reason = self._stops.get(number, reason)
        cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
        self._stops.pop(number, None)
        return Exited(time.time(), number, attempt, returned, reason, cost)
