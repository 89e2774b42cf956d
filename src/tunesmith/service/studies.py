"""The studies of a service: each opened once, its history kept, used by worker threads and never on the event loop."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final, ParamSpec, TypeVar

from tunesmith.core.decide import ON_REQUEST
from tunesmith.core.errors import StudyNotFound, StudyOver
from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Trial
from tunesmith.service.admission import check
from tunesmith.store import Location, Store
from tunesmith.store.base import Identified, Remembering
from tunesmith.tuning.session import Session
from tunesmith.tuning.study import Study

P = ParamSpec("P")
T = TypeVar("T")

#: Threads for what takes no thinking (they mostly wait for one another in the store); histories that are kept, and of how
#: many trials together (some 3 KB each).
_QUICK: Final = 16
_KEPT: Final = 100
TRIALS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Origin:
    """A study as it was created; `id` tells it from a later one of its name."""

    spec: StudySpec
    created_at: float
    id: str


class Studies:
    """A store's studies by name. Its methods block, but for `quick` and `think`, which call others in threads."""

    def __init__(
        self,
        store: Store,
        storage: Location | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.storage = storage
        #: Seconds since the epoch.
        self.clock = clock
        self._lock = threading.Lock()
        #: By name, and whether for a model that thinks.
        self._opened: OrderedDict[tuple[str, bool], Study] = OrderedDict()
        #: Each with what the store tells the study by.
        self._origins: dict[str, tuple[object, Origin]] = {}
        self._quick = ThreadPoolExecutor(_QUICK, "quick")
        self._thinking = ThreadPoolExecutor(max(4, os.cpu_count() or 1), "thinking")
        #: Whether the service has been told to end: streams look at it.
        self.ending = False

    def study(self, name: str, *, thinking: bool = False) -> Study:
        """The study of this name, its history as far as it has been read; `thinking`, with a history of its own, which a
        model that is asked may keep to itself meanwhile. Raises StudyNotFound."""
        key = (name, thinking)
        with self._lock:
            study = self._opened.get(key)
            if study is not None and self._knows(name, study._journal.identity):  # noqa: SLF001
                self._opened.move_to_end(key)
                return study
            self._opened.pop(key, None)
        study = Study(self.store, name, self.storage, clock=self.clock)
        with self._lock:
            study = self._opened.setdefault(key, study)
            while len(self._opened) > 1 and (len(self._opened) > _KEPT or self._trials > TRIALS):
                self._opened.popitem(last=False)
        return study

    @property
    def _trials(self) -> int:
        journals = [study._journal for study in self._opened.values()]  # noqa: SLF001
        return sum(journal.ledger.size for journal in journals if journal.loaded)

    def forget(self, name: str) -> None:
        """Read the study anew the next time: it was deleted, or cannot be believed."""
        with self._lock:
            for thinking in (False, True):
                self._opened.pop((name, thinking), None)
            self._origins.pop(name, None)

    def known_origin(self, name: str) -> Origin | None:
        """See `origin`; None where that has to be read."""
        identity, origin = self._origins.get(name, (None, None))
        return origin if self._knows(name, identity) else None

    def _knows(self, name: str, identity: object) -> bool:
        """Whether the study that has this name is still the same one, as far as the store has seen: another service may
        have made it anew. Asks nobody."""
        store = self.store
        return not isinstance(store, Remembering) or store.known_identity(name) == identity

    def origin(self, name: str) -> Origin:
        """The study as it was created. Raises StudyNotFound."""
        origin = self.known_origin(name)
        if origin is None:
            store = self.store
            identity = store.identity(name, anew=True) if isinstance(store, Identified) else None
            spec, created_at = store.load(name), store.made_at(name)
            text = f"{created_at!r} {json.dumps(spec.to_dict())}"
            digest = blake2b(text.encode(), digest_size=8).hexdigest()
            origin = Origin(spec, created_at, digest)
            self._origins[name] = (identity, origin)
        return origin

    def append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        """Append what somebody else has decided, if it is legal; the new cursor. Raises as `Journal.admit`."""
        return self.on(name, lambda study: study._journal.admit(batch, expect, check))  # noqa: SLF001

    def ask_at_once(self, study: Study, session: Session) -> Trial | None:
        """The trial that a session has asked for and not told yet, or the next one if the searcher answers without
        thinking; else None. Raises as `Study.ask`."""
        with study._journal.lock:  # noqa: SLF001
            if (mine := _running(study, session)) is not None:
                return mine
            return self.next_of(study, session) if self.instant(study) else None

    def instant(self, study: Study) -> bool:
        return study._strategies.instant(study._ledger)  # noqa: SLF001

    def ask(self, name: str, session: Session) -> tuple[Trial, int]:
        """The trial that a session has asked for and not told yet (it may have asked twice), or the next one; and the
        study's cursor then. Nobody else waits meanwhile but who asks, too. Raises as `Study.ask`."""

        def ask(study: Study) -> tuple[Trial, int]:
            study._journal.refresh()  # noqa: SLF001 (what was told is known to another history)
            trial = _running(study, session) or self.next_of(study, session)
            return trial, study._journal.ledger.cursor  # noqa: SLF001

        return self.on(name, ask, thinking=True)

    def next_of(self, lead: Study, session: Session) -> Trial:
        """The next trial for a session, whatever it runs already. Raises as `Study.ask`."""
        study = lead.by(session)
        _refuse_stopped(study, session)
        try:
            return study.ask()
        finally:
            lead._made, lead._looked_at = study._made, study._looked_at  # noqa: SLF001

    def delete(self, name: str) -> None:
        """Remove a study. Raises StudyNotFound."""
        self.forget(name)
        self.store.delete(name)

    def on(self, name: str, call: Callable[[Study], T], *, thinking: bool = False) -> T:
        """What `call` makes of a study (see `study`); one that was deleted and made anew is opened again the next time."""
        try:
            return call(self.study(name, thinking=thinking))
        except StudyNotFound:
            self.forget(name)
            raise

    def look(self, name: str, look: Callable[[Study], T]) -> T:
        """As `on`, for what changes nothing: it may be of a study that was made anew meanwhile."""
        try:
            return self.on(name, look)
        except StudyNotFound:
            return self.on(name, look)

    async def quick(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call what takes some milliseconds at most, in a thread."""
        bound = partial(call, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._quick, bound)

    async def think(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call what may take its time (a model's fit, a figure, a long history), in one of few threads."""
        bound = partial(call, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._thinking, bound)

    @property
    def opened(self) -> int:
        """How many histories are kept."""
        return len(self._opened)

    def end(self) -> None:
        """Let streams and whoever waits come to their end."""
        self.ending = True

    def close(self) -> None:
        """Wait for what runs, and let go of the store."""
        self._quick.shutdown(cancel_futures=True)
        self._thinking.shutdown(cancel_futures=True)
        self.store.close()


def _refuse_stopped(study: Study, session: Session) -> None:
    """Raise StudyOver for a worker that comes after the study was stopped: its session would let it go on, and a worker
    that is started again by itself would undo what a person has done."""
    with study._journal.lock:  # noqa: SLF001
        ledger = study._ledger  # noqa: SLF001
        ended, asked = ledger.ended, ledger.stop_requested
        stopped = ended.detail == ON_REQUEST.detail if ended is not None else asked is not None
        if stopped and (ended is not None or session.id not in ledger.sessions):
            raise StudyOver(
                f"study {study.name!r} was stopped on request; it goes on once it is resumed"
            )


def _running(study: Study, session: Session) -> Trial | None:
    """The first of the trials that a session has asked for and not told yet."""
    with study._journal.lock:  # noqa: SLF001
        ledger = study._ledger  # noqa: SLF001
        mine = [n for n, running in ledger.running.items() if running.session == session.id]
        return ledger.trial(min(mine)) if mine else None
