"""Mistakes that the doctor finds before they cost anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tuning.jobs import write_job

import tunesmith as ts
from tunesmith.tuning.doctor import Finding, check_environment, check_job, check_space


def findings(tmp_path: Path, try_s: float = 5.0, **changes: Any) -> list[Finding]:
    path = write_job(tmp_path, **{"storage": "study.db", **changes})
    return list(check_job(path, storage=None, try_s=try_s))


def worst(found: list[Finding]) -> list[str]:
    return [f.text for f in found if f.level in ("warning", "error")]


def test_a_sound_job(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert worst(found) == []
    texts = "\n".join(f.text for f in found)
    assert "study small, 1 parameter" in texts
    assert "the program is" in texts
    assert "reported loss = 0.0625" in texts
    assert not (tmp_path / "study.db").exists(), "nothing is stored"


def test_mistakes_in_the_file(tmp_path: Path) -> None:
    found = findings(tmp_path, serchr="grid", seed="many")
    assert [f.level for f in found] == ["error", "error"]


def test_a_missing_program_is_not_tried(tmp_path: Path) -> None:
    found = findings(tmp_path, command="no-such-program {x}")
    assert [t for t in worst(found) if "no-such-program" in t]
    assert not any("default config" in f.text for f in found)


def test_a_metric_that_never_matches(tmp_path: Path) -> None:
    found = findings(tmp_path, metrics={"loss": "LOSS=([0-9.]+)"})
    problem, output = worst(found)
    assert "the metric 'loss' never came" in problem
    assert "the pattern of 'loss' never matched: LOSS=" in problem
    assert output == "  | loss=0.062500", "what it printed is shown"


def test_a_second_metric_that_never_matches(tmp_path: Path) -> None:
    found = findings(tmp_path, metrics={"loss": "loss=([0-9.]+)", "size": "size=([0-9]+)"})
    (text,) = worst(found)
    assert text == (
        "the metric 'size' never came (it reported 'loss'): in 1 line of output the pattern of 'size' never matched: "
        "size=([0-9]+)"
    )


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"size": "lo{number}"}, "the pattern of 'size' matched 'ss=0.062500', which is no number"),
        ({"size": {"json": "size.json"}}, "the metric 'size' never came: there is no file "),
        ({"step": "epoch {int}"}, "never matched: epoch {int}; without it, reports are counted"),
    ],
)
def test_other_metrics_say_why_they_never_came(
    tmp_path: Path, metrics: dict[str, Any], text: str
) -> None:
    (problem,) = worst(findings(tmp_path, metrics={"loss": "loss={number}", **metrics}))
    assert text in problem


def test_a_metric_beside_the_objectives_in_a_file_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "size.json").write_text('{"size": 5}')
    metrics = {"loss": "loss={number}", "size": {"json": "size.json"}}
    (problem,) = worst(findings(tmp_path, metrics=metrics))
    assert problem.endswith("size.json is older than the trial, which has not written to it")


def test_the_value_is_what_the_objective_uses(tmp_path: Path) -> None:
    command = ["python3", "-S", "-c", "for y in (3, 1, 2): print(f'loss={{y}}') # {x}"]
    found = findings(tmp_path, command=command, objective={"metric": "loss", "use": "best"})
    assert any("reported loss = 1" in f.text for f in found)


def test_a_program_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    found = findings(tmp_path, space={"x": {"float": [0, 1], "default": 1.0}})
    assert "the default config failed after" in worst(found)[0]
    assert "exit" in worst(found)[0]
    assert any("too much" in text for text in worst(found))


def test_a_metric_that_takes_longer(tmp_path: Path) -> None:
    found = findings(tmp_path, 0.5, command="python3 -S program.py --x {x} --sleep 30")
    (text,) = worst(found)
    assert "did not come in the first" in text
    assert "--try" in text


def test_a_parameter_that_does_not_reach_the_program(tmp_path: Path) -> None:
    space = {"x": {"float": [0, 1]}, "model.depth": {"int": [1, 3]}}
    (text,) = worst(findings(tmp_path, 0.0, space=space))
    assert text.startswith("model.depth is not in the command")
    assert "$TUNESMITH_PARAM_MODEL_DEPTH" in text


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (ts.Space(x=ts.Float(1e-5, 1)), "with log: true small values"),
        (ts.Space(k=ts.Choice(16, 32, 64)), "say ordered: true"),
        (ts.Space(k=ts.Int(3, 3)), "only one value"),
        (
            ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)).require("x + y < 0.01"),
            "fewer than 1 % of random configs satisfy",
        ),
    ],
)
def test_suspicious_spaces(space: ts.Space, words: str) -> None:
    assert any(words in finding.text for finding in check_space(space))


def test_a_sound_space() -> None:
    space = ts.Space(
        lr=ts.Float(1e-5, 1, log=True), c=ts.Choice("a", "b"), n=ts.Choice(1, 2, 3, ordered=True)
    )
    assert list(check_space(space)) == []


def test_the_environment(tmp_path: Path) -> None:
    assert {f.level for f in check_environment(tmp_path / "study.db")} <= {"ok", "warning"}
    (tmp_path / "text.db").write_text("hello there, this is no database")
    assert [f.level for f in check_environment(tmp_path / "text.db")][-1] == "error"
    found = list(check_environment(tmp_path / "no" / "study.db"))
    assert "does not exist; make it" in found[-1].text


RELATED = {
    "x": {"float": [0, 1], "default": 0.9},
    "y": {"float": [0, 1], "default": 0.9},
    "require": ["x + y <= 1"],
}


def test_the_default_config_satisfies_the_relations(tmp_path: Path) -> None:
    command = "python3 -S program.py --x {x} --y {y}"
    report = findings(tmp_path, command=command, space=RELATED)
    assert worst(report) == []
    default = "\n".join(f.text for f in report)
    assert "reported loss" in default


def test_the_command_that_failed_is_shown(tmp_path: Path) -> None:
    space = {"x": {"float": [0, 1], "default": 1.0}}
    report = findings(tmp_path, space=space)
    assert "; it ran python3 -S program.py --x 1.0" in worst(report)[0]
