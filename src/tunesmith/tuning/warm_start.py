"""Warm start: reads earlier studies, as users name them, into what a new study learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.prior_study import PriorStudy
from tunesmith.core.study import StudySpec
from tunesmith.store import Store, location_of, open_store
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
    """What `earlier` says of the first objective of `spec`: where it has several itself, by the one that is the same."""
    theirs, wanted = earlier.spec.objectives, spec.first_objective
    if len(theirs) == 1:
        return earlier.past()
    if wanted not in theirs:
        raise StudyError(
            f"warm_start: study {earlier.spec.name!r} has several objectives "
            f"({', '.join(f'{o.goal} {o.metric}' for o in theirs)}), and none of them is {wanted.goal} {wanted.metric}, "
            "which this study is searched by; leave it out"
        )
    return earlier.past(wanted.metric)


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
        path = location_of(earlier["storage"])
        if isinstance(path, Path) and not path.exists():
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
