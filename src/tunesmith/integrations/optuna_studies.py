"""Studies carried over to Optuna and back, through Optuna's own interface."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.errors import StudyError, StudyExists, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, Parameter
from tunesmith.core.space.space import Config
from tunesmith.core.text import from_tag
from tunesmith.core.trial import State, Trial
from tunesmith.integrations.asked import Asked, learn, switches, widened
from tunesmith.integrations.distributions import Read, read_optuna
from tunesmith.integrations.optuna_rows import add_trials
from tunesmith.integrations.optuna_trials import (
    Recorder,
    constraint_metrics,
    metrics_of,
    spec_of,
)
from tunesmith.store import Location, Store, location_of, open_store
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import Study

_STATES = {
    State.COMPLETED: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    State.CANCELLED: TrialState.FAIL,
}
#: User attributes in which a trial's other metrics are kept.
METRIC = "metric."


def storage_of(url: str | Path) -> Any:
    """One of Optuna's storages: a URL of a database, a SQLite file, or a journal (``.log``, ``.journal``)."""
    text = str(url)
    if text.endswith((".log", ".journal")) and "://" not in text:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(text))
    return text if "://" in text else f"sqlite:///{text}"


# -- to Optuna --------------------------------------------------------------------------------


def export_study(study: Study | Result, url: str | Path) -> optuna.Study:
    """Copy a study into one of Optuna's storages: a URL, a SQLite file, or a journal file (``.log``).

    Values, states, reports of the first objective, constraints and tags (as user attributes) come along; other metrics are user attributes called
    ``metric.NAME``. Left out are trials that are retracted, or run at this moment. Raises StudyExists.
    """
    ledger = (study.result() if isinstance(study, Study) else study).ledger
    spec = ledger.spec
    trials = list(_exported(ledger))  # before anything is written
    try:
        made = optuna.create_study(
            storage=storage_of(url),
            study_name=spec.name,
            directions=[o.goal for o in spec.objectives],
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise StudyExists(
            f"{url} has a study {spec.name!r} already; name another storage, or delete it there (optuna delete-study)"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made.set_metric_names([o.metric for o in spec.objectives])
        add_trials(made, trials)
    except BaseException:
        optuna.delete_study(study_name=spec.name, storage=made._storage)  # noqa: SLF001 (nothing half-written stays)
        raise
    return made


def _exported(ledger: Ledger) -> Iterator[FrozenTrial]:
    distributions = {n: distribution_of(p) for n, p in ledger.spec.space.parameters.items()}
    for number in range(ledger.size):
        trial = ledger.trial(number)
        if trial.retracted or trial.state in (State.RUNNING, State.PAUSED):
            continue
        inside = bool(ledger.spec.space.contains(trial.config))
        if inside:
            yield _exported_trial(ledger, trial, distributions)


def _exported_trial(
    ledger: Ledger, trial: Trial, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    spec, metrics = ledger.spec, dict(trial.metrics)
    objectives = [o.metric for o in spec.objectives]
    named = {name: distributions[name] for name in trial.config}
    params = {
        name: d.choices[index] if isinstance(d, CategoricalDistribution) and (index := _place(spec.space[name], value)) is not None else value
        for name, value in trial.config.items()
        for d in [named[name]]
    }  # fmt: skip
    attrs: dict[str, Any] = {name: from_tag(text) for name, text in trial.tags.items()}
    attrs |= {METRIC + n: v for n, v in metrics.items() if n not in objectives}
    first = objectives[0]
    curve = {r.step: r.metrics[first] for r in ledger.curves.of(trial.number) if first in r.metrics}
    curve = {step: math.nan if value == NOT_FINITE else value for step, value in curve.items()}
    constraints = (
        {c.text: c.excess(spec.space, {**metrics, **trial.config}) for c in spec.constraints}
        if trial.state is State.COMPLETED
        else None
    )
    if trial.state is State.WAITING:
        return optuna.trial.create_trial(
            state=TrialState.WAITING, system_attrs={"fixed_params": params}, user_attrs=attrs
        )
    values = [metrics[name] for name in objectives] if trial.state is State.COMPLETED else None
    if trial.state is State.STOPPED and len(objectives) == 1 and curve:  # as Optuna has it
        values = [curve[max(curve)]]
    frozen = optuna.trial.create_trial(
        state=_STATES[trial.state],
        values=values,
        params=params,
        distributions=named,
        user_attrs=attrs,
        intermediate_values=curve,
        system_attrs={} if trial.reason is None else {"fail_reason": str(trial.reason)},
        constraints=constraints,
    )
    begun = ledger.started_at(trial.number)
    if math.isfinite(begun) and begun > 0.0:
        frozen.datetime_start = _moment(begun)
        frozen.datetime_complete = _moment(begun + max(0.0, trial.cost.wall_s or 0.0))
    return frozen


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at)  # noqa: DTZ006 (Optuna's are local and know no zone)


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """The distribution that is a parameter's range. A reverse log scale and priors are not Optuna's: they are left out."""
    if isinstance(parameter, Float):
        log = parameter.log is True
        return FloatDistribution(
            parameter.low, parameter.high, log=log, step=None if log else parameter.step
        )
    if isinstance(parameter, Int):
        step = 1 if parameter.log else parameter.step
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=step)
    values = [parameter.constant] if isinstance(parameter, Fixed) else list(parameter.values)
    plain = (str, int, float, bool, type(None))
    return CategoricalDistribution([v if isinstance(v, plain) else str(v) for v in values])


def _place(parameter: Parameter, value: Any) -> int | None:
    return int(parameter.number(value)) if isinstance(parameter, Choice) else 0


# -- from Optuna ------------------------------------------------------------------------------


def import_study(
    url: str | Path, name: str | None = None, storage: str | Location | Store | None = None
) -> Study:
    """Copy one of Optuna's studies (without a name, the only one there) into a storage of ours.

    Its space is learned from what its trials asked for; when a parameter was asked for is a condition, or a choice of its own where no
    rule was found. Values, states, intermediate values, constraints, and user attributes (as tags) come along; what was
    enqueued waits. Trials that run at this moment are cancelled here. Raises StudyError, StudyExists.
    """
    theirs = _open(url, name)
    trials = theirs.get_trials(deepcopy=False)
    read: dict[str, Read] = {}
    for trial in trials:
        for key, distribution in trial.distributions.items():
            now = read_optuna(key, distribution)
            read[key] = widened(read[key], now) if key in read else now
    whole = [t.params for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    asked = learn(read, whole or [t.params for t in trials], keep_all=True)
    names = list(dict.fromkeys(n for t in trials for n in t.constraints))
    constraints = constraint_metrics(names, asked.space, metrics_of(theirs))
    spec = spec_of(theirs, asked.space, constraints, searcher="auto", seed=None, duplicates=True)
    recorder = Recorder(Ledger(spec), constraints, _at(trials))
    made = list(recorder.begun)
    for trial in trials:
        config = _config(asked, trial)
        if config is None:
            raise StudyError(
                f"{url}: trial {trial.number} of study {spec.name!r} has values outside its own ranges"
            )
        if trial.state is TrialState.WAITING:
            made += recorder.waiting(trial, config)
        elif trial.state is TrialState.RUNNING:
            made += recorder.cancelled(trial, config)
        else:
            made += recorder.record(trial, config)
    made.append(recorder.ended(_at(trials)))
    store = open_store(storage)
    store.create(spec, _at(trials))
    store.append(spec.name, made, 0)  # all of it, or nothing
    return Study(store, spec.name, location_of(storage))


def _config(asked: Asked, trial: FrozenTrial) -> Config | None:
    values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    return asked.config(values, switches(asked, values))


def _at(trials: Sequence[FrozenTrial]) -> float:
    moments = [t.datetime_start for t in trials if t.datetime_start is not None]
    return min(moments).timestamp() if moments else 0.0


def _open(url: str | Path, name: str | None) -> optuna.Study:
    """One of Optuna's studies. Raises StudyError; makes no file."""
    path = Path(str(url).removeprefix("sqlite:///"))
    if ("://" not in str(url) or str(url).startswith("sqlite:///")) and not path.is_file():
        raise StudyError(f"there is no file {path}")
    storage = storage_of(url)
    names = optuna.get_all_study_names(storage)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        which = (
            "say which study"
            if name is None
            else f"there is no study {name!r}{did_you_mean(name, names)}"
        )
        raise StudyError(f"{which}; {url} has {', '.join(names) or 'none'}")
    return optuna.load_study(study_name=name, storage=storage)
