"""Optuna's trials as events of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tunesmith.core import decide, events
from tunesmith.core.events import Event, Exited
from tunesmith.core.ledger import Ledger
from tunesmith.core.outcome import finite
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import StudySpec
from tunesmith.core.text import as_tag
from tunesmith.core.trial import USER, Cost, Kind, Origin, Reason, State
from tunesmith.integrations.distributions import free_name
from tunesmith.tuning.spec import make_spec

SESSION: Final = "optuna"


def metrics_of(study: Study) -> list[str]:
    """The metrics of its objectives: their names, if it has some."""
    named = study.metric_names
    if named:
        return list(named)
    n = len(study.directions)
    return ["value"] if n == 1 else [f"value_{k}" for k in range(n)]


def name_of(study: Study) -> str:
    """Its name, as far as a study here may be called so."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", study.study_name).strip("_.-")
    return name[:100] or "study"


def constraint_metrics(
    names: Sequence[str], space: Space, metrics: Sequence[str]
) -> dict[str, str]:
    """The metric of each constraint: at most 0 is what Optuna allows."""
    taken = {*space, *metrics}
    made: dict[str, str] = {}
    for name in names:
        made[name] = free_name(name if name[:1].isalpha() else f"constraint_{name}", taken)
        taken.add(made[name])
    return made


def spec_of(
    study: Study,
    space: Space,
    constraints: Mapping[str, str],
    *,
    searcher: Any,
    seed: int | None,
    duplicates: bool,
) -> StudySpec:
    """One of Optuna's studies, as a study of ours."""
    return make_spec(
        space,
        name=name_of(study),
        metric=metrics_of(study),
        goal=["maximize" if d is StudyDirection.MAXIMIZE else "minimize" for d in study.directions],
        constraints=[f"{metric} <= 0" for metric in constraints.values()],
        searcher=searcher,
        seed=seed,
        duplicates=duplicates,
        limits={},
    )


class Recorder:
    """Writes trials into a ledger; each call returns the events that it has applied."""

    def __init__(self, ledger: Ledger, constraints: Mapping[str, str], at: float = 0.0) -> None:
        self.ledger = ledger
        self._constraints = constraints
        #: The number here, and the config, of trials that run; by Optuna's number.
        self._running: dict[int, tuple[int, Config]] = {}
        self.begun = self._apply(events.Opened(at, SESSION, "", 0, 0.0, coordinator=False))

    def running(self, trial: FrozenTrial, config: Config | None) -> list[Event]:
        """A trial that runs, with what it is going to ask for, as far as that is known by now."""
        if config is None or self._running.get(trial.number, (0, None))[1] == config:
            return []
        return self._other(trial, config) + self._begin(trial, config)

    def record(self, trial: FrozenTrial, config: Config | None) -> list[Event]:
        """A trial that has ended; one that asked for something else than was thought is another one."""
        if config is None:
            return []
        made = self._other(trial, config)
        if trial.number not in self._running:
            made += self._begin(trial, config)
        number, _ = self._running.pop(trial.number)
        metrics = [o.metric for o in self.ledger.spec.objectives]
        for step, value in trial.intermediate_values.items():
            made += self._apply(
                events.Reported(_ended(trial), number, 0, step, finite({metrics[0]: value}))
            )
        exited = Exited(
            _ended(trial), number, 0, self._returned(trial, metrics), _reason(trial), _cost(trial)
        )
        return made + self._apply(decide.ending(self.ledger, exited))

    def waiting(self, trial: FrozenTrial, config: Config) -> list[Event]:
        """A config that waits to be run."""
        return self._apply(_enqueued(trial, self.ledger.size, config))

    def cancelled(self, trial: FrozenTrial, config: Config) -> list[Event]:
        """A trial of which nobody here knows how it will end."""
        made = self.waiting(trial, config)
        end = events.Finished(_begun(trial), self.ledger.size - 1, 0, State.CANCELLED)
        return made + self._apply(end)

    def ended(self, at: float) -> Event:
        """Nobody writes any more."""
        return self._apply(events.Closed(at, SESSION))[0]

    def _other(self, trial: FrozenTrial, config: Config) -> list[Event]:
        """The end of what a trial that asks for `config` was thought to be, if that is another one."""
        begun = self._running.get(trial.number)
        if begun is None or begun[1] == config:
            return []
        del self._running[trial.number]
        at = _ended(trial) if trial.state.is_finished() else _begun(trial)
        return self._apply(events.Finished(at, begun[0], 0, State.CANCELLED))

    def _begin(self, trial: FrozenTrial, config: Config) -> list[Event]:
        number = self.ledger.size
        made = self._apply(_enqueued(trial, number, config))
        self._running[trial.number] = (number, config)
        return made + self._apply(events.Started(_begun(trial), number, 0, SESSION))

    def _returned(self, trial: FrozenTrial, metrics: Sequence[str]) -> dict[str, float] | None:
        if trial.state is not TrialState.COMPLETE:
            return None
        limits = {
            self._constraints[n]: v for n, v in trial.constraints.items() if n in self._constraints
        }
        return dict(zip(metrics, trial.values, strict=True)) | limits

    def _apply(self, event: Event) -> list[Event]:
        self.ledger.apply(event)
        return [event]


def _enqueued(trial: FrozenTrial, number: int, config: Config) -> events.Enqueued:
    tags = {name: as_tag(value) for name, value in trial.user_attrs.items()}
    why = f"trial {trial.number} in Optuna"
    return events.Enqueued(_begun(trial), number, config, Origin(USER, why), tags)


def _reason(trial: FrozenTrial) -> Reason | None:
    if trial.state is TrialState.PRUNED:
        return Reason(Kind.STOPPED, "pruned")
    if trial.state is TrialState.FAIL:
        return Reason(Kind.ERROR, str(trial.system_attrs.get("fail_reason", "failed in Optuna")))
    return None


def _cost(trial: FrozenTrial) -> Cost:
    return Cost(wall_s=max(0.0, _ended(trial) - _begun(trial)))


def _begun(trial: FrozenTrial) -> float:
    return _seconds(trial.datetime_start or trial.datetime_complete)


def _ended(trial: FrozenTrial) -> float:
    return _seconds(trial.datetime_complete or trial.datetime_start)


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
