"""The rules by hand-worked examples, and the whole of it by real studies."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.strategy import Decision, Scheduler, Verdict
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Kind, Origin, Reason, State
from tunesmith.schedule.asha import Asha
from tunesmith.schedule.bandit import Bandit
from tunesmith.schedule.median import Median
from tunesmith.schedule.patience import Patience
from tunesmith.schedule.percentile import Percentile
from tunesmith.schedule.racing import Racing, folds
from tunesmith.schedule.threshold import Threshold
from tunesmith.schedule.truncation import Truncation
from tunesmith.strategy.rungs import Standings
from tunesmith.tuning.replay import replay
from tunesmith.tuning.simulate import simulate


class Study:
    """A ledger whose trials report what they are told to; trial n's first report starts it."""

    def __init__(self, scheduler: Scheduler, goal: Any = "minimize", use: Any = "last") -> None:
        objectives = (Objective("loss", goal, use),)
        space = ts.Space(x=ts.Float(0, 1))
        self.ledger = Ledger(StudySpec(name="s", space=space, objectives=objectives))
        self.ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
        self.scheduler, self.memo = scheduler, dict[Any, Any]()

    def report(self, trial: int, step: int, loss: float | None) -> Decision:
        if trial == self.ledger.size:
            config = {"x": trial / 1e6}
            self.ledger.apply(events.Suggested(0.0, trial, config, Origin(USER), "s"))
        self.ledger.apply(events.Reported(0.0, trial, 0, step, {"loss": loss}))
        return self.scheduler.decide(History(self.ledger, memo=self.memo), trial)

    def stops(self, trial: int, step: int, loss: float | None) -> bool:
        return self.report(trial, step, loss).verdict is Verdict.STOP

    def complete(self, trial: int, loss: float) -> None:
        done = events.Finished(0.0, trial, 0, State.COMPLETED, (loss,), {"loss": loss})
        self.ledger.apply(done)


class TestUse:
    """Schedulers judge what makes a trial's value, not the report that happened to come last."""

    def test_best(self) -> None:
        study = Study(Threshold(worst=1.0, after=3), use="best")
        assert not study.stops(0, 1, 0.5)
        assert not study.stops(0, 3, 9.0)
        assert study.stops(1, 3, 9.0)
        last = Study(Threshold(worst=1.0, after=3))
        assert not last.stops(0, 1, 0.5)
        assert last.stops(0, 3, 9.0)

    def test_best_passes_over_what_is_not_finite(self) -> None:
        study = Study(Threshold(worst=1.0), use="best")
        assert not study.stops(0, 1, 0.5)
        assert not study.stops(0, 2, None)

    def test_mean(self) -> None:
        study = Study(Threshold(worst=10.0), "maximize", "mean of last 3")
        assert [study.stops(0, step, loss) for step, loss in enumerate([15, 15, 15, 2], 1)] == [False] * 4  # fmt: skip
        decision = study.report(0, 5, 2)
        assert decision.why == "at step 5 its loss of 6.333 is worse than 10"
        assert study.ledger.judged.last(0).metrics == {"loss": pytest.approx(19 / 3)}  # type: ignore[union-attr]
        assert study.ledger.trial(0).reports[-1].metrics == {"loss": 2.0}

    @pytest.mark.parametrize("use", ["best", "mean of last 2", "last"])
    def test_rungs_and_the_final_value_agree(self, use: Any) -> None:
        study = Study(Asha(max=4, reduction=2), "maximize", use)
        for trial, reward in enumerate([3.0, 1.0, 2.0, 5.0]):
            for step in range(1, 5):
                study.report(trial, step, reward if step % 2 else 0.0)
        ledger = study.ledger
        for trial in range(4):
            reported = [r.metrics["loss"] for r in ledger.curves.of(trial)]
            judged = [r.metrics["loss"] for r in History(ledger).curve(trial)]
            objective = ledger.spec.first_objective
            assert judged == [objective.value_of(reported[:k]) for k in range(1, 5)]

    def test_an_attempt_that_goes_on_from_a_checkpoint(self) -> None:
        """What an earlier attempt had reported from there on does not count, in a best or a mean."""
        for use, value in (("best", 2.0), ("mean of last 3", 2.5)):
            study = Study(Threshold(worst=1e9), use=use)
            study.report(0, 1, 3.0)
            study.report(0, 2, -50.0)
            study.ledger.apply(events.Requeued(0.0, 0, 0, Reason(Kind.LOST, "gone")))
            study.ledger.apply(events.Started(0.0, 0, 1, "s"))
            study.ledger.apply(events.Reported(0.0, 0, 1, 2, {"loss": 2.0}))
            assert study.ledger.judged.last(0).metrics["loss"] == value  # type: ignore[union-attr]

    def test_racing_looks_at_each_fold(self) -> None:
        study = Study(Racing(folds=3), use="mean of last 5")
        for step in range(1, 6):
            study.report(0, step, step + 0.01 * (step % 2))
        study.complete(0, 3.0)
        for step in range(1, 4):
            study.report(1, step, step + 1.0)
        assert set(folds(History(study.ledger), 1).items()) == {(1, 2.0), (2, 3.0), (3, 4.0)}


