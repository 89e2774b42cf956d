"""Warm start: reads earlier studies, as users name them, into what a new study learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.prior_study import PriorStudy
from tunesmith.store import Store, open_store
from tunesmith.tuning.result import Result

if TYPE_CHECKING:
    from tunesmith.tuning.study import Study

#: A study or its result; a study's name in the same storage; ``{"storage": file, "study": name}``.
Earlier: TypeAlias = "Study | Result | str | Mapping[str, Any]"


def pasts(earlier: Earlier | Sequence[Earlier], store: Store, name: str) -> tuple[PriorStudy, ...]:
    """What `earlier` studies found, for study `name` in `store`. Raises StudyError, StudyNotFound, StoreError."""
    several: Sequence[Any] = (
        [earlier]
        if isinstance(earlier, (str, Mapping, Result)) or hasattr(earlier, "result")
        else earlier
    )
    return tuple(_past(one, store, name) for one in several)


def _past(earlier: Any, store: Store, name: str) -> PriorStudy:
    if isinstance(earlier, str):
        if earlier == name:
            raise StudyError(f"warm_start: {name!r} cannot start from itself; give it another name")
        return _read(store, earlier)
    if isinstance(earlier, Mapping):
        if set(earlier) != {"storage", "study"}:
            raise StudyError(
                f"warm_start: {dict(earlier)!r} names no study; write {{storage: file, study: name}}"
            )
        if not Path(earlier["storage"]).exists():
            raise StudyError(f"warm_start: there is no file {earlier['storage']}")
        elsewhere = open_store(earlier["storage"])
        try:
            return _read(elsewhere, earlier["study"])
        finally:
            elsewhere.close()
    if isinstance(earlier, Result):
        return earlier.past()
    if hasattr(earlier, "result"):
        past: PriorStudy = earlier.result().past()
        return past
    raise StudyError(
        f"warm_start takes studies, results or names of studies in the same storage, not {earlier!r}"
    )


def _read(store: Store, name: str) -> PriorStudy:
    return Result(Ledger(store.load(name)).extend(store.changes(name))).past()
