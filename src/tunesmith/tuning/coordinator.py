"""The coordinator: the event loop of a running study, between engine, store and executor.

Each turn: collect what the executor has to say, let the engine handle it, store what it wants
written (one transaction), then start and stop trials. Nothing is acted on before it is stored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from tunesmith import schedule, search
from tunesmith.core.engine import Engine, Happening
from tunesmith.core.errors import Conflict, StoreFull, StoreLost, StudyBusy, TunesmithError
from tunesmith.core.events import (
    Annotated,
    Asked,
    Closed,
    Command,
    Event,
    Exited,
    Finished,
    Interrupt,
    Paused,
    Quit,
    Reported,
    Start,
    Stop,
    Write,
)
from tunesmith.core.ledger import Ledger
from tunesmith.core.outcome import fingerprint
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.run.base import Elastic, Executor, Happened, storable
from tunesmith.run.folder import Folder
from tunesmith.run.marks import SESSION_MARK
from tunesmith.run.objective import reason_of, with_source
from tunesmith.run.process_tree import kill_marked
from tunesmith.run.retention import Keeper
from tunesmith.run.signals import Interrupts
from tunesmith.store import Store
from tunesmith.store.journal import append_once, append_rebased
from tunesmith.store.rescue import Rescue, rescued
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.session import (
    ACT_S,
    LEASE_S,
    Heartbeat,
    Session,
    abandoned,
    alive,
    busy,
    describe,
    waking_s,
)

#: How often other writers' changes are looked for (s).
POLL_S: Final = 0.25
#: How long to wait for the executor at a time (s).
WAIT_S: Final = 0.1
#: How long to wait for space on a full disk before giving up (s).
FULL_DISK_S: Final = 60.0

#: So many kinds of errors are shown as they happen.
_ERRORS_SHOWN: Final = 3
_TIDY_AFTER: Final = (Reported, Finished, Paused)


def _with_source(event: Happened) -> Happened:
    if isinstance(event, Exited) and event.reason is not None and event.reason.output:
        output = with_source(event.reason.output)
        return event._replace(reason=Reason(event.reason.kind, event.reason.message, output))
    return event


class Loop:
    """One coordinator's run over one study. Use once."""

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        program: Mapping[str, str] | None = None,
        changed: str = "",
        watcher: Watcher | None = None,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._name = name
        self._watcher = watcher
        self._say = say or (lambda _: None)
        self._clock = clock
        self._session = Session.new()
        self._program, self._changed = program, changed
        self._executor: Executor | None = None
        self._untidy = False
        #: The kinds of errors that have been shown.
        self._errors_shown: set[str] = set()
        self._notes_shown: set[str] = set()
        #: Trials that the executor could not start.
        self._unstarted: list[Exited] = []
        self._keeper: Keeper | None = None
        #: Signals that came, and those that the engine knows of.
        self._interrupts = Interrupts(self._begin_to_stop)
        self._interrupts_handled = 0
        self._polled_at = 0.0
        self._watched_at = 0.0
        #: What became of the trials that earlier coordinators left running.
        self._recovered: list[Event] = []
        #: Who has the lease, as far as is known, and when it was last known to be us (`waking_s`).
        self._holder, self._renewed_s = self._session.holder, waking_s()
        ledger = self._claim()
        self._heart = Heartbeat(self.renew) if store.shared else None
        try:
            self._engine = self._open(ledger)
        except BaseException:
            self._stop_heart()
            self._store.release(self._name, self._session.holder)
            raise

    @property
    def ledger(self) -> Ledger:
        return self._engine.ledger

    @property
    def session(self) -> Session:
        return self._session

    # -- beginning and end --------------------------------------------------------------------

    def _claim(self) -> Ledger:
        """Take the study's lease; the study as it is. Raises StudyBusy if somebody has it."""
        ledger = self._read()
        last = ledger.sessions.get(ledger.coordinator or "")
        if last is not None and last.session in ledger.open_sessions and alive(last):
            raise busy(self._name, last)  # it may be too busy to renew its lease
        mine = self._session.holder
        lease = self._store.lease(self._name, mine, LEASE_S)
        if lease.holder != mine and alive(Session.of(lease.holder)) is False:
            lease = self._store.lease(self._name, mine, LEASE_S, instead_of=lease.holder)
        if lease.holder != mine:
            raise busy(self._name, Session.of(lease.holder))
        return ledger

    def _read(self) -> Ledger:
        return Ledger(self._store.load(self._name)).extend(self._store.changes(self._name))

    def _open(self, ledger: Ledger) -> Engine:
        """Begin the session: say so, and requeue what earlier coordinators left running."""
        while True:
            spec = ledger.spec
            engine = Engine(
                ledger,
                search.make(spec.searcher),
                schedule.make(spec.scheduler),
                self._session.id,
                search.look_ahead,
            )
            opened = msgspec.structs.replace(
                self._session.opened(
                    coordinator=True, program=self._program, changed=self._changed
                ),
                at=self._clock(),
            )
            before = ledger.cursor
            ledger.apply(opened)
            dead = self._dead(ledger)
            for session in dead:  # their guards have seen to it, unless those were killed as well
                kill_marked((SESSION_MARK, session))
            commands = engine.recover(opened.at, dead)
            self._recovered = [c.event for c in commands if isinstance(c, Write)]
            with contextlib.suppress(Conflict):
                append_once(self._store, self._name, [opened, *self._recovered], before)
                return engine
            ledger = self._read()

    def _dead(self, ledger: Ledger) -> list[str]:
        """Sessions whose running trials are nobody's any more. We hold the lease, so no coordinator does."""
        silent_s = self._store.silent_s(self._name)
        return abandoned(ledger, silent_s, self._session.id, coordinators=True)

    def renew(self) -> None:
        """Say that this process lives: also while a model is fitted, or a trial runs in its thread."""
        began = waking_s()
        self._holder = self._store.lease(self._name, self._session.holder, LEASE_S).holder
        if self._holder == self._session.holder:
            self._renewed_s = began

    def _check_lease(self) -> None:
        """Do nothing on a lease that may be another's: the store could not be had for long, or this process slept.

        Raises StudyBusy if another has it, or what the store raises."""
        if self._holder == self._session.holder:
            if not self._store.shared or waking_s() - self._renewed_s < ACT_S:
                return
            self.renew()
        if self._holder != self._session.holder:
            raise StudyBusy(
                f"study {self._name!r} was taken over by {describe(Session.of(self._holder))}, because this process "
                f"could not renew its lease of {LEASE_S:.0f} s; its running trials are run again there"
            )

    def run(self, executor: Executor, folder: Folder | None = None) -> Quit:
        """Tune until the study is over or stopped. Closes the executor.

        `folder` is where trials keep their checkpoints, if they can.
        """
        self._executor = self._interrupts.executor = executor
        saved: StoreLost | None = None
        try:
            self._keeper = None if folder is None else Keeper(folder, self._say)
            self._tidy(self._recovered)
            with self._interrupts.handled():
                while self._engine.quit is None:
                    self._turn()
        except StoreLost as lost:
            saved = rescued(lost, self.ledger, Rescue())
            raise saved from None
        finally:
            try:
                executor.close()
                if self._keeper is not None:
                    self._keeper.close(self.ledger)
            finally:
                try:
                    self.close()
                except StoreLost as lost:
                    if saved is None:
                        raise rescued(lost, self.ledger, Rescue()) from None
        assert self._engine.quit is not None
        return self._engine.quit

    def _turn(self) -> None:
        assert self._executor is not None
        waits = self.ledger.running or self._engine.room == 0
        wait_s = WAIT_S if waits and not self._unstarted else 0.0
        happened = [*self._unstarted, *self._storable(self._executor.events(wait_s))]
        self._unstarted.clear()
        if isinstance(self._executor, Elastic):
            self._engine.room = self._executor.room(self._engine.wanted)
        now = self._clock()
        self._handle(happened, now)
        if self._watcher is not None and (now - self._watched_at >= WAIT_S or self._engine.quit):
            self._watched_at = now
            self._watcher(self.ledger, now)

    def close(self) -> None:
        """End the session; what still runs (after an error) goes back into the queue."""
        with contextlib.suppress(StudyBusy):
            while True:
                self._check_fence()
                now = self._clock()
                before = self.ledger.cursor
                commands = self._engine.abandon(now)
                events = [c.event for c in commands if isinstance(c, Write)]
                with contextlib.suppress(Conflict):
                    ends = [*events, Closed(now, self._session.id)]
                    append_rebased(self._store, self._name, ends, before)
                    break
                self._reload()
        self._stop_heart()
        self._store.release(self._name, self._session.holder)

    def _stop_heart(self) -> None:
        if self._heart is not None:
            self._heart.stop()

    # -- a turn -------------------------------------------------------------------------------

    def deliver(self, reported: Reported | Asked) -> None:
        """Handle a report, or a question, of a trial that runs in this thread (see `run.inline`)."""
        self._handle([reported], self._clock())

    def _handle(self, happened: Sequence[Happening], now: float) -> None:
        """Store what has happened, then let the engine say what to do, for it is `now`."""
        self._check_lease()
        self._check_fence()  # a trial in this thread may have heard of it, and kept it to itself
        if self._interrupts.count > self._interrupts_handled:
            self._interrupts_handled = self._interrupts.count
            happened = [Interrupt(now, now=self._interrupts_handled > 1), *happened]
        if now - self._polled_at >= POLL_S:
            self._poll(now)
        written: list[Event] = []
        if not self._engine.instant:
            for event in happened:
                written += self._advance(partial(self._engine.record, event))
                written += self._advance(self._engine.ask_scheduler)
            happened = ()
        failure: Exception | None = None

        def commands() -> list[Command]:
            nonlocal failure
            made, failure = [], None
            for event in happened:
                made += self._engine.record(event)
                try:
                    made += [] if failure else self._engine.ask_scheduler()
                except Exception as error:  # noqa: BLE001 (a strategy may raise anything)
                    failure = error
            try:
                made += [] if failure else self._engine.respond(now)
            except Exception as error:  # noqa: BLE001
                failure = error
            return made

        written += self._advance(commands)
        if failure is not None:
            raise failure
        if written:  # only now: a trial may go on from the checkpoint of one that has just ended
            self._tidy(written)

    def _advance(self, decide: Callable[[], list[Command]]) -> list[Event]:
        """Store what the engine wants written, carry the rest out; what was stored."""
        while True:
            saved = self._engine.save()
            before = self.ledger.cursor
            commands = decide()
            events = [command.event for command in commands if type(command) is Write]
            if not events:
                break
            try:
                self._take_in(self._append(events, before))
                break
            except Conflict:  # somebody edited the study, say: read it, then think again
                self._engine.restore(saved)
                self._reload()
        self._show_errors(events)
        self._carry_out(commands)
        return events

    def _show_errors(self, events: Sequence[Event]) -> None:
        """Show the first error of each kind where it happens, whoever else looks at the study later; errors within
        our own recipes are for these to judge."""
        for event in events if self._program else ():
            if isinstance(event, Annotated) and event.note and event.note not in self._notes_shown:
                self._notes_shown.add(event.note)
                self._say(f"trial {event.trial}: {event.note}")
            if not isinstance(event, Finished) or event.reason is None:
                continue
            reason, kind = event.reason, fingerprint(event.reason)
            known = kind in self._errors_shown or len(self._errors_shown) >= _ERRORS_SHOWN
            if event.state is not State.FAILED or reason.kind is not Kind.ERROR or known:
                continue
            self._errors_shown.add(kind)
            output = "".join(f"\n  | {line}" for line in reason.output.splitlines())
            self._say(f"trial {event.trial} failed: {reason.message}{output}")

    def _tidy(self, happened: Sequence[Event]) -> None:
        """Remove the checkpoints that nobody needs any more."""
        if self._keeper is not None:
            heard = {event.trial for event in happened if isinstance(event, _TIDY_AFTER)}
            try:
                self._keeper.look(self.ledger, sorted(heard))
            except OSError as error:  # a trial may have done anything to its folder
                if not self._untidy:
                    self._say(f"some checkpoints cannot be removed: {error}")
                self._untidy = True

    def _append(self, events: Sequence[Event], expect: int) -> Sequence[Event]:
        """Store `events`, and return what others have written before them; on a full disk wait for a while, for
        nothing else is lost yet."""
        deadline: float | None = None
        while True:
            try:
                return append_rebased(self._store, self._name, events, expect)
            except StoreFull as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + FULL_DISK_S
                    self._say(f"{error}; waiting {FULL_DISK_S:.0f} s for space")
                if now > deadline or self._interrupts.count > 1:
                    raise
                time.sleep(1.0)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        executor = self._executor
        assert executor is not None
        for command in commands:
            if type(command) is Start:
                try:
                    self._prepare(command)
                    executor.start(command)
                except TunesmithError:  # our own fault, not the trial's
                    raise
                except Exception as error:  # noqa: BLE001 (whatever is wrong with one trial, the study goes on)
                    reason = reason_of(error)
                    exited = Exited(self._clock(), command.trial, command.attempt, None, reason)
                    self._unstarted.append(exited)
            elif type(command) is Stop:
                executor.stop(command)

    def _prepare(self, start: Start) -> None:
        """See to the checkpoints that a trial begins with."""
        if self._keeper is None:
            return
        self._keeper.begin(start.trial, start.attempt)
        if start.parent is not None:
            self._keeper.inherit(self.ledger, start.parent, start.trial)

    def _storable(self, happened: Sequence[Happened]) -> Iterator[Happened]:
        """What has happened, as it can be stored; a trial of which that cannot be said fails."""
        assert self._executor is not None
        for event in happened:
            try:
                yield storable(_with_source(event))
            except Exception as error:  # noqa: BLE001 (whatever a foreign executor says of a trial)
                reason = reason_of(error)
                if isinstance(event, Exited):
                    yield event._replace(returned=None, reason=reason)
                else:
                    self._executor.stop(Stop(event.trial, reason, 0.0))

    # -- other writers ------------------------------------------------------------------------

    def _poll(self, now: float) -> None:
        """Take in what others wrote."""
        self._polled_at = now
        if self._store.cursor(self._name) != self.ledger.cursor:
            self._take_in(self._store.changes(self._name, self.ledger.cursor))

    def _take_in(self, foreign: Iterable[Event]) -> None:
        spec = self.ledger.spec
        self._engine.absorb(foreign)
        if self.ledger.spec is not spec:
            self._remake_strategies()
        self._check_fence()

    def _reload(self) -> None:
        """Forget what was not stored: O(trials), and only when somebody else wrote just now."""
        self._engine.rebase(self._read())
        self._remake_strategies()
        self._check_fence()

    def _remake_strategies(self) -> None:
        """Take those that the study has now: it may have been edited."""
        spec = self.ledger.spec
        self._engine.remake(search.make(spec.searcher), schedule.make(spec.scheduler))

    def _check_fence(self) -> None:
        if self.ledger.coordinator != self._session.id:
            other = self.ledger.sessions[self.ledger.coordinator or ""]
            raise StudyBusy(
                f"study {self._name!r} was taken over by {describe(other)}, because this process had "
                f"not been heard of for {LEASE_S:.0f} s; its running trials are run again there"
            )

    def _begin_to_stop(self) -> None:
        grace = self.ledger.spec.limits.grace
        self._say(
            f"stopping: no new trials; running ones have {grace:g} s (again to kill them now)"
        )
