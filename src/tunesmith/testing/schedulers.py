"""What every scheduler has to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Goal, Objective
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Float
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Decision, Drop, Resume, Resumer, Scheduler, Verdict
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason, State
from tunesmith.testing.check import Check, collect, examples_of

#: One step of a study: which trial goes on, the value that it reports (None is not finite), and whether it
#: ends then.
Move = tuple[int, float | None, bool]

MOVES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1.0, 1e300, None])),
        st.sampled_from([False] * 6 + [True]),
    ),
    max_size=60,
)


def scheduler_checks(make: Callable[[], Scheduler], *, examples: int = 50) -> list[Check]:
    """The checks for the scheduler that `make` gives; `examples` is Hypothesis's number of them."""
    return collect(_SchedulerSuite(make, examples))


class _SchedulerSuite:
    def __init__(self, make: Callable[[], Scheduler], examples: int) -> None:
        self._make = make
        self._settings = examples_of(examples)

    def _over_moves(self, test: Callable[[list[Move]], None]) -> None:
        @self._settings
        @given(MOVES)
        def run(moves: list[Move]) -> None:
            test(moves)

        run()

    def _decisions(
        self,
        moves: list[Move],
        *,
        goal: Goal = "minimize",
        memo: bool = True,
        objectives: int = 1,
    ) -> Iterator[Decision | Resume | Drop]:
        """What the scheduler says to each report, and what it lets go on; a trial that it stops ends there,
        one that it pauses pauses."""
        scheduler = self._make()
        memory: dict[Any, Any] = {}
        for ledger, trial in _study(moves, goal, objectives):
            decision = scheduler.decide(History(ledger, memo=memory if memo else {}), trial)
            if decision.verdict is Verdict.STOP:
                _end(ledger, trial, State.STOPPED)
            elif decision.verdict is Verdict.PAUSE:
                ledger.apply(events.Paused(0.0, trial, 0, Reason(Kind.PAUSED, decision.why)))
            yield decision
            if isinstance(scheduler, Resumer):
                yield from self._resumed(scheduler, ledger, memory if memo else None)

    def _resumed(
        self, scheduler: Resumer, ledger: Ledger, memory: dict[Any, Any] | None
    ) -> Iterator[Resume | Drop]:
        """Everything that it lets go on now."""
        while True:
            number = ledger.size
            rng = stream(ledger.spec.seed, number, "resume")
            history = History(ledger, memo={} if memory is None else memory)
            move = scheduler.resume(history, rng)
            if move is None:
                return
            if isinstance(move, Drop):
                assert ledger.state(move.trial) is State.PAUSED, "only a paused trial is dropped"
                _end(ledger, move.trial, State.STOPPED)
            elif move.config is None:
                assert ledger.state(move.trial) is State.PAUSED, "only a paused trial goes on"
                attempt = ledger.attempts_begun(move.trial)
                ledger.apply(events.Started(0.0, move.trial, attempt, "s", move.why))
            else:
                assert ledger.spec.space.contains(move.config)
                origin = Origin("scheduler", move.why)
                ledger.apply(events.Forked(0.0, number, move.trial, move.config, origin, "s"))
            assert ledger.size < 1000, "it lets trials go on without end"
            yield move

    def check_is_a_frozen_dataclass(self) -> None:
        scheduler = self._make()
        assert is_dataclass(scheduler)
        assert type(scheduler).__dataclass_params__.frozen, "options must not change"

    def check_a_memo_changes_nothing(self) -> None:
        def test(moves: list[Move]) -> None:
            decisions = list(self._decisions(moves))
            assert decisions == list(self._decisions(moves, memo=False))

        self._over_moves(test)

    def check_whoever_stops_or_resumes_a_trial_says_why(self) -> None:
        def test(moves: list[Move]) -> None:
            for decision in self._decisions(moves):
                goes_on = isinstance(decision, Decision) and decision.verdict is Verdict.CONTINUE
                assert goes_on or decision.why, "no reason"

        self._over_moves(test)

    def check_several_objectives(self) -> None:
        """A second objective that wants the opposite: still nobody is stopped without a reason."""

        def test(moves: list[Move]) -> None:
            for decision in self._decisions(moves, objectives=2):
                goes_on = isinstance(decision, Decision) and decision.verdict is Verdict.CONTINUE
                assert goes_on or decision.why, "no reason"

        self._over_moves(test)

    def check_what_was_retracted_does_not_count(self) -> None:
        """Trials that have been retracted might as well have failed at once."""

        scheduler = self._make()
        wrong: list[Move] = [(who, -100.0, False) for who in range(6) for _ in range(9)]
        ledger = [ledger for ledger, _ in _study(wrong, "minimize")][-1]
        for number in range(6):
            _end(ledger, number, State.COMPLETED)
            ledger.apply(events.Retracted(0.0, number, "wrong data", "me"))
        alone = _empty("minimize")
        for number in range(6):
            _start(alone, number)
            reason = Reason(Kind.ERROR, "no such file")
            alone.apply(events.Finished(0.0, number, 0, State.FAILED, None, {}, reason))
        for study in (ledger, alone):
            _start(study, 6)
            study.apply(events.Reported(0.0, 6, 0, 1, {"loss": 5.0}))
        expected = scheduler.decide(History(alone), 6)
        assert scheduler.decide(History(ledger), 6) == expected

    def check_where_nobody_has_a_number_nobody_is_stopped_for_that(self) -> None:
        """Every trial's first reports are not finite (no episode has ended yet): that says nothing about any."""
        for silent in (1, 3):
            stopped, equals = self._stopped_early(silent, None), self._stopped_early(silent, 0.0)
            assert stopped <= equals, f"stopped, (trial, step): {sorted(stopped - equals)}"

    def _stopped_early(self, early: int, value: float | None) -> set[tuple[int, int]]:
        """The trials that are stopped in their first `early` steps, where all report `value`, and when."""
        scheduler, ledger = self._make(), _empty("minimize")
        memo: dict[Any, Any] = {}
        stopped: set[tuple[int, int]] = set()
        for number in range(12):
            _start(ledger, number)
            for step in range(1, 10):
                loss = value if step <= early else (number * 0.37) % 1.0 + 1.0 / step
                ledger.apply(events.Reported(0.0, number, 0, step, {"loss": loss}))
                decision = scheduler.decide(History(ledger, memo=memo), number)
                if decision.verdict is Verdict.PAUSE:
                    ledger.apply(events.Paused(0.0, number, 0, Reason(Kind.PAUSED, decision.why)))
                elif decision.verdict is Verdict.STOP:
                    _end(ledger, number, State.STOPPED)
                    if step <= early:
                        stopped.add((number, step))
                if number not in ledger.running:
                    break
            else:
                _end(ledger, number, State.COMPLETED)
        return stopped

    def check_maximising_is_minimising_the_opposite(self) -> None:
        def test(moves: list[Move]) -> None:
            opposite: list[Move] = [(t, None if v is None else -v, e) for t, v, e in moves]
            mirrored = self._decisions(opposite, goal="maximize")
            assert [_what(d) for d in self._decisions(moves)] == [_what(d) for d in mirrored]

        self._over_moves(test)

    def check_other_metrics_are_no_news(self) -> None:
        """A report without the objective's metric stops nobody."""
        for ledger, trial in _study([(k, float(k), False) for k in range(8)] * 3, "minimize"):
            ledger.apply(events.Reported(0.0, trial, 0, 99, {"other": 1.0}))
            decision = self._make().decide(History(ledger), trial)
            assert decision.verdict is Verdict.CONTINUE, decision.why


