"""Studies in this process's memory: for tests, and for tuning that need not outlive it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tunesmith.core.errors import Conflict, StudyExists, StudyNotFound, did_you_mean
from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.store.base import Lease, Summary
from tunesmith.store.fold import summarize


@dataclass(slots=True)
class _Study:
    spec: StudySpec
    created_at: float
    events: list[Event] = field(default_factory=list)
    lease: Lease | None = None


class MemoryStore:
    """A `Store` that ends with its process; "durable" means as long as that."""

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}

    def _study(self, name: str) -> _Study:
        try:
            return self._studies[name]
        except KeyError:
            hint = did_you_mean(name, self._studies)
            raise StudyNotFound(f"there is no study {name!r} in memory{hint}") from None

    def create(self, spec: StudySpec, at: float) -> None:
        if spec.name in self._studies:
            raise StudyExists(f"a study {spec.name!r} is there already; open it, or choose a name")
        self._studies[spec.name] = _Study(spec, at)

    def load(self, name: str) -> StudySpec:
        return self._study(name).spec

    def names(self) -> list[str]:
        return list(self._studies)

    def delete(self, name: str) -> None:
        self._study(name)
        del self._studies[name]

    def append(self, name: str, events: Sequence[Event], expect: int) -> int:
        kept = self._study(name).events
        if len(kept) != expect:
            raise Conflict(f"study {name!r} is at {len(kept)}, not at {expect}")
        kept.extend(events)
        return len(kept)

    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        new = self._study(name).events[cursor:]
        return new if trial is None else [e for e in new if getattr(e, "trial", None) == trial]

    def cursor(self, name: str) -> int:
        return len(self._study(name).events)

    def summary(self, name: str) -> Summary:
        study = self._study(name)
        return summarize(study.spec, study.events, study.created_at)

    def lease(
        self, name: str, holder: str, until: float, now: float, *, instead_of: str | None = None
    ) -> Lease:
        study = self._study(name)
        held = study.lease
        if held is None or held.holder in (holder, instead_of) or held.until < now:
            study.lease = Lease(holder, until)
        assert study.lease is not None
        return study.lease

    def release(self, name: str, holder: str) -> None:
        study = self._study(name)
        if study.lease is not None and study.lease.holder == holder:
            study.lease = None

    def verify(self, name: str) -> str | None:
        self._study(name)
        return None

    def close(self) -> None:
        """Nothing to let go of."""
