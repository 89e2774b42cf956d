"""The one writer of a study: read, decide, append, and again if somebody was faster.

Two ways to write. `Journal.write` is for what takes no thinking (results, reports, notes): it is decided and
appended in one go, behind whatever others wrote. `Journal.ask` is for what a model is asked: its answer is
made while nothing is locked, by one asker at a time, and is appended behind the results that came in
meanwhile (``Origin.seen`` says which history it knew); only what it would not have been the answer to (another
suggestion, an edit) makes it think again.

Within `Journal.together` several writes are decided one after the other, and stored as one.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final, TypeAlias

from tunesmith.core import codec, events
from tunesmith.core.errors import (
    Conflict,
    StoreError,
    StoreInterrupted,
    StoreLost,
    StudyError,
    StudyNotFound,
    TunesmithError,
)
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.store.base import Identified, Store
from tunesmith.store.interrupt import held_back
from tunesmith.store.pause import pause_s, pauses
from tunesmith.store.rescue import Rescue, rescued

#: After others have written in between, it is looked for so long (s) before anything is written.
CROWDED_S: Final = 1.0

Decide: TypeAlias = Callable[[Ledger], Sequence[Event]]

#: What may come in between a suggestion and the history that it was made from. (What trials ask for changes no space: that
#: is edited when one of them has ended.)
_LEAVES_SUGGESTIONS: Final = (
    events.Reported,
    events.Asked,
    events.Finished,
    events.Requeued,
    events.Paused,
    events.Decided,
    events.Corrected,
    events.Retracted,
    events.Annotated,
    events.Closed,
)
#: What may be folded before or after the events of a coordinator, for the same ledger.
_INDEPENDENT: Final = (events.Annotated, events.StopRequested)
_CREATES: Final = (events.Suggested, events.Enqueued, events.Forked)


class Journal:
    """A study in a store, as far as this process has read it. For several threads."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        #: Held while the ledger changes; who reads it from several threads holds it too.
        self.lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._rescue = Rescue()
        self._distant: bool = getattr(store, "distant", False)
        self._crowded_until_s = 0.0
        #: What has been decided in a block of `together`, while that runs; for who has the lock.
        self._together: list[Event] | None = None
        self._identified = store if isinstance(store, Identified) else None
        #: Which study it is; None where the store cannot tell it from others of its name.
        self.identity = self._identify(anew=True)
        _journals.add(self)

    @property
    def loaded(self) -> bool:
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        """The study as it was when it was last read; read now if it never was: O(trials)."""
        ledger = self._ledger
        return self.refresh() if ledger is None else ledger

    def refresh(self) -> Ledger:
        """The study as it is: takes in what others have written."""
        with self.lock:
            if self._together is not None and self._ledger is not None:
                return (
                    self._ledger
                )  # nobody else can have written, and it has what is not stored yet
            ledger = self._ledger
            if ledger is None:
                ledger = Ledger(self.store.load(self.name))
            if news := self._news(ledger.cursor):
                self._fold(ledger, news)
            self._ledger = ledger  # only now: `ledger` is read without the lock
            return ledger

    def _news(self, cursor: int) -> Iterable[Event]:
        """What others have written, if it is still to this study: that shows as it is read."""
        news = self.store.changes(self.name, cursor)
        self.check_same()
        return news

    def check_same(self) -> None:
        """Raise StudyNotFound if another study has the name now, as far as the store has seen."""
        if self._identify() != self.identity:
            raise StudyNotFound(
                f"study {self.name!r} has been deleted meanwhile, and made anew; open it again"
            )

    def _identify(self, *, anew: bool = False) -> object:
        if self._identified is not None:
            return self._identified.identity(self.name, anew=anew)
        if anew:
            self.store.cursor(self.name)  # raises if there is no such study
        return None

    def _fold(self, ledger: Ledger, news: Iterable[Event]) -> None:
        """Take in what is stored. A Ctrl-C leaves half of an event: the study is read anew then."""
        try:
            ledger.extend(news)
        except BaseException:
            self._ledger = None
            raise

    def write(self, decide: Decide) -> Sequence[Event]:
        """Append what `decide` makes of the newest state, in one transaction: it has to be quick.

        Raises what `decide` and `Ledger.check` raise, and the store's errors; nothing is stored then.
        """
        return self._write(decide, decide)

    def _write(self, decide: Decide, known: Decide | None) -> Sequence[Event]:
        """See `write`; `known` says what is to be saved if the store is lost."""

        def newest() -> Sequence[Event]:
            ledger = self.refresh()
            decided = decide(ledger)
            for event in decided:
                ledger.check(event)
            return decided

        with self.lock:
            if self._together is not None:
                return self._added(self._together, decide)
            if self._ledger is None:
                self.refresh()  # the whole history, while nobody waits for it
            if (at_once := self._at_once(decide, known)) is not None:
                return at_once
            for tries in count():
                if tries:
                    time.sleep(pause_s(tries))
                try:
                    if (stored := self._try(newest)) is not None:
                        return stored
                except StoreLost as lost:
                    raise self._rescued(lost, known) from None
        raise AssertionError

    def _at_once(self, decide: Decide, known: Decide | None) -> Sequence[Event] | None:
        """Append what `decide` makes of the state as it was when it was last read, if nobody has written since: where
        the store is at the other end of a line, that saves asking it first. None: it has to be looked at."""
        if not self._distant or time.monotonic() < self._crowded_until_s:
            return None
        ledger = self.ledger
        self.check_same()
        try:
            decided = decide(ledger)
            for event in decided:
                ledger.check(event)
        except Exception:  # noqa: BLE001 (what it says may be of a state that is over)
            return None
        if not decided:
            return None
        with held_back():
            try:
                append_once(self.store, self.name, decided, ledger.cursor)
            except Conflict:
                self._crowded_until_s = time.monotonic() + CROWDED_S
                return None
            except StoreLost as lost:
                raise self._rescued(lost, known) from None
            self._fold(ledger, decided)
        return decided

    def ask(self, decide: Decide, *, instant: bool = False) -> Sequence[Event]:
        """Append what `decide` makes of the state as it is when it begins: it may take its time, unless it is
        `instant`: then it is decided as by `write`."""
        if instant:
            return self._write(decide, None)
        assert self._together is None  # a model is not asked within a transaction
        answer: Sequence[Event] = ()

        def rebased() -> Sequence[Event]:
            ledger = self.ledger
            if news := list(self._news(ledger.cursor)):
                self._fold(ledger, news)
                if any(map(_moves, answer)) or not all(
                    isinstance(event, _LEAVES_SUGGESTIONS) for event in news
                ):
                    raise Conflict(f"study {self.name!r} has changed")
                try:
                    for event in answer:
                        ledger.check(event)
                except TunesmithError as error:
                    raise Conflict(f"study {self.name!r} has changed") from error
            return answer

        with self.store.asking(self.name), self.lock:
            for tries in count():
                if tries:
                    time.sleep(pause_s(tries))
                try:
                    answer = decide(self.refresh())
                    if (stored := self._try(rebased)) is not None:
                        return stored
                except StoreLost as lost:
                    raise self._rescued(lost) from None
        raise AssertionError

    @contextmanager
    def together(self) -> Iterator[None]:
        """While the block runs, whatever this thread writes (`write`, and `ask` what is `instant`) is decided on the history
        with all that came before it, and taken in; it is stored at the block's end, in one transaction, as the same
        events in the same order as one by one. Until then nobody may be told of it.

        Raises what kept it from being stored: nothing is then, and the history is read anew the next time.
        """
        with self.lock:
            before = self.refresh().cursor  # a long history is read while nobody waits
            decided: list[Event] = []
            try:
                with self.store.writing(self.name):
                    ledger = self.refresh()
                    before, self._together = ledger.cursor, decided
                    try:
                        yield
                    finally:
                        self._together = None
                    if self._ledger is not ledger or ledger.cursor != before + len(decided):
                        raise Conflict(f"study {self.name!r} could not be written to")
                    if decided:
                        self.store.append(self.name, decided, before)
            except StoreLost as lost:
                lost = self._rescued(lost)
                self._ledger = None
                raise lost from None
            except BaseException as failure:
                stored = (
                    bool(decided)
                    and isinstance(failure, StoreError)
                    and landed(self.store, self.name, decided, before, failure)
                )
                if not stored:
                    if decided:
                        self._ledger = None  # it has what is not stored
                    raise

    def _added(self, together: list[Event], decide: Decide) -> Sequence[Event]:
        """See `together`."""
        ledger = self.refresh()
        decided = decide(ledger)
        for event in decided:
            ledger.check(event)
        self._fold(ledger, decided)
        together += decided
        return decided

    def admit(
        self, batch: Sequence[Event], expect: int, check: Callable[[Ledger, Event], None]
    ) -> int:
        """Append what somebody else has decided, behind the cursor `expect`; the new cursor.

        Raises Conflict; what `check` raises, which is asked about each event, and StudyError for what cannot be
        folded: nothing is stored then.
        """
        with self.lock:
            before = self.ledger.cursor
            try:
                if self._distant and time.monotonic() >= self._crowded_until_s:
                    self.check_same()
                    self._take_in(batch, expect, check)
                    append_once(self.store, self.name, batch, expect)
                else:
                    with self.store.writing(self.name):
                        before = self.refresh().cursor
                        self._take_in(batch, expect, check)
                        self.store.append(self.name, batch, expect)
            except BaseException as error:
                if isinstance(error, Conflict):
                    self._crowded_until_s = time.monotonic() + CROWDED_S
                if self._ledger is not None and (
                    self._ledger.cursor != before or not isinstance(error, TunesmithError)
                ):
                    self._ledger = None  # it has what is not stored
                if isinstance(error, TunesmithError) or not isinstance(error, Exception):
                    raise
                raise StudyError(f"an event cannot be what happened next: {error!r}") from error
            return expect + len(batch)

    def _take_in(
        self, batch: Sequence[Event], expect: int, check: Callable[[Ledger, Event], None]
    ) -> None:
        ledger = self.ledger
        if ledger.cursor < expect:
            ledger = self.refresh()
        if ledger.cursor != expect:
            raise Conflict(f"study {self.name!r} is at event {ledger.cursor}, not at {expect}")
        for event in batch:
            check(ledger, event)
            ledger.apply(event)

    def _rescued(self, lost: StoreLost, decide: Decide | None = None) -> StoreLost:
        """See `rescue.rescued`; what was to be written belongs to what is known."""
        ledger = self._ledger
        if ledger is not None and decide is not None and lost.beside is not None:
            with suppress(TunesmithError):
                ledger.extend(decide(ledger))
        return rescued(lost, ledger, self._rescue)

    def _try(self, decide: Callable[[], Sequence[Event]]) -> Sequence[Event] | None:
        """Append what `decide` returns, in one transaction with what it reads; None where that was overtaken."""
        with held_back():
            return self._appended(decide)

    def _appended(self, decide: Callable[[], Sequence[Event]]) -> Sequence[Event] | None:
        decided: Sequence[Event] = ()
        cursor = -1
        try:
            with self.store.writing(self.name):
                decided = decide()
                if decided:
                    cursor = self.ledger.cursor
                    self.store.append(self.name, decided, cursor)
        except Conflict:
            return None
        except StoreError as failure:
            if not decided or not landed(self.store, self.name, decided, cursor, failure):
                if isinstance(failure, StoreInterrupted):
                    return None
                raise
        if decided:
            self._fold(self.ledger, decided)
        return decided


