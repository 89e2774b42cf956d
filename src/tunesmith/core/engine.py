"""The tuning loop as a pure machine: `Engine.handle(event)` gives commands, and does no I/O.

The shell around it stores what `Write` carries (all of a batch in one transaction, before anything
else of the batch), then carries out the rest. The engine's ledger already contains what it asked to
be written: if the store refuses because somebody else wrote first, the shell throws the engine away,
makes a new one from the store, and hands it the same input again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from tunesmith.core import confirm, events
from tunesmith.core.events import Command, Event, Exited, Interrupt, Quit, Start, Stop, Tick, Write
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import CONFIRM_SHARE, SILENCE_FACTOR, SILENCE_FLOOR_S, SILENCE_SIBLINGS
from tunesmith.core.outcome import Outcome, finite, judge
from tunesmith.core.propose import propose, visible_results
from tunesmith.core.quantity import show_seconds
from tunesmith.core.rng import stream
from tunesmith.core.space.space import Config
from tunesmith.core.stopping import LOOK_AHEAD, Gains, good_enough, used_up
from tunesmith.core.strategy import Drop, Prophet, Resumer, Scheduler, Searcher, Verdict, pauses
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import CONFIRM, ENDED, Cost, Kind, Origin, Reason, State

#: What the engine handles.
Input: TypeAlias = Tick | Exited | Interrupt | events.Reported

#: What the random stream of `Resumer.resume` is for.
RESUME: Final = "resume"
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
        prophet: Prophet | None = None,
    ) -> None:
        self.ledger = ledger
        self.searcher = searcher
        self.scheduler = scheduler
        self.session = session
        self._prophet = prophet
        self._gains = Gains()
        #: The study (before it is edited) for which the searcher had nothing more to propose.
        self._searched: StudySpec | None = None
        #: Why the search is over, where the best are still to be confirmed.
        self._enough: Quit | None = None
        self.quit: Quit | None = None
        self._memo: dict[Any, Any] = {}
        self._stopping: dict[int, Reason] = {}
        #: Why no new trials are started, and since when.
        self._over: Quit | None = None
        self._drain_at: float | None = None
        self._killing = False
        self._watched_at = 0.0
        self._count_strangers()

    # -- input --------------------------------------------------------------------------------

    def handle(self, event: Input) -> list[Command]:
        """What to do about `event`; [] once `quit` is set."""
        out: list[Command] = []
        if self.quit is None:
            if type(event) is Exited:
                self._exited(event, out)
            elif type(event) is Tick:
                self._tick(event.at, out)
            elif type(event) is events.Reported:
                self._reported(event, out)
            elif type(event) is Interrupt:
                self._interrupt(event)
        return out

    def save(self) -> Any:
        """What the engine knows beside its ledger, to go back to with `restore`."""
        return (
            dict(self._stopping),
            self._over,
            self._drain_at,
            self._killing,
            self._watched_at,
            self._gains,
            self.quit,
        )

    def restore(self, saved: Any) -> None:
        """Undo what `handle` did since `save`; the ledger needs a `rebase` too."""
        (
            self._stopping,
            self._over,
            self._drain_at,
            self._killing,
            self._watched_at,
            self._gains,
            self.quit,
        ) = saved

    def rebase(self, ledger: Ledger) -> None:
        """Go on with another ledger of the same study."""
        self.ledger = ledger
        self._memo.clear()
        self._searched = self._enough = None
        self._count_strangers()

    def abandon(self, at: float) -> list[Command]:
        """Put the trials of this session back into the queue, for nobody runs them any more; those that
        were told to end have."""
        out: list[Command] = []
        reason = Reason(Kind.INTERRUPTED, "its coordinator was ended")
        self._give_up(at, {self.session}, reason, out)
        return out

    def absorb(self, foreign: Iterable[Event]) -> None:
        """Take in what others have written to the study since."""
        for event in foreign:
            self.ledger.apply(event)
            if type(event) is events.Edited:
                self._memo.clear()
                self._enough = None
        self._count_strangers()

    def recover(self, at: float, dead: Iterable[str]) -> list[Command]:
        """Requeue the trials of sessions that died, or fail those that died too often; those that were
        told to end have."""
        out: list[Command] = []
        self._give_up(at, set(dead), Reason(Kind.LOST, "its coordinator died"), out)
        self._count_strangers()
        return out

    def _give_up(self, at: float, sessions: set[str], reason: Reason, out: list[Command]) -> None:
        """The trials of `sessions` run no more: for `reason`, or because they were told to end."""
        ledger = self.ledger
        for number in [n for n, r in ledger.running.items() if r.session in sessions]:
            why = ledger.stop_reasons.get(number, reason)
            self._exited(Exited(at, number, ledger.attempt(number), reason=why), out)

    # -- what happened ------------------------------------------------------------------------

    def _write(self, event: Event, out: list[Command]) -> None:
        self.ledger.apply(event)
        out.append(Write(event))

    def _mine(self, trial: int, attempt: int) -> bool:
        """Whether the trial still runs the attempt that this event speaks of."""
        return trial in self.ledger.running and self.ledger.attempt(trial) == attempt

    def _reported(self, event: events.Reported, out: list[Command]) -> None:
        if not self._mine(event.trial, event.attempt):
            return
        self._write(event, out)
        ledger = self.ledger
        if self.scheduler is None or event.trial in ledger.decided | ledger.confirming:
            return
        decision = self.scheduler.decide(History(self.ledger, memo=self._memo), event.trial)
        if decision.verdict is not Verdict.CONTINUE:
            verdict = str(decision.verdict)
            self._write(events.Decided(event.at, event.trial, verdict, decision.why), out)
        told = ledger.stop_reasons.get(event.trial)
        if told is not None:
            self._stop(event.trial, told, out)

    def _exited(self, event: Exited, out: list[Command]) -> None:
        if not self._mine(event.trial, event.attempt):
            return
        self._stopping.pop(event.trial, None)
        kind = event.reason.kind if event.reason else None
        if kind is Kind.LOST:
            self._lost(event, out)
        elif kind is Kind.INTERRUPTED:
            assert event.reason is not None
            cost = self._priced(event.cost)
            requeued = events.Requeued(event.at, event.trial, event.attempt, event.reason, cost)
            self._write(requeued, out)
        elif kind is Kind.PAUSED:
            assert event.reason is not None
            cost = self._priced(event.cost)
            paused = events.Paused(event.at, event.trial, event.attempt, event.reason, cost)
            self._write(paused, out)
        else:
            self._finish(event, self._outcome(event), out)

    def _outcome(self, event: Exited) -> Outcome:
        objectives = self.ledger.spec.objectives
        latest = self.ledger.curves.latest(event.trial)
        if event.reason is None:
            return judge(objectives, event.returned, latest)
        if event.reason.kind is Kind.STOPPED:
            so_far = judge(objectives, None, latest)
            return Outcome(State.STOPPED, so_far.values, so_far.metrics, event.reason)
        return Outcome(State.FAILED, None, finite(latest), event.reason)

    def _finish(
        self, event: Exited, outcome: Outcome, out: list[Command], *, full: bool = False
    ) -> None:
        finished = events.Finished(
            event.at,
            event.trial,
            event.attempt,
            outcome.state,
            outcome.values,
            outcome.metrics,
            outcome.reason,
            self._priced(event.cost),
            full,
        )
        self._write(finished, out)

    def _priced(self, cost: Cost) -> Cost:
        """The cost, with its money."""
        price = self.ledger.spec.limits.price_per_hour
        if price is None or cost.wall_s is None:
            return cost
        return Cost(cost.wall_s, cost.cpu_s, cost.memory_bytes, cost.wall_s / 3600 * price)

    def _lost(self, event: Exited, out: list[Command]) -> None:
        assert event.reason is not None
        times = self.ledger.times_lost(event.trial) + 1
        if times > self.ledger.spec.limits.retries:
            reason = Reason(
                Kind.LOST, f"{event.reason.message}; it was lost {times} times", event.reason.output
            )
            self._finish(event, Outcome(State.FAILED, None, {}, reason), out)
        else:
            self._write(events.Requeued(event.at, event.trial, event.attempt, event.reason), out)

    def _interrupt(self, event: Interrupt) -> None:
        self._over = self._over or Quit("interrupted", "stopped on request")
        self._drain_at = self._drain_at if self._drain_at is not None else event.at
        self._killing = self._killing or event.now

    # -- time passes --------------------------------------------------------------------------

    def _tick(self, at: float, out: list[Command]) -> None:
        ledger = self.ledger
        if self._over is None:
            self._over = self._limit(at)
            if self._over is not None and self._over.why in _STOP_RUNNING:
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
    def _own(self) -> int:
        """How many trials run in this session."""
        return len(self.ledger.running) - self._strangers

    def _count_strangers(self) -> None:
        """Running trials of others: ask-and-tell clients that were here before us."""
        sessions = [running.session for running in self.ledger.running.values()]
        self._strangers = len(sessions) - sessions.count(self.session)

    def _limit(self, at: float) -> Quit | None:
        """What ends the study now. What only ends the search waits until the best are confirmed."""
        found, spent = self._enough or good_enough(self.ledger, at), used_up(self.ledger, at)
        if found is None and spent is None:
            found = self._converged()
        if self.ledger.spec.limits.confirm is None:
            return found or spent
        self._enough = found
        return spent

    def _converged(self) -> Quit | None:
        """Whether too little is to gain, where that is to end the study."""
        least = self.ledger.spec.limits.least_gain
        if least is None or self._prophet is None:
            return None
        history = History(self.ledger, memo=self._memo)
        self._gains = self._gains.look(history, self._prophet, least)
        if not self._gains.over:
            return None
        return Quit("converged", f"little is left to gain: {self._prophet(history, LOOK_AHEAD)}")

    def _watch(self, at: float, out: list[Command]) -> None:
        """Stop running trials that are over their time, silent for too long, or to be drained."""
        if at - self._watched_at < _WATCH_EVERY_S and not self._killing:
            return
        self._watched_at = at
        limits = self.ledger.spec.limits
        interrupted: Reason | None = None
        if self._drain_at is not None and (self._killing or at - self._drain_at >= limits.grace):
            detail = self._over.detail if self._over else "stopped on request"
            interrupted = Reason(Kind.INTERRUPTED, detail)
        silence_s = self._longest_silence_s()
        for number, running in self.ledger.running.items():
            if running.session != self.session:
                continue
            if interrupted is not None and (self._killing or number not in self._stopping):
                self._stop(number, interrupted, out, grace_s=0.0 if self._killing else None)
            elif number in self._stopping:
                continue
            elif limits.trial_time and at - self.ledger.started_at(number) >= limits.trial_time:
                message = f"over its time limit of {show_seconds(limits.trial_time)}"
                self._stop(number, Reason(Kind.TIMEOUT, message), out, dump=True)
            elif silence_s is not None and at - running.heard_at >= silence_s:
                message = (
                    f"nothing reported for {show_seconds(at - running.heard_at)}, against "
                    f"{show_seconds(self.ledger.longest_gap_s)} at most in other trials "
                    "(limits: trial_silence)"
                )
                self._stop(number, Reason(Kind.TIMEOUT, message), out, dump=True)
        self._killing = False  # said once; the executor sees to it

    def _longest_silence_s(self) -> float | None:
        """How long a running trial may report nothing; None for ever."""
        rule = self.ledger.spec.limits.trial_silence
        if rule == "off":
            return None
        if rule != "auto":
            return float(rule)
        if sum(self.ledger.counts[s] for s in ENDED) < SILENCE_SIBLINGS:
            return None
        return max(SILENCE_FLOOR_S, SILENCE_FACTOR * self.ledger.longest_gap_s)

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

    def _fill(self, at: float, out: list[Command]) -> None:
        """Start trials while there is room."""
        free = self.ledger.spec.limits.parallel - self._own
        while free > 0:
            begun = self._begin(free, at, out)
            if not begun:
                return
            free -= begun

    def _begin(self, free: int, at: float, out: list[Command]) -> int:
        """Start what comes next, and say how many trials (up to `free`) that were: the scheduler's first,
        then waiting ones, then the searcher's, at last those that confirm the best."""
        ledger, limits = self.ledger, self.ledger.spec.limits
        if self._enough is None and self._resume(at, out):
            return 1
        if limits.trials is not None and ledger.started_count >= limits.trials:
            if not self._own:
                all_run = Quit("trials", f"all {limits.trials} trials have been run")
                self._over = self._enough or all_run
            return 0
        waiting = self._next_waiting()
        if waiting is not None:
            self._start_waiting(waiting, at, out)
            return 1
        if self._searches(at):
            left = ledger.search_left
            begun = self._suggest(free if left is None else min(free, left), at, out)
            return begun if begun or not self._exhausted else self._begin(free, at, out)
        if limits.confirm is not None:
            return self._confirm(at, out)
        if self._exhausted and not self._own:
            self._over = Quit("exhausted", "every config of the space has been tried")
        return 0

    def _next_waiting(self) -> int | None:
        """The waiting trial to start next: any, or one that confirms another where the search is over."""
        ledger = self.ledger
        if self._enough is None:
            return ledger.next_waiting()
        waiting = (n for n in ledger.confirming if ledger.state(n) is State.WAITING)
        return min(waiting, default=None)

    def _searches(self, at: float) -> bool:
        """Whether the searcher is to be asked for more."""
        left = self.ledger.search_left
        if self._enough is not None or self._exhausted or (left is not None and left <= 0):
            return False
        alone = self.ledger.spec.limits.confirm is None and not self._own
        return alone or not self._late(at)

    @property
    def _exhausted(self) -> bool:
        return self._searched is self.ledger.spec

    def _late(self, at: float) -> bool:
        """Whether the time that is left is for the best: to confirm them, or, where all have paused so far,
        to complete one."""
        ledger, limits = self.ledger, self.ledger.spec.limits
        if limits.time is None or ledger.elapsed_s(at) < limits.time * (1 - CONFIRM_SHARE):
            return False
        return limits.confirm is not None or bool(ledger.paused and not ledger.completed)

    def _full(self, at: float) -> bool:
        """Whether no more trials will begin, for another reason than the limit on trials."""
        return self.ledger.next_waiting() is None and (self._exhausted or self._late(at))

    def _confirm(self, at: float, out: list[Command]) -> int:
        """Run one of the best trials again; how many that were: 1, or 0 where there is none to run."""
        ledger, limits, k = self.ledger, self.ledger.spec.limits, self.ledger.spec.limits.confirm
        assert k is not None
        mine = (n for n, running in ledger.running.items() if running.session == self.session)
        if any(number not in ledger.confirming for number in mine):
            return 0  # who is best is not known yet
        history = History(ledger, memo=self._memo)
        used = limits.trials is not None and len(ledger.confirming) >= limits.reserve
        trial = None if used else confirm.next_run(history, k)
        if trial is None:
            if not self._own:
                self._over = self._confirmed(ledger.confirmed)
            return 0
        number, config = ledger.size, ledger.config(trial)
        origin = Origin(CONFIRM, f"trial {trial} once more, with another seed")
        self._write(events.Enqueued(at, number, config, origin, {}, trial), out)
        self._start_waiting(number, at, out)
        return 1

    def _confirmed(self, known: list[Confirmed]) -> Quit:
        """The end of a study whose best trials have been run again."""
        if known:
            why = "" if self._enough is None else f"{self._enough.detail}; "
            best = f"trial {known[0].trial} is the best of {len(known)}: {known[0]}"
            return Quit("confirmed", why + best)
        none = Quit("confirmed", "no trial has been completed, so there is none to confirm")
        return self._enough or none

    def _resume(self, at: float, out: list[Command]) -> bool:
        """Let the scheduler start a trial that goes on from a checkpoint; whether it did."""
        while isinstance(self.scheduler, Resumer) and pauses(self.scheduler):
            ledger = self.ledger
            number = ledger.size
            rng = stream(ledger.spec.seed, number, RESUME)
            full = self._full(at)
            said = self.scheduler.resume(History(ledger, memo=self._memo, full=full), rng)
            if said is None:
                return False
            if isinstance(said, Drop):
                self._drop(said, at, full, out)
                continue
            if said.config is None:
                attempt = ledger.attempts_begun(said.trial)
                started = events.Started(at, said.trial, attempt, self.session, said.why, full)
                self._write(started, out)
                self._start(said.trial, attempt, ledger.config(said.trial), out)
            else:
                assert ledger.spec.scheduler is not None
                origin = Origin(ledger.spec.scheduler.name, said.why)
                config = ledger.spec.space.clean(said.config)
                last = ledger.curves.last(said.trial)
                step = last.step if last else 0
                forked = events.Forked(
                    at, number, said.trial, config, origin, self.session, step, full
                )
                self._write(forked, out)
                self._start(number, 0, config, out, parent=said.trial)
            return True
        return False

    def _drop(self, said: Drop, at: float, full: bool, out: list[Command]) -> None:
        """End a paused trial; what it reported last stays with it."""
        ledger, number = self.ledger, said.trial
        so_far = judge(ledger.spec.objectives, None, ledger.curves.latest(number))
        reason = Reason(Kind.STOPPED, said.why)
        outcome = Outcome(State.STOPPED, so_far.values, so_far.metrics, reason)
        attempt = ledger.attempt(number)
        self._finish(Exited(at, number, attempt, reason=reason), outcome, out, full=full)

    def _start_waiting(self, number: int, at: float, out: list[Command]) -> None:
        attempt = self.ledger.attempts_begun(number)
        self._write(events.Started(at, number, attempt, self.session), out)
        copied = number in self.ledger.forks and self.ledger.curves.last(number) is None
        parent = self.ledger.parent(number) if copied else None
        self._start(number, attempt, self.ledger.config(number), out, parent=parent)

    def _start(
        self,
        number: int,
        attempt: int,
        config: Config,
        out: list[Command],
        *,
        parent: int | None = None,
    ) -> None:
        """Give the trial a config of its own: objectives may change it."""
        spec = self.ledger.spec
        own = copy.deepcopy(config) if spec.space.nested else dict(config)
        out.append(Start(number, attempt, own, spec.seed, parent, self._reported_by(number)))

    def _reported_by(self, number: int) -> int | None:
        """See `Start.reported`."""
        curves = self.ledger.curves
        last = curves.last(number)
        if last is not None:
            return last.step
        at_ends = not curves.long and self.ledger.counts[State.COMPLETED]
        if not len(curves) or at_ends or self.ledger.parent(number) is not None:
            return None
        return events.NO_STEP

    def _suggest(self, n: int, at: float, out: list[Command]) -> int:
        """Ask the searcher for `n` trials and start them; how many there were."""
        ledger = self.ledger
        visible = visible_results(ledger.spec, ledger.size)
        if visible is not None:
            n = 1
            if any(number < visible for number in ledger.running):
                return 0
        proposals = propose(ledger, self.searcher, n, memo=self._memo)
        if not proposals and not self._own:
            self._searched = ledger.spec
        for config, origin in proposals:
            number = ledger.size
            self._write(events.Suggested(at, number, config, origin, self.session), out)
            self._start(number, 0, config, out)
        return len(proposals)


#: Ends that do not wait for running trials.
_STOP_RUNNING: Final = frozenset({"target", "time", "compute_time", "cost", "failures"})