class TestAsha:
    @pytest.mark.parametrize(
        ("options", "longest", "levels"),
        [
            ({"max": 27}, 27, (1, 3, 9)),
            ({"max": 9, "min": 1, "reduction": 3}, 9, (1, 3)),  # the paper's figure 1, s = 0
            ({"max": 9, "min": 3}, 9, (3,)),  # s = 1
            ({"max": 50}, 50, (2, 6, 18)),
            ({"max": 16, "min": 1, "reduction": 2}, 16, (1, 2, 4, 8)),
            ({"max": 10, "reduction": 1.5}, 10, (1, 2, 3, 4, 6, 8)),
            ({}, 1, ()),
        ],
    )
    def test_rungs(self, options: dict[str, Any], longest: int, levels: tuple[int, ...]) -> None:
        assert Asha(**options).levels(longest) == levels

    def test_a_worked_example(self) -> None:
        """The best third of those at step 1 so far; nobody is stopped among fewer than three."""
        study = Study(Asha(max=9))
        losses = [0.5, 0.9, 0.4, 0.6, 0.45, 0.3, 0.41]
        #: places:  1    2    1    3    2 of 5: 1 goes on    1    3 of 7: 2 go on
        stopped = [study.stops(k, 1, loss) for k, loss in enumerate(losses)]
        assert stopped == [False, False, False, True, True, False, True]

    @settings(max_examples=40, deadline=None)
    @given(st.permutations(range(12)))
    def test_each_is_compared_with_those_that_came_before(self, ranks: list[int]) -> None:
        study = Study(Asha(max=9))
        for trial, rank in enumerate(ranks):
            n, place = trial + 1, sorted(ranks[: trial + 1]).index(rank) + 1
            goes_on = n < 3 or place <= max(n // 3, 1)
            assert study.stops(trial, 1, rank / 10) is not goes_on

    def test_only_at_rungs_and_by_the_value_there(self) -> None:
        study = Study(Asha(max=9))
        for k in range(3):
            assert not study.stops(k, 1, 0.1 * k) or k == 2
        for step in (2, 4, 5, 6, 7, 8):
            assert not study.stops(0, step, 99.0)

    def test_a_step_over_a_rung_counts_there(self) -> None:
        study = Study(Asha(max=27))
        for k, loss in enumerate([0.1, 0.2, 0.3, 0.4]):
            decision = study.report(k, 5, loss)
        assert decision.verdict is Verdict.STOP
        assert decision.why == (
            "at step 5 its loss of 0.4 is number 4 of 4 that came to step 3; the best 1 go on"
        )
        assert study.report(4, 4, None).why == "its loss is not finite at step 4"

    def test_not_finite_is_the_end_where_others_have_a_number(self) -> None:
        study = Study(Asha(max=9))
        assert not study.stops(0, 1, None), "nobody has one"
        assert not study.stops(1, 1, 0.5)
        assert study.report(2, 1, None).why == "its loss is not finite at step 1"

    def test_without_max_it_waits_for_the_first_whole_run(self) -> None:
        study = Study(Asha(spare=0.0))
        for k in range(6):
            assert not study.stops(k, 1, float(k))
        for step in range(2, 31):
            study.report(0, step, 0.0)
        study.complete(0, 0.0)
        assert not study.stops(1, 2, 1.0), "the second of two"
        assert study.stops(2, 2, 9.0), "30 steps: rungs at 2, 6 and 18"
        assert not study.stops(3, 2, -1.0)

    def test_more_is_better_where_that_is_the_goal(self) -> None:
        study = Study(Asha(max=9), goal="maximize")
        assert [study.stops(k, 1, v) for k, v in enumerate([0.5, 0.1, 0.9, 0.2])] == [
            False,
            False,
            False,
            True,
        ]

    def test_a_hundred_thousand_trials_take_little_time(self) -> None:
        study = Study(Asha(max=100))
        for k in range(3000):
            study.report(k, 4, (k * 0.618) % 1.0)
        began = time.process_time()
        for k in range(3000, 3200):
            study.report(k, 4, (k * 0.618) % 1.0)
        assert (time.process_time() - began) / 200 < 0.005


class TestMedian:
    def test_a_worked_example(self) -> None:
        """Means until step 2 are 1, 2, 3, 4, 5; the median is 3."""
        study = Study(Median())
        for k in range(5):
            study.report(k, 1, k + 0.5)
            study.report(k, 2, k + 1.5)
        assert not study.stops(5, 1, 9.0 - 7.0)
        assert not study.stops(5, 2, 99.0), "its best is still 2"
        assert study.stops(6, 1, 3.25), "the others' first reports: a median of 2.5"
        why = study.report(7, 2, 3.75).why
        assert (
            why
            == "at step 2 its best loss of 3.75 is worse than 3.5, the median of 6 others' means"
        )

    def test_names_the_step_that_its_best_is_from(self) -> None:
        study = Study(Median())
        for k in range(5):
            study.report(k, 1, 3.0)
            study.report(k, 2, 1.0)
        assert not study.stops(5, 1, 2.5)
        assert study.report(5, 2, 9.0).why == (
            "at step 2 its best loss of 2.5 (of step 1) is worse than 2, the median of 5 others' means"
        )

    def test_not_before_there_are_enough_others_nor_too_early(self) -> None:
        study = Study(Median(after=2, trials=3))
        for k in range(3):
            assert not study.stops(k, 1, float(k))
            assert not study.stops(k, 2, float(k))
        assert not study.stops(3, 1, 99.0)
        assert study.stops(3, 2, 99.0)


class TestBandit:
    def test_a_factor_of_what_is_maximized(self) -> None:
        """Azure's own example: a best of 0.8 and a factor of 0.2 let 0.66 go on."""
        study = Study(Bandit(factor=0.2), "maximize")
        assert not study.stops(0, 10, 0.8)
        assert not study.stops(1, 10, 0.67)
        assert study.report(2, 10, 0.66).why == (
            "at step 10 its best loss of 0.66 is beyond 0.6667, what the best of the others, 0.8, leaves as slack"
        )

    def test_a_factor_of_what_is_minimized_or_below_zero(self) -> None:
        study = Study(Bandit(factor=0.2))
        assert not study.stops(0, 1, 1.0)
        assert not study.stops(1, 1, 1.2)
        assert study.stops(2, 1, 1.21)
        below = Study(Bandit(factor=0.2), "maximize")
        assert not below.stops(0, 1, -0.5)
        assert not below.stops(1, 1, -0.5), "as good as the best"
        assert below.stops(2, 1, -0.6)

    def test_an_amount_with_interval_and_delay(self) -> None:
        study = Study(Bandit(amount=0.5, every=2, delay=4))
        for step in range(1, 7):
            study.report(0, step * 10, 1.0)
        stops = [study.stops(1, step * 10, 2.0) for step in range(1, 7)]
        assert stops == [False, False, False, True, False, True], "by the count of reports"

    def test_the_best_is_not_stopped(self) -> None:
        study = Study(Bandit(amount=0.0))
        assert not any(study.stops(k, 1, 5.0 - k) for k in range(5))


class TestTruncation:
    def test_a_worked_example(self) -> None:
        study = Study(Truncation(percent=20))
        assert not any(study.stops(k, 1, float(k)) for k in range(4)), "20 % of 4 are none"
        assert study.report(4, 1, 9.0).why == (
            "at step 1 its best loss of 9 is among the worst 20 % of 5 trials: 4 were better"
        )
        assert not study.stops(5, 1, 9.0), (
            "two are the worst: of 6 one goes, and none is better known"
        )
        assert not study.stops(6, 1, 0.5)

    def test_interval_and_delay(self) -> None:
        study = Study(Truncation(percent=50, every=2, delay=3))
        for step in range(1, 7):
            study.report(0, step, 1.0)
        assert [study.stops(1, step, 2.0) for step in range(1, 7)] == [
            False, False, False, True, False, True,
        ]  # fmt: skip


def test_the_median_waits_for_its_interval() -> None:
    study = Study(Median(trials=1, spare=0.0, every=3, delay=4))
    for step in range(1, 7):
        study.report(0, step, 1.0)
    assert [study.stops(1, step, 2.0) for step in range(1, 7)] == [False] * 5 + [True]


class TestPercentile:
    def test_a_worked_example(self) -> None:
        study = Study(Percentile(keep=25.0, trials=4))
        for k in range(8):
            study.stops(k, 1, float(k))
        assert not study.stops(8, 1, 1.0)
        why = study.report(9, 1, 2.5).why
        assert why == (
            "at step 1 its best loss of 2.5 is not among the best 25 % of 9 others, which had 1 or better"
        )


@pytest.mark.parametrize(
    "scheduler",
    [{"asha": {"max": 9}}, {"hyperband": {"max": 9}}, {"pasha": {"max": 9}}, "median", "forecast"],
    ids=str,
)
def test_where_every_first_report_is_nan_some_are_completed(scheduler: Any) -> None:
    """No episode has ended by the first report."""

    def train(config: dict[str, Any]) -> Any:
        for epoch in range(1, 10):
            yield 1.0, math.nan if epoch == 1 else config["x"] * epoch

    simulated = simulate(
        train,
        ts.Space(x=ts.Float(0, 1)),
        goal="maximize",
        trials=12,
        searcher="random",
        seed=1,
        scheduler=scheduler,
    )
    trials = simulated.result.trials
    assert any(trial.state == "completed" for trial in trials)
    assert not any("not finite" in str(trial.reason) for trial in trials)


def test_a_median_of_means_leaves_out_where_nobody_had_a_number() -> None:
    study = Study(Median(trials=3))
    for trial in range(5):
        assert not study.stops(trial, 1, None)
    for trial in range(4):
        study.report(trial, 2, 0.1 * trial)
    assert study.stops(4, 2, 0.9), "at step 1 all were as good"
    study.report(5, 1, 0.0)
    study.report(6, 1, None)
    history = History(study.ledger)
    standing = Standings.of(history).compare(history, 6)
    assert standing is not None
    assert math.isinf(standing.best), "where others have a number, none is the worst"


class TestThreshold:
    def test_a_worked_example(self) -> None:
        study = Study(Threshold(worst=0.2, after=3), goal="maximize")
        assert not study.stops(0, 2, 0.1)
        assert not study.stops(0, 3, 0.2)
        assert study.report(0, 4, 0.1).why == "at step 4 its loss of 0.1 is worse than 0.2"
        assert not study.stops(1, 1, None), "nobody has a number there"
        assert study.report(2, 4, None).why == "at step 4 its loss is not finite"


class TestPatience:
    def test_a_worked_example(self) -> None:
        study = Study(Patience(reports=3, least=0.01))
        values = [0.5, 0.4, 0.395, 0.392, 0.39]
        assert [study.stops(0, k, v) for k, v in enumerate(values, 1)] == [False] * 4 + [True]
        assert [study.stops(1, k, v) for k, v in enumerate([0.5, None, 0.4, 0.5, 0.5], 1)] == [
            False
        ] * 5
        assert study.report(1, 6, 0.4).why == "its loss has not improved on 0.4 for 3 reports"

    def test_never_finite(self) -> None:
        study = Study(Patience(reports=2))
        assert not study.stops(0, 1, None)
        assert not study.stops(0, 2, None), "nobody has a number there"
        assert not study.stops(1, 2, 0.5)
        assert not study.stops(2, 1, None)
        assert study.report(2, 2, None).why == "its loss has not improved for 2 reports"


def curve(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """81 epochs that come down to the config's own floor."""
    loss = 0.0
    for epoch in range(1, 82):
        loss = (config["x"] - 0.3) ** 2 + 1.0 / epoch
        trial.report(step=epoch, loss=loss)
    return loss


@pytest.mark.parametrize(
    "scheduler", ["asha", {"asha": {"max": 81}}, "median", "percentile"], ids=str
)
def test_a_study_is_as_good_for_less(scheduler: Any, tmp_path: Any) -> None:
    storage = tmp_path / "study.db"
    result = ts.tune(
        curve,
        ts.Space(x=ts.Float(0, 1)),
        metric="loss",
        name="s",
        trials=40,
        seed=1,
        scheduler=scheduler,
        searcher="sobol",
        storage=storage,
        progress=False,
    )
    stopped = [t for t in result.trials if t.state is ts.State.STOPPED]
    reports = sum(len(t.reports) for t in result.trials)
    assert len(stopped) >= 15
    assert all(t.reason is not None and "step" in t.reason.message for t in stopped)
    assert reports < 0.6 * 40 * 81
    assert result.best.value is not None
    assert result.best.value < 1 / 81 + 0.002
    with ts.Study.open("s", storage=storage) as study:
        assert replay(study.store, "s").problems == []


class TestAudit:
    def test_a_share_of_what_would_be_stopped_runs_to_its_end(self, tmp_path: Any) -> None:
        result = ts.tune(
            curve,
            ts.Space(x=ts.Float(0, 1)),
            metric="loss",
            name="s",
            trials=40,
            seed=1,
            scheduler={"asha": {"max": 81, "audit": 0.3}},
            searcher="sobol",
            storage=tmp_path / "study.db",
            progress=False,
        )
        audit = result.audit()
        assert 3 <= len(audit.trials) <= 20
        assert all(result.trials[k].state is ts.State.COMPLETED for k in audit.trials)
        assert audit.winners == ()
        assert str(audit).endswith("trials that it would have stopped ran to their end: rightly so")
        with ts.Study.open("s", storage=tmp_path / "study.db") as study:
            assert replay(study.store, "s").problems == []

    def test_a_winner_that_would_have_been_lost(self) -> None:
        """Curves that cross: who begins badly ends well."""

        def crossing(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            for step in range(1, 10):
                trial.report(step=step, loss=config["x"] if step > 4 else -config["x"])
            return float(config["x"])

        result = ts.tune(
            crossing,
            ts.Space(x=ts.Float(0, 1)),
            metric="loss",
            trials=40,
            seed=1,
            scheduler={"asha": {"max": 9, "audit": 0.5}},
            searcher="sobol",
            progress=False,
        )
        audit = result.audit()
        assert audit.winners
        assert result.best.number in audit.winners
        assert f"{len(audit.winners)} of them would have been the best" in str(audit)

    @pytest.mark.parametrize("share", [0, 1, "a", True])
    def test_what_is_no_share(self, share: Any) -> None:
        with pytest.raises(
            ts.StrategyError, match="audit: the share is a number above 0 and below 1"
        ):
            ts.Study.create(ts.Space(x=ts.Float(0, 1)), scheduler={"median": {"audit": share}})

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("hyperband", {"max": 9}),
            ("freeze_thaw", {"max": 9}),
            ("pasha", {"max": 9}),
            ("asha", {"max": 9, "type": "promotion"}),
            ("pbt", {"max": 6, "interval": 2}),
            ("pb2", {"max": 6, "interval": 2}),
            ("scripted", {"schedule": [[0, {"x": 0.5}]]}),
        ],
    )
    def test_trials_that_others_go_on_from_are_not_audited(
        self, name: str, options: dict[str, Any]
    ) -> None:
        with pytest.raises(
            ts.StrategyError,
            match=f"audit is for schedulers that only stop trials; this {name} lets",
        ):
            ts.Study.create(ts.Space(x=ts.Float(0, 1)), scheduler={name: {**options, "audit": 0.1}})
