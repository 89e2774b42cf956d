"""Many trials at once in a database of Optuna's: its own tables and encodings, and one transaction instead of one for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial

#: What is known of the tables, as they are since Optuna 3.
_COLUMNS: Final = {
    "TrialModel": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
    "TrialValueModel": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "TrialParamModel": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "TrialIntermediateValueModel": {
        "trial_intermediate_value_id", "trial_id", "step", "intermediate_value", "intermediate_value_type",
    },
    "TrialUserAttributeModel": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "TrialSystemAttributeModel": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
}  # fmt: skip


def add_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """As ``study.add_trials``, to a study that has none: all of them or nothing, where a database keeps it."""
    storage = getattr(study._storage, "_backend", None)  # noqa: SLF001
    if not isinstance(storage, optuna.storages.RDBStorage) or not _is_known():
        study.add_trials(trials)
        return
    from optuna.storages._rdb.models import TrialModel
    from optuna.storages._rdb.storage import _create_scoped_session

    within = study._study_id  # noqa: SLF001
    with _create_scoped_session(storage.scoped_session) as session:
        table = TrialModel.__table__
        if trials:
            session.execute(table.insert(), [_trial(within, n, t) for n, t in enumerate(trials)])
        found = session.execute(
            table.select().where(table.c.study_id == within).order_by(table.c.number)
        )
        rows: dict[Any, list[dict[str, Any]]] = {}
        for row, trial in zip(found, trials, strict=True):
            for model, row_of in _parts(row.trial_id, trial):
                rows.setdefault(model, []).append(row_of)
        for model, several in rows.items():
            session.execute(model.__table__.insert(), several)


def _is_known() -> bool:
    from optuna.storages._rdb import models

    tables = {name: getattr(models, name, None) for name in _COLUMNS}
    return all(
        model is not None and set(model.__table__.columns.keys()) == _COLUMNS[name]
        for name, model in tables.items()
    )


def _trial(study: int, number: int, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "study_id": study,
        "number": number,
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _parts(trial_id: int, trial: FrozenTrial) -> Sequence[tuple[Any, dict[str, Any]]]:
    """The rows that a trial has in other tables."""
    from optuna.storages._rdb import models

    made: list[tuple[Any, dict[str, Any]]] = []
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        row = {"objective": objective, "value": stored, "value_type": kind}
        made.append((models.TrialValueModel, row))
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        row = {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }
        made.append((models.TrialParamModel, row))
    for step, value in trial.intermediate_values.items():
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        row = {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}
        made.append((models.TrialIntermediateValueModel, row))
    for model, attrs in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        made += [(model, {"key": k, "value_json": json.dumps(v)}) for k, v in attrs.items()]
    return [(model, {"trial_id": trial_id, **row}) for model, row in made]
