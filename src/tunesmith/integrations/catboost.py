"""CatBoost: a callback that reports each round's metrics and ends training when its trial is to stop.

    model.fit(train, eval_set=valid, callbacks=[ReportCallback(trial, monitor="validation-Logloss")])

Needs CatBoost 1.2 or later: ``pip install 'tunesmith[catboost]'``.
"""

from __future__ import annotations

from typing import Any

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback:
    """Reports ``data-metric`` (``learn``, ``validation``; or ``metric``, of the last data set) after each round.

    CatBoost tells no callback that training is over: a metric that was never there is not said.
    """

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        self._reporter = Reporter(trial, monitor)

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on: CatBoost wraps what a callback raises in an error of its own."""
        metrics = {
            f"{data}-{metric}": values[-1]
            for data, by_name in (info.metrics or {}).items()
            for metric, values in by_name.items()
            if values
        }
        return not self._reporter(info.iteration, metrics)
