"""One process's share of a study that several run at the same time: it asks for trials, runs them and tells.

Each is a session of its own, like that of an ask-and-tell client, and decides as that does (`tuning.study`): results are
stored behind whatever others wrote, suggestions take turns, the limits are those of the study. Nobody coordinates, so
whoever ends leaves the others going; what it ran is given to them. A paused trial waits for whoever asks when its
scheduler lets it go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from tunesmith.core import decide
from tunesmith.core.engine import start_of
from tunesmith.core.errors import StoreFull, StudyOver, StudyWaits, TunesmithError
from tunesmith.core.events import Asked, Event, Exited, Reported, Stop
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.base import Elastic, Executor, Happened, storable
from tunesmith.run.executors import Context, Factory
from tunesmith.run.folder import Folder
from tunesmith.run.objective import reason_of
from tunesmith.run.retention import Keeper
from tunesmith.run.signals import Interrupts
from tunesmith.tuning.coordinator import FULL_DISK_S
from tunesmith.tuning.feed import Watcher
from tunesmith.tuning.session import describe
from tunesmith.tuning.study import Study

#: How long to wait for the executor at a time (s), and for news of others where nothing runs here.
WAIT_S: Final = 0.1
NEWS_S: Final = 1.0
#: How often trials that run here are checked against their limits (s).
_WATCH_EVERY_S: Final = 0.25
#: How often it is tried whether there is space on a full disk (s).
_FULL_EVERY_S: Final = 1.0


class Joined:
    """Runs trials of a study until it is over, or this process is told to leave. Use once."""

    def __init__(
        self,
        study: Study,
        parallel: int,
        *,
        watcher: Watcher | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._study, self._parallel = study, parallel
        self._watcher, self._say = watcher, say or (lambda _: None)
        self._executor: Executor | None = None
        self._keeper: Keeper | None = None
        #: The attempts that run here, and those that were told to end.
        self._own: dict[int, int] = {}
        self._stopping: set[int] = set()
        self._unstarted: list[Exited] = []
        #: Whether the executor has no room for one more.
        self._full = False
        self._interrupts = Interrupts(self._begin_to_leave)
        self._killed = False
        self._drain_at: float | None = None
        #: The event after which nobody had a trial for us.
        self._idle_at = -1
        self._asked_s = self._watched_at = self._shown_at = 0.0
        study._on_full = self._await_space  # noqa: SLF001

    @property
    def ledger(self) -> Ledger:
        return self._study._ledger  # noqa: SLF001

    def _clock(self) -> float:
        """The time by the study's clock, which may not be this host's (see `session.shared_clock`)."""
        return self._study._clock()  # noqa: SLF001

    def run(self, make: Factory, folder: Folder) -> None:
        """Take part until the study is over."""
        study = self._study
        try:
            study._join(unless_over=True)  # noqa: SLF001
        except StudyOver as end:
            self._say(f"study {study.name!r} is over: {end}")
            study._leave()  # noqa: SLF001
            return
        try:
            session = study._session  # noqa: SLF001
            assert session is not None
            spec = study.spec
            spec = replace(spec, limits=replace(spec.limits, parallel=self._parallel))
            executor = make(Context(spec, session.id, folder, self.deliver, self._say))
            self._executor = self._interrupts.executor = executor
            try:
                self._keeper = Keeper(folder, self._say)
                with self._interrupts.handled():
                    while self._turn():
                        pass
            finally:
                executor.close()
                if self._keeper is not None:
                    self._keeper.close(self.ledger)
        finally:
            study._leave("the process that ran it has left")  # noqa: SLF001

    def _turn(self) -> bool:
        """Whether there is more to do."""
        assert self._executor is not None
        wait_s = WAIT_S if self._own or self._full else 0.0
        happened = [*self._unstarted, *self._executor.events(wait_s)]
        self._unstarted.clear()
        for event in happened:
            self._take(event)
        now = self._clock()
        if now - self._watched_at >= _WATCH_EVERY_S or (
            self._interrupts.count > 1 and not self._killed
        ):
            self._watched_at = now
            self._watch(now)
        over = self._fill() if self._drain_at is None else True
        if self._watcher is not None and (now - self._shown_at >= WAIT_S or over):
            self._shown_at = now
            self._watcher(self.ledger, now)
        return not over or bool(self._own)

    # -- what happened here -------------------------------------------------------------------

    def deliver(self, reported: Reported | Asked) -> None:
        """Handle a report, or a question, of a trial that runs in this thread (see `run.inline`)."""
        self._take(reported)
        self._watch(self._clock())

    def _take(self, happened: Happened) -> None:
        try:
            event = storable(happened)
        except Exception as error:  # noqa: BLE001 (whatever a foreign executor says of a trial)
            reason = reason_of(error)
            if not isinstance(happened, Exited):
                self._stop(happened.trial, reason)
                return
            event = happened._replace(returned=None, reason=reason)
        at = self._clock()
        if isinstance(event, Exited):
            self._exited(event._replace(at=at))
        elif isinstance(event, Asked):
            self._asked(msgspec.structs.replace(event, at=at))
        else:
            self._reported(msgspec.structs.replace(event, at=at))
        if self._keeper is not None and self.ledger.attempt(event.trial) == event.attempt:
            try:
                self._keeper.look(self.ledger, [event.trial])
            except OSError as error:  # a trial may have done anything to its folder
                self._say(f"some checkpoints cannot be removed: {error}")

    def _reported(self, event: Reported) -> None:
        if self._own.get(event.trial) != event.attempt:
            return
        if not self._study._record(event):  # noqa: SLF001
            self._stop(event.trial, Reason(Kind.LOST, self._handed_out(event.trial)), grace_s=0.0)
            return
        reason = self.ledger.stop_reasons.get(event.trial)
        if reason is not None:
            self._stop(event.trial, reason)

    def _asked(self, event: Asked) -> None:
        if self._own.get(event.trial) != event.attempt:
            return
        stored, refused = self._study._record_asked(event)  # noqa: SLF001
        if refused is not None:
            self._stop(event.trial, refused)
        elif not stored:
            self._stop(event.trial, Reason(Kind.LOST, self._handed_out(event.trial)), grace_s=0.0)

    def _exited(self, event: Exited) -> None:
        if self._own.get(event.trial) != event.attempt:
            return
        del self._own[event.trial]
        requested = event.trial in self._stopping or self._drain_at is not None
        self._stopping.discard(event.trial)
        if event.reason is not None and self._keeper is not None and not self._killed:
            self._keeper.leave(event.trial)
        ended = self._study._end(event, requested=requested)  # noqa: SLF001
        if not ended:
            note = "" if event.returned is None else "; its result is kept as a note"
            self._say(f"trial {event.trial}: {self._handed_out(event.trial)}{note}")
        self._idle_at = -1

    def _handed_out(self, number: int) -> str:
        """Why a trial that ran here is others' now."""
        ledger = self.ledger
        running = ledger.running.get(number)
        by = ledger.sessions.get(running.session) if running else None
        whom = f" to {describe(by)}" if by else ""
        return f"it was handed out again{whom}, because this process had not been heard of"

    def _await_space(self, full: StoreFull, waited_s: float) -> None:
        """Wait for a moment; raise if that has been done for too long."""
        if waited_s == 0.0:
            self._say(f"{full}; waiting {FULL_DISK_S:.0f} s for space")
        if waited_s > FULL_DISK_S or self._interrupts.count > 1:
            raise full
        time.sleep(_FULL_EVERY_S)

    # -- time passes --------------------------------------------------------------------------

    def _watch(self, at: float) -> None:
        """Stop trials that run here and are over their time, silent for too long, somebody else's now, or to be
        drained."""
        if not self._own:
            return
        ledger = self._study._refresh()  # noqa: SLF001
        silence_s, halt = decide.longest_silence_s(ledger), decide.halt_all(ledger, at)
        hurried = self._interrupts.count > 1
        killing, self._killed = hurried and not self._killed, hurried
        leaving = self._drain_at is not None and (
            killing or at - self._drain_at >= ledger.spec.limits.grace
        )
        for number, attempt in list(self._own.items()):
            running = ledger.running.get(number)
            if running is None or ledger.attempt(number) != attempt:
                self._stop(number, Reason(Kind.LOST, self._handed_out(number)), grace_s=0.0)
            elif leaving and (killing or number not in self._stopping):
                reason = Reason(Kind.INTERRUPTED, "the process that ran it was told to leave")
                self._stop(number, reason, grace_s=0.0 if killing else None, again=killing)
            elif (late := decide.over_its_time(ledger, number, at) or halt) is not None:
                self._stop(number, late, dump=late.kind is Kind.TIMEOUT)
            elif silence_s is not None and at - running.heard_at >= silence_s:
                self._stop(number, decide.silence(ledger, number, at), dump=True)

    def _stop(
        self,
        trial: int,
        reason: Reason,
        *,
        grace_s: float | None = None,
        dump: bool = False,
        again: bool = False,
    ) -> None:
        assert self._executor is not None
        if trial in self._stopping and not again:
            return
        self._stopping.add(trial)
        grace = self.ledger.spec.limits.grace if grace_s is None else grace_s
        self._executor.stop(Stop(trial, reason, grace, dump))

    # -- new trials ---------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Begin trials while there is room; whether the study is over."""
        study = self._study
        while len(self._own) < self._parallel:
            self._full = not self._room()
            if self._full:
                return self._over_elsewhere()
            cursor = self.ledger.cursor
            if cursor == self._idle_at:
                if self._own and time.monotonic() - self._asked_s < NEWS_S:
                    return False
                if not self._own:
                    study.store.wait(study.name, cursor, NEWS_S)
            self._asked_s = time.monotonic()
            try:
                begun = study._ask()  # noqa: SLF001
            except StudyOver:
                ledger = study._refresh()  # noqa: SLF001
                if ledger.ended is None and not ledger.running:
                    study._settle()  # noqa: SLF001 (whoever ended the last trial may not have come to it yet)
                    ledger = study._refresh()  # noqa: SLF001
                if ledger.ended is not None or not ledger.running:
                    return True
                self._idle_at = ledger.cursor  # others still run some, and may die
                return False
            except StudyWaits:
                self._idle_at = self.ledger.cursor
                return False
            self._begin(begun)
        return False

    def _room(self) -> bool:
        """Whether a trial could begin here at once."""
        executor = self._executor
        if not isinstance(executor, Elastic):
            return True
        # a place at least: who asks may be given a trial of somebody who has died
        free = self._parallel - len(self._own)
        return executor.room(max(1, decide.wanted(self.ledger, free))) > 0

    def _over_elsewhere(self) -> bool:
        """Whether the study has come to its end while there was no room here."""
        if self._own or time.monotonic() - self._asked_s < NEWS_S:
            return False
        self._asked_s = time.monotonic()
        return self._study._refresh().ended is not None  # noqa: SLF001

    def _begin(self, begun: Event) -> None:
        start = start_of(self.ledger, begun)
        assert start is not None
        assert self._executor is not None
        self._own[start.trial] = start.attempt
        try:
            if self._keeper is not None:
                self._keeper.begin(start.trial, start.attempt)
                if start.parent is not None:
                    self._keeper.inherit(self.ledger, start.parent, start.trial)
            self._executor.start(start)
        except TunesmithError:  # our own fault, not the trial's
            raise
        except Exception as error:  # noqa: BLE001 (whatever is wrong with one trial, the study goes on)
            reason = reason_of(error)
            self._unstarted.append(Exited(self._clock(), start.trial, start.attempt, None, reason))

    def _begin_to_leave(self) -> None:
        self._drain_at = self._clock()  # at once: a trial may run in this thread for long
        grace = self.ledger.spec.limits.grace
        self._say(
            f"leaving: running trials have {grace:g} s, then others run them again (again to kill them now)"
        )