def _moves(event: Event) -> bool:
    """Whether it is what a scheduler does with paused trials, which holds for the history that it saw."""
    resumed = isinstance(event, events.Started) and bool(event.why)
    return resumed or isinstance(event, (events.Forked, events.Finished))


def append_rebased(
    store: Store, name: str, decided: Sequence[Event], expect: int
) -> Sequence[Event]:
    """Append behind `expect`, or behind what others wrote since, which is returned, where `decided` would be
    the same after it. Raises Conflict where it might not."""
    try:
        append_once(store, name, decided, expect)
        return ()
    except Conflict:
        pass
    for pause in pauses():
        news: Sequence[Event] = ()
        try:
            with store.writing(name):
                news = list(store.changes(name, expect))
                if not independent(news, decided):
                    raise Conflict(f"study {name!r} has changed")
                store.append(name, decided, expect + len(news))
            return news
        except StoreError as failure:
            if landed(store, name, decided, expect + len(news), failure):
                return news
            if not isinstance(failure, StoreInterrupted):
                raise
        pause()
    raise AssertionError


def append_once(store: Store, name: str, decided: Sequence[Event], expect: int) -> None:
    """Append; an answer that got lost is no failure. Raises Conflict."""
    try:
        store.append(name, decided, expect)
    except StoreError as failure:
        if not landed(store, name, decided, expect, failure):
            raise


