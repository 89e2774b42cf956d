"""Lightning: a callback that reports what is logged and ends training when its trial is to stop.

    Trainer(callbacks=[ReportCallback(trial, monitor="val_loss")])

Needs Lightning 2.4 or later: ``pip install 'tunesmith[lightning]'``.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback(Callback):  # type: ignore[misc]
    """Reports after each validation, or after each epoch where there is none; steps are epochs from 1 on.

    Of several processes the first one reports, and all of them stop.
    """

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)
        self._last = 0

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self._last <= trainer.current_epoch:
            self._report(trainer)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self._reporter.end()

    def _report(self, trainer: Any) -> None:
        stop = False
        if trainer.is_global_zero:
            stop = self._reporter(trainer.current_epoch + 1, trainer.callback_metrics)
        self._last = trainer.current_epoch + 1
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
