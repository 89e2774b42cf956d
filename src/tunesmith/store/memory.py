"""Studies in this process's memory: for tests, and for tuning that need not outlive it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
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
    #: No other one of this process has it.
    number: int = field(default_factory=itertools.count().__next__)
    events: list[Event] = field(default_factory=list)
    lease: Lease | None = None
    beats: dict[str, float] = field(default_factory=dict)
    asking: threading.RLock = field(default_factory=threading.RLock)


class _Transaction:
    """What `MemoryStore.writing` returns; as a generator it would take most of a transaction's time."""

    __slots__ = ("_before", "_history", "_name", "_store")

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store = store
        self._name = name

    def __enter__(self) -> None:
        lock = self._store._lock  # noqa: SLF001
        lock.acquire()
        try:
            self._history = self._store._study(self._name).events  # noqa: SLF001
        except BaseException:
            lock.release()
            raise
        self._before = len(self._history)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            del self._history[self._before :]
        self._store._lock.release()  # noqa: SLF001


class MemoryStore:
    """A `Store` that ends with its process; "durable" means as long as that. `clock` is for its leases."""

    shared = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._studies: dict[str, _Study] = {}
        self._clock = clock
        self._lock = threading.RLock()

    def _study(self, name: str) -> _Study:
        try:
            return self._studies[name]
        except KeyError:
            hint = did_you_mean(name, list(self._studies))
            raise StudyNotFound(f"there is no study {name!r} in memory{hint}") from None

    def create(self, spec: StudySpec, at: float) -> None:
        with self._lock:
            if spec.name in self._studies:
                raise StudyExists(
                    f"a study {spec.name!r} is there already; open it with Study.open, or choose another name"
                )
            self._studies[spec.name] = _Study(spec, at)

    def identity(self, name: str, *, anew: bool = False) -> int:
        """What tells the study from an earlier or later one of its name. Raises StudyNotFound."""
        return self._study(name).number

    def load(self, name: str) -> StudySpec:
        return self._study(name).spec

    def made_at(self, name: str) -> float:
        return self._study(name).created_at

    def names(self) -> list[str]:
        return list(self._studies)

    def delete(self, name: str) -> None:
        with self._lock:
            self._study(name)
            del self._studies[name]

    def append(self, name: str, events: Sequence[Event], expect: int) -> int:
        with self._lock:
            history = self._study(name).events
            if len(history) != expect:
                raise Conflict(f"study {name!r} is at {len(history)}, not at {expect}")
            history.extend(events)
            return len(history)

    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        with self._lock:
            new = self._study(name).events[cursor:]
        return new if trial is None else [e for e in new if getattr(e, "trial", None) == trial]

    def cursor(self, name: str) -> int:
        with self._lock:
            return len(self._study(name).events)

    def wait(self, name: str, cursor: int, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while self.cursor(name) <= cursor:
            if time.monotonic() >= until:
                return False
            time.sleep(min(timeout_s, 0.02))
        return True

    def summary(self, name: str) -> Summary:
        study = self._study(name)
        return summarize(study.spec, self.changes(name), study.created_at)

    def writing(self, name: str) -> AbstractContextManager[None]:
        return _Transaction(self, name)

    def asking(self, name: str) -> AbstractContextManager[object]:
        return self._study(name).asking

    def lease(
        self, name: str, holder: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease:
        with self._lock:
            study, now = self._study(name), self._clock()
            held = study.lease
            if held is None or held.holder in (holder, instead_of) or held.until < now:
                held = study.lease = Lease(holder, now + ttl_s)
            return held

    def release(self, name: str, holder: str) -> None:
        with self._lock:
            study = self._study(name)
            if study.lease is not None and study.lease.holder == holder:
                study.lease = None

    def beat(self, name: str, session: str) -> None:
        with self._lock:
            self._study(name).beats[session] = self._clock()

    def silent_s(self, name: str) -> dict[str, float]:
        with self._lock:
            now = self._clock()
            beats = self._study(name).beats
            return {session: max(0.0, now - at) for session, at in beats.items()}

    def verify(self, name: str) -> str | None:
        self._study(name)
        return None

    def close(self) -> None:
        """Nothing to let go of."""
