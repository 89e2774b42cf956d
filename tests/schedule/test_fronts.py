"""Schedulers with several objectives and with constraints: nobody on the front is stopped; who will break a constraint goes
behind those that will not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.constraint import Constraint
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.strategy import Decision, Scheduler, Verdict
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.schedule.asha import Asha
from tunesmith.schedule.forecast import Forecast
from tunesmith.schedule.median import Median
from tunesmith.schedule.percentile import Percentile
from tunesmith.strategy import breach
from tunesmith.tuning.simulate import simulate

BOTH = (Objective("loss"), Objective("size"))


class Study:
    """A ledger whose trials report what they are told to; trial n's first report starts it."""

    def __init__(
        self, scheduler: Scheduler, objectives: tuple[Objective, ...] = BOTH, *constraints: str
    ) -> None:
        space = ts.Space(x=ts.Float(0, 1))
        bounds = tuple(map(Constraint, constraints))
        spec = StudySpec(name="s", space=space, objectives=objectives, constraints=bounds)
        self.ledger = Ledger(spec)
        self.ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
        self.scheduler, self.memo = scheduler, dict[Any, Any]()

    @property
    def history(self) -> History:
        return History(self.ledger, memo=self.memo)

    def report(self, trial: int, step: int, **metrics: float | None) -> Decision:
        if trial == self.ledger.size:
            config = {"x": trial / 1e6}
            self.ledger.apply(events.Suggested(0.0, trial, config, Origin(USER), "s"))
        self.ledger.apply(events.Reported(0.0, trial, 0, step, metrics))
        return self.scheduler.decide(self.history, trial)

    def complete(self, trial: int, **metrics: float) -> None:
        values = tuple(metrics[o.metric] for o in self.ledger.spec.objectives)
        self.ledger.apply(events.Finished(0.0, trial, 0, State.COMPLETED, values, dict(metrics)))


def test_asha_stops_nobody_on_the_front_of_a_rung() -> None:
    """Nine trials, none of which beats another; the best third would be three of them."""
    study = Study(Asha(max=9, min=1))
    for k in range(9):
        decision = study.report(k, 1, loss=float(k), size=float(9 - k))
        assert decision.verdict is Verdict.CONTINUE, decision.why
    assert study.report(9, 1, loss=8.5, size=8.5).verdict is Verdict.STOP


def test_hyperband_lets_the_whole_front_of_a_rung_go_on() -> None:
    def curve(config: dict[str, Any]) -> Iterator[tuple[float, Mapping[str, float]]]:
        for step in range(1, 5):
            x = config["x"]
            yield 1.0, {"loss": x + 1 / step, "size": 1 - x + (0.0 if config["c"] else 2.0)}

    simulated = simulate(
        curve,
        ts.Space(x=ts.Float(0, 1), c=ts.Choice(True, False)),
        metric=["loss", "size"],
        searcher="random",
        seed=1,
        trials=12,
        scheduler={"hyperband": {"max": 4, "min": 1, "reduction": 2.0}},
    )
    for trial in simulated.result.trials:
        if trial.config["c"]:
            assert trial.state is ts.State.COMPLETED, trial.reason


class TestMedian:
    def test_it_stops_who_is_behind_in_every_objective(self) -> None:
        study = Study(Median(trials=4))
        for k in range(5):
            study.report(k, 1, loss=float(k), size=float(k))
        assert study.report(5, 1, loss=9.0, size=1.0).verdict is Verdict.CONTINUE
        assert study.report(6, 1, loss=9.0, size=9.0).why == (
            "at step 1 its best loss of 9 is worse than 2.5 and its best size of 9 is worse than 1.5, the medians of 6 "
            "others' means"
        )

    def test_not_where_nobody_beats_it(self) -> None:
        """Behind the medians of both, but on the front."""
        study = Study(Median(trials=4))
        for k in range(4):
            study.report(k, 1, loss=float(k % 2), size=float(1 - k % 2))
        assert study.report(4, 1, loss=0.6, size=0.6).verdict is Verdict.CONTINUE
        assert study.report(5, 1, loss=0.7, size=0.7).verdict is Verdict.STOP

    def test_a_report_without_one_of_them_tells_nothing(self) -> None:
        study = Study(Median(trials=2))
        for k in range(5):
            study.report(k, 1, loss=float(k), size=float(k))
        assert study.report(5, 1, loss=9.0).verdict is Verdict.CONTINUE

    def test_percentile_alike(self) -> None:
        study = Study(Percentile(keep=50.0, trials=4))
        for k in range(5):
            study.report(k, 1, loss=float(k), size=float(k))
        assert study.report(5, 1, loss=9.0, size=0.5).verdict is Verdict.CONTINUE
        assert study.report(6, 1, loss=9.0, size=9.0).why == (
            "at step 1 its best loss of 9 and its best size of 9 are not among the best 50 % of 6 others, which had 2 and 1 "
            "or better"
        )


