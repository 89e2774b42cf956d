"""Schedulers that pause trials and let them go on: worked examples, by hand and from the papers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.driver import opened, reported, spec, started, suggested

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.rng import stream
from tunesmith.core.strategy import Drop, Resume, Resumer, Scheduler, Verdict
from tunesmith.core.trial import CONFIRM, Kind, Origin, Reason, State
from tunesmith.schedule.asha import Asha
from tunesmith.schedule.hyperband import Hyperband
from tunesmith.schedule.pasha import Pasha, stable
from tunesmith.strategy.halving import ranking
from tunesmith.strategy.rungs import Rungs
from tunesmith.tuning.replay import replay


class Study:
    """A study by hand: trials report, and what their scheduler says happens."""

    def __init__(self, scheduler: Scheduler, **options: Any) -> None:
        self.ledger = Ledger(spec(**options)).extend([opened()])
        self.scheduler = scheduler
        self.memo: dict[Any, Any] = {}

    @property
    def history(self) -> History:
        return History(self.ledger, memo=self.memo)

    def begin(self, *numbers: int) -> None:
        self.ledger.extend(suggested(number) for number in numbers)

    def report(self, trial: int, step: int, loss: float | None) -> str:
        """What becomes of the trial: "continue", "pause", "stop"."""
        self.ledger.apply(reported(trial, step, loss))
        decision = self.scheduler.decide(self.history, trial)
        if decision.verdict is Verdict.PAUSE:
            reason = Reason(Kind.PAUSED, decision.why)
            self.ledger.apply(events.Paused(3.0, trial, 0, reason))
        elif decision.verdict is Verdict.STOP:
            self.end(trial, State.STOPPED, Reason(Kind.STOPPED, decision.why))
        return str(decision.verdict)

    def end(self, trial: int, state: State = State.COMPLETED, reason: Reason | None = None) -> None:
        value = self.ledger.curves.latest(trial)["loss"]
        values = None if state is State.FAILED else (value,)
        self.ledger.apply(events.Finished(4.0, trial, 0, state, values, {}, reason))

    def next(self) -> Resume | Drop | None:
        """What the scheduler lets go on, or ends, next."""
        assert isinstance(self.scheduler, Resumer)
        said = self.scheduler.resume(self.history, stream(0, self.ledger.size, "resume"))
        if isinstance(said, Drop):
            self.end(said.trial, State.STOPPED, Reason(Kind.STOPPED, said.why))
        elif said is not None:
            self.ledger.apply(started(said.trial, self.ledger.attempts_begun(said.trial)))
        return said

    def all(self) -> tuple[list[int], list[int]]:
        """All trials that go on now, and all that are dropped."""
        on: list[int] = []
        dropped: list[int] = []
        while (said := self.next()) is not None:
            (dropped if isinstance(said, Drop) else on).append(said.trial)
        return on, dropped


class TestPromotion:
    def test_as_in_the_paper(self) -> None:
        """Li et al. 2020, figure 2: eta 3, rungs 1 and 3 of 9 steps, nine trials of falling rank."""
        study = Study(Asha(max=9, min=1, type="promotion"))
        study.begin(0, 1)
        assert study.report(0, 1, 0.5) == study.report(1, 1, 0.4) == "pause"
        assert study.next() is None, "of two, none is the best third"
        study.begin(2)
        study.report(2, 1, 0.6)
        assert study.next() == Resume(1, "number 1 of 3 at step 1, on to step 3")
        assert study.next() is None
        study.begin(3, 4, 5)
        for trial, loss in ((3, 0.3), (4, 0.7), (5, 0.8)):
            study.report(trial, 1, loss)
        assert study.next() == Resume(3, "number 1 of 6 at step 1, on to step 3")
        assert study.next() is None, "number 2 is trial 1, which has been promoted"
        assert study.report(1, 2, 0.35) == "continue"
        assert study.report(1, 3, 0.3) == "pause"
        assert study.report(3, 3, 0.2) == "pause"
        study.begin(6, 7, 8)
        for trial, loss in ((6, 0.1), (7, 0.9), (8, 0.45)):
            study.report(trial, 1, loss)
        assert study.next() == Resume(6, "number 1 of 9 at step 1, on to step 3")
        study.report(6, 3, 0.25)
        assert study.next() == Resume(3, "number 1 of 3 at step 3, on to its end"), (
            "the highest rung"
        )
        assert study.report(3, 9, 0.15) == "continue"

    def test_a_trial_that_starts_over_is_not_paused_where_it_was(self) -> None:
        """It had no checkpoint; else it would pause, be promoted, start over, pause, .. for ever."""
        study = Study(Asha(max=9, min=1, reduction=2.0, type="promotion"))
        study.begin(0, 1)
        study.report(0, 1, 0.5)
        study.report(1, 1, 0.6)
        assert study.next() == Resume(0, "number 1 of 2 at step 1, on to step 2")
        assert study.report(0, 1, 0.5) == "continue"
        assert study.report(0, 2, 0.4) == "pause"

    def test_the_last_ones(self) -> None:
        """Too few for anybody to be promoted to the end: the best goes there, so that there is a result."""
        study = Study(Asha(max=9, min=1, type="promotion"), trials=3)
        study.begin(0, 1, 2)
        for trial, loss in ((0, 0.5), (1, 0.4), (2, 0.6)):
            study.report(trial, 1, loss)
        study.next()
        study.report(1, 3, 0.3)
        said = study.next()
        assert said == Resume(
            1, "the best at step 3, on to its end: no trial has run to its end yet"
        )
        study.end(1)
        assert study.next() is None

    def test_not_finite_goes_no_further(self) -> None:
        study = Study(Asha(max=9, min=1, type="promotion"))
        study.begin(0, 1, 2)
        assert study.report(0, 1, None) == "continue", "nobody has a number there"
        assert study.report(1, 1, 0.5) == "pause"
        assert study.report(2, 1, None) == "stop"

    def test_what_was_retracted_does_not_count(self) -> None:
        study = Study(Asha(max=9, min=1, type="promotion"))
        study.begin(0, 1, 2, 3)
        for trial, loss in ((1, 0.4), (2, 0.6), (3, 0.7)):
            study.report(trial, 1, loss)
        study.report(0, 9, 0.0)
        study.end(0)
        assert study.next() is None, "the best of four is trial 0"
        study.ledger.apply(events.Retracted(5.0, 0, "wrong data", "me"))
        assert study.next() == Resume(1, "number 1 of 3 at step 1, on to step 3")

    def test_brackets(self) -> None:
        """With two, every other trial is first looked at at the second rung, among its like."""
        study = Study(Asha(max=9, min=1, type="promotion", brackets=2))
        study.begin(0, 1)
        assert study.report(0, 1, 0.5) == "pause"
        assert study.report(1, 1, 0.9) == "continue"
        assert study.report(1, 3, 0.8) == "pause"

    @settings(max_examples=40, deadline=None)
    @given(st.permutations(range(9)))
    def test_what_pauses_does_not_depend_on_the_order(self, order: list[int]) -> None:
        study = Study(Asha(max=9, min=1, type="promotion"))
        study.begin(*range(9))
        for trial in order:
            assert study.report(trial, 1, trial / 10) == "pause"
        assert study.all()[0] == [0, 1, 2]
        for trial in (t for t in order if t < 3):
            assert study.report(trial, 3, trial / 10) == "pause"
        assert study.all()[0] == [0]


class TestPasha:
    @pytest.mark.parametrize(("second", "same"), [((1.0, 2.0), True), ((2.0, 1.0), False)])
    def test_an_order_is_stable_in_every_objective(
        self, second: tuple[float, float], same: bool
    ) -> None:
        """Two trials that are level in the first objective, and change places in the second."""
        both = (Objective("loss"), Objective("size"))
        ledger = Ledger(spec(objectives=both)).extend([opened(), suggested(0), suggested(1)])
        for step, sizes in ((1, (1.0, 2.0)), (3, second)):
            for trial, size in enumerate(sizes):
                metrics = {"loss": 0.5, "size": size}
                ledger.apply(events.Reported(2.0, trial, 0, step, metrics))
        history = History(ledger)
        rungs = Rungs((1, 3)).update(history)
        best = [trial for _, trial in ranking(history, rungs, 1)]
        assert stable(history, rungs, 1, best) is same

    @settings(max_examples=40, deadline=None)
    @given(st.permutations(range(9)))
    def test_the_order_of_arrival_does_not_matter(self, order: list[int]) -> None:
        """The second rung ranks as the first does: nobody goes beyond it, but the best at the end."""
        study = Study(Pasha(max=27, min=1), trials=9)
        study.begin(*range(9))
        for trial in order:
            assert study.report(trial, 1, trial / 10) == "pause"
        assert study.all() == ([0, 1, 2], [])
        for trial in (t for t in order if t < 3):
            assert study.report(trial, 3, trial / 10) == "pause"
        said = study.next()
        assert said == Resume(
            0, "the best at step 3, on to step 9: no trial has run to its end yet"
        )
        assert study.next() is None


class TestHyperband:
    def test_the_brackets_of_the_paper(self) -> None:
        """Li et al. 2018, table 1 (R = 81, eta = 3)."""
        hyperband = Hyperband(max=81, min=1)
        assert hyperband.brackets() == (81, 34, 15, 8, 5)
        assert hyperband.levels() == (1, 3, 9, 27)

    def test_a_bracket_by_hand(self) -> None:
        """R = 4, eta = 2: brackets of 4, 3 and 3 trials that begin with 1, 2 and 4 steps."""
        hyperband = Hyperband(max=4, min=1, reduction=2.0)
        assert hyperband.brackets() == (4, 3, 3)
        study = Study(hyperband)
        study.begin(0, 1, 2, 3, 4)
        for trial, loss in ((0, 0.4), (1, 0.3), (2, 0.2)):
            assert study.report(trial, 1, loss) == "pause"
        assert study.next() is None, "trial 3 is not there yet"
        assert study.report(4, 1, 0.9) == "continue", "the second bracket begins with 2 steps"
        assert study.report(3, 1, 0.1) == "pause"
        assert study.all() == ([3, 2], [1, 0])
        assert study.ledger.trial(0).reason == Reason(
            Kind.STOPPED, "number 4 of 4 at step 1; the best 2 go on"
        )
        assert study.report(2, 2, 0.15) == "pause"
        assert study.next() is None
        assert study.report(3, 2, 0.05) == "pause"
        assert study.all() == ([3], [2])
        assert study.report(3, 4, 0.01) == "continue"
        study.begin(5, 6, 7)
        assert study.report(7, 2, 0.5) == "continue", "the third bracket has no rungs"

    def test_failures_are_not_waited_for(self) -> None:
        study = Study(Hyperband(max=4, min=1, reduction=2.0))
        study.begin(0, 1, 2, 3)
        for trial in range(3):
            study.report(trial, 1, trial / 10)
        study.ledger.apply(
            events.Finished(3.0, 3, 0, State.FAILED, None, {}, Reason(Kind.ERROR, "x"))
        )
        assert study.all() == ([0, 1], [2])

    def test_runs_that_confirm_others_are_not_ranked(self) -> None:
        study = Study(Hyperband(max=4, min=1, reduction=2.0), trials=5, confirm=1)
        study.begin(0, 1)
        origin = Origin(CONFIRM, "trial 1 once more")
        for number in (2, 3):
            study.ledger.apply(events.Enqueued(1.0, number, {"x": 0.5, "c": "a"}, origin, {}, 1))
            study.ledger.apply(started(number))
        study.ledger.apply(reported(2, 1, -1.0))
        for trial in range(2):
            study.report(trial, 1, trial / 10)
        study.begin(4)
        assert study.all() == ([0, 1], [])
        for trial in range(2):
            study.report(trial, 2, trial / 10)
        study.report(4, 2, 0.1)
        assert study.next() == Resume(0, "number 1 of 2 at step 2, on to its end")

    def test_a_study_that_ends_in_the_middle_of_a_bracket(self) -> None:
        study = Study(Hyperband(max=4, min=1, reduction=2.0), trials=3)
        study.begin(0, 1, 2)
        for trial in range(3):
            study.report(trial, 1, trial / 10)
        assert study.all() == ([0, 1], [2])

    @settings(max_examples=40, deadline=None)
    @given(st.permutations(range(4)))
    def test_the_order_of_arrival_does_not_matter(self, order: list[int]) -> None:
        study = Study(Hyperband(max=4, min=1, reduction=2.0))
        study.begin(*range(4))
        for trial in order:
            study.report(trial, 1, trial / 10)
        assert study.all() == ([0, 1], [2, 3])


def test_a_scheduler_that_finishes_what_a_grid_began_does_it_again(tmp_path: Any) -> None:
    """That no more trials begin is in the events."""

    def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        trial.restore()
        for step in range(trial.step + 1, 10):
            trial.save(None, step=step)
            trial.report(step=step, value=config["x"] + 1 / step)
        return float(config["x"])

    result = ts.tune(
        train,
        ts.Space(x=ts.Float(0.0, 1.0)),
        name="grid",
        storage=tmp_path / "study.db",
        searcher={"grid": {"levels": 5}},
        scheduler={"hyperband": {"max": 9, "min": 1}},
        progress=False,
    )
    assert (result.ended_by, result.best.config) == ("exhausted", {"x": 0.0})
    with ts.Study.open("grid", storage=tmp_path / "study.db") as study:
        found = replay(study.store, "grid")
    assert (found.problems, found.decisions > 0) == ([], True)


def toy(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """Jaderberg et al. 2017, figure 2: maximise 1.2 - |theta|^2 by gradient steps on a surrogate that
    has a weight h for each coordinate. With h fixed, one coordinate may never be learned."""
    theta = np.array(trial.restore([0.9, 0.9]))
    value = 0.0
    for step in range(trial.step + 1, 101):
        theta -= 0.01 * 2 * np.array([config["h0"], config["h1"]]) * theta
        value = float(1.2 - theta @ theta)
        time.sleep(0.001)
        trial.save(theta.tolist(), step=step)
        trial.report(step=step, value=value)
    return value


class TestPbt:
    SPACE = ts.Space(h0=ts.Float(0.0, 1.0), h1=ts.Float(0.0, 1.0))

    @pytest.mark.parametrize("parallel", [1, 2])
    def test_the_toy_problem_of_the_paper(self, tmp_path: Any, parallel: int) -> None:
        """Two members that each learn one coordinate: together both, which neither can alone."""

        def run(scheduler: Any, name: str) -> ts.Result:
            return ts.tune(
                toy,
                self.SPACE,
                goal="maximize",
                name=name,
                storage=tmp_path / "study.db",
                enqueue=[{"h0": 0.0, "h1": 1.0}, {"h0": 1.0, "h1": 0.0}],
                trials=2,
                parallel=parallel,
                seed=1,
                scheduler=scheduler,
                progress=False,
            )

        alone = run(None, "alone")
        together = run(
            {"pbt": {"max": 100, "interval": 5, "quantile": 0.5, "resample": 0.5}}, "together"
        )
        assert alone.best.value is not None
        assert alone.best.value < 0.4
        assert together.best.value is not None
        assert together.best.value > 0.6
        schedule = together.schedule()
        assert len(schedule) >= 2
        assert schedule[0][0] == 0
        assert [step for step, _ in schedule] == sorted({step for step, _ in schedule})
        copies = [t for t in together.trials if t.parent is not None]
        assert all(t.origin.searcher == "pbt" for t in copies)
        assert "as trial " in copies[0].origin.why
        assert len(together.best.reports) <= 100
        with ts.Study.open("together", storage=tmp_path / "study.db") as study:
            assert replay(study.store, "together").problems == []
        again = ts.tune(
            toy,
            self.SPACE,
            goal="maximize",
            enqueue=[schedule[0][1]],
            trials=1,
            scheduler={"scripted": {"schedule": schedule}},
            progress=False,
        )
        assert again.best.value == pytest.approx(together.best.value, abs=1e-9)
        assert again.schedule() == schedule

    def test_members_that_are_all_as_good_come_to_an_end(self) -> None:
        """A copy that was as good as its parent gave way to the next one, for ever."""

        def level(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            trial.restore()
            for step in range(trial.step + 1, 7):
                trial.save(None, step=step)
                trial.report(step=step, value=1.0)
            return 1.0

        result = ts.tune(
            level,
            self.SPACE,
            trials=4,
            scheduler={"pbt": {"max": 6, "interval": 1}},
            searcher="random",
            progress=False,
        )
        assert result.counts[State.COMPLETED] == 4
        assert len(result.trials) < 4 * 6


def test_several_objectives_are_ranked_by_non_dominated_sorting() -> None:
    """(1, 9), (9, 1) and (3, 3) are as good as each other, (2, 10) is worse than the first."""
    both = (Objective("loss"), Objective("size"))
    study = Study(Asha(max=9, min=1, reduction=1.3), objectives=both)
    for number, (loss, size) in enumerate([(1.0, 9.0), (9.0, 1.0), (2.0, 10.0), (3.0, 3.0)]):
        study.begin(number)
        metrics = {"loss": loss, "size": size}
        study.ledger.apply(events.Reported(2.0, number, 0, 1, metrics))
        if number >= 2:
            verdict = study.scheduler.decide(study.history, number).verdict
            assert verdict is (Verdict.STOP if number == 2 else Verdict.CONTINUE)


def test_a_trial_outside_an_edited_space_has_no_place_among_several_objectives() -> None:
    both = (Objective("loss"), Objective("size"))
    study = Study(Asha(max=9, min=1, reduction=1.3), objectives=both)
    study.begin(0, 1, 2, 3)
    for number in range(3):
        metrics = {"loss": float(number), "size": float(number)}
        study.ledger.apply(events.Reported(2.0, number, 0, 1, metrics))
    narrower = ts.Space(x=ts.Float(0, 2 / 64), c=ts.Choice("a", "b"))
    study.ledger.apply(events.Edited(2.0, {"space": narrower.to_dict()}, "me"))
    study.memo.clear()
    assert study.ledger.trial(3).outside
    study.ledger.apply(events.Reported(2.0, 3, 0, 1, {"loss": 9.0, "size": 9.0}))
    assert study.scheduler.decide(study.history, 3).verdict is Verdict.CONTINUE
