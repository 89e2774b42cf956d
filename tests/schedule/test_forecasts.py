"""Schedulers that compare: racing by folds, forecasts of curves, and halving that goes no further than it must."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.core.driver import opened, reported, spec, suggested
from tests.schedule.test_pausing import Study

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.strategy import Resume
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.schedule.forecast import Forecast
from tunesmith.schedule.pasha import Pasha
from tunesmith.schedule.racing import Racing, chance_of_luck
from tunesmith.strategy.evidence import Evidence
from tunesmith.strategy.extrapolation import Extrapolation, Stride
from tunesmith.strategy.lengths import longest_run
from tunesmith.tuning.simulate import simulate


class TestRacing:
    def test_by_hand(self) -> None:
        """Differences 0.1, 0.2, 0.15: t = 0.15 / (0.05 / sqrt(3)) = 5.196, p(t_2 > 5.196) = 0.0176."""
        assert chance_of_luck(np.array([0.1, 0.2, 0.15])) == pytest.approx(0.0176, abs=1e-4)
        study = Study(Racing(alpha=0.04))  # 0.02 for each of two looks
        study.begin(0, 1, 2)
        for fold, loss in enumerate([0.3, 0.5, 0.4, 0.2, 0.6], start=1):
            assert study.report(0, fold, loss) == "continue"
        study.end(0)
        assert study.report(1, 1, 0.4) == study.report(1, 2, 0.7) == "continue"
        assert study.report(1, 3, 0.55) == "stop"
        assert study.report(2, 1, 0.35) == study.report(2, 2, 0.45) == "continue"
        assert study.report(2, 3, 0.5) == "continue", "folds differ more than the trials"

    @pytest.mark.parametrize(("others", "better"), [(20, 0.0), (50, 0.3)])
    def test_what_is_truly_better_is_hardly_ever_stopped(self, others: int, better: float) -> None:
        """Against the best of many that are equal, on five folds: `alpha` is 5 %, and 100 studies may say 9."""
        stopped = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            study = Study(Racing())
            fold_effects = rng.standard_normal(5)
            study.begin(*range(others))
            for trial in range(others):
                losses = (fold_effects + rng.standard_normal(5)).tolist()
                study.ledger.extend(reported(trial, k, loss) for k, loss in enumerate(losses, 1))
                value = (float(np.mean(losses)),)
                study.ledger.apply(events.Finished(4.0, trial, 0, State.COMPLETED, value))
            study.begin(others)
            for step, effect in enumerate(fold_effects, start=1):
                loss = effect - better + rng.standard_normal()
                if study.report(others, step, loss) == "stop" and step < 5:
                    stopped += 1
                    break
        assert stopped <= 9

    def test_the_best_of_each_kind_goes_on(self) -> None:
        study = Study(Racing(alpha=0.02, among="c"))
        kinds = ["a", "b", "b", "a"]
        study.ledger.extend(suggested(k, {"x": k / 64, "c": kind}) for k, kind in enumerate(kinds))
        for trial, loss in ((0, 0.1), (1, 0.7)):
            for fold in range(1, 5):
                assert study.report(trial, fold, loss + 0.01 * fold) == "continue", (
                    "no other of its kind"
                )
            study.end(trial)
        verdicts = [
            [study.report(k, fold, 0.5 + 0.01 * fold) for fold in (1, 2, 3)] for k in (2, 3)
        ]
        assert verdicts == [["continue"] * 3, ["continue", "continue", "stop"]]

    def test_the_parameter_that_makes_trials_alike_is_in_the_space(self) -> None:
        with pytest.raises(ts.StrategyError, match="the space has no 'kimd'; did you mean 'kind'"):
            ts.Study.create(
                ts.Space(kind=ts.Choice("a", "b")),
                metric="loss",
                scheduler={"racing": {"among": "kimd"}},
            )

    def test_many_folds_are_one_trial(self) -> None:
        """On a real model: bad configs stop after a few folds, and the result is as good."""
        from sklearn.datasets import load_wine
        from sklearn.model_selection import StratifiedKFold
        from sklearn.svm import SVC

        inputs, labels = load_wine(return_X_y=True)
        inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
        splits = list(StratifiedKFold(10, shuffle=True, random_state=0).split(inputs, labels))

        def cross_validated(config: dict[str, Any], trial: ts.LiveTrial) -> float:
            scores = []
            for fold, (train, test) in enumerate(splits, start=1):
                model = SVC(C=config["c"], gamma=config["gamma"]).fit(inputs[train], labels[train])
                scores.append(float(model.score(inputs[test], labels[test])))
                trial.report(step=fold, accuracy=scores[-1])
            return float(np.mean(scores))

        space = ts.Space(c=ts.Float(1e-3, 1e3, log=True), gamma=ts.Float(1e-4, 10.0, log=True))
        result = ts.tune(
            cross_validated,
            space,
            metric="accuracy",
            goal="maximize",
            trials=30,
            seed=1,
            searcher="sobol",
            scheduler="racing",
            progress=False,
        )
        stopped = [t for t in result.trials if t.state is ts.State.STOPPED]
        assert len(stopped) >= 12
        assert np.mean([len(t.reports) for t in stopped]) < 6
        assert stopped[0].reason is not None
        assert "on the same ones by" in stopped[0].reason.message
        assert result.best.value is not None
        assert result.best.value > 0.98


class TestPasha:
    def report_all(self, study: Study, step: int, losses: dict[int, float]) -> None:
        for trial, loss in losses.items():
            study.report(trial, step, loss)

    def test_it_goes_no_further_than_ranks_change(self) -> None:
        """Two promoted in the same order as before: that is the end of it, and the best runs to its end."""
        study = Study(Pasha(max=27, min=1), trials=6)
        study.begin(*range(6))
        self.report_all(study, 1, {k: k / 10 for k in range(6)})
        assert study.all()[0] == [0, 1]
        self.report_all(study, 3, {0: 0.01, 1: 0.02})
        move = study.next()
        assert move == Resume(
            0, "the best at step 3, on to step 9: no trial has run to its end yet"
        )

    def test_where_they_change_it_goes_on(self) -> None:
        study = Study(Pasha(max=27, min=1))
        study.begin(*range(9))
        self.report_all(study, 1, {k: k / 10 for k in range(9)})
        assert study.all()[0] == [0, 1, 2]
        self.report_all(study, 3, {0: 0.03, 1: 0.02, 2: 0.01})
        assert study.all()[0] == [2], "the order was turned round: the next rung is open"

    def test_differences_within_the_noise_are_none(self) -> None:
        study = Study(Pasha(max=27, min=3))
        study.begin(*range(6))
        wiggling = {1: (0.50, 0.51), 2: (0.51, 0.50), 3: (0.50, 0.51)}
        for step, (first, second) in wiggling.items():
            study.report(0, step, first)
            study.report(1, step, second)
        for trial in range(2, 6):
            study.report(trial, 3, 0.9)
        assert study.all()[0] == [0, 1]
        for step, (first, second) in {4: (0.5, 0.49), 9: (0.495, 0.49)}.items():
            study.report(0, step, first)
            study.report(1, step, second)
        assert study.all()[0] == [], "they cross to and fro by 0.01"


def history_of(curves: dict[int, tuple[str, list[float]]]) -> History:
    """A history of trials that ended in the given states, after a report at each step from 1 on."""
    ledger = Ledger(spec()).extend([opened()])
    for number, (state, losses) in curves.items():
        ledger.apply(suggested(number))
        for step, loss in enumerate(losses, start=1):
            ledger.apply(events.Reported(2.0, number, 0, step, {"loss": loss}))
        if state == "paused":
            ledger.apply(events.Paused(3.0, number, 0, Reason(Kind.PAUSED, "wait")))
        elif state != "running":
            values = None if state == "failed" or not losses else (losses[-1],)
            ledger.apply(events.Finished(3.0, number, 0, State(state), values, {}, None))
    return History(ledger)


class TestExtrapolation:
    def test_all_improve_alike(self) -> None:
        """Everybody falls by 0.1 at each step: so would those who ended early."""
        curves = {k: ("completed", [k - 0.1 * step for step in range(6)]) for k in range(4)}
        history = history_of(curves | {4: ("stopped", [7.0, 6.9])})
        ends = Extrapolation.of(history).ends(history, np.array([4]))
        assert ends.losses[0] == pytest.approx(6.5, abs=1e-6)
        assert ends.deviations[0] == pytest.approx(0.0, abs=1e-6)

    def test_who_is_worse_improves_more(self) -> None:
        x = np.linspace(0.0, 1.0, 400)
        stride = Stride.of(x, 0.5 * x)
        carried, _ = stride.carry(np.array([0.2, 0.9]), np.zeros(2))
        assert carried == pytest.approx([0.1, 0.45], abs=0.02)

    def test_no_more_is_fitted_than_lies_ahead(self) -> None:
        curves = {k: ("completed", [k - 0.1 * step for step in range(9)]) for k in range(4)}
        history = history_of(curves | {4: ("stopped", [7.0, 6.9, 6.8]), 5: ("stopped", [])})
        extrapolation = Extrapolation.of(history)
        extrapolation.ends(history, np.array([4, 5]))
        assert [extrapolation.grid[k] for k, _ in extrapolation._strides] == [3, 5, 8]

    def test_nobody_went_on(self) -> None:
        history = history_of({0: ("stopped", [0.5]), 1: ("stopped", [0.4]), 2: ("paused", [0.3])})
        ends = Extrapolation.of(history).ends(history, np.arange(3))
        assert ends.losses.tolist() == [0.5, 0.4, 0.3]

    def test_what_was_not_finite(self) -> None:
        history = history_of({0: ("completed", [0.5, 0.4]), 1: ("stopped", [math.inf])})
        assert math.isnan(Extrapolation.of(history).ends(history, np.array([1])).losses[0])

    def test_a_memo_changes_nothing(self) -> None:
        rng = np.random.default_rng(0)
        ledger = Ledger(spec()).extend([opened()])
        memos: dict[Any, Any] = {}
        for number in range(40):
            ledger.apply(suggested(number))
            level = rng.random()
            for step in range(1, int(rng.integers(2, 12))):
                loss = level + 1 / step + 0.05 * rng.random()
                ledger.apply(events.Reported(2.0, number, 0, step, {"loss": loss}))
            ledger.apply(events.Finished(3.0, number, 0, State.STOPPED, (loss,), {}, None))
            memo = History(ledger, memo=memos)
            again = Extrapolation.of(memo).ends(memo, np.arange(number + 1))
            fresh = Extrapolation.of(History(ledger)).ends(memo, np.arange(number + 1))
            np.testing.assert_array_equal(again.losses, fresh.losses)
            np.testing.assert_array_equal(again.deviations, fresh.deviations)

    @pytest.mark.parametrize(("first", "then"), [(1, 2), (1, 4), (None, 1)])
    def test_a_memo_changes_nothing_where_results_are_hidden(
        self, first: int | None, then: int
    ) -> None:
        """In a deterministic study they come to light by number, whenever they came in."""
        curves = {k: ("stopped", [2.0 + k / 10, 1.0 + k / 10]) for k in range(1, 4)}
        ledger = history_of({0: ("stopped", [3.0])} | curves)._ledger
        memos: dict[Any, Any] = {}
        Evidence.of(History(ledger, visible=first, memo=memos))
        memo = Evidence.of(History(ledger, visible=then, memo=memos))
        fresh = Evidence.of(History(ledger, visible=then))
        assert memo.rows.tolist() == list(range(then))
        assert memo.losses.tolist() == fresh.losses.tolist()

    def test_the_longest_run_is_that_of_trials_as_they_are_now(self) -> None:
        history = history_of({0: ("failed", [3.0, 2.0, 1.0]), 1: ("completed", [0.5, 0.4])})
        ledger = history._ledger
        assert longest_run(history) == 2
        ledger.apply(events.Corrected(5.0, 0, (1.0,), {"loss": 1.0}, "it was done", "me"))
        assert longest_run(history) == 3
        ledger.apply(events.Retracted(6.0, 0, "it was not", "me"))
        assert longest_run(history) == 2

    def test_what_searchers_learn_from(self) -> None:
        curves = {k: ("completed", [k - 0.1 * step for step in range(6)]) for k in range(4)}
        others = {4: ("stopped", [7.0, 6.9]), 5: ("paused", [5.0]), 6: ("running", [9.0])}
        evidence = Evidence.of(history_of(curves | others))
        assert evidence.rows.tolist() == [0, 1, 2, 3, 4, 5]
        assert evidence.losses[4:] == pytest.approx([6.5, 4.5], abs=1e-6)
        assert evidence.pending.tolist() == [6]


class TestForecast:
    def test_the_chance_is_shown(self) -> None:
        study = Study(Forecast(trials=3))
        rng = np.random.default_rng(0)
        for number in range(6):
            study.begin(number)
            for step in range(1, 10):
                study.report(number, step, 1 - number / 10 + 1 / step + 0.01 * rng.random())
            study.end(number)
        study.begin(6, 7)
        assert study.report(7, 1, 1.3) == "continue"
        assert study.report(6, 1, 3.5) == "stop"
        reason = study.ledger.reason(6)
        assert reason is not None
        assert "expected to end at 2.61 ± 0.0" in reason.message
        assert "a chance of under 0.1 % to beat trial 5" in reason.message

    def test_it_saves_most_and_finds_the_same(self) -> None:
        """Curves that flatten towards their own floor, some slower than others."""

        def curve(config: dict[str, Any]) -> Any:
            floor = (config["x"] - 0.3) ** 2
            for step in range(1, 51):
                yield 1.0, floor + step ** -(0.5 + config["rate"])

        space = ts.Space(x=ts.Float(0, 1), rate=ts.Float(0, 1))
        whole = simulate(curve, space, searcher="sobol", seed=1, trials=100)
        saved = simulate(curve, space, searcher="sobol", seed=1, trials=100, scheduler="forecast")
        assert saved.elapsed_s < 0.5 * whole.elapsed_s
        assert saved.result.best.number == whole.result.best.number
