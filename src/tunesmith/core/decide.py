"""What a study does next, and how what happened to it is recorded: decided here, for every door.

The loop (`core.engine`), ask and tell (`tuning.study`) and replay call these functions, so that the same
happenings give the same events whoever runs the trials. They read a ledger, a time and the study's strategies,
and give events, or a reason to wait or to end; they store nothing and start nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from tunesmith.core import confirm, events, learning
from tunesmith.core.asking import queued, unused
from tunesmith.core.errors import StrategyError, TunesmithError
from tunesmith.core.events import Event, Exited, Quit
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed
from tunesmith.core.ledger import Ledger
from tunesmith.core.limits import (
    CONFIRM_SHARE,
    SILENCE_FACTOR,
    SILENCE_FLOOR_S,
    SILENCE_SIBLINGS,
    Limits,
)
from tunesmith.core.outcome import Outcome, finite, outcome_of
from tunesmith.core.propose import propose, visible_results
from tunesmith.core.quantity import count, show_seconds
from tunesmith.core.rng import stream
from tunesmith.core.stopping import LOOK_AHEAD, Gains, good_enough, used_up
from tunesmith.core.strategy import (
    Decision,
    Drop,
    Forecaster,
    Resume,
    Scheduler,
    Searcher,
    instant,
    pauses,
)
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import CONFIRM, ENDED, OURSELVES, Cost, Kind, Origin, Reason, State

T = TypeVar("T")

#: What the random stream of `Resumer.resume` is for.
RESUME: Final = "resume"
#: Ends that do not wait for running trials.
STOP_RUNNING: Final = frozenset({"target", "time", "compute_time", "cost", "failures"})


@dataclass(slots=True)
class Strategies:
    """A study's strategies, and what has been worked out with them so far: that may be dropped at any time."""

    searcher: Searcher
    scheduler: Scheduler | None = None
    forecaster: Forecaster | None = None
    memo: dict[Any, Any] = field(default_factory=dict)
    gains: Gains = field(default_factory=Gains)
    #: The study (before it is edited) for which the searcher had nothing more to propose.
    exhausted_spec: StudySpec | None = None
    #: ... and which trials were old then: see `core.aging`.
    exhausted_generation: int = 0
    #: Why the search is over, where the best are still to be confirmed.
    enough: Quit | None = None

    def instant(self, ledger: Ledger) -> bool:
        """Whether they answer so fast that a study may be locked meanwhile."""
        quick = instant(self.searcher) and instant(self.scheduler)
        return quick and not ledger.spec.space.relations

    def forget(self) -> None:
        """Drop what depends on a study that has been edited, or was read anew."""
        self.memo.clear()
        self.exhausted_spec = self.enough = None

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Drop what has been worked out where the block does not come to its end: a fold that was interrupted (Ctrl-C)
        may have taken in a part of what is new."""
        try:
            yield
        except BaseException:
            self.memo.clear()
            raise

    def exhausted(self, ledger: Ledger) -> bool:
        same = self.exhausted_generation == ledger.aging.generation
        return self.exhausted_spec is ledger.spec and same

    def history(self, ledger: Ledger, *, full: bool = False) -> History:
        return History(ledger, memo=self.memo, full=full)


class Wait(NamedTuple):
    """No trial can begin before a running one ends; `why` is a word, `detail` a sentence."""

    why: str
    detail: str


#: What `begin` answers: events that begin trials (or drop paused ones, or put one into the queue: then it is to be
#: asked again), or why there are none.
Step: TypeAlias = list[Event] | Wait | Quit


def wanted(ledger: Ledger, free: int) -> int:
    """How many of `free` places trials may begin in, at most: new ones, and those that wait or have paused."""
    trials = ledger.spec.limits.trials
    if trials is None:
        return free
    left = max(0, trials - ledger.started_count)
    return min(free, left + ledger.counts[State.WAITING] + ledger.counts[State.PAUSED])


# -- the end of a study -----------------------------------------------------------------------


def limit(ledger: Ledger, strategies: Strategies, at: float) -> Quit | None:
    """What ends the study now. What only ends the search waits until the best are confirmed."""
    enough, spent = strategies.enough or good_enough(ledger, at), used_up(ledger, at)
    if enough is None and spent is None:
        enough = _converged(ledger, strategies)
    if ledger.spec.limits.confirm is None:
        return enough or spent
    strategies.enough = enough
    return spent


def over(ledger: Ledger, strategies: Strategies, at: float) -> Quit | None:
    """Why no trial begins any more: a limit, or somebody's request to stop."""
    reached = limit(ledger, strategies, at)
    if reached is None and ledger.stop_requested is not None:
        return ON_REQUEST
    return reached


