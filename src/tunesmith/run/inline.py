"""The inline executor: trials in this very process and thread, one after the other.

What it cannot do: interrupt an objective that neither returns nor reports, or survive one that
crashes the interpreter. The process executor does both.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.core.errors import Stopped
from tunesmith.core.events import Asked, Exited, Reported, Start, Stop
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.run.asks import Question
from tunesmith.run.base import Happened
from tunesmith.run.live import Channel, LiveTrial
from tunesmith.run.objective import ObjectiveFunction, call


class InlineExecutor:
    """Runs one trial inside each call of `events`.

    Since the objective is on the stack then, its reports cannot wait for that call to return: they
    go to `deliver` at once, which stores them and calls `stop` if the trial should end. What `deliver`
    raises is no fault of the trial: the objective is stopped, and `events` raises it.
    """

    def __init__(
        self,
        objective: Callable[..., Any],
        *,
        metric: str | Sequence[str],
        deliver: Callable[[Reported | Asked], None],
        directory: Callable[[int], Path],
    ) -> None:
        self._objective = ObjectiveFunction.of(objective, metric)
        self._deliver = deliver
        self._directory = directory
        self._waiting: deque[Start] = deque()
        self._stops: dict[int, Reason] = {}
        #: Whether an objective is on the stack, and whether it was interrupted there.
        self.busy = False
        self._interrupted = False
        #: The trial as its objective sees it, once that has asked for it.
        self._seen: LiveTrial | None = None
        #: The thread in which the coordinator takes a report.
        self._delivering: int | None = None
        #: What the coordinator failed with while the objective reported.
        self._fault: BaseException | None = None

    def start(self, command: Start) -> None:
        self._waiting.append(command)

    def stop(self, command: Stop) -> None:
        self._stops[command.trial] = command.reason

    def interrupt(self) -> None:
        """See `base.Interruptible`."""
        if self.busy:
            self._interrupted = True
            if self._delivering != threading.get_ident():  # what is being stored is stored whole
                raise KeyboardInterrupt

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
            returned, reason = self._called(start)
            if self._interrupted and reason is not None:  # whatever the objective made of it
                reason = Reason(Kind.INTERRUPTED, "stopped by Ctrl-C")
            elif reason is not None and reason.kind is Kind.STOPPED:
                reason = self._stops.get(number, reason)
            self._stops.pop(number, None)
            self._interrupted = False
        cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
        live, self._seen = self._seen, None
        asked = tuple(live.config) if live is not None and start.asked is not None else None
        tags = {} if live is None else live.tags
        return Exited(
            time.time(), number, start.attempt, returned, reason, cost, asked=asked, tags=tags
        )

    def _called(self, start: Start) -> tuple[Any, Reason | None]:
        """What the objective returned, or why it did not."""
        channel = Channel(start.trial, partial(self._send, start), partial(self._ask, start))
        self.busy = True
        try:
            config = start.config if start.asked is None else None
            returned, reason = call(self._objective, config, lambda: self._live(start, channel))
        finally:
            self.busy = False
            channel.close()
        if self._fault is not None:
            raise self._fault
        return returned, reason

    def _send(self, start: Start, step: int, metrics: dict[str, float | None]) -> Reason | None:
        """Have a report stored."""
        return self._have_stored(Reported(time.time(), start.trial, start.attempt, step, metrics))

    def _ask(self, start: Start, question: Question) -> Reason | None:
        return self._have_stored(Asked(time.time(), start.trial, start.attempt, *question))

    def _have_stored(self, event: Reported | Asked) -> Reason | None:
        self._delivering = threading.get_ident()
        try:
            self._deliver(event)
        except BaseException as error:
            self._fault = error
            raise Stopped("the study cannot go on") from error
        finally:
            self._delivering = None
        if self._interrupted:
            raise KeyboardInterrupt
        return self._stops.get(event.trial)

    def _live(self, start: Start, channel: Channel) -> LiveTrial:
        """The trial as its objective sees it."""
        folder = partial(self._directory, start.trial)
        self._seen = LiveTrial(
            start.trial,
            start.attempt,
            start.config,
            start.seed,
            folder,
            channel,
            start.reported,
            asked=start.asked,
            given=start.given,
            metrics=self._objective.metrics,
        )
        return self._seen
