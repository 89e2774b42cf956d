"""The tuning loop as a pure machine: events in, commands out, and no I/O.

What is decided is decided by `core.decide`; the engine keeps account of the running trials: which to begin,
which to stop, and when all of that is over.

The shell around it stores what `Write` carries (all of a batch in one transaction, before anything
else of the batch), then carries out the rest: first of `record`, which asks no strategy, then of
`ask_scheduler` and `respond`. So whatever a strategy does, what has happened is stored. The engine's ledger already contains what it asked to
be written: if the store refuses because somebody else wrote first, the shell throws the engine away,
makes a new one from the store, and hands it the same input again.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from typing import Any, Final, TypeAlias

from tunesmith.core import decide, events
from tunesmith.core.decide import STOP_RUNNING, Strategies
from tunesmith.core.events import Command, Event, Exited, Interrupt, Quit, Start, Stop, Tick, Write
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.space import Config
from tunesmith.core.strategy import Forecaster, Scheduler, Searcher, Verdict
from tunesmith.core.trial import OURSELVES, USER, Kind, Reason, State

#: What has happened, to trials or to the loop itself.
Happening: TypeAlias = Exited | Interrupt | events.Reported | events.Asked
#: What the engine handles.
Input: TypeAlias = Tick | Happening

#: How often running trials are checked against their limits (s).
_WATCH_EVERY_S: Final = 0.1


class Engine:
    """One coordinator's loop over one study."""

    def __init__(
        self,
        ledger: Ledger,
        searcher: Searcher,
        scheduler: Scheduler | None,
        session: str,
        forecaster: Forecaster | None = None,
    ) -> None:
        self.ledger = ledger
        self.strategies = Strategies(searcher, scheduler, forecaster)
        self.session = session
        self.quit: Quit | None = None
        #: How many trials can begin now, where that may be fewer than the study's `parallel` allows.
        self.room: int | None = None
        #: The report about which the scheduler is still to be asked.
        self._undecided: events.Reported | None = None
        self._stopping: dict[int, Reason] = {}
        #: Why no new trials are started, and since when.
        self._over: Quit | None = None
        self._drain_at: float | None = None
        self._killing = False
        self._watched_at = 0.0
        self._count_strangers()

    # -- input --------------------------------------------------------------------------------

    def handle(self, event: Input) -> list[Command]:
        """What to do about `event`, all at once; [] once `quit` is set."""
        if isinstance(event, Tick):
            return self.respond(event.at)
        return self.record(event) + self.ask_scheduler()

    def record(self, event: Happening) -> list[Command]:
        """Take in what has happened; no strategy is asked. A report is to be followed by `ask_scheduler`."""
        out: list[Command] = []
        if self.quit is None:
            if type(event) is Exited:
                self._exited(event, out)
            elif type(event) is events.Reported:
                self._reported(event, out)
            elif type(event) is events.Asked:
                self._asked(event, out)
            elif type(event) is Interrupt:
                self._interrupt(event)
        return out

    def ask_scheduler(self) -> list[Command]:
        """Ask the scheduler about the trial that has just reported, before anything else happens. Raises
        StrategyError."""
        out: list[Command] = []
        event, self._undecided = self._undecided, None
        if event is None or self.quit is not None:
            return out
        decision = decide.verdict(self.ledger, self.strategies, event.trial)
        if decision is None:
            return out
        if decision.verdict is not Verdict.CONTINUE:
            verdict = str(decision.verdict)
            self._write(events.Decided(event.at, event.trial, verdict, decision.why), out)
        stop = self.ledger.stop_reasons.get(event.trial)
        if stop is not None:
            self._stop(event.trial, stop, out)
        return out

    def respond(self, at: float) -> list[Command]:
        """What to do at that time; [] once `quit` is set. Raises StrategyError for a strategy that raises."""
        out: list[Command] = []
        if self.quit is None:
            self._tick(at, out)
        return out

    @property
    def instant(self) -> bool:
        """Whether strategies answer so fast that what `ask_scheduler` and `respond` want written may be stored
        together with what `record` does."""
        return self.strategies.instant(self.ledger)

    def save(self) -> Any:
        """What the engine knows beside its ledger, to go back to with `restore`."""
        return (
            self._undecided,
            dict(self._stopping),
            self._over,
            self._drain_at,
            self._killing,
            self._watched_at,
            self.strategies.gains,
            self.quit,
        )

    def restore(self, saved: Any) -> None:
        """Undo what was done since `save`; the ledger needs a `rebase` too."""
        (
            self._undecided,
            stopping,
            self._over,
            self._drain_at,
            self._killing,
            self._watched_at,
            self.strategies.gains,
            self.quit,
        ) = saved
        self._stopping = dict(stopping)

    def rebase(self, ledger: Ledger) -> None:
        """Go on with another ledger of the same study."""
        self.ledger = ledger
        self.strategies.forget()
        self._count_strangers()

    def remake(self, searcher: Searcher, scheduler: Scheduler | None) -> None:
        """Go on with other strategies: the study may have been edited."""
        self.strategies.searcher, self.strategies.scheduler = searcher, scheduler

    def abandon(self, at: float) -> list[Command]:
        """Put the trials of this session back into the queue, for nobody runs them any more; those that
        were told to end have."""
        reason = Reason(Kind.INTERRUPTED, "its coordinator was ended")
        return self._give_up(at, {self.session}, reason)

    def absorb(self, foreign: Iterable[Event]) -> None:
        """Take in what others have written to the study since."""
        for event in foreign:
            self.ledger.apply(event)
            if type(event) is events.Edited:
                self.strategies.forget()
        self._count_strangers()

    def recover(self, at: float, dead: Iterable[str]) -> list[Command]:
        """Requeue the trials of sessions that died, however often; those that were told to end have."""
        out = self._give_up(at, set(dead), Reason(Kind.LOST, "its coordinator died"))
        self._count_strangers()
        return out

    def _give_up(self, at: float, sessions: set[str], reason: Reason) -> list[Command]:
        out: list[Command] = []
        for event in decide.give_up(self.ledger, at, sessions, reason):
            self._write(event, out)
        return out

    # -- what happened ------------------------------------------------------------------------

    def _write(self, event: Event, out: list[Command]) -> None:
        self.ledger.apply(event)
        out.append(Write(event))
        if type(event) is events.Edited:  # a space that is learned
            self.strategies.forget()

    def _mine(self, trial: int, attempt: int) -> bool:
        """Whether the trial still runs the attempt that this event speaks of."""
        return trial in self.ledger.running and self.ledger.attempt(trial) == attempt

    def _reported(self, event: events.Reported, out: list[Command]) -> None:
        if self._mine(event.trial, event.attempt):
            self._write(event, out)
            self._undecided = event

    def _asked(self, event: events.Asked, out: list[Command]) -> None:
        if not self._mine(event.trial, event.attempt):
            return
        refused = decide.refusal(self.ledger, event)
        if refused is None:
            self._write(event, out)
        else:
            self._stop(event.trial, refused, out)

    def _exited(self, event: Exited, out: list[Command]) -> None:
        if not self._mine(event.trial, event.attempt):
            return
        stopping = self._stopping.pop(event.trial, None) is not None
        requested = stopping or self._drain_at is not None
        for end in decide.ends(self.ledger, event, requested=requested):
            self._write(end, out)
        if event.note and self.ledger.state(event.trial) is State.COMPLETED:
            self._write(events.Annotated(event.at, event.trial, event.note, {}, OURSELVES), out)

    def _interrupt(self, event: Interrupt) -> None:
        self._over = self._over or decide.ON_REQUEST
        self._drain_at = self._drain_at if self._drain_at is not None else event.at
        self._killing = self._killing or event.now

    # -- time passes --------------------------------------------------------------------------

    def _tick(self, at: float, out: list[Command]) -> None:
        ledger = self.ledger
        if self._over is None:
            self._over = decide.limit(ledger, self.strategies, at)
            if self._over is not None and self._over.why in STOP_RUNNING:
                self._drain_at = at - ledger.spec.limits.grace  # no more waiting
        if self._over is None and ledger.stop_requested is not None:
            self._interrupt(Interrupt(at))
        if ledger.running:
            self._watch(at, out)
        if self._over is None:
            self._fill(at, out)
        if self._over is not None and not self._own:
            self._write(events.Ended(at, self._over.why, self._over.detail), out)
            self.quit = self._over
            out.append(self.quit)

    @property
    def _own(self) -> Collection[int]:
        """The trials that run in this session."""
        running = self.ledger.running
        if not self._strangers:
            return running.keys()
        return [number for number, r in running.items() if r.session == self.session]

    def _count_strangers(self) -> None:
        """Running trials of others: ask-and-tell clients that were here before us."""
        sessions = [running.session for running in self.ledger.running.values()]
        self._strangers = len(sessions) - sessions.count(self.session)

    def _watch(self, at: float, out: list[Command]) -> None:
        """Stop running trials that are over their time, silent for too long, or to be drained."""
        if at - self._watched_at < _WATCH_EVERY_S and not self._killing:
            return
        self._watched_at = at
        limits = self.ledger.spec.limits
        interrupted: Reason | None = None
        if self._drain_at is not None and (self._killing or at - self._drain_at >= limits.grace):
            detail = (self._over or decide.ON_REQUEST).detail
            interrupted = Reason(Kind.INTERRUPTED, detail)
        silence_s = decide.longest_silence_s(self.ledger)
        for number, running in self.ledger.running.items():
            if running.session != self.session:
                continue
            if interrupted is not None and (self._killing or number not in self._stopping):
                self._stop(number, interrupted, out, grace_s=0.0 if self._killing else None)
            elif number in self._stopping:
                continue
            elif (late := decide.over_its_time(self.ledger, number, at)) is not None:
                self._stop(number, late, out, dump=True)
            elif silence_s is not None and at - running.heard_at >= silence_s:
                self._stop(number, decide.silence(self.ledger, number, at), out, dump=True)
        self._killing = False  # said once; the executor sees to it

    def _stop(
        self,
        trial: int,
        reason: Reason,
        out: list[Command],
        *,
        grace_s: float | None = None,
        dump: bool = False,
    ) -> None:
        self._stopping[trial] = reason
        grace = self.ledger.spec.limits.grace if grace_s is None else grace_s
        out.append(Stop(trial, reason, grace, dump))

    # -- new trials ---------------------------------------------------------------------------

    @property
    def wanted(self) -> int:
        """How many trials more might begin now, at most."""
        if self._over is not None:
            return 0
        return decide.wanted(self.ledger, self.ledger.spec.limits.parallel - len(self._own))

    def _fill(self, at: float, out: list[Command]) -> None:
        """Start trials while there is room."""
        free = self.ledger.spec.limits.parallel - len(self._own)
        if self.room is not None and self.wanted:  # else a study ends, without a place as well
            free = min(free, self.room)
        while free > 0:
            step = decide.begin(self.ledger, self.strategies, at, self.session, self._own, free)
            if isinstance(step, Quit):
                self._over = step
            if not isinstance(step, list):
                return
            for event in step:
                self._write(event, out)
                start = start_of(self.ledger, event)
                if start is not None:
                    out.append(start)
                    free -= 1