def all_of(trials: int, done: str) -> str:
    return (
        "the only trial has been " + done
        if trials == 1
        else f"all {trials} trials have been {done}"
    )


def complete(ledger: Ledger, strategies: Strategies) -> Quit | None:
    """The end of a study of which nothing runs, if the limit on trials lets no more begin."""
    trials = ledger.spec.limits.trials
    if trials is None or ledger.started_count < trials or ledger.paused:
        return None
    return strategies.enough or Quit("trials", all_of(trials, "run"))


def halt(ledger: Ledger, number: int, at: float) -> Reason | None:
    """Why a running trial is to end before its time: its own limit, or `halt_all`. O(running trials)."""
    return over_its_time(ledger, number, at) or halt_all(ledger, at)


def halt_all(ledger: Ledger, at: float) -> Reason | None:
    """Why all running trials are to end: a limit of the study's that does not wait for them, or a request. O(running
    trials)."""
    limits = ledger.spec.limits
    request = ledger.stop_requested
    if request is not None and at - request.at >= limits.grace:
        return Reason(Kind.INTERRUPTED, ON_REQUEST.detail)
    reached = used_up(ledger, at)
    if reached is None and limits.confirm is None:
        reached = good_enough(ledger, at)
    if reached is None or reached.why not in STOP_RUNNING:
        return None
    return Reason(Kind.INTERRUPTED, reached.detail)


def over_its_time(ledger: Ledger, number: int, at: float) -> Reason | None:
    """Why a running trial is to end, if it has had the time that each may take."""
    trial_time = ledger.spec.limits.trial_time
    if not trial_time or at - ledger.started_at(number) < trial_time:
        return None
    return Reason(Kind.TIMEOUT, f"over its time limit of {show_seconds(trial_time)}")


def longest_silence_s(ledger: Ledger) -> float | None:
    """How long a running trial may report nothing; None for ever."""
    rule = ledger.spec.limits.trial_silence
    if rule == "off":
        return None
    if rule != "auto":
        return float(rule)
    if sum(ledger.counts[s] for s in ENDED) < SILENCE_SIBLINGS:
        return None
    return max(SILENCE_FLOOR_S, SILENCE_FACTOR * ledger.longest_gap_s)


def silence(ledger: Ledger, number: int, at: float) -> Reason:
    """Why a running trial is to end that has been silent for too long."""
    message = (
        f"nothing reported for {show_seconds(at - ledger.running[number].heard_at)}, against "
        f"{show_seconds(ledger.longest_gap_s)} at most in other trials (limits: trial_silence)"
    )
    return Reason(Kind.TIMEOUT, message)


#: The end of a study that somebody has stopped.
ON_REQUEST: Final = Quit("interrupted", "stopped on request")


def _converged(ledger: Ledger, strategies: Strategies) -> Quit | None:
    """Whether too little is to gain, where that is to end the study."""
    least, forecaster = ledger.spec.limits.least_gain, strategies.forecaster
    if least is None or forecaster is None:
        return None
    history = strategies.history(ledger)
    with strategies.unbroken():
        strategies.gains = strategies.gains.look(history, forecaster, least)
    if not strategies.gains.over:
        return None
    return Quit("converged", f"little is left to gain: {forecaster(history, LOOK_AHEAD)}")


# -- the next trial ---------------------------------------------------------------------------


def begin(
    ledger: Ledger,
    strategies: Strategies,
    at: float,
    session: str,
    running: Collection[int],
    free: int,
) -> Step:
    """What comes next: the scheduler's trials first, then waiting ones, then the searcher's (up to `free` of
    them), at last those that confirm the best.

    `running` are the trials that are waited for. Raises StrategyError for a strategy that raises.
    """
    limits = ledger.spec.limits
    if strategies.enough is None:
        moved = move(ledger, strategies, at, session)
        if moved is not None:
            return [moved]
    if limits.trials is not None and ledger.started_count >= limits.trials:
        if running:
            return Wait("trials", all_of(limits.trials, "started"))
        return strategies.enough or Quit("trials", all_of(limits.trials, "run"))
    waiting = _next_waiting(ledger, strategies)
    if waiting is not None:
        return [events.Started(at, waiting, ledger.attempts_begun(waiting), session)]
    if _searches(ledger, strategies, at, running):
        left = ledger.search_left
        step = _suggest(
            ledger, strategies, at, session, running, free if left is None else min(free, left)
        )
        # an exhausted space is news to the scheduler
        return begin(ledger, strategies, at, session, running, free) if step is None else step
    if limits.confirm is not None:
        return _confirm(ledger, strategies, at, running)
    if strategies.exhausted(ledger) and not running:
        return Quit("exhausted", "every config of the space has been tried")
    if strategies.exhausted(ledger):
        return _EXHAUSTED
    return Wait("time", "what is left of the time is for the trials that have begun")


