"""Trials as Vizier's clients see them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import Report, State, Trial
from tunesmith.service.vizier import messages, metadata
from tunesmith.service.vizier.names import client_of, invalid
from tunesmith.service.vizier.space import Parameters
from tunesmith.service.vizier.spec import ELAPSED, metric_id, metric_name, seconds

#: The tags in which a trial keeps what is Vizier's: that it is to stop, that it was deleted, measurements that came before it
#: began, and its final one but for the numbers.
STOPPING: Final = "vizier.stopping"
DELETED: Final = "vizier.deleted"
BEFORE: Final = "vizier.before"
FINAL: Final = "vizier.final"
#: Of a measurement: the last step, and the most metrics.
_STEPS: Final = 2**53
_METRICS: Final = 500


class Measured(NamedTuple):
    """A measurement: what is missing is 0, as in the message."""

    step: int
    elapsed_s: float
    metrics: Mapping[str, float]

    @classmethod
    def of(cls, message: Any) -> Measured:
        """Raises Problem."""
        if not 0 <= message.step_count <= _STEPS:
            raise invalid(f"step_count is from 0 to 2^53, not {message.step_count}")
        metrics: dict[str, float] = {}
        if len(message.metrics) > _METRICS:
            raise invalid(
                f"a measurement has {_METRICS} metrics at most, not {len(message.metrics)}"
            )
        for one in message.metrics:
            name = metric_name(one.metric_id)
            if name in metrics:
                raise invalid(f"metric {one.metric_id!r} is there twice in one measurement")
            metrics[name] = one.value
        return cls(message.step_count, seconds(message.elapsed_duration), metrics)

    @classmethod
    def reported(cls, report: Report) -> Measured:
        metrics = {name: value for name, value in report.metrics.items() if name != ELAPSED}
        return cls(report.step, report.metrics.get(ELAPSED, 0.0), metrics)

    def report(self, last_step: int | None) -> tuple[int, dict[str, float | None]]:
        """Its step (one that has none takes the next) and metrics, as they are stored."""
        step = self.step if self.step or last_step is None else last_step + 1
        kept = {
            name: value if math.isfinite(value) else None for name, value in self.metrics.items()
        }
        return step, kept | ({ELAPSED: self.elapsed_s} if self.elapsed_s else {})

    def fill(self, message: Any) -> None:
        if self.step > 0:
            message.step_count = self.step
        message.elapsed_duration.FromNanoseconds(round(self.elapsed_s * 1e9))
        for name, value in self.metrics.items():
            message.metrics.add(metric_id=metric_id(name), value=value)


def texts(many: Iterable[Measured]) -> str:
    """Measurements as a text. Raises Problem."""
    return _short(json.dumps([[m.step, m.elapsed_s, dict(m.metrics)] for m in many]))


def read(text: str) -> list[Measured]:
    return [Measured(*one) for one in json.loads(text)]


def final_text(final: Measured, client: str) -> str:
    """What is kept of a final measurement beside its numbers: its step, its time, whose metrics it has, and who told it.
    Raises Problem."""
    return _short(json.dumps([final.step, final.elapsed_s, list(final.metrics), client]))


def _short(text: str) -> str:
    """A tag's text, which is cut where it is too long."""
    if len(text) > metadata.VALUE:
        raise invalid(
            "these measurements are too many, or their metrics' names too long, to be kept"
        )
    return text


def is_there(ledger: Ledger, number: int) -> bool:
    return 0 <= number < ledger.size and DELETED not in ledger.tags(number)


def message_of(ledger: Ledger, parameters: Parameters, study: str, number: int) -> Any:
    """A trial's message; `study` is its resource's name."""
    trial, made = ledger.trial(number), messages.of("Trial")()
    made.id = str(number + 1)
    made.name = f"{study}/trials/{number + 1}"
    made.state = state_of(ledger, trial)
    parameters.fill(made, trial.config)
    before = read(trial.tags[BEFORE]) if BEFORE in trial.tags else []
    for measured in (*before, *map(Measured.reported, trial.reports)):
        measured.fill(made.measurements.add())
    final = json.loads(trial.tags[FINAL]) if FINAL in trial.tags else None
    if number in ledger.running:
        made.client_id = client_of(ledger.running[number].session)
    elif final is not None:
        made.client_id = final[3]
    if trial.metrics and trial.state in (State.COMPLETED, State.STOPPED, State.FAILED):
        _final(trial, final).fill(made.final_measurement)
    if made.state == made.INFEASIBLE:
        made.infeasible_reason = _why(trial)
    if trial.started_at is not None:
        made.start_time.FromNanoseconds(round(trial.started_at * 1e9))
    if trial.ended_at is not None:
        made.end_time.FromNanoseconds(round(trial.ended_at * 1e9))
    metadata.fill(made, metadata.of_tags(trial.tags))
    return made


def state_of(ledger: Ledger, trial: Trial) -> int:
    """The state of a trial, in Vizier's words."""
    kinds = messages.of("Trial")
    if trial.state is State.RUNNING:
        stops = STOPPING in trial.tags or trial.number in ledger.stop_reasons
        return int(kinds.STOPPING if stops else kinds.ACTIVE)
    if trial.state in (State.WAITING, State.PAUSED):
        return int(kinds.REQUESTED)
    has = trial.state in (State.COMPLETED, State.STOPPED) and trial.values is not None
    return int(kinds.SUCCEEDED if has else kinds.INFEASIBLE)


def _final(trial: Trial, kept: Any) -> Measured:
    metrics = {name: value for name, value in trial.metrics.items() if name != ELAPSED}
    if kept is not None:  # corrected numbers included
        step, elapsed_s, names, _ = kept
        return Measured(step, elapsed_s, {n: metrics[n] for n in names if n in metrics})
    last = trial.reports[-1] if trial.reports else None
    if last is None:
        return Measured(0, 0.0, metrics)
    return Measured(last.step, last.metrics.get(ELAPSED, 0.0), metrics)


def _why(trial: Trial) -> str:
    if trial.state is State.CANCELLED:
        return "cancelled"
    return "" if trial.reason is None else trial.reason.message