class TestForecast:
    def filled(self, *constraints: str) -> Study:
        """Completed trials on the front from (0, 4) to (4, 0), each of which lost 1 of both in three steps."""
        study = Study(Forecast(trials=3, after=1), BOTH, *constraints)
        for k in range(5):
            for step in (1, 2, 3):
                wiggle = 0.01 * ((k * step) % 3)
                down = (3 - step) / 2 + wiggle
                study.report(k, step, loss=k + down, size=4 - k + down, memory=8.0 - k)
            study.complete(k, loss=float(k), size=4.0 - k, memory=8.0 - k)
        return study

    def test_it_stops_what_will_not_come_to_the_front(self) -> None:
        study = self.filled()
        assert study.report(5, 1, loss=2.0, size=2.0, memory=1.0).verdict is Verdict.CONTINUE
        assert study.report(6, 1, loss=0.9, size=9.0, memory=1.0).verdict is Verdict.CONTINUE
        decision = study.report(7, 1, loss=9.0, size=9.0, memory=1.0)
        assert decision.verdict is Verdict.STOP
        assert "to be beaten by none of the 5 best" in decision.why

    def test_who_will_break_a_constraint_has_no_chance(self) -> None:
        study = self.filled("memory <= 8")
        assert study.report(5, 1, loss=1.0, size=1.0, memory=7.0).verdict is Verdict.CONTINUE
        decision = study.report(6, 1, loss=1.0, size=1.0, memory=20.0)
        assert decision.verdict is Verdict.STOP
        assert decision.why.endswith("and to keep memory <= 8")


class TestConstraints:
    LOSS = (Objective("loss"),)

    def filled(self, scheduler: Scheduler, *constraints: str) -> Study:
        """Six completed trials; memory is what it is from the first step on, accuracy rises by 0.5."""
        study = Study(scheduler, self.LOSS, *constraints)
        for k in range(6):
            for step in range(1, 5):
                rising = 0.2 + 0.125 * step + 0.01 * k
                study.report(k, step, loss=1.0 + k / step, memory=1.0 + k / 10, accuracy=rising)
            study.complete(k, loss=1.0 + k / 4, memory=1.0 + k / 10, accuracy=0.7 + 0.01 * k)
        return study

    @pytest.mark.parametrize("scheduler", [Asha(max=4, min=1), Median(trials=3), Percentile()])
    def test_the_best_loss_does_not_help_who_will_break_one(self, scheduler: Scheduler) -> None:
        study = self.filled(scheduler, "memory <= 4")
        assert study.report(6, 1, loss=0.5, memory=2.0).verdict is Verdict.CONTINUE
        decision = study.report(7, 1, loss=0.1, memory=9.0)
        assert decision.verdict is Verdict.STOP
        assert "memory <= 4" in decision.why

    @pytest.mark.parametrize("scheduler", [Asha(max=4, min=1), Median(trials=3)])
    def test_what_is_not_kept_yet_may_be_at_the_end(self, scheduler: Scheduler) -> None:
        study = self.filled(scheduler, "accuracy >= 0.6")
        assert study.report(6, 1, loss=0.1, accuracy=0.3).verdict is Verdict.CONTINUE

    def test_nothing_is_sure_before_one_has_ended_or_without_the_metric(self) -> None:
        study = Study(Asha(max=4, min=1), self.LOSS, "memory <= 4")
        for k in range(3):
            study.report(k, 1, loss=float(k), memory=9.0)
        assert not breach.surely(study.history, np.arange(3)).any()
        study = self.filled(Asha(max=4, min=1), "memory <= 4")
        study.report(6, 1, loss=0.1)
        study.report(7, 1, loss=0.1, memory=None)
        assert not breach.surely(study.history, np.array([6, 7])).any()

    def test_where_all_break_one_they_are_ranked_as_without(self) -> None:
        study = self.filled(Asha(max=4, min=1), "memory <= 0.5")
        assert study.report(6, 1, loss=0.1, memory=2.0).verdict is Verdict.CONTINUE
        assert study.report(7, 1, loss=99.0, memory=2.0).verdict is Verdict.STOP

    def test_promotions_go_to_those_that_keep_them(self) -> None:
        """Half the configs take too much memory, and have the lower losses."""

        def curve(config: dict[str, Any]) -> Iterator[tuple[float, Mapping[str, float]]]:
            for step in range(1, 10):
                x = config["x"]
                yield 1.0, {"loss": 1 - x + 1 / step, "memory": 10 * x}

        for scheduler in ("asha", "hyperband", "pasha", "freeze_thaw"):
            options: dict[str, Any] = {"max": 9, "min": 1}
            if scheduler == "asha":
                options["type"] = "promotion"
            result = simulate(
                curve,
                ts.Space(x=ts.Float(0, 1)),
                metric="loss",
                constraints=["memory <= 5"],
                searcher="random",
                seed=2,
                trials=40,
                scheduler={scheduler: options},
            ).result
            assert result.best is not None, scheduler
            assert result.best.config["x"] <= 0.5
            completed = [t for t in result.trials if t.state is ts.State.COMPLETED]
            broken = [t for t in completed if t.config["x"] > 0.5]
            assert len(broken) <= len(completed) / 2, scheduler
