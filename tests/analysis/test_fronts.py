"""Several objectives and constraints in figures, words and the report."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import SPACE, begin, complete, stop, study
from tests.analysis.test_report import Page

from tunesmith.analysis import advice, constraints, findings, fronts, parallel, parameters, progress
from tunesmith.analysis.report import report
from tunesmith.analysis.style import Figure, plain
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core import events
from tunesmith.core.errors import StudyError
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Float
from tunesmith.core.space.space import Space
from tunesmith.core.study import Strategy
from tunesmith.core.trial import Cost, Kind, Reason, State
from tunesmith.tuning.result import Result

LINE = Space(x=Float(0, 1))
TWO: dict[str, Any] = {"metrics": ("error", "seconds")}


def constrained(*texts: str, **options: Any) -> Ledger:
    made = study(LINE, **options)
    made.apply(events.Edited(0.0, {"constraints": list(texts)}, "test"))
    return made


def end(ledger: Ledger, x: float, values: tuple[float, ...], **metrics: float) -> int:
    """A trial that has completed, with metrics beside its objectives."""
    number = begin(ledger, {"x": x})
    names = [o.metric for o in ledger.spec.objectives]
    results = {**dict(zip(names, values, strict=True)), **metrics}
    cost = Cost(2.0 + number % 3, 1.0, 2**20, metrics.get("gpu_seconds"))
    ledger.apply(
        events.Finished(10.0 * number + 5, number, 0, State.COMPLETED, values, results, None, cost)
    )
    return number


def half_broken() -> Ledger:
    """Twelve trials: the better ones take too much memory."""
    made = constrained("memory <= 5")
    for k in range(12):
        end(made, k / 12, (12.0 - k,), memory=float(k))
    return made


def traces(made: Figure) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in made["data"]}


class TestConstraints:
    def test_what_breaks_one_is_evidence_and_never_the_best(self) -> None:
        trials = TrialArrays(half_broken())
        assert len(trials.done) == 12
        assert trials.ranked.tolist() == [5, 4, 3, 2, 1, 0]
        assert trials.best == 5
        found = traces(progress.best_so_far(trials))
        assert found["best so far"]["y"][-1] == 7.0
        assert len(found["breaks a constraint"]["x"]) == 6
        assert "breaks memory <= 5" in plain(found["breaks a constraint"]["text"][0])
        sliced = traces(parameters.slice_of(trials, "x"))
        assert len(sliced["breaks a constraint"]["x"]) == len(sliced["completed"]["x"]) == 6
        lines = [trace["name"] for trace in parallel.parallel(trials)["data"]]
        assert lines.count("breaks a constraint") == 6
        assert len(traces(progress.cost(trials))["breaks a constraint"]["x"]) == 6

    def test_they_are_counted(self) -> None:
        made = half_broken()
        assert constraints.sentences(made) == ["6 of 12 completed trials break memory <= 5."]
        page = Page(report(made))
        assert page.headings[0] == "The best of 12 trials reached loss 7, and keeps the constraint."
        assert "What had to hold" in page.headings
        assert (
            "6 of 12 completed trials break memory <= 5. All 6 with x >= 0.5 did, none of the 6 others."
            in page.text
        )
        assert "memory = 5" in page.text
        assert "too few to say how much luck" not in page.text
        assert "How much luck is in the best value is not worked out with constraints." in page.text

    def test_all_break_it(self) -> None:
        made = constrained("memory <= 5")
        for k in range(12):
            end(made, k / 12, (12.0 - k,), memory=10.0 + k)
        trials = TrialArrays(made)
        assert findings.headline(trials) == "None of 12 completed trials keeps the constraint."
        page = Page(report(made))
        assert "The nearest is trial 0" in page.text
        assert "What won" not in page.headings
        assert "What mattered" in page.headings
        assert advice.next_steps(trials, None, None)[0].startswith(
            "12 of 12 completed trials break"
        )

    def test_of_several_objectives(self) -> None:
        made = constrained("memory <= 5", **TWO)
        end(made, 0.1, (1.0, 1.0), memory=9.0)
        assert "does not keep the constraint" in Page(report(made)).headings[0]
        for k in range(4):
            end(made, 0.2 + k / 10, (2.0 + k, 9.0 - k), memory=1.0)
        found = traces(fronts.front(TrialArrays(made)))
        assert found[fronts.FRONT]["x"] == [2.0, 3.0, 4.0, 5.0]
        assert found["breaks a constraint"]["x"] == [1.0]
        assert "Of 4 trials that keep the constraints there are 4" in Page(report(made)).headings[0]


class TestFronts:
    def made(self) -> Ledger:
        made = study(LINE, **TWO)
        for k, (error, seconds) in enumerate(
            [(9.0, 9.0), (1.0, 10.0), (1.04, 2.0), (3.0, 1.0), (8, 8)]
        ):
            end(made, k / 5, (error, seconds))
        return made

    def test_the_region_that_is_beaten(self) -> None:
        found = traces(fronts.front(TrialArrays(self.made())))
        shade = found["beaten by the front"]
        corners = list(zip(shade["x"], shade["y"], strict=True))
        assert {(1.0, 10.0), (1.04, 10.0), (1.04, 2.0), (3.0, 2.0), (3.0, 1.0)} <= set(corners)
        assert corners[0][0] == 1.0
        assert corners[0][1] > 10.0
        assert found["knee"]["x"] == [1.04]

    def test_the_knee_in_words(self) -> None:
        made = self.made()
        knee = TrialArrays(made).knee
        assert knee == 2
        assert fronts.standing(made, knee) == (
            "trial 2: the error of the best within 4 %, at a fifth of its seconds"
        )
        assert (
            fronts.standing(made, 1)
            == "trial 1: 10 times the seconds of the best, at a third of its error"
        )
        assert "A good place to begin looking is the knee, trial 2" in Page(report(made)).text

    def test_how_much_was_beaten(self) -> None:
        """Of a square of side 2.2 the first trial beats 0.2 * 0.2, the last 1.2 * 1.2 beside what the others do."""
        numbers, shares = fronts.growth(TrialArrays(self.made()))
        assert numbers.tolist()[0] in (1, 2)
        assert shares[-1] == 1.0
        assert (np.diff(shares) > 0).all()
        made = study(LINE, **TWO)
        for x, values in ((0.1, (0.0, 1.0)), (0.2, (1.0, 0.0)), (0.3, (0.5, 0.5))):
            end(made, x, values)
        numbers, shares = fronts.growth(TrialArrays(made))
        # up to 1.1: 1.1 * 0.1, then twice that less 0.1 * 0.1, then 0.5 * 0.5 more
        whole = 2 * 1.1 * 0.1 - 0.01 + 0.25
        assert numbers.tolist() == [0, 1, 2]
        assert shares[0] == pytest.approx(0.11 / whole, abs=0.02)
        assert shares[1] == pytest.approx(0.21 / whole, abs=0.02)

    def test_nothing_yet(self) -> None:
        made = study(LINE, **TWO)
        for figure in (fronts.front, fronts.hypervolume, parallel.objectives):
            assert figure(TrialArrays(made))["data"] is not None
        with pytest.raises(StudyError, match="this study has one objective"):
            parallel.objectives(TrialArrays(study()))

    def test_three_objectives_in_parallel(self) -> None:
        made = study(LINE, metrics=("a", "b", "c"), goal=("minimize", "maximize", "minimize"))
        rng = np.random.default_rng(0)
        for _ in range(20):
            a, b = rng.uniform(size=2)
            end(made, a, (a, b, b - a))
        figure = parallel.objectives(TrialArrays(made))
        words = [note["text"] for note in figure["layout"]["annotations"]]
        assert {"<b>a (less is better)</b>", "<b>b (more is better)</b>"} <= set(words)
        best = min(range(20), key=lambda n: made.trial(n).metrics["a"])
        line = next(t for t in figure["data"] if f"trial {best}<" in t["text"][0])
        assert line["x"][0] == 1.0
        text = Page(report(made)).text
        assert all(f"For {name}" in text for name in "abc")
        with pytest.raises(StudyError, match="for two objectives"):
            fronts.attainment(TrialArrays(made))

    def test_a_flat_front(self) -> None:
        made = study(LINE, **TWO)
        for x in (0.1, 0.2, 0.3):
            end(made, x, (1.0, 1.0))
        assert "nan" not in report(made)

    @pytest.mark.parametrize(
        ("own", "best", "words"),
        [
            (1.0, 1.0, "the loss of the best"),
            (1.02, 1.0, "the loss of the best within 2 %"),
            (0.5, 1.0, "50 % less loss than the best"),
            (-1.0, 1.0, "loss -1 where the best has 1"),
            (1.0, 0.0, "loss 1 where the best has 0"),
        ],
    )
    def test_near(self, own: float, best: float, words: str) -> None:
        assert fronts._near("loss", own, best) == words

    @pytest.mark.parametrize(
        ("ratio", "words"),
        [
            (0.5, "half of its s"),
            (0.21, "a fifth of its s"),
            (0.6, "60 % of its s"),
            (0.012, "1.2 % of its s"),
            (1.02, "102 % of its s"),
            (3.0, "3 times its s"),
            (1234.0, "1,234 times its s"),
        ],
    )
    def test_beside(self, ratio: float, words: str) -> None:
        assert fronts._beside("s", ratio, 1.0) == words


def test_the_cost_is_by_its_own_word() -> None:
    made = study(LINE, cost=2000.0, cost_metric="gpu_seconds")
    for k in range(5):
        end(made, k / 5, (1.0 + k,), gpu_seconds=246.8)
    assert made.spec.limits.spent(made.money) == "1,234 of 2,000 gpu_seconds"
    figure = progress.cost(TrialArrays(made))
    assert figure["layout"]["xaxis"]["title"]["text"] == "gpu_seconds of the trial"
    assert figure["data"][0]["x"] == [246.8] * 5
    assert (
        "They spent 1,234 of 2,000 gpu_seconds (by the limit cost_metric)."
        in Page(report(made)).text
    )


def test_forecasts_are_in_every_scatter() -> None:
    made = study(SPACE, scheduler=Strategy("asha", {"max": 9}))
    for k in range(12):
        curve = tuple(1.0 + k + 2.0 / step for step in range(1, 10))
        if k % 2:
            stop(made, SPACE.default(), curve[:3])
        else:
            complete(made, SPACE.default(), curve[-1], reports=curve)
    trials = TrialArrays(made)
    for figure in (
        progress.best_so_far(trials),
        progress.best_so_far(trials, "time"),
        progress.cost(trials),
        parameters.slice_of(trials, "layers"),
    ):
        faint = traces(figure)["forecast of stopped ones"]
        assert len(faint["x"]) == 6
        assert faint["marker"]["opacity"] < 0.5
        assert all(math.isfinite(y) for y in faint["y"])
        assert "Faint circles are forecasts" in figure["layout"]["title"]["subtitle"]["text"]


def test_what_was_stopped_may_not_have_reported_what_constraints_name() -> None:
    made = study(LINE, scheduler=Strategy("asha", {"max": 9}))
    made.apply(events.Edited(0.0, {"constraints": ["memory <= 5"]}, "test"))
    end(made, 0.1, (1.0,), memory=1.0)
    number = begin(made, {"x": 0.5})
    for step in (1, 2):
        made.apply(events.Reported(12.0 + step, number, 0, step, {"loss": 3.0 / step}))
    reason = Reason(Kind.STOPPED, "asha")
    made.apply(
        events.Finished(19.0, number, 0, State.STOPPED, (1.5,), {"loss": 1.5}, reason, Cost(1.0))
    )
    trials = TrialArrays(made)
    assert "breaks" not in trials.tip(number)
    assert "breaks a constraint" not in traces(progress.curves(trials))
    assert [row["broken"] for row in Result(made).rows()] == ["", None]
