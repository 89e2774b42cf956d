"""MLflow: a run for the study, and one inside it for each trial.

    ts.tune(train, space, trials=50, loggers=[MlflowLogger(tracking_uri="http://mlflow:5000", experiment="digits")])

Needs MLflow 3: ``pip install 'tunesmith[mlflow]'`` (``mlflow-skinny`` is enough).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from tunesmith.core.errors import StudyError
from tunesmith.core.study import StudySpec
from tunesmith.core.text import text_of
from tunesmith.core.trial import Report, State, Trial

#: The tags by which runs are found again.
STUDY: Final = "tunesmith.study"
TRIAL: Final = "tunesmith.trial"
STATE: Final = "tunesmith.state"
#: When a trial was made: the same for a study that is resumed.
_MADE: Final = "tunesmith.made"
_PARENT: Final = "mlflow.parentRunId"
_NAME: Final = "mlflow.runName"
_STATUS: Final[Mapping[State, str]] = {
    State.COMPLETED: "FINISHED",
    State.STOPPED: "KILLED",
    State.CANCELLED: "KILLED",
    State.FAILED: "FAILED",
}
#: As much as MLflow takes at once, and of one value.
_METRICS: Final = 1000
_PARAMS: Final = 100
_CHARACTERS: Final = 500


class MlflowLogger:
    """A tracker: configs are parameters, reports metrics by step, states tags (``tunesmith.state``) and the runs' status.

    A study that is resumed goes on with its runs: those of trials that have ended stay as they are.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "tunesmith") -> None:
        self._client = MlflowClient(tracking_uri)
        self._experiment = experiment
        self._parent = ""
        #: The runs of trials, by number; and of those that MLflow has whole already.
        self._runs: dict[int, str] = {}
        self._whole: set[int] = set()
        self._made: dict[int, str] = {}

    def begin(self, study: StudySpec) -> None:
        self._name = study.name
        there = self._client.get_experiment_by_name(self._experiment)
        self._id = (
            self._client.create_experiment(self._experiment)
            if there is None
            else there.experiment_id
        )
        named = f"tags.`{STUDY}` = '{study.name}'"  # names have no quotes
        found = self._client.search_runs([self._id], named, max_results=1)
        if found:
            self._parent = found[0].info.run_id
            self._client.update_run(self._parent, status="RUNNING")
            self._take_over()
            return
        goals = {f"tunesmith.goal.{o.metric}": o.goal for o in study.objectives}
        tags = {_NAME: study.name, STUDY: study.name, **goals}
        self._parent = self._client.create_run(self._id, tags=tags).info.run_id

    def start(self, trial: Trial) -> None:
        made = repr(trial.created_at)
        if self._made.get(trial.number, made) != made:
            self.close()
            raise StudyError(
                f"the experiment {self._experiment!r} has another study {self._name!r}, of an earlier call with another storage "
                "or none: name another experiment for this one's runs, or another study"
            )
        if trial.number in self._runs:
            return
        tags = {
            _NAME: f"trial {trial.number}",
            _PARENT: self._parent,
            TRIAL: str(trial.number),
            STATE: State.RUNNING,
            _MADE: made,
        }
        run = self._client.create_run(
            self._id, tags={k: str(v) for k, v in tags.items()}
        ).info.run_id
        self._runs[trial.number] = run
        params = [Param(name, text_of(value)[:_CHARACTERS]) for name, value in trial.config.items()]
        for part in _parts(params, _PARAMS):
            self._client.log_batch(run, params=part)

    def report(self, trial: int, reports: Sequence[Report]) -> None:
        if trial not in self._whole:
            metrics = [_metric(n, v, r.at, r.step) for r in reports for n, v in r.metrics.items()]
            for part in _parts(metrics, _METRICS):
                self._client.log_batch(self._runs[trial], metrics=part)

    def end(self, trial: Trial) -> None:
        if trial.number in self._whole:
            return
        run, now = self._runs[trial.number], time.time()
        step = trial.reports[-1].step if trial.reports else 0
        metrics = [_metric(name, value, now, step) for name, value in trial.metrics.items()]
        for part in _parts(metrics, _METRICS):
            self._client.log_batch(run, metrics=part)
        self._client.set_tag(run, STATE, str(trial.state))
        if trial.reason is not None:
            self._client.set_tag(run, "tunesmith.reason", str(trial.reason)[:_CHARACTERS])
        self._client.set_terminated(run, _STATUS[trial.state])

    def close(self) -> None:
        if self._parent:
            self._client.set_terminated(self._parent, "FINISHED")

    def _take_over(self) -> None:
        """The runs that an earlier call has left."""
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._id], f"tags.`{_PARENT}` = '{self._parent}'", page_token=token
            )
            for run in page:
                number = int(run.data.tags[TRIAL])
                self._runs[number] = run.info.run_id
                if _MADE in run.data.tags:
                    self._made[number] = run.data.tags[_MADE]
                if run.info.status in _STATUS.values():
                    self._whole.add(number)
            token = page.token
            if not token:
                return


def _metric(name: str, value: float, at: float, step: int) -> Metric:
    return Metric(name, value if math.isfinite(value) else math.nan, int(at * 1000), step)


def _parts(entities: list[Any], size: int) -> Iterator[list[Any]]:
    for begin in range(0, len(entities), size):
        yield entities[begin : begin + size]


TRACKER: Final = MlflowLogger
