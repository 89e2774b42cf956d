"""LightGBM: a callback that reports each round's metrics and ends training when its trial is to stop.

    lightgbm.train(params, data, 500, valid_sets=[valid], callbacks=[ReportCallback(trial, monitor="valid_0-auc")])

Needs LightGBM 4.3 or later: ``pip install 'tunesmith[lightgbm]'``.
"""

from __future__ import annotations

from typing import Any

from lightgbm.callback import EarlyStopException

from tunesmith.integrations.reporting import Monitor, Reporter
from tunesmith.run.live import LiveTrial


class ReportCallback:
    """Reports ``data-metric`` (or ``metric``, of the last data set) after each round; steps are rounds from 1 on."""

    #: After the evaluation's own callbacks and before early stopping.
    order = 25
    before_iteration = False

    def __init__(self, trial: LiveTrial | None = None, *, monitor: Monitor) -> None:
        self._reporter = Reporter(trial, monitor)

    def __call__(self, env: Any) -> None:
        results = env.evaluation_result_list or []
        stop = self._reporter(
            env.iteration + 1, {f"{data}-{metric}": value for data, metric, value, *_ in results}
        )
        if stop:
            raise EarlyStopException(env.iteration, results)
        if env.iteration + 1 >= env.end_iteration:
            self._reporter.end()
