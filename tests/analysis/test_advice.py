"""The advice is true: of all good trials, without contradictions, and with one recommendation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import SPACE, complete, loss, mixed_study, random_study, report, study
from tests.analysis.test_report import Page, steps

import tunesmith as ts
from tunesmith.analysis import advice
from tunesmith.analysis.certainty import certainty, recommended
from tunesmith.analysis.parameters import slice_of
from tunesmith.analysis.report import report as report_of
from tunesmith.analysis.trials import FAINT, TrialArrays
from tunesmith.core import events
from tunesmith.core.errors import TooSlow
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import Cost, Kind, Origin, Reason, State
from tunesmith.run.objective import reason_of
from tunesmith.tuning.result import Result


def test_five_trials_at_the_edge_are_no_advice_where_others_are_as_good() -> None:
    """The best five lie at the end of the range by chance; twenty in its middle are as good."""
    space = ts.Space(x=ts.Float(1, 10), y=ts.Float(0, 1))
    made, rng = study(space), np.random.default_rng(0)
    for k in range(20):
        complete(made, {"x": 4.0 + k / 10, "y": 0.5}, 0.1 + k / 10_000)
    for k in range(5):
        complete(made, {"x": 10.0, "y": 0.5}, 0.099 + k / 10_000)
    for _ in range(40):
        complete(made, space.sample(rng), 1.0 + rng.random())
    assert "x is best at" not in steps(made)


def test_an_edge_where_all_good_trials_are() -> None:
    space = ts.Space(x=ts.Float(1, 10), y=ts.Float(0, 1))
    made, rng = study(space), np.random.default_rng(0)
    for k in range(12):
        complete(made, {"x": 10.0 - k / 100, "y": 0.5}, 0.1 + k / 10_000)
    for _ in range(40):
        complete(made, config := space.sample(rng), 11.0 - config["x"])
    assert re.search(
        r"x is best at the upper end .*\(1\d of the best 1\d are near 10\)", steps(made)
    )


@pytest.mark.parametrize("effect", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_no_parameter_is_both_widened_and_fixed_or_narrowed(effect: float) -> None:
    """It said 'add one beyond hidden=128' and 'fix hidden=128'."""
    space = ts.Space(
        rate=ts.Float(1e-4, 1e-1, log=True),
        hidden=ts.Choice(32, 64, 128, ordered=True),
        depth=ts.Int(1, 8),
    )

    def value(config: dict[str, Any]) -> float:
        away = (np.log10(config["rate"]) + 2.5) ** 2
        return float(away - effect * (config["hidden"] / 128) - effect * config["depth"] / 8)

    made = random_study(space, value, 60)
    for k in range(12):
        config = {"rate": 10 ** (-2.5 + k / 100), "hidden": 128, "depth": 8}
        complete(made, config, value(config))
    said = steps(made)
    for name in space:
        about = [
            f"{name} is best at" in said,
            bool(re.search(rf"Fix what made.*\b{name} = ", said)),
            bool(re.search(rf"narrow to where.*\b{name} from ", said)),
        ]
        assert sum(about) <= 1, said


@pytest.mark.parametrize("kind", [Kind.TIMEOUT, Kind.ERROR])  # ERROR: as earlier versions had it
def test_what_a_recipe_gives_up_is_no_error(kind: Kind) -> None:
    made = study(ts.Space(x=ts.Float(0, 1)))
    for k in range(20):
        complete(made, {"x": k / 20}, k / 20)
    for k in range(5):
        number = made.size
        at = 10.0 * number
        made.apply(events.Suggested(at, number, {"x": 0.9 + k / 100}, Origin("random", ""), "s"))
        reason = Reason(kind, "TooSlow: one fold took 9.0 s")
        made.apply(events.Finished(at + 5, number, 0, State.FAILED, None, {}, reason, Cost(1.0)))
    said = "\n".join(advice.failures(TrialArrays(made, model="accuracy 90 %")))
    assert said.startswith("5 of 25 trials were given up, since they would have taken too long.")
    assert "error" not in said
    assert "mend" not in said


def test_a_training_that_gives_up_has_that_reason() -> None:
    reason = reason_of(TooSlow("one fold took 9 s"))
    assert reason.kind is Kind.TIMEOUT
    assert reason.message == "TooSlow: one fold took 9 s"


def lucky() -> Ledger:
    """A smooth valley at 0.3 with noise, and one lucky value far away from it, which is the best one."""
    made, rng = study(ts.Space(x=ts.Float(0, 1))), np.random.default_rng(2)
    for k in range(40):
        x = round(0.0125 + k / 40, 4)
        complete(made, {"x": x}, (x - 0.3) ** 2 + 0.25 + 0.03 * float(rng.standard_normal()))
    complete(made, {"x": 0.9}, 0.12)
    return made


def test_there_is_one_recommendation() -> None:
    made = lucky()
    result = Result(made)
    assert result.best_observed.config == {"x": 0.9}
    chosen = result.recommended
    assert result.best.number == chosen.number
    assert result.best.expected == pytest.approx(0.25, abs=0.04)
    assert abs(chosen.config["x"] - 0.3) < 0.15
    trials = TrialArrays(made)
    assert recommended(trials, certainty(trials)) == chosen.number
    page = Page(report_of(made)).text
    lucky_one = result.best_observed.number
    assert f"The best of 41 trials is trial {chosen.number}: value" in page or "on average." in page
    assert (
        f"Trial {chosen.number}, with this config. Trial {lucky_one} reached the best value" in page
    )
    assert f"Trial {lucky_one} has the best value, 0.12, partly by luck" in page
    assert "likelier" not in page


def test_without_noise_the_best_is_recommended() -> None:
    made = random_study(ts.Space(x=ts.Float(0, 1)), lambda c: (c["x"] - 0.4) ** 2, 30)
    result = Result(made)
    assert result.recommended == result.best
    page = Page(report_of(made)).text
    assert f"Trial {result.best.number}, with this config:" in page


def test_a_recommendation_needs_a_result() -> None:
    with pytest.raises(ts.NothingCompleted):
        _ = Result(study()).recommended
    with pytest.raises(ts.StudyError, match="no one trial is best"):
        _ = Result(study(metrics=("a", "b"))).recommended
    made = study()
    number = complete(made, {**SPACE.default()}, 0.5)
    assert Result(made).recommended.number == number


def test_slices_show_what_stopped_trials_would_have_come_to() -> None:
    trials = TrialArrays(mixed_study(60))
    figure = slice_of(trials, "learning_rate")
    faint, solid = figure["data"][:2]
    assert faint["name"] == "forecast of stopped ones"
    assert len(faint["x"]) == len(trials.of(State.STOPPED))
    assert faint["marker"]["opacity"] < solid["marker"]["opacity"]
    assert FAINT in figure["layout"]["title"]["subtitle"]["text"]
    assert FAINT in Page(report_of(mixed_study(60))).text
    none = slice_of(TrialArrays(random_study(SPACE, loss, 20)), "learning_rate")
    assert [trace["name"] for trace in none["data"]] == ["completed", "best"]


def test_the_report_counts_runs_as_the_limit_does() -> None:
    made = study(ts.Space(x=ts.Float(0, 1)), trials=3)
    for k in range(3):
        number = made.size
        made.apply(events.Suggested(1.0, number, {"x": k / 3}, Origin("random", ""), "s"))
        report(made, number, (float(k),))
    why = Reason(Kind.STOPPED, "gave way")
    made.apply(events.Finished(4.0, 2, 0, State.STOPPED, None, {}, why))
    made.apply(events.Forked(5.0, 3, 0, {"x": 0.1}, Origin("pbt", "as"), "s", 1, False))
    for number in (0, 1, 3):
        made.apply(
            events.Finished(9.0, number, 0, State.COMPLETED, (0.5 - number / 10,), {"loss": 0.5})
        )
    text = Page(report_of(made)).text
    assert "The best of 3 trials reached" in text
    assert "1 of them is a copy in which the runs of a population go on" in text
    assert "so that there are 3 trials in all" in text
