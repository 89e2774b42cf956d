"""Lightning: a callback that reports what is logged and ends training when its trial is to stop.

    Trainer(callbacks=[ReportCallback(trial, monitor="val_loss")])

Needs Lightning 2.4 or later: ``pip install 'tunesmith[lightning]'``.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback(EarlyStopping):  # type: ignore[misc]
    """Reports once an epoch, at its end, where it was validated or there is no validation; steps are epochs from 1 on. Of several
    validations of an epoch (``val_check_interval``) the last one counts.

    Of several processes the first one reports, and all of them stop. It is an ``EarlyStopping`` by name alone: that is how Lightning
    knows what is to come after the module's own ``on_train_epoch_end``, and sees what that logs.
    """

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        self._reporter = Reporter(trial, monitor)
        super().__init__(", ".join([monitor] if isinstance(monitor, str) else monitor))
        self._validated = False

    @property
    def state_key(self) -> str:
        return f"{type(self).__qualname__}[{self.monitor}]"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Nothing of what the class above does."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: Any) -> None:
        """There is none."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._validated = False

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        # Lightning keeps the values of earlier epochs among the metrics: an epoch that was not validated has no new ones
        if self._validated or not trainer.enable_validation:
            self._report(trainer)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self._reporter.end()

    def _report(self, trainer: Any) -> None:
        stop = False
        if trainer.is_global_zero:
            stop = self._reporter(trainer.current_epoch + 1, trainer.callback_metrics)
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
