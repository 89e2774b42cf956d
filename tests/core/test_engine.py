"""The loop by hand: events in, commands out, no executor and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from tests.core.driver import ERROR, completed, enqueued, opened, reported, spec, suggested

from tunesmith.core import codec, decide, events
from tunesmith.core.engine import Engine
from tunesmith.core.events import Event, Exited, Interrupt, Quit, Start, Stop, Tick, Write
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import (
    Decision,
    Drop,
    Outlook,
    Resume,
    Scheduler,
    Searcher,
    Suggestion,
    Suggestions,
    Verdict,
)
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import Cost, Kind, Reason, State
from tunesmith.schedule.hyperband import Hyperband
from tunesmith.schedule.pasha import Pasha
from tunesmith.search.random import Random

LOST = Reason(Kind.LOST, "the machine died")


class Shell:
    """A pretended store and executor around an engine, which watches that the engine behaves."""

    def __init__(
        self,
        study: StudySpec,
        *past: Event,
        searcher: Searcher | None = None,
        scheduler: Scheduler | None = None,
        session: str = "s",
    ) -> None:
        self.now = 100.0
        self.session = session
        self.stored: list[Event] = [*past, opened(self.now, session)]
        self.engine = Engine(
            Ledger(study).extend(self.stored), searcher or Random(), scheduler, session
        )
        self.spec = study
        #: What runs: trial -> attempt, and what was orders to stop.
        self.jobs: dict[int, int] = {}
        self.orders: dict[int, Stop] = {}
        self.begun: set[tuple[int, int]] = set()
        self.quit: Quit | None = None

    @property
    def ledger(self) -> Ledger:
        return self.engine.ledger

    def give(self, *inputs: Any) -> list[Any]:
        """Let the engine handle inputs, carry its commands out, and look after it."""
        commands = [command for item in inputs for command in self.engine.handle(item)]
        return self.carry_out(commands)

    def carry_out(self, commands: Sequence[Any]) -> list[Any]:
        for command in commands:
            match command:
                case Write(event):
                    self.stored.append(event)
                case Start(trial, attempt):
                    assert (trial, attempt) not in self.begun, "the same attempt twice"
                    self.begun.add((trial, attempt))
                    self.jobs[trial] = attempt
                    assert self.ledger.state(trial) is State.RUNNING, "started before it is stored"
                case Stop(trial):
                    assert trial in self.jobs
                    self.orders[trial] = command
                case Quit():
                    assert self.quit is None
                    self.quit = command
        self.look()
        return list(commands)

    def look(self) -> None:
        """What holds at every moment."""
        ledger, limits = self.ledger, self.ledger.spec.limits
        mine = {n for n, running in ledger.running.items() if running.session == self.session}
        assert mine == set(self.jobs), "engine and executor disagree on what runs"
        assert len(mine) <= limits.parallel
        assert limits.trials is None or ledger.started_count <= limits.trials
        assert ledger.cursor == len(self.stored)
        assert sum(ledger.counts.values()) == ledger.size

    def tick(self, after: float = 1.0) -> list[Any]:
        self.now += after
        return self.give(Tick(self.now))

    def report(self, trial: int, step: int, loss: float | None, after: float = 0.0) -> list[Any]:
        self.now += after
        attempt = self.jobs[trial]
        return self.give(events.Reported(self.now, trial, attempt, step, {"loss": loss}))

    def exit(
        self, trial: int, returned: Any = None, reason: Reason | None = None, wall_s: float = 1.0
    ) -> list[Any]:
        """The job of a trial is over."""
        attempt = self.jobs.pop(trial)
        self.orders.pop(trial, None)
        return self.give(Exited(self.now, trial, attempt, returned, reason, Cost(wall_s)))

    def obey(self) -> None:
        """Every job that was told to stop does."""
        for trial, stop in sorted(self.orders.items()):
            self.exit(trial, reason=stop.reason)

    def fail_until_over(self, reasons: Iterable[Reason]) -> int:
        """Let one trial after the other fail; how many had to."""
        for failures, reason in enumerate(reasons):
            self.tick()
            if self.quit:
                return failures
            self.exit(next(iter(self.jobs)), reason=reason)
        raise AssertionError("it goes on failing")

    def states(self) -> list[str]:
        return [str(self.ledger.state(n)) for n in range(self.ledger.size)]


def started(commands: Sequence[Any]) -> list[int]:
    return [command.trial for command in commands if isinstance(command, Start)]


def stops(commands: Sequence[Any]) -> list[Stop]:
    return [command for command in commands if isinstance(command, Stop)]


def written(commands: Sequence[Any], kind: type[Any]) -> list[Any]:
    return [c.event for c in commands if isinstance(c, Write) and isinstance(c.event, kind)]


# -- starting -------------------------------------------------------------------------------------


def test_as_many_at_a_time_as_may_run() -> None:
    shell = Shell(spec(parallel=3, trials=5))
    assert started(shell.tick()) == [0, 1, 2]
    assert started(shell.tick()) == []
    shell.exit(1, 0.5)
    assert started(shell.tick()) == [3]
    shell.exit(0, 0.5)
    shell.exit(2, 0.5)
    assert started(shell.tick()) == [4], "the limit comes before the room"
    shell.exit(3, 0.5)
    assert shell.tick() == [], "the last one still runs"
    shell.exit(4, 0.25)
    ended, quitting = shell.tick()
    assert ended == Write(events.Ended(shell.now, "trials", "all 5 trials have been run"))
    assert quitting == Quit("trials", "all 5 trials have been run")
    assert shell.ledger.incumbent == 4
    assert shell.tick() == [], "over is over"
    assert shell.give(Interrupt(shell.now)) == []


def test_a_start_is_written_before_it_is_done() -> None:
    write, start = Shell(spec(seed=5)).tick()
    assert isinstance(write.event, events.Suggested)
    assert isinstance(start, Start)
    assert start.config == write.event.config
    assert start.seed == Ledger(spec(seed=5)).extend([write.event]).trial(0).seed


def test_an_objective_cannot_change_the_recorded_config() -> None:
    space = Space(layers=Choice([1, 2], [3]), widths=[[8]])
    shell = Shell(spec(space=space))
    (start,) = [c for c in shell.tick() if isinstance(c, Start)]
    before = shell.ledger.config(0)
    start.config["layers"].append(99)
    start.config["widths"][0].append(99)
    assert shell.ledger.config(0) == before
    assert space.contains(shell.ledger.config(0))


def test_waiting_trials_come_before_suggestions() -> None:
    shell = Shell(spec(parallel=3, trials=3), enqueued(0), enqueued(1))
    commands = shell.tick()
    assert [type(event) for event in (c.event for c in commands if isinstance(c, Write))] == [
        events.Started,
        events.Started,
        events.Suggested,
    ]
    assert started(commands) == [0, 1, 2]


def test_what_is_enqueued_meanwhile_is_run() -> None:
    shell = Shell(spec(trials=3))
    shell.tick()
    foreign = enqueued(1, {"x": 0.125, "c": "b"})
    shell.stored.append(foreign)
    shell.engine.absorb([foreign])
    shell.exit(0, 1.0)
    (start,) = [c for c in shell.tick() if isinstance(c, Start)]
    assert (start.trial, start.config) == (1, {"x": 0.125, "c": "b"})


def test_trials_of_ask_and_tell_clients_take_no_room() -> None:
    shell = Shell(spec(parallel=2), opened(1.0, "client", coordinator=False))
    theirs = suggested(0, session="client")
    shell.stored.append(theirs)
    shell.engine.absorb([theirs])
    assert started(shell.tick()) == [1, 2]
    result = completed(0, 0.1)
    shell.stored.append(result)
    shell.engine.absorb([result])
    shell.exit(1, 0.5)
    assert started(shell.tick()) == [3]


def test_edited_limits_hold_at_once() -> None:
    shell = Shell(spec(parallel=1, trials=2))
    shell.tick()
    edit = events.Edited(shell.now, {"limits": {"parallel": 3, "trials": 4}}, "me")
    shell.stored.append(edit)
    shell.engine.absorb([edit])
    assert started(shell.tick()) == [1, 2]


# -- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "state", "value"),
    [
        (0.5, "completed", 0.5),
        ({"loss": 0.25, "other": 3}, "completed", 0.25),
        (None, "completed", 0.75),
        (float("nan"), "failed", None),
        ("good", "failed", None),
    ],
)
def test_what_an_objective_returns(returned: Any, state: str, value: float | None) -> None:
    shell = Shell(spec())
    shell.tick()
    shell.report(0, 1, 0.75)
    shell.exit(0, returned)
    trial = shell.ledger.trial(0)
    assert (str(trial.state), trial.value) == (state, value)


def test_a_failed_trial_keeps_its_metrics_and_reason() -> None:
    shell = Shell(spec())
    shell.tick()
    shell.report(0, 1, 0.75)
    shell.report(0, 2, None)
    shell.exit(0, reason=ERROR)
    trial = shell.ledger.trial(0)
    assert (trial.state, trial.reason, trial.value) == (State.FAILED, ERROR, None)
    assert list(trial.metrics) == ["loss"]
    assert len(trial.reports) == 2


def test_money_is_time_by_price() -> None:
    shell = Shell(spec(price_per_hour=36.0))
    shell.tick()
    shell.exit(0, 0.5, wall_s=50.0)
    assert shell.ledger.trial(0).cost.money == pytest.approx(0.5)


# -- limits ---------------------------------------------------------------------------------------


def test_time_ends_the_study_and_puts_running_trials_back() -> None:
    shell = Shell(spec(parallel=2, time=60, grace=7))
    shell.tick()
    assert shell.tick(58) == []
    first, second = stops(shell.tick(1))
    assert (first.trial, second.trial, first.grace_s) == (0, 1, 7)
    assert first.reason == Reason(Kind.INTERRUPTED, "the time limit of 1 min 0 s is used up")
    assert stops(shell.tick(1)) == [], "told once"
    shell.obey()
    assert shell.states() == ["waiting", "waiting"]
    assert shell.tick()[-1] == Quit("time", "the time limit of 1 min 0 s is used up")


def test_compute_time_counts_running_trials() -> None:
    shell = Shell(spec(parallel=2, compute_time=100))
    shell.tick()
    shell.exit(0, 0.5, wall_s=40.0)
    shell.tick(20.0)
    assert stops(shell.tick(19.0)) == [], "40 + 39 + 19"
    assert {stop.trial for stop in stops(shell.tick(2.0))} == {1, 2}
    shell.obey()
    assert shell.tick()[-1] == Quit("compute_time", "the compute time of 1 min 40 s is used up")


def test_cost_counts_running_trials() -> None:
    shell = Shell(spec(cost=2.0, price_per_hour=3600.0))
    shell.tick()
    shell.exit(0, 0.5, wall_s=1.0)
    assert started(shell.tick()) == [1]
    assert [stop.trial for stop in stops(shell.tick(1.0))] == [1]
    shell.obey()
    assert shell.tick()[-1] == Quit("cost", "the cost limit of 2 is used up")


@pytest.mark.parametrize(("goal", "miss", "hit"), [("minimize", 0.3, 0.2), ("maximize", 0.1, 0.2)])
def test_a_target_ends_the_study(goal: Any, miss: float, hit: float) -> None:
    shell = Shell(spec(parallel=2, target=0.2, objectives=(Objective("loss", goal),)))
    shell.tick()
    shell.exit(0, miss)
    assert started(shell.tick()) == [2]
    shell.exit(1, hit)
    assert [stop.trial for stop in stops(shell.tick())] == [2]
    shell.obey()
    assert shell.tick()[-1] == Quit("target", "trial 1 reached the target: loss 0.2")


@pytest.mark.parametrize(("limit", "trials"), [({"target": 0.3}, 4), ({"no_improvement": 2}, 7)])
def test_of_several_objectives_the_first_has_a_target_and_the_front_improves(
    limit: dict[str, Any], trials: int
) -> None:
    both = (Objective("loss"), Objective("size"))
    shell = Shell(spec(objectives=both, **limit))
    values = ((0.9, 1.0), (0.7, 2.0), (0.5, 3.0), (0.3, 4.0), (0.4, 0.1), (0.5, 0.1), (0.4, 0.1))
    for loss, size in values:
        shell.tick()
        if shell.quit is None:
            shell.exit(min(shell.jobs), {"loss": loss, "size": size})
    shell.tick()
    assert shell.quit is not None
    assert shell.quit.why == next(iter(limit))
    assert (shell.ledger.size, shell.ledger.improvement.trial, shell.ledger.incumbent) == (
        trials,
        3,
        None,
    )


def test_no_improvement_for_a_while_ends_the_study() -> None:
    shell = Shell(spec(no_improvement_time=10))
    for loss in (0.5, 0.4):
        shell.tick(3.0)
        shell.exit(len(shell.begun) - 1, loss)
    shell.tick(9.0)
    assert shell.quit is None
    shell.exit(2, 0.6)
    shell.tick(2.0)
    assert shell.quit == Quit("no_improvement", "no better value for 10.0 s")


def test_a_rate_of_failures_ends_the_study() -> None:
    shell = Shell(spec(failure_rate=0.5, failures_in_a_row=None, same_error=None))
    for number in range(20):
        shell.tick()
        failed = number % 2 == 1
        shell.exit(number, None if failed else 1.0, ERROR if failed else None)
    shell.tick()
    assert shell.quit == Quit("failures", f"10 of the last 20 trials failed; the last one: {ERROR}")


def test_no_improvement_ends_the_study() -> None:
    """Failures and equal values are no improvement; running trials may end."""
    shell = Shell(spec(parallel=2, no_improvement=3))
    shell.tick()
    shell.exit(0, 0.5)
    shell.exit(1, 0.4)
    shell.tick()
    shell.exit(2, reason=ERROR)
    shell.exit(3, 0.4)
    shell.tick()
    shell.exit(4, 0.3)  # just in time
    shell.tick()
    for number, value in ((5, 0.35), (6, 0.31), (7, 0.9)):
        assert shell.quit is None
        shell.exit(number, value)
        shell.tick()
    assert shell.quit is None, "trial 8 still runs"
    shell.exit(8, 0.95)
    assert shell.tick()[-1] == Quit(
        "no_improvement", "3 trials have not improved on the best value, which is still trial 4's"
    )


def test_failures_in_a_row() -> None:
    shell = Shell(spec(failures_in_a_row=3, same_error=None))
    for reason in (ERROR, ERROR, None, ERROR):
        shell.tick()
        shell.exit(next(iter(shell.jobs)), 0.5, reason)
    assert shell.fail_until_over([ERROR] * 9) == 2
    assert shell.quit == Quit("failures", "3 trials in a row failed; the last one: error: boom")


def test_the_same_error_from_the_start() -> None:
    alike = (Reason(Kind.ERROR, f"no file {n}.csv at 0x7f{n}a") for n in range(99))
    shell = Shell(spec(same_error=4))
    assert shell.fail_until_over(alike) == 4
    assert shell.quit is not None
    assert "the first 4 trials all failed alike: error: no file 3.csv" in shell.quit.detail


def test_different_errors_are_not_the_same_error() -> None:
    shell = Shell(spec(same_error=2, failures_in_a_row=7))
    assert shell.fail_until_over([Reason(Kind.ERROR, "abcdefghi"[n]) for n in range(9)]) == 7


def test_the_same_error_after_a_success_is_bad_luck() -> None:
    shell = Shell(spec(same_error=2, failures_in_a_row=6))
    shell.tick()
    shell.exit(0, 0.5)
    assert shell.fail_until_over([ERROR] * 9) == 6


def test_no_limit_on_failures() -> None:
    shell = Shell(spec(same_error=None, failures_in_a_row=None, trials=40))
    assert shell.fail_until_over([ERROR] * 50) == 40
    assert shell.quit is not None
    assert shell.quit.why == "trials"


def test_a_trial_over_its_time_is_ended_with_its_stack() -> None:
    shell = Shell(spec(parallel=2, trial_time=10, grace=3))
    shell.tick()
    shell.exit(0, 0.5)
    shell.tick(5.0)
    assert stops(shell.tick(4.9)) == []
    (stop,) = stops(shell.tick(0.2))
    assert stop == Stop(1, Reason(Kind.TIMEOUT, "over its time limit of 10.0 s"), 3, dump=True)
    assert stops(shell.tick(0.5)) == []
    shell.obey()
    trial = shell.ledger.trial(1)
    assert (trial.state, trial.reason) == (State.FAILED, stop.reason)


def test_silence_is_ended_after_the_time_given() -> None:
    shell = Shell(spec(trial_silence=30))
    shell.tick()
    shell.tick(20.0)
    shell.report(0, 1, 0.5)
    assert stops(shell.tick(29.0)) == []
    (stop,) = stops(shell.tick(1.0))
    assert (stop.reason.kind, stop.dump) == (Kind.TIMEOUT, True)
    assert stop.reason.message.startswith("nothing reported for 30.0 s")


def test_silence_is_learned_from_others() -> None:
    shell = Shell(spec())
    for trial in range(5):
        assert stops(shell.tick()) == []
        shell.report(trial, 1, 0.5, after=10.0)
        shell.report(trial, 2, 0.5, after=1.0)
        assert stops(shell.tick(9.9)) == [], "five have to end before silence means anything"
        shell.exit(trial, 0.5)
    shell.tick()
    assert stops(shell.tick(199.0)) == []
    (stop,) = stops(shell.tick(1.5))
    assert stop.trial == 5, "20 times the longest gap of 10 s"
    assert "against 10.0 s at most in other trials" in stop.reason.message


@pytest.mark.parametrize(("rule", "ended"), [("auto", 1), ("off", 0)])
def test_the_silence_of_quick_trials(rule: str, ended: int) -> None:
    shell = Shell(spec(trial_silence=rule))
    for trial in range(5):
        shell.tick(0.001)
        shell.exit(trial, 0.5)
    shell.tick(0.001)
    assert stops(shell.tick(59.0)) == []
    assert len(stops(shell.tick(1.0))) == ended


# -- stopping -------------------------------------------------------------------------------------


def test_interrupt_once_drains() -> None:
    shell = Shell(spec(parallel=2, grace=10))
    shell.tick()
    shell.give(Interrupt(shell.now))
    assert shell.tick() == [], "no new trials, and running ones have their grace"
    shell.exit(0, 0.5)
    assert stops(shell.tick(8.0)) == []
    (stop,) = stops(shell.tick(1.0))
    assert stop == Stop(1, Reason(Kind.INTERRUPTED, "stopped on request"), 10)
    assert stops(shell.tick()) == []
    shell.obey()
    assert shell.states() == ["completed", "waiting"]
    assert shell.tick()[-1] == Quit("interrupted", "stopped on request")


def test_interrupt_twice_kills() -> None:
    shell = Shell(spec(parallel=2, grace=10))
    shell.tick()
    shell.give(Interrupt(shell.now))
    shell.tick(0.01)
    shell.give(Interrupt(shell.now, now=True))
    assert [(s.trial, s.grace_s) for s in stops(shell.tick(0.01))] == [(0, 0.0), (1, 0.0)]
    assert stops(shell.tick()) == []
    shell.obey()
    assert shell.tick()[-1] == Quit("interrupted", "stopped on request")


def test_interrupt_twice_kills_what_is_being_stopped_already() -> None:
    shell = Shell(spec(grace=10))
    shell.tick()
    shell.give(Interrupt(shell.now))
    assert [stop.grace_s for stop in stops(shell.tick(10.0))] == [10.0]
    shell.give(Interrupt(shell.now, now=True))
    assert [stop.grace_s for stop in stops(shell.tick(0.01))] == [0.0]


def test_an_interrupted_study_without_trials_is_over_at_once() -> None:
    shell = Shell(spec())
    shell.give(Interrupt(shell.now))
    assert shell.tick()[-1] == Quit("interrupted", "stopped on request")


def test_a_request_to_stop_drains() -> None:
    shell = Shell(spec(grace=10))
    shell.tick()
    request = events.StopRequested(shell.now, "me")
    shell.stored.append(request)
    shell.engine.absorb([request])
    assert shell.tick() == []
    assert len(stops(shell.tick(10.0))) == 1
    shell.obey()
    assert shell.tick()[-1] == Quit("interrupted", "stopped on request")


def test_a_request_to_an_earlier_coordinator_is_done_with() -> None:
    shell = Shell(spec(), opened(1.0, "old"), events.StopRequested(2.0, "me"))
    assert started(shell.tick()) == [0]


def test_a_killed_loop_puts_its_trials_back() -> None:
    shell = Shell(spec(parallel=2), opened(1.0, "client", coordinator=False))
    theirs = suggested(0, session="client")
    shell.stored.append(theirs)
    shell.engine.absorb([theirs])
    shell.tick()
    requeued = written(shell.engine.abandon(shell.now), events.Requeued)
    assert [(r.trial, r.reason.kind) for r in requeued] == [
        (1, Kind.INTERRUPTED),
        (2, Kind.INTERRUPTED),
    ]
    assert list(shell.ledger.running) == [0]


# -- losses ---------------------------------------------------------------------------------------


def test_lost_trials_run_again_and_fail_at_last() -> None:
    shell = Shell(spec(retries=2, trials=1))
    for attempt in range(3):
        (start,) = [c for c in shell.tick() if isinstance(c, Start)]
        assert (start.trial, start.attempt) == (0, attempt)
        shell.exit(0, reason=LOST)
    trial = shell.ledger.trial(0)
    assert trial.state is State.FAILED
    assert trial.reason == Reason(Kind.LOST, "the machine died; it was lost 3 times")
    assert shell.tick()[-1].why == "trials", "it counts once"


def test_no_retries() -> None:
    shell = Shell(spec(retries=0))
    shell.tick()
    shell.exit(0, reason=LOST)
    assert shell.states() == ["failed"]


def test_being_told_to_end_uses_up_no_retry() -> None:
    shell = Shell(spec(retries=0, trials=1))
    shell.tick()
    shell.give(Interrupt(shell.now, now=True))
    shell.tick()
    shell.exit(0, reason=Reason(Kind.INTERRUPTED, "a stop"))
    assert shell.states() == ["waiting"]


def test_a_trial_that_interrupts_itself_is_not_run_for_ever() -> None:
    shell = Shell(spec(retries=2, trials=1))
    for _ in range(3):
        shell.tick()
        shell.exit(0, reason=Reason(Kind.INTERRUPTED, "KeyboardInterrupt"))
    trial = shell.ledger.trial(0)
    assert trial.state is State.FAILED
    assert str(trial.reason) == "interrupted: KeyboardInterrupt; it was to be run again 3 times"
    assert shell.tick()[-1].why == "trials"


def test_what_an_earlier_attempt_says_is_ignored() -> None:
    shell = Shell(spec())
    shell.tick()
    shell.exit(0, reason=LOST)
    assert shell.give(events.Reported(shell.now, 0, 0, 1, {"loss": 0.1})) == [], "it waits"
    shell.tick()
    for late in (
        events.Reported(shell.now, 0, 0, 1, {"loss": 0.1}),
        Exited(shell.now, 0, 0, 0.1),
        Exited(shell.now, 0, 0, reason=LOST),
        events.Reported(shell.now, 0, 2, 1, {"loss": 0.1}),
        events.Reported(shell.now, 7, 0, 1, {"loss": 0.1}),
        Exited(shell.now, 7, 0, 0.1),
    ):
        assert shell.give(late) == []
    assert shell.ledger.trial(0).reports == ()
    shell.exit(0, 0.5)
    assert shell.give(Exited(shell.now, 0, 1, 0.1)) == [], "it has ended"
    assert shell.ledger.trial(0).value == 0.5


def test_a_new_attempt_goes_on_with_the_curve_of_the_one_before() -> None:
    """From a checkpoint at step 2, or from the beginning: a trial has one curve."""
    shell = Shell(spec())
    shell.tick()
    for step, loss in ((1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)):
        shell.report(0, step, loss)
    shell.exit(0, reason=LOST)
    shell.tick()
    shell.report(0, 3, 0.35)
    shell.report(0, 4, 0.25)
    curve = [(report.step, report.metrics["loss"]) for report in shell.ledger.trial(0).reports]
    assert curve == [(1, 0.5), (2, 0.4), (3, 0.35), (4, 0.25)]
    shell.exit(0, reason=LOST)
    shell.tick()
    shell.report(0, 1, 0.6)
    assert [report.step for report in shell.ledger.trial(0).reports] == [1]
    shell.exit(0, reason=LOST)
    shell.tick()
    shell.exit(0, None)  # None: the last report counts
    assert shell.ledger.trial(0).value == 0.6


def restarted(shell: Shell) -> Start:
    """The next attempt of the trial that runs, once that is lost."""
    shell.exit(next(iter(shell.jobs)), reason=LOST)
    (start,) = [command for command in shell.tick() if isinstance(command, Start)]
    return start


def test_where_a_trial_goes_on_that_has_reported_nothing_yet() -> None:
    """Where others report as they go, a checkpoint without a report leaves a gap; where they report at
    their end, it is all there is."""
    shell = Shell(spec(retries=10))
    shell.tick()
    assert restarted(shell).reported is None, "nobody knows yet"
    shell.report(0, 1, 0.5)
    shell.exit(0)
    shell.tick()
    assert restarted(shell).reported is None
    shell.report(1, 1, 0.4)
    shell.exit(1, reason=LOST)
    shell.tick()
    shell.report(1, 1, 0.4)
    shell.exit(1)
    shell.tick()
    assert restarted(shell).reported is None, "a report that took the place of another is one"
    shell.report(2, 1, 0.5)
    shell.report(2, 2, 0.4)
    assert restarted(shell).reported == 2
    shell.exit(2, 0.4)
    shell.tick()
    assert restarted(shell).reported == events.NO_STEP


def test_where_a_trial_goes_on_while_none_has_come_to_its_end() -> None:
    shell = Shell(spec(parallel=2))
    shell.tick()
    shell.report(0, 1, 0.5)
    shell.exit(1, reason=LOST)
    (start,) = [command for command in shell.tick() if isinstance(command, Start)]
    assert start.reported == events.NO_STEP


def test_costs_are_summed_over_attempts() -> None:
    shell = Shell(spec(compute_time=100, price_per_hour=3600))
    shell.tick()
    shell.exit(0, reason=Reason(Kind.INTERRUPTED, "why"), wall_s=3.0)
    assert (shell.ledger.compute_time_s, shell.ledger.money) == (3.0, 3.0)
    shell.tick()
    shell.exit(0, 1.0, wall_s=4.0)
    assert (shell.ledger.trial(0).cost.wall_s, shell.ledger.compute_time_s) == (7.0, 7.0)


@dataclass(frozen=True)
class PauseEach:
    """Pauses each trial at step 1; then the best goes on, the worst is dropped, another is a copy."""

    def decide(self, history: History, trial: int) -> Decision:
        last = next(history.back(trial))
        return Decision(Verdict.PAUSE, "wait") if last.step == 1 else Decision(Verdict.CONTINUE)

    def resume(self, history: History, rng: Generator) -> Resume | Drop | None:
        if len(history) < 3 or history.where(State.RUNNING).any():
            return None
        if history.trial(0).state is State.PAUSED:
            return Resume(0, "the best")
        if history.trial(2).state is State.PAUSED:
            return Drop(2, "the worst")
        if len(history) == 3:
            return Resume(0, "as the best", {"x": 0.75 + rng.random() / 8, "c": "a"})
        return None


def test_a_scheduler_pauses_trials_and_lets_them_go_on() -> None:
    shell = Shell(spec(trials=3, scheduler=Strategy("asha")), scheduler=PauseEach())
    for number in range(3):
        assert started(shell.tick()) == [number]
        _, decided, stop = shell.report(number, 1, 0.1 + number)
        assert (decided.event.decision, stop.reason) == ("pause", Reason(Kind.PAUSED, "wait"))
        assert shell.ledger.state(number) is State.RUNNING, "it may still be saving"
        shell.obey()
        assert shell.ledger.state(number) is State.PAUSED
    assert shell.ledger.compute_time_s == 3.0
    (write, start) = shell.tick()
    assert write.event == events.Started(shell.now, 0, 1, "s", "the best")
    assert (start.trial, start.attempt, start.parent) == (0, 1, None)
    shell.report(0, 2, 0.05)
    shell.exit(0, None)
    assert shell.ledger.trial(0).value == 0.05
    dropped, forked, start = shell.tick()
    assert dropped.event.state is State.STOPPED
    assert (shell.ledger.trial(2).value, shell.ledger.trial(2).cost.wall_s) == (2.1, 1.0)
    assert (forked.event.trial, forked.event.parent, start.parent) == (3, 0, 0)
    assert 0.75 <= start.config["x"] < 0.875
    assert shell.ledger.trial(3).parent == 0
    assert shell.ledger.started_count == 3, "a copy is no run of its own"
    shell.exit(3, reason=LOST)
    assert shell.tick()[-1].parent == 0, "it has nothing of its own yet"
    shell.report(3, 3, 0.01)
    shell.exit(3, reason=LOST)
    assert shell.tick()[-1].parent is None
    shell.report(3, 3, 0.01)
    shell.exit(3, None)
    assert shell.tick()[-1] == Quit("trials", "all 3 trials have been run")
    assert shell.states() == ["completed", "paused", "stopped", "completed"]
    again = Ledger(shell.spec).extend(shell.stored)
    assert [again.trial(n) for n in range(4)] == [shell.ledger.trial(n) for n in range(4)]


def run_out(shell: Shell, upto: int = 1) -> None:
    """Every trial reports its x at the steps up to `upto`, and ends; so to the end of the study."""
    for _ in range(500):
        shell.tick()
        if shell.quit is not None:
            return
        trial = min(shell.jobs)
        last = shell.ledger.curves.last(trial)
        for step in range(last.step + 1 if last else 1, upto + 1):
            if trial not in shell.orders:
                shell.report(trial, step, shell.ledger.config(trial)["x"])
        stop = shell.orders.get(trial)
        shell.exit(trial, None, stop.reason if stop else None)
    raise AssertionError("it does not end")


@pytest.mark.parametrize("scheduler", [Hyperband(max=4, min=1, reduction=2.0), Pasha(max=4, min=1)])
def test_what_waits_beyond_the_limit_is_not_waited_for(scheduler: Scheduler) -> None:
    shell = Shell(spec(trials=3), *map(enqueued, range(6)), scheduler=scheduler)
    run_out(shell, upto=4)
    assert shell.ledger.incumbent == 0
    assert shell.states()[3:] == ["waiting"] * 3


def test_a_scheduler_is_told_that_the_space_is_exhausted() -> None:
    space = Space(x=Int(1, 3))
    shell = Shell(spec(space=space), scheduler=Hyperband(max=4, min=1, reduction=2.0))
    run_out(shell, upto=4)
    assert shell.quit is not None
    assert shell.quit.why == "exhausted"
    assert sorted(shell.states()) == ["completed", "stopped", "stopped"]
    steps = [e for e in shell.stored if isinstance(e, (events.Started, events.Finished))]
    assert [(type(e).__name__, e.full) for e in steps] == [
        ("Started", True),
        ("Started", True),
        ("Finished", True),
        ("Started", True),
        ("Finished", False),
        ("Finished", True),
    ]


def test_drops_are_no_want_of_improvement_before_there_is_a_best() -> None:
    shell = Shell(spec(no_improvement=15), scheduler=Hyperband(max=27, min=1))
    run_out(shell, upto=27)
    assert shell.quit is not None
    assert shell.quit.why == "no_improvement"
    assert shell.ledger.incumbent is not None


# -- confirming the best --------------------------------------------------------------------------


def confirming(shell: Shell) -> list[int]:
    return sorted(shell.ledger.confirming)


def test_a_higher_limit_is_for_searching_again() -> None:
    shell = Shell(spec(trials=20, confirm=2))
    run_out(shell)
    assert confirming(shell) == [16, 17, 18, 19]
    raised = events.Edited(shell.now, {"limits": {"trials": 60, "confirm": 2}}, "me")
    again = Shell(shell.spec, *shell.stored, raised, session="t")
    run_out(again)
    assert again.ledger.size > 52
    assert confirming(again) == [16, 17, 18, 19, *range(52, again.ledger.size)]
    assert again.quit is not None
    assert again.quit.why == "confirmed"


@pytest.mark.parametrize(
    ("why", "limits"), [("no_improvement", {"no_improvement": 5}), ("target", {"target": 0.5})]
)
def test_the_best_are_confirmed_when_the_search_is_over_early(
    why: str, limits: dict[str, Any]
) -> None:
    alone = Shell(spec(**limits))
    run_out(alone)
    assert alone.quit is not None
    assert alone.quit.why == why
    shell = Shell(spec(confirm=2, trials=40, **limits))
    run_out(shell)
    assert shell.quit is not None
    assert shell.quit.why == "confirmed"
    assert shell.quit.detail.startswith(f"{alone.quit.detail}; trial ")
    assert 3 <= len(confirming(shell)) <= shell.spec.limits.reserve
    assert min(confirming(shell)) == alone.ledger.size
    assert shell.ledger.improvement.trial == alone.ledger.improvement.trial


def test_the_best_are_confirmed_when_little_is_left_to_gain() -> None:
    shell = Shell(spec(confirm=2, least_gain=0.1))
    shell.engine.strategies.forecaster = lambda history, trials: Outlook(trials, 0.0, 0.0, 0.0, 0.1)
    run_out(shell)
    assert shell.quit is not None
    assert shell.quit.why == "confirmed"
    assert shell.quit.detail.startswith("little is left to gain: ")
    assert min(confirming(shell)) == 30


def test_what_runs_when_the_target_is_reached_runs_to_its_end_before_the_best_are_confirmed() -> (
    None
):
    shell = Shell(spec(confirm=2, target=0.2, parallel=3, trials=40))
    shell.tick()
    shell.exit(0, 0.1)
    assert shell.tick() == []
    shell.exit(1, reason=LOST)
    assert shell.tick() == [], "it is not run again"
    shell.exit(2, 0.05)
    assert started(shell.tick()) == [3, 4, 5]
    assert shell.ledger.parent(3) == 2
    shell.exit(3, reason=LOST)
    assert started(shell.tick()) == [3], "but a run that confirms is"


def test_a_lucky_run_that_confirms_is_no_improvement() -> None:
    shell = Shell(spec(confirm=2, no_improvement=2, trials=40))
    for value in (0.1, 0.2, 0.3):
        shell.tick()
        shell.exit(min(shell.jobs), value)
    for _ in range(20):
        shell.tick()
        if shell.quit is not None:
            break
        shell.exit(min(shell.jobs), 0.01 * shell.ledger.size)
    assert shell.ledger.improvement.trial == 0
    assert confirming(shell) == list(range(3, shell.ledger.size)) != []


def test_other_limits_end_the_study_while_the_best_are_confirmed() -> None:
    shell = Shell(spec(confirm=2, target=0.5, time=60))
    shell.tick()
    shell.exit(0, 0.1)
    assert started(shell.tick()) == [1]
    shell.tick(100.0)
    shell.obey()
    shell.tick()
    assert shell.quit is not None
    assert shell.quit.why == "time"


def test_a_lost_trial_over_its_time_is_timed_anew() -> None:
    shell = Shell(spec(trial_time=10))
    shell.tick()
    assert len(stops(shell.tick(10.0))) == 1
    shell.exit(0, reason=LOST)  # its machine died while it was being stopped
    shell.tick()
    assert stops(shell.tick(9.0)) == []
    assert len(stops(shell.tick(1.0))) == 1


def test_recovery_after_a_killed_coordinator() -> None:
    past = (opened(1.0, "old"), suggested(0, session="old"), suggested(1, session="old"))
    shell = Shell(spec(parallel=2, retries=1), *past, session="new")
    requeued = written(shell.carry_out(shell.engine.recover(2.0, ["old"])), events.Requeued)
    assert [(r.trial, r.reason.message) for r in requeued] == [
        (0, "its coordinator died"),
        (1, "its coordinator died"),
    ]
    assert started(shell.tick()) == [0, 1]
    assert shell.jobs == {0: 1, 1: 1}


def test_the_death_of_coordinators_is_no_fault_of_a_trial() -> None:
    shell = Shell(spec(retries=0), opened(1.0, "old"), suggested(0, session="old"), session="s")
    shell.carry_out(shell.engine.recover(2.0, ["old"]))
    for death in range(5):
        shell.tick()
        assert shell.jobs == {0: death + 1}
        shell.jobs.clear()
        shell.carry_out(shell.engine.recover(shell.now, ["s"]))
    shell.tick()
    assert shell.ledger.times_lost(0) == 0
    shell.exit(0, reason=LOST)
    assert shell.states() == ["failed"], "that was its own doing"


def test_more_attempts_than_16_bits_count() -> None:
    shell = Shell(spec(trials=1), opened(1.0, "old"), suggested(0, session="old"))
    again = events.Requeued(2.0, 0, 0, LOST)
    shell.engine.absorb([again, events.Started(3.0, 0, 40_000, "old")])
    assert shell.ledger.trial(0).attempt == 40_000


DECISIONS = pytest.mark.parametrize(
    ("decision", "state"), [("stop", "stopped"), ("pause", "paused")]
)


@DECISIONS
def test_a_decision_outlives_the_coordinator_that_was_killed(decision: str, state: str) -> None:
    decided = events.Decided(1.5, 0, decision, "too much")
    past = (opened(1.0, "old"), suggested(0, session="old"), reported(0, 1, 0.9), decided)
    shell = Shell(spec(retries=0), *past, session="new")
    shell.carry_out(shell.engine.recover(2.0, ["old"]))
    trial = shell.ledger.trial(0)
    assert (str(trial.state), trial.reason) == (state, Reason(Kind(state), "too much"))
    assert trial.value == (0.9 if state == "stopped" else None)
    assert not shell.ledger.decided


@DECISIONS
def test_a_decision_outlives_the_coordinator_that_was_ended(decision: str, state: str) -> None:
    shell = Shell(spec(), scheduler=StopAbove(verdict=Verdict(decision)))
    shell.tick()
    shell.report(0, 1, 0.9)
    shell.jobs.clear()
    shell.carry_out(shell.engine.abandon(shell.now))
    assert shell.states() == [state]


def test_a_trial_that_is_audited_runs_again() -> None:
    decided = events.Decided(1.5, 0, "audit", "too much")
    past = (opened(1.0, "old"), suggested(0, session="old"), reported(0, 1, 0.9), decided)
    shell = Shell(spec(), *past, session="new")
    shell.carry_out(shell.engine.recover(2.0, ["old"]))
    assert shell.states() == ["waiting"]


def test_recovery_leaves_the_living_alone() -> None:
    shell = Shell(spec(), opened(1.0, "client", coordinator=False))
    theirs = suggested(0, session="client")
    shell.stored.append(theirs)
    shell.engine.absorb([theirs])
    assert shell.engine.recover(2.0, ["old"]) == []
    assert started(shell.tick()) == [1], "the client's trial takes no room"


def test_after_a_conflict_the_same_input_is_handled_again() -> None:
    shell = Shell(spec(parallel=2, grace=5))
    shell.tick()
    shell.give(Interrupt(shell.now))
    shell.exit(0, 0.5)
    saved = shell.engine.save()
    exited = Exited(shell.now, 1, 0, 0.25)
    refused = [*shell.engine.handle(exited), *shell.engine.handle(Tick(shell.now + 1))]
    assert isinstance(refused[-1], Quit)
    shell.engine.restore(saved)
    shell.stored.append(enqueued(2, at=shell.now))
    shell.engine.rebase(Ledger(shell.spec).extend(shell.stored))
    assert shell.engine.quit is None
    del shell.jobs[1]
    commands = shell.give(exited, Tick(shell.now + 1))
    assert [type(c) for c in commands] == [type(c) for c in refused]
    assert shell.states() == ["completed", "completed", "waiting"]


def test_a_stop_that_was_not_stored_is_said_again() -> None:
    shell = Shell(spec(parallel=2, trial_time=10))
    shell.tick()
    saved = shell.engine.save()
    refused = shell.engine.handle(Tick(shell.now + 11))
    assert len(stops(refused)) == 2
    shell.engine.restore(saved)
    shell.engine.rebase(Ledger(shell.spec).extend(shell.stored))
    assert len(stops(shell.tick(11.0))) == 2


# -- strategies -----------------------------------------------------------------------------------


def test_an_exhausted_space_ends_the_study() -> None:
    shell = Shell(spec(space=Space(k=Int(1, 3)), parallel=2))
    assert started(shell.tick()) == [0, 1]
    shell.exit(0, 1.0)
    assert started(shell.tick()) == [2]
    shell.exit(2, 1.0)
    assert shell.tick() == [], "one still runs: it may be lost, and run again"
    shell.exit(1, reason=LOST)
    assert started(shell.tick()) == [1]
    shell.exit(1, 1.0)
    assert shell.tick()[-1] == Quit("exhausted", "every config of the space has been tried")


@dataclass(frozen=True)
class StopAbove:
    """Stops a trial whose last report is above `most`, or pauses it."""

    most: float = 0.8
    verdict: Verdict = Verdict.STOP

    def decide(self, history: History, trial: int) -> Decision:
        last = history.curve(trial)[-1].metrics.get("loss", 0.0)
        hopeless = not last <= self.most
        return Decision(self.verdict, "too much") if hopeless else Decision(Verdict.CONTINUE)


def test_a_scheduler_stops_a_trial() -> None:
    shell = Shell(spec(grace=4), scheduler=StopAbove())
    shell.tick()
    assert written(shell.report(0, 1, 0.5), events.Decided) == []
    reported, decided, stop = shell.report(0, 2, 0.9)
    assert reported.event.metrics == {"loss": 0.9}
    assert decided.event == events.Decided(shell.now, 0, "stop", "too much")
    assert stop == Stop(0, Reason(Kind.STOPPED, "too much"), 4)
    assert len(shell.report(0, 3, 0.95)) == 1, "not asked again"
    shell.obey()
    trial = shell.ledger.trial(0)
    assert (trial.state, trial.value) == (State.STOPPED, 0.95)
    assert (trial.reason, shell.ledger.incumbent) == (stop.reason, None)
    assert started(shell.tick()) == [1]
    assert len(shell.report(1, 1, 0.9)) == 3, "the next one is asked about"


def test_a_stopped_trial_that_never_had_the_metric_has_no_value() -> None:
    shell = Shell(spec(), scheduler=StopAbove(-1.0))
    shell.tick()
    shell.give(events.Reported(shell.now, 0, 0, 1, {"other": 1.0}))
    shell.obey()
    trial = shell.ledger.trial(0)
    assert (trial.state, trial.value, trial.metrics) == (State.STOPPED, None, {"other": 1.0})


def test_a_trial_that_was_lost_while_stopping_is_asked_about_again() -> None:
    shell = Shell(spec(), scheduler=StopAbove())
    shell.tick()
    shell.report(0, 1, 0.9)
    shell.exit(0, reason=LOST)
    shell.tick()
    assert len(written(shell.report(0, 1, 0.9), events.Decided)) == 1


def test_an_end_of_its_own_beats_a_stop() -> None:
    shell = Shell(spec(), scheduler=StopAbove())
    shell.tick()
    shell.report(0, 1, 0.9)
    shell.exit(0, 0.1)
    assert shell.ledger.trial(0).value == 0.1
    assert shell.states() == ["completed"]


@dataclass(frozen=True)
class Learner:
    """Its suggestions depend on every result that it sees."""

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> Suggestions:
        seen = history.losses[np.isfinite(history.losses)]
        shift = float(seen.sum()) + 0.1 * int((history.states == 3).sum())
        return [
            Suggestion(space.decode([(u + shift) % 1.0 for u in rng.random(len(space))]))
            for _ in range(n)
        ]


def test_a_deterministic_study_waits_in_order() -> None:
    shell = Shell(spec(deterministic=True, parallel=2, trials=4), searcher=Learner())
    assert started(shell.tick()) == [0, 1]
    shell.exit(1, 0.5)
    assert started(shell.tick()) == [], "trial 2 needs to know how 0 ends"
    shell.exit(0, 0.5)
    assert started(shell.tick()) == [2, 3]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.data())
def test_a_deterministic_study_is_the_same_in_whatever_order_trials_end(
    parallel: int, data: st.DataObject
) -> None:
    study = spec(deterministic=True, parallel=parallel, trials=9, retries=99)

    def run(order: list[int]) -> list[Any]:
        shell = Shell(study, searcher=Learner())
        for place in order:
            shell.tick()
            running = sorted(shell.jobs)
            if not running:
                break
            trial = running[place % len(running)]
            if place % 7 == 0:
                shell.exit(trial, reason=LOST)
            else:
                shell.exit(trial, shell.ledger.config(trial)["x"])
        for _ in range(20):
            shell.tick()
            for trial in sorted(shell.jobs)[:1]:
                shell.exit(trial, shell.ledger.config(trial)["x"])
        assert shell.quit is not None
        return [shell.ledger.config(n) for n in range(9)]

    orders = st.lists(st.integers(0, 6), max_size=20)
    assert run(data.draw(orders)) == run([])


# -- anything may happen --------------------------------------------------------------------------

ACTIONS = [
    *("tick", "tick", "report", "report", "return", "return", "obey", "fail", "lose"),
    *("not finite", "echo", "wait", "enqueue", "conflict", "crash", "interrupt", "kill"),
]


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    """Studies that end: they have a limit on trials, or a space that is used up."""
    finite = draw(st.booleans())
    several = Space(k=Int(1, 4), c=Choice("a", "b", when="k > 2"))
    options: dict[str, Any] = {
        "space": several if finite else Space(x=Float(0, 1), c=Choice("a", "b")),
        "parallel": draw(st.integers(1, 4)),
        "trials": draw(st.none() | st.integers(1, 9)) if finite else draw(st.integers(1, 9)),
        "retries": draw(st.integers(0, 2)),
        "deterministic": draw(st.booleans()),
        "trial_time": draw(st.none() | st.just(5.0)),
        "trial_silence": draw(st.sampled_from(["off", "auto", 4.0])),
        "time": draw(st.none() | st.just(30.0)),
        "compute_time": draw(st.none() | st.just(20.0)),
        "target": draw(st.none() | st.just(0.05)),
        "same_error": draw(st.none() | st.integers(1, 3)),
        "failures_in_a_row": draw(st.none() | st.integers(1, 3)),
        "seed": draw(st.integers(0, 3)),
    }
    return spec(**options)


@dataclass
class Fate:
    """Plays a study through to its end, whatever happens; `coordinators` counts those needed."""

    shell: Shell
    coordinators: int = 1
    echoes: list[Any] = field(default_factory=list)

    def play(self, action: str, which: int) -> None:
        shell = self.shell
        trial = sorted(shell.jobs)[which % len(shell.jobs)] if shell.jobs else None
        match action:
            case "tick" | "wait":
                shell.tick(0.2 if action == "tick" else 6.0)
            case "interrupt" | "kill":
                shell.give(Interrupt(shell.now, now=action == "kill"))
            case "obey":
                shell.obey()
            case "echo" if self.echoes:
                assert shell.give(self.echoes[which % len(self.echoes)]) == []
            case "enqueue":
                self.enqueue()
            case "conflict":
                self.conflict(which)
            case "crash":
                self.crash()
            case _ if trial is not None:
                self.happen(action, trial, which)

    def happen(self, action: str, trial: int, which: int) -> None:
        """Something that needs a running trial."""
        shell, attempt = self.shell, self.shell.jobs[trial]
        if action == "report":
            shell.report(trial, which + 1, which / 8)
            return
        reason = {"fail": Reason(Kind.ERROR, "ab"[which % 2]), "lose": LOST}.get(action)
        returned = float("nan") if action == "not finite" else which / 8
        shell.exit(trial, returned, reason)
        self.echoes += [
            Exited(shell.now, trial, attempt, 0.5),
            events.Reported(shell.now, trial, attempt, 9, {"loss": 0.5}),
        ]

    def enqueue(self) -> None:
        """Somebody else adds a config."""
        shell = self.shell
        if shell.quit is None:
            config = shell.ledger.spec.space.corner(0.5)
            foreign = enqueued(shell.ledger.size, config, shell.now)
            shell.stored.append(foreign)
            shell.engine.absorb([foreign])

    def conflict(self, which: int) -> None:
        """Somebody else wrote first: the engine thinks again on another ledger."""
        shell = self.shell
        if shell.quit is not None:
            return
        saved = shell.engine.save()
        shell.engine.handle(Tick(shell.now + which))
        shell.engine.restore(saved)
        note = events.StopRequested(shell.now, "me") if which == 7 else None
        if note is not None:
            shell.stored.append(note)
        shell.engine.rebase(Ledger(shell.spec).extend(shell.stored))
        shell.tick(float(which))

    def crash(self) -> None:
        """The coordinator dies, and another one takes over from what was stored."""
        old = self.shell
        self.echoes += [Exited(old.now, t, attempt, 0.5) for t, attempt in old.jobs.items()]
        stored = codec.decode_many(codec.encode(event) for event in old.stored)
        self.coordinators += 1
        new = Shell(
            old.spec,
            *stored,
            scheduler=old.engine.strategies.scheduler,
            session=f"s{self.coordinators}",
        )
        new.begun, new.now = old.begun, old.now
        new.carry_out(new.engine.recover(new.now, [old.session]))
        self.shell = new

    def finish(self) -> None:
        """From here on every job does as it is told, and every trial succeeds."""
        for _ in range(100):
            self.shell.obey()
            for trial in sorted(self.shell.jobs):
                self.shell.exit(trial, 0.5)
            self.shell.tick()
            if self.shell.quit is not None:
                return
        raise AssertionError("it does not end")


def picture(ledger: Ledger) -> Any:
    """All that a ledger says."""
    return (
        repr([ledger.trial(number) for number in range(ledger.size)]),
        ledger.counts,
        (ledger.incumbent, ledger.cursor, ledger.started_count, ledger.ended, ledger.failures),
        (ledger.compute_time_s, ledger.longest_gap_s, ledger.elapsed_s(1e6), ledger.decided),
        sorted(ledger.running),
        [ledger.times_lost(number) for number in range(ledger.size)],
    )


@settings(max_examples=150, deadline=None)
@given(
    studies(),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7)), max_size=40),
)
def test_whatever_happens(
    study: StudySpec, scheduled: bool, actions: list[tuple[str, int]]
) -> None:
    fate = Fate(Shell(study, scheduler=StopAbove() if scheduled else None))
    for action, which in actions:
        fate.play(action, which)
    fate.finish()
    shell = fate.shell
    assert not shell.jobs
    assert not shell.ledger.running
    assert isinstance(shell.stored[-1], events.Ended)
    finished = [e.trial for e in shell.stored if isinstance(e, events.Finished)]
    assert len(finished) == len(set(finished)), "a trial ended twice"
    text = [codec.encode(event) for event in shell.stored]
    assert picture(Ledger(study).extend(codec.decode_many(text))) == picture(shell.ledger)


def test_the_end_of_a_study_of_one_trial() -> None:
    assert decide.all_of(1, "run") == "the only trial has been run"
    assert decide.all_of(2, "run") == "all 2 trials have been run"