def _next_waiting(ledger: Ledger, strategies: Strategies) -> int | None:
    """The waiting trial to start next: any, or one that confirms another where the search is over."""
    if strategies.enough is None:
        return ledger.next_waiting()
    waiting = (n for n in ledger.confirming if ledger.state(n) is State.WAITING)
    return min(waiting, default=None)


def _searches(ledger: Ledger, strategies: Strategies, at: float, running: Collection[int]) -> bool:
    """Whether the searcher is to be asked for more."""
    left = ledger.search_left
    ended = strategies.enough is not None or strategies.exhausted(ledger)
    if ended or (left is not None and left <= 0):
        return False
    alone = ledger.spec.limits.confirm is None and not running
    return alone or not _late(ledger, at)


def _late(ledger: Ledger, at: float) -> bool:
    """Whether the time that is left is for the best: to confirm them, or, where all have paused so far, to
    complete one."""
    limits = ledger.spec.limits
    if limits.time is None or ledger.elapsed_s(at) < limits.time * (1 - CONFIRM_SHARE):
        return False
    return limits.confirm is not None or bool(ledger.paused and not ledger.completed)


def _suggest(
    ledger: Ledger,
    strategies: Strategies,
    at: float,
    session: str,
    running: Collection[int],
    n: int,
) -> Step | None:
    """Up to `n` trials from the searcher; None once it has nothing more."""
    spec = ledger.spec
    visible = visible_results(spec, ledger.size)
    if visible is not None:
        n = 1
        hidden = min((number for number in ledger.running if number < visible), default=None)
        if hidden is not None:
            return Wait("order", f"the study is deterministic, and trial {hidden} still runs")
    proposals = _asked(
        strategies,
        "searcher",
        spec.searcher.name,
        lambda: propose(ledger, strategies.searcher, n, memo=strategies.memo),
    )
    if not proposals:
        if running:
            return _EXHAUSTED
        strategies.exhausted_spec = spec
        strategies.exhausted_generation = ledger.aging.generation
        return None
    first = ledger.size
    return [
        events.Suggested(at, first + i, config, origin, session)
        for i, (config, origin) in enumerate(proposals)
    ]


_EXHAUSTED: Final = Wait("exhausted", "every config of the space has been tried")


def _confirm(ledger: Ledger, strategies: Strategies, at: float, running: Collection[int]) -> Step:
    """Put one of the best trials into the queue once more."""
    limits, k = ledger.spec.limits, ledger.spec.limits.confirm
    assert k is not None
    if any(number not in ledger.confirming for number in running):
        return Wait("confirm", "which trials are the best is not known before the running ones end")
    history = strategies.history(ledger)
    used = limits.trials is not None and len(ledger.confirming) >= limits.reserve
    trial = None if used else confirm.next_run(history, k)
    if trial is None:
        if running:
            return Wait("confirm", "the runs that confirm the best have all begun")
        return _confirmed(strategies, ledger.confirmed)
    number, config = ledger.size, ledger.config(trial)
    origin = Origin(CONFIRM, f"trial {trial} once more, with another seed")
    return [events.Enqueued(at, number, config, origin, {}, trial)]


def _confirmed(strategies: Strategies, confirmed: list[Confirmed]) -> Quit:
    """The end of a study whose best trials have been run again."""
    if confirmed:
        why = "" if strategies.enough is None else f"{strategies.enough.detail}; "
        best = f"trial {confirmed[0].trial} is the best of {len(confirmed)}: {confirmed[0]}"
        return Quit("confirmed", why + best)
    none = Quit("confirmed", "no trial has been completed, so there is none to confirm")
    return strategies.enough or none


def resumption(ledger: Ledger, strategies: Strategies, *, full: bool) -> Resume | Drop | None:
    """What the scheduler does next with paused trials; `full` says that no more will begin."""
    scheduler = strategies.scheduler
    if not pauses(scheduler):
        return None
    rng = stream(ledger.spec.seed, ledger.size, RESUME)
    history = strategies.history(ledger, full=full)
    return _asked(
        strategies, "scheduler", _scheduler_name(ledger), lambda: scheduler.resume(history, rng)
    )


