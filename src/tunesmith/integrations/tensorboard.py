"""TensorBoard: a run for each trial, with its metrics by step, and the study in the tab HPARAMS.

    ts.tune(train, space, trials=50, name="digits", loggers=[TensorboardLogger("runs")])      # then: tensorboard --logdir runs

Needs TensorBoard 2.15 or later, and nothing of TensorFlow or PyTorch: ``pip install 'tunesmith[tensorboard]'``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from tunesmith.core.space.parameter import Choice, Float, Int, Parameter
from tunesmith.core.study import StudySpec
from tunesmith.core.text import text_of
from tunesmith.core.trial import Report, State, Trial
from tunesmith.integrations.kept import Kept

_FILE: Final = "events.out.tfevents.0.tunesmith"
_STATUS: Final[Mapping[State, int]] = {
    State.COMPLETED: api_pb2.STATUS_SUCCESS,
    State.STOPPED: api_pb2.STATUS_SUCCESS,
    State.FAILED: api_pb2.STATUS_FAILURE,
    State.CANCELLED: api_pb2.STATUS_UNKNOWN,
}


class TensorboardLogger:
    """A tracker: reports are scalars by step, configs hyperparameters, the state a text (``tunesmith/state``).

    Trials are the runs ``STUDY/trial-N`` of the folder `logdir`. A study that is resumed goes on with them: those that have
    ended stay as they are, the others are written anew.
    """

    def __init__(self, logdir: str | Path = "runs") -> None:
        self._logdir = Path(logdir)
        #: The last values of running trials, by number: what is not told twice.
        self._last: dict[int, dict[str, float]] = {}

    def begin(self, study: StudySpec) -> None:
        self._folder = self._logdir / study.name
        self._kept = Kept(self._folder / "tunesmith.jsonl", study)
        parameters = {name: study.space[name] for name in study.space}
        config = summary_v2.hparams_config_pb(
            [summary_v2.HParam(name, _domain(p)) for name, p in parameters.items()],
            [summary_v2.Metric(objective.metric) for objective in study.objectives],
        )
        (self._folder / _FILE).unlink(missing_ok=True)
        self._write(self._folder, [Event(wall_time=time.time(), summary=config)])

    def start(self, trial: Trial) -> None:
        self._kept.check(trial)
        if self._kept.whole(trial.number):
            return
        folder = self._run(trial.number)
        (folder / _FILE).unlink(missing_ok=True)  # an earlier call did not come to its end
        self._kept.begin(trial, folder.name)
        self._last[trial.number] = {}
        at = trial.started_at or time.time()
        values = {name: _value(value) for name, value in trial.config.items()}
        begun = summary_v2.hparams_pb(values, trial_id=folder.name, start_time_secs=at)
        self._write(folder, [Event(wall_time=at, summary=begun)])

    def report(self, trial: int, reports: Sequence[Report]) -> None:
        if self._kept.whole(trial):
            return
        self._write(self._run(trial), [_scalars(r.at, r.step, r.metrics) for r in reports])
        self._last[trial] = dict(reports[-1].metrics)

    def end(self, trial: Trial) -> None:
        if self._kept.whole(trial.number):
            return
        at, step = trial.ended_at or time.time(), trial.reports[-1].step if trial.reports else 0
        last = self._last.pop(trial.number, {})
        more = {name: value for name, value in trial.metrics.items() if last.get(name) != value}
        ended = _session_end(_STATUS[trial.state], at)
        state = text_pb("tunesmith/state", str(trial.state))
        events = [Event(wall_time=at, step=step, summary=s) for s in (state, ended)]
        self._write(self._run(trial.number), [_scalars(at, step, more), *events])
        self._kept.end(trial.number)

    def close(self) -> None:
        """Everything is written as it comes."""

    def _run(self, number: int) -> Path:
        return self._folder / f"trial-{number}"

    def _write(self, folder: Path, events: Sequence[Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _FILE
        new = not path.exists()
        with path.open("ab") as file:
            records = RecordWriter(file)
            if new:
                records.write(
                    Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
                )
            for event in events:
                records.write(event.SerializeToString())


def _scalars(at: float, step: int, metrics: Mapping[str, float]) -> Any:
    values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
    return Event(wall_time=at, step=step, summary=Summary(value=values))


def _session_end(status: int, at: float) -> Any:
    """As ``tensorboard.plugins.hparams.summary`` has it, which would need TensorFlow."""
    ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=at)
    about = metadata.create_summary_metadata(
        plugin_data_pb2.HParamsPluginData(session_end_info=ended)
    )
    tag, tensor = metadata.SESSION_END_INFO_TAG, metadata.NULL_TENSOR
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=tensor)])


def _value(value: Any) -> bool | int | float | str:
    return value if isinstance(value, (bool, int, float, str)) else text_of(value)


def _domain(parameter: Parameter) -> Any:
    if isinstance(parameter, Float):
        return summary_v2.RealInterval(float(parameter.low), float(parameter.high))
    if isinstance(parameter, Int):
        return summary_v2.IntInterval(parameter.low, parameter.high)
    if isinstance(parameter, Choice):
        values = [_value(value) for value in parameter.values]
        if len({type(value) for value in values}) == 1:  # TensorBoard has no others
            return summary_v2.Discrete(values)
    return None


TRACKER: Final = TensorboardLogger
