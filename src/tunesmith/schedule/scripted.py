"""Replay of a schedule of configs: what population-based training found, run once more as it stands.

`Result.schedule` gives the schedule of a trial; a study of it tells how far it carries to other seeds
or other data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Resume, Verdict
from tunesmith.core.trial import State


@dataclass(frozen=True, slots=True)
class Scripted:
    """Every run goes through the `schedule`, a list of ``[step, config]``: from each of the steps on, the
    trial goes on as a copy of itself with the next config. Trials need checkpoints.

    Enqueue the first config. A decision takes O(configs of the schedule).
    """

    instant: ClassVar[bool] = True

    schedule: Sequence[tuple[int, Mapping[str, Any]]]

    def __post_init__(self) -> None:
        pairs = [part for part in self.schedule if isinstance(part, Sequence) and len(part) == 2]
        right = len(pairs) == len(self.schedule) and all(
            isinstance(step, int) and isinstance(config, Mapping) for step, config in pairs
        )
        if not pairs or not right:
            raise StrategyError(
                "scripted: schedule is a list of [step, config], as Result.schedule has it"
            )
        steps = [step for step, _ in pairs]
        if steps != sorted(set(steps)):
            raise StrategyError(f"scripted: the steps rise from config to config, unlike {steps}")

    def decide(self, history: History, trial: int) -> Decision:
        last, following = next(history.back(trial)), self._next(history, trial)
        if history.first_objective.metric not in last.metrics or following is None:
            return CONTINUE
        if last.step < following[0]:
            return CONTINUE
        return Decision(Verdict.STOP, f"at step {last.step} the schedule has another config")

    def resume(self, history: History, rng: Generator) -> Resume | None:
        """The next part of the run that ended last."""
        stopped = np.flatnonzero(history.where(State.STOPPED))
        if len(stopped) <= history.forks:
            return None
        begun = {history.trial(number).parent for number in range(len(history))}
        for trial in stopped.tolist():
            following = self._next(history, trial)
            if trial not in begun and following is not None:
                step, config = following
                return Resume(trial, f"the schedule's config from step {step} on", dict(config))
        return None

    def _next(self, history: History, trial: int) -> tuple[int, Mapping[str, Any]] | None:
        """The part of the schedule that follows the trial's; None after the last."""
        place, parent = 0, history.trial(trial).parent
        while parent is not None:
            place, parent = place + 1, history.trial(parent).parent
        if place + 1 >= len(self.schedule):
            return None
        step, config = self.schedule[place + 1]
        return step, config


SCHEDULER = Scripted