def move(ledger: Ledger, strategies: Strategies, at: float, session: str) -> Event | None:
    """The trial that goes on from a checkpoint, or is dropped, because the scheduler says so."""
    if not pauses(strategies.scheduler):
        return None
    nothing_new = strategies.exhausted(ledger) or _late(ledger, at)
    full = ledger.next_waiting() is None and nothing_new
    wanted = resumption(ledger, strategies, full=full)
    match wanted:
        case None:
            return None
        case Drop():
            return _dropped(ledger, wanted, at, full=full)
        case Resume(config=None):
            attempt = ledger.attempts_begun(wanted.trial)
            return events.Started(at, wanted.trial, attempt, session, wanted.why, full)
    assert wanted.config is not None
    origin = Origin(_scheduler_name(ledger), wanted.why)
    spec = ledger.spec
    config = queued(spec, wanted.config) if spec.learned else spec.space.clean(wanted.config)
    last = ledger.curves.last(wanted.trial)
    step = last.step if last else 0
    return events.Forked(at, ledger.size, wanted.trial, config, origin, session, step, full)


def _dropped(ledger: Ledger, drop: Drop, at: float, *, full: bool) -> Event:
    """The end of a paused trial; what it reported last stays with it."""
    reason = Reason(Kind.STOPPED, drop.why)
    exited = Exited(at, drop.trial, ledger.attempt(drop.trial), reason=reason)
    return _finished(ledger, exited, outcome(ledger, exited), full=full)


# -- what has happened ------------------------------------------------------------------------


def verdict(ledger: Ledger, strategies: Strategies, trial: int) -> Decision | None:
    """What the scheduler wants of a running trial that has just reported; None where it is not asked.

    Raises StrategyError for a scheduler that raises.
    """
    scheduler = strategies.scheduler
    if scheduler is None or trial in ledger.decided or trial in ledger.confirming:
        return None
    history = strategies.history(ledger)
    return _asked(
        strategies, "scheduler", _scheduler_name(ledger), lambda: scheduler.decide(history, trial)
    )


def ending(ledger: Ledger, exited: Exited, *, requested: bool = False) -> Event:
    """The event that the end of a trial's attempt is; `requested` says that it had been told to end.

    `retries` counts what the trial did itself: it vanished, or interrupted itself.
    """
    kind = None if exited.reason is None else exited.reason.kind
    if kind is Kind.LOST or kind is Kind.INTERRUPTED:
        itself = kind is Kind.LOST or not requested
        return _again(ledger, exited, counted=itself and not exited.blameless)
    if kind is Kind.PAUSED:
        assert exited.reason is not None
        cost = price(ledger.spec.limits, exited.cost)
        return events.Paused(exited.at, exited.trial, exited.attempt, exited.reason, cost)
    return _finished(ledger, exited, outcome(ledger, exited))


def ends(ledger: Ledger, exited: Exited, *, requested: bool = False) -> list[Event]:
    """What the end of a trial's attempt comes to: `ending`, and, where the space is learned, what it asked for."""
    end = ending(ledger, exited, requested=requested)
    number, at = exited.trial, exited.at
    made: list[Event] = []
    if exited.tags:
        made.append(events.Annotated(at, number, "", exited.tags, OURSELVES))
    if not ledger.spec.learned or isinstance(end, events.Requeued):
        return [*made, end]
    config = ledger.config(number)
    if exited.asked is not None:
        plan = ledger.plan(number)
        only = tuple(name for name in asked_so_far(ledger, number, exited.asked) if name in plan)
        if set(only) != config.keys():
            made.append(events.Asked(at, number, exited.attempt, only=only))
            config = {name: plan[name] for name in only}
    made.append(end)
    if isinstance(end, events.Finished) and end.state is not State.CANCELLED:
        given = ledger.asking.given.get(number, {})
        if exited.asked is not None and end.state in (State.COMPLETED, State.STOPPED):
            left = [name for name in given if name not in config]
            note = unused(ledger.spec.space, ledger.asking, left)
            if note:
                made.append(events.Annotated(at, number, note, {}, OURSELVES))
        space = learning.learned(ledger, number, config, end.state)
        if space is not None:
            made.append(events.Edited(at, {"space": space}, OURSELVES))
    return made


def asked_so_far(ledger: Ledger, number: int, names: Iterable[str]) -> tuple[str, ...]:
    """`names`, which one process knows to be asked for by a running trial, and those that others have said so of."""
    running = ledger.running.get(number)
    return tuple(dict.fromkeys([*(running.asked if running else ()), *names]))


