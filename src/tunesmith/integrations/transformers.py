"""Hugging Face: a callback for ``Trainer`` that reports evaluations and ends training when its trial is to stop.

    Trainer(model, arguments, callbacks=[ReportCallback(trial, monitor="eval_loss")], ...)

Needs transformers 5: ``pip install 'tunesmith[transformers]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each evaluation that has what is monitored, or each log of the training; steps are optimizer steps.

    Of several processes the first one reports; the others are told to stop by ``Trainer`` where it shares its control.
    """

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        self._reporter = Reporter(trial, monitor)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if state.is_world_process_zero and self._reporter(state.global_step, _numbers(logs or {})):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._reporter.end()


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in logs.items() if isinstance(value, (int, float))}
