"""Warm start: reads earlier studies, as users name them, into what a new study learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.constraint import values_of
from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.errors import StudyError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import State, Trial
from tunesmith.store import Store, file_of, open_store
from tunesmith.tuning.result import Result

if TYPE_CHECKING:
    from tunesmith.tuning.study import Study

#: A study or its result; a study's name in the same storage; ``{"storage": file, "study": name}``.
Earlier: TypeAlias = "Study | Result | str | Mapping[str, Any]"


def pasts(
    earlier: Earlier | Sequence[Earlier], store: Store, spec: StudySpec
) -> tuple[PriorStudy, ...]:
    """What `earlier` studies found, for study `spec` in `store`. Raises StudyError, StudyNotFound, StoreError."""
    several: Sequence[Any] = (
        [earlier]
        if isinstance(earlier, (str, Mapping, Result)) or hasattr(earlier, "result")
        else earlier
    )
    return tuple(_past_of(_result(one, store, spec.name), spec) for one in several)


def _past_of(earlier: Result, spec: StudySpec) -> PriorStudy:
    """What `earlier` says of the objectives of `spec`. Where either has several, what counts is the metric: an objective
    there, or what its trials reported beside. One objective alone, where nothing else is known, is taken for the first one,
    whatever its name."""
    theirs, ours = earlier.spec.objectives, spec.objectives
    losses = np.column_stack([_losses(earlier, objective) for objective in ours])
    if len(theirs) == 1 and (len(ours) == 1 or np.isnan(losses).all()):
        losses[:, 0] = _losses(earlier, theirs[0])
    elif np.isnan(losses).all() or (len(ours) == 1 and ours[0] not in theirs):
        which = f"{ours[0].goal} {ours[0].metric}, which this study is searched by"
        if len(ours) > 1:
            which = f"among those of this study ({', '.join(o.metric for o in ours)})"
        raise StudyError(
            f"warm_start: study {earlier.spec.name!r} has several objectives "
            f"({', '.join(f'{o.goal} {o.metric}' for o in theirs)}), and none of them is {which}; leave it out"
        )
    rows = np.flatnonzero(~np.isnan(losses).all(axis=1)).tolist()
    if not rows:
        return earlier.past()  # which says so
    trials = [earlier.ledger.trial(k) for k in rows]
    broken = [_breaks(spec, trial) for trial in trials]
    return PriorStudy.of(earlier.spec.name, [t.config for t in trials], losses[rows], broken)


def _breaks(spec: StudySpec, trial: Trial) -> bool:
    """Whether a trial of an earlier study breaks a constraint of this one, as far as it says."""
    values = values_of(trial.config, trial.metrics, trial.cost)
    known = (c for c in spec.constraints if c.expression.names <= values.keys())
    return any(constraint.excess(spec.space, values) > 0.0 for constraint in known)


def _losses(earlier: Result, objective: Objective) -> NDArray[np.float64]:
    """What the trials of `earlier` came to by an objective, to be minimised, NaN where they came to nothing: shape (n,)."""
    history = History(earlier.ledger)
    out = np.full(len(history), np.nan)
    theirs = {o.metric: j for j, o in enumerate(earlier.spec.objectives)}
    place = theirs.get(objective.metric)
    if place is not None:
        out = history.losses[:, place] * earlier.spec.objectives[place].sign * objective.sign
    elif (column := earlier.ledger.metrics.get(objective.metric)) is not None:
        n = min(len(column), len(history))
        out[:n] = objective.sign * column[:n]
        out[:n][column[:n] == NOT_FINITE] = np.nan
    ended = history.where(State.COMPLETED, State.STOPPED)
    return np.where(ended & np.isfinite(out), out, np.nan)


def _result(earlier: Any, store: Store, name: str) -> Result:
    if isinstance(earlier, str):
        if earlier == name:
            raise StudyError(f"warm_start: {name!r} cannot start from itself; give it another name")
        return _read(store, earlier)
    if isinstance(earlier, Mapping):
        if set(earlier) != {"storage", "study"}:
            raise StudyError(
                f"warm_start: {dict(earlier)!r} names no study; write {{storage: file, study: name}}"
            )
        path = file_of(earlier["storage"])
        if path is not None and not path.exists():
            raise StudyError(f"warm_start: there is no file {path}")
        elsewhere = open_store(earlier["storage"])
        try:
            return _read(elsewhere, earlier["study"])
        finally:
            elsewhere.close()
    if isinstance(earlier, Result):
        return earlier
    if hasattr(earlier, "result"):
        result: Result = earlier.result()
        return result
    raise StudyError(
        f"warm_start takes studies, results or names of studies in the same storage, not {earlier!r}"
    )


def _read(store: Store, name: str) -> Result:
    return Result(Ledger(store.load(name)).extend(store.changes(name)))