def _what(decision: Decision | Resume | Drop) -> Any:
    """A decision without its words."""
    if isinstance(decision, Decision):
        return decision.verdict
    return type(decision), decision.trial


def _study(moves: Sequence[Move], goal: Goal, objectives: int = 1) -> Iterator[tuple[Ledger, int]]:
    """The moves one by one: the ledger after each report, and whose it was."""
    ledger = _empty(goal, objectives)
    numbers: dict[int, int] = {}
    steps: dict[int, int] = {}
    for who, value, ends in moves:
        number = numbers.setdefault(who, ledger.size)
        if number == ledger.size:
            _start(ledger, number)
        if number not in ledger.running:
            continue
        steps[number] = steps.get(number, 0) + 1
        metrics = {"loss": value, "size": None if value is None else -value}
        ledger.apply(events.Reported(0.0, number, 0, steps[number], metrics))
        yield ledger, number
        if ends and number in ledger.running:
            _end(ledger, number, State.COMPLETED)


def _empty(goal: Goal, objectives: int = 1) -> Ledger:
    both = (Objective("loss", goal), Objective("size", goal))
    space = Space(x=Float(0, 1))
    ledger = Ledger(StudySpec(name="s", space=space, objectives=both[:objectives]))
    ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
    return ledger


def _start(ledger: Ledger, number: int) -> None:
    config = {"x": (number * 0.6180339) % 1.0}
    ledger.apply(events.Suggested(0.0, number, config, Origin(USER), "s"))


def _end(ledger: Ledger, number: int, state: State) -> None:
    value = ledger.curves.latest(number).get("loss", 0.0)
    if value != value:
        reason = Reason(Kind.NOT_FINITE, "loss is NaN")
        ledger.apply(events.Finished(0.0, number, 0, State.FAILED, None, {}, reason))
        return
    stopped = Reason(Kind.STOPPED, "told to") if state is State.STOPPED else None
    values = (value, -value)[: len(ledger.spec.objectives)]
    ledger.apply(events.Finished(0.0, number, 0, state, values, {"loss": value}, stopped))