def refusal(ledger: Ledger, asked: events.Asked) -> Reason | None:
    """Why a trial that asks for parameters is to fail, if it is."""
    conflict = learning.conflict(ledger, asked)
    return Reason(Kind.ERROR, conflict) if conflict else None


def give_up(ledger: Ledger, at: float, sessions: Collection[str], reason: Reason) -> list[Event]:
    """The ends of the trials of `sessions`, which nobody runs any more: they wait to be run again, without end
    and without blame, but for those that had been told to end, and have."""
    ends: list[Event] = []
    for number in [n for n, running in ledger.running.items() if running.session in sessions]:
        attempt, stop = ledger.attempt(number), ledger.stop_reasons.get(number)
        if stop is None:
            ends.append(events.Requeued(at, number, attempt, reason))
        else:
            ends.append(ending(ledger, Exited(at, number, attempt, reason=stop), requested=True))
    return ends


def outcome(ledger: Ledger, exited: Exited) -> Outcome:
    """How a trial ended that will not be run again."""
    objectives, latest = ledger.spec.objectives, ledger.curves.latest(exited.trial)
    reason = exited.reason

    def reports() -> list[Mapping[str, float]]:
        return [report.metrics for report in ledger.curves.of(exited.trial)]

    if reason is None:
        needed = ledger.spec.needed_metrics
        if ledger.spec.learned:  # which of the names are parameters is known now
            needed -= {*ledger.asking.declared, *ledger.config(exited.trial)}
        return outcome_of(objectives, exited.returned, latest, reports, needed)
    if reason.kind is Kind.STOPPED:
        so_far = outcome_of(objectives, None, latest, reports)
        return Outcome(State.STOPPED, so_far.values, so_far.metrics, reason)
    if exited.returned is None:
        return Outcome(State.FAILED, None, finite(latest), reason)
    return Outcome(
        State.FAILED, None, outcome_of(objectives, exited.returned, latest, reports).metrics, reason
    )


def price(limits: Limits, cost: Cost, metrics: Mapping[str, float | None] | None = None) -> Cost:
    """The cost, with its money: by the hour, or what the metric of a trial that has ended says."""
    if limits.cost_metric is not None:
        money = (metrics or {}).get(limits.cost_metric)
        return cost if money is None else Cost(cost.wall_s, cost.cpu_s, cost.memory_bytes, money)
    if limits.price_per_hour is None or cost.wall_s is None:
        return cost
    money = cost.wall_s / 3600 * limits.price_per_hour
    return Cost(cost.wall_s, cost.cpu_s, cost.memory_bytes, money)


def _again(ledger: Ledger, exited: Exited, *, counted: bool) -> Event:
    """A trial that waits to be run again, or has failed because that was so once too often."""
    reason = exited.reason
    assert reason is not None
    lost = reason.kind is Kind.LOST
    times = ledger.times_lost(exited.trial) + 1
    if counted and times > ledger.spec.limits.retries:
        what = "it was lost" if lost else "it was to be run again"
        message = f"{reason.message}; {what} {count(times, 'time')}"
        failed = Reason(reason.kind, message, reason.output)
        return _finished(ledger, exited, Outcome(State.FAILED, None, {}, failed))
    cost = Cost() if lost else price(ledger.spec.limits, exited.cost)
    return events.Requeued(exited.at, exited.trial, exited.attempt, reason, cost, counted)


def _finished(
    ledger: Ledger, exited: Exited, end: Outcome, *, full: bool = False
) -> events.Finished:
    return events.Finished(
        exited.at,
        exited.trial,
        exited.attempt,
        end.state,
        end.values,
        end.metrics,
        end.reason,
        price(ledger.spec.limits, exited.cost, end.metrics),
        full,
    )


def _scheduler_name(ledger: Ledger) -> str:
    strategy = ledger.spec.scheduler
    return "" if strategy is None else strategy.name


def _asked(strategies: Strategies, noun: str, name: str, ask: Callable[[], T]) -> T:
    """What a strategy answers. Raises StrategyError, which names it, for whatever it raises."""
    try:
        with strategies.unbroken():
            return ask()
    except TunesmithError:
        raise
    except Exception as error:
        raise StrategyError(
            f"the {noun} {name!r} raised {type(error).__name__}: {error}; what trials have returned is stored: "
            f"mend the {noun}, or take another one, and run the study again"
        ) from error