def landed(
    store: Store, name: str, appended: Sequence[Event], expect: int, failure: StoreError
) -> bool:
    """Whether `appended` is in the store behind `expect`, though the answer was an error: a connection may be
    lost when all has been done. The events' text, from which the chain of digests is made, is the key.

    Raises StoreError where that could not be seen though the connection broke.
    """
    broke = isinstance(failure, StoreInterrupted)
    if type(failure) is not StoreError and not broke:
        return False  # one that is known to leave nothing behind
    wanted = [*map(codec.encode, appended)]
    for pause in pauses():
        try:
            with store.writing(
                name
            ):  # it waits for who is not done yet at the broken connection's other end
                history = list(store.changes(name, expect))[: len(appended)]
            return bool(wanted) and [*map(codec.encode, history)] == wanted
        except StoreInterrupted:
            pass
        except StoreError:
            if broke:
                raise
            return False
        pause()
    raise AssertionError


def independent(news: Sequence[Event], ours: Sequence[Event]) -> bool:
    """Whether the ledger is the same whichever of them is folded first."""
    creates = any(isinstance(event, _CREATES) for event in ours)
    return all(
        isinstance(event, _INDEPENDENT)
        or (isinstance(event, events.Enqueued) and event.parent is None and not creates)
        or (isinstance(event, events.Opened) and not event.coordinator)
        for event in news
    )


_journals: Final[weakref.WeakSet[Journal]] = weakref.WeakSet()


def _after_fork() -> None:
    """A lock that another thread held is held for ever in the child, and what it guarded may be half done."""
    for journal in _journals:
        if journal.lock.acquire(blocking=False):
            journal.lock.release()
        else:
            journal.lock = threading.RLock()
            journal._ledger = None  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
