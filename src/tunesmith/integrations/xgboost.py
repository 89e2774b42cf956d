"""XGBoost: a callback that reports each round's metrics and ends training when its trial is to stop.

    xgboost.train(params, data, 500, evals=[(valid, "valid")], callbacks=[ReportCallback(trial, monitor="valid-auc")])

Needs XGBoost 2.1 or later: ``pip install 'tunesmith[xgboost]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xgboost.callback import TrainingCallback

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback(TrainingCallback):  # type: ignore[misc]
    """Reports ``data-metric`` (or ``metric``, of the last data set) after each round; steps are rounds from 1 on."""

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        metrics = {
            f"{data}-{metric}": _last(values)
            for data, by_name in evals_log.items()
            for metric, values in by_name.items()
        }
        return self._reporter(epoch + 1, metrics)

    def after_training(self, model: Any) -> Any:
        self._reporter.end()
        return model


def _last(values: Any) -> float:
    """The last round's value; in cross-validation the mean of the folds, without its deviation."""
    value = values[-1]
    return float(value[0] if isinstance(value, tuple) else value)
