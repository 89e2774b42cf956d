"""The best trial of a study whose values have noise, and of deterministic ones: every door says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import complete, study
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.analysis import certainty as of
from tunesmith.analysis.report import report
from tunesmith.analysis.trials import TrialArrays
from tunesmith.cli.app import app
from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import CONFIRM, Origin, State
from tunesmith.numeric.rough import Mixture
from tunesmith.tuning.result import Result

LINE = ts.Space(x=ts.Float(0, 1))


#: A value on the slope, where 0.5 is the mean.
LUCKY = 0.10


def value(x: float) -> float:
    return 0.25 + (x - 0.3) ** 2


def noisy(storage: str | None = None, **options: Any) -> ts.Study:
    """A valley with noise, configs run twice, and one lucky value on its slope, which is the best one."""
    made = ts.Study.create(LINE, metric="loss", name="valley", storage=storage, **options)
    rng = np.random.default_rng(2)
    for k in range(40):
        tell(made, round(0.0125 + (k % 20) / 20, 4), 0.06 * float(rng.standard_normal()))
    tell(made, 0.8, LUCKY - value(0.8))
    return made


def tell(made: ts.Study, x: float, more: float) -> None:
    made.enqueue({"x": x})
    trial = made.ask()
    made.tell(trial, value(x) + more)


def test_the_best_is_what_is_likely_best() -> None:
    result = noisy(duplicates=True).result()
    best = result.best
    assert abs(best.config["x"] - 0.3) < 0.15
    assert best.expected == pytest.approx(0.25, abs=0.03)
    assert best.expected is not None
    assert best.interval is not None
    assert best.interval[0] < best.expected < best.interval[1]
    assert best.interval[0] < value(best.config["x"]) < best.interval[1]
    observed = result.best_observed
    assert observed.config == {"x": 0.8}
    assert observed.expected is None
    assert result.recommended.number == best.number
    assert best.value == result.trials[best.number].value
    assert f"(trial {best.number})" in repr(result)


def test_every_door_says_the_same(tmp_path: Path) -> None:
    storage = str(tmp_path / "study.db")
    made = noisy(storage, duplicates=True)
    result = made.result()
    number, lucky = result.best.number, result.best_observed.number
    assert made.best.number == number
    with ts.Study.open("valley", storage=storage) as opened:
        assert opened.best == result.best
    run = CliRunner().invoke
    shown = run(app, ["show", "valley", "--storage", storage]).output
    alone = run(app, ["best", "valley", "--storage", storage]).output
    for output in (shown, alone):
        assert "on average (" in output
        assert f"(trial {number})" in output
        assert f"trial {lucky} has the best value, {LUCKY:g}, partly by luck" in output
    data = json.loads(run(app, ["best", "valley", "--storage", storage, "--json"]).output)
    assert (data["number"], data["expected"]) == (number, result.best.expected)
    data = json.loads(run(app, ["show", "valley", "--storage", storage, "--json"]).output)
    assert data["best"][0]["number"] == number
    assert data["best_observed"]["number"] == lucky
    head = json.loads(result.to_json())
    assert (head["best"], head["best_observed"]) == (number, lucky)
    assert head["expected"] == result.best.expected
    page = report(result.ledger)
    assert f"is trial {number}: loss" in page
    assert f"best value (trial {lucky}), partly luck" in page


def test_the_best_of_a_deterministic_program_is_the_best_value() -> None:
    """However rough it is: only where close results differ as noise does is there noise."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        places, heights = rng.random((40, 2)), 0.05 * rng.normal(size=40)

        def stairs(c: dict[str, Any], places: Any = places, heights: Any = heights) -> float:
            nearest = int(np.argmin((places[:, 0] - c["x"]) ** 2 + (places[:, 1] - c["y"]) ** 2))
            return float(value(c["x"]) + value(c["y"]) + heights[nearest])

        def waves(c: dict[str, Any]) -> float:
            return (
                value(c["x"])
                + value(c["y"])
                + 0.05 * float(np.sin(120 * c["x"]) + np.sin(120 * c["y"]))
            )

        space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
        for function in (stairs, waves):
            result = ts.tune(function, space, metric="loss", trials=25, seed=seed, progress=False)
            assert result.best == result.best_observed
            assert result.best.expected is None


def test_the_same_value_twice_is_no_noise() -> None:
    made, rng = study(LINE), np.random.default_rng(0)
    for x in rng.random(20).tolist():
        y = value(x) + 0.05 * float(rng.standard_normal())
        complete(made, {"x": x}, y)
        complete(made, {"x": x}, y)
    assert Result(made).best.expected is None


def test_a_trial_whose_checkpoints_stay_is_best_where_trials_report() -> None:
    made = ts.Study.create(LINE, metric="loss", duplicates=True)
    rng = np.random.default_rng(2)
    for k in range(41):
        x = 0.8 if k == 40 else round(0.0125 + (k % 20) / 20, 4)
        made.enqueue({"x": x})
        trial = made.ask()
        loss = LUCKY if k == 40 else value(x) + 0.06 * float(rng.standard_normal())
        made.report(trial, step=1, loss=loss)
        made.tell(trial, loss)
    result = made.result()
    assert result.best.number == 40, "keep=1: only its checkpoint is there"
    assert result.best.expected is not None
    assert result.best.expected > 0.3, "and it is said what it is worth"
    assert abs(result.recommended.config["x"] - 0.3) < 0.15


def test_confirming_runs_overrule_the_model() -> None:
    made, rng = study(LINE, metrics="loss", confirm=1), np.random.default_rng(2)
    for k in range(40):
        x = round(0.0125 + (k % 20) / 20, 4)
        complete(made, {"x": x}, value(x) + 0.06 * float(rng.standard_normal()))
    complete(made, {"x": 0.8}, LUCKY)
    assert Result(made).best.expected is not None
    assert Result(made).best.number != 40
    for number, loss in ((41, 0.11), (42, 0.12)):
        at = 10.0 * number
        made.apply(events.Enqueued(at, number, {"x": 0.8}, Origin(CONFIRM), {}, 40))
        made.apply(events.Started(at, number, 0, "s"))
        made.apply(events.Finished(at, number, 0, State.COMPLETED, (loss,), {"loss": loss}))
    assert (Result(made).best.number, Result(made).best.expected) == (40, None)
    assert Result(made).recommended.number == 40


def test_noise_does_not_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = TrialArrays(noisy(duplicates=True).result().ledger)
    chances = iter([0.8, 0.95])
    monkeypatch.setattr(Mixture, "noise_chance", property(lambda _: next(chances)))
    sure = of.certainty(trials)
    assert sure is not None
    assert sure.noisy, "it was found a fifth of the results earlier"
    assert next(chances, None) is None


def test_large_studies_are_not_modelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger: Ledger = noisy(duplicates=True).result().ledger
    monkeypatch.setattr(of, "LARGE", 20)
    assert Result(ledger).best.config == {"x": 0.8}
    assert Result(ledger).recommended.config == {"x": 0.8}
    page = report(ledger)
    assert "How much luck is in the best value is not worked out for this study." in page
    assert "checkpoints" not in page
