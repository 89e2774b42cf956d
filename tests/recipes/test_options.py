"""Options that `fit` does not have."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unreadable": "missing"}, "it belongs to predict: model.predict"),
        ({"allow_pickle": True}, "it belongs to load_model"),
        ({"proba": True}, "it belongs to a model: model.predict_proba"),
        ({"metrics": "rmse"}, "did you mean 'metric'"),
    ],
)
def test_an_option_of_a_later_step_says_which(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ts.JobError, match=said):
        ts.fit("none.csv", target="y", **options)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["fit", "t.csv", "--unreadable", "missing"], "it belongs to tunesmith predict"),
        (["predict", "m", "t.csv", "--target", "y"], "it belongs to tunesmith fit"),
        (["run", "job.yaml", "--storag", "s.db"], "--storage"),
    ],
)
def test_an_option_of_another_command_says_which(call: list[str], said: str) -> None:
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    assert said in result.output


def test_an_option_without_its_value_is_no_other_commands() -> None:
    result = CliRunner().invoke(app, ["run", "job.yaml", "--on-change"])
    assert result.exit_code == 2
    assert "requires an argument" in result.output
    assert "belongs to" not in result.output