# -- what begins a trial ------------------------------------------------------------------------------


def start_of(ledger: Ledger, event: Event) -> Start | None:
    """The command that begins what `event`, which `ledger` has, says has begun."""
    match event:
        case events.Suggested():
            return _start(ledger, event.trial, 0, event.config)
        case events.Forked():
            return _start(ledger, event.trial, 0, event.config, parent=event.parent)
        case events.Started(trial=number):
            copied = number in ledger.forks and ledger.curves.last(number) is None
            parent = ledger.parent(number) if copied else None
            return _start(ledger, number, event.attempt, ledger.plan(number), parent=parent)
    return None


def _start(
    ledger: Ledger, number: int, attempt: int, config: Config, *, parent: int | None = None
) -> Start:
    """Give the trial a config of its own: objectives may change it."""
    spec = ledger.spec
    own = copy.deepcopy(config) if spec.space.nested or spec.learned else dict(config)
    reported = _reported_by(ledger, number)
    if not spec.learned:
        return Start(number, attempt, own, spec.seed, parent, reported)
    known = ledger.asking.known(int(ledger.table.version[number]))
    given = ledger.origin(number).searcher == USER
    return Start(number, attempt, own, spec.seed, parent, reported, known, given)


def _reported_by(ledger: Ledger, number: int) -> int | None:
    """See `Start.reported`."""
    curves = ledger.curves
    last = curves.last(number)
    if last is not None:
        return last.step
    at_ends = not curves.long and ledger.counts[State.COMPLETED]
    if not len(curves) or at_ends or ledger.parent(number) is not None:
        return None
    return events.NO_STEP
