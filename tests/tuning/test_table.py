"""Filtering, sorting and cutting the list of trials."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import ExpressionError
from tunesmith.tuning.table import Columns, select, to_csv


def objective(config: dict[str, Any]) -> float:
    if config["k"] == 3:
        raise ValueError("three")
    return float(10 - config["k"])


@pytest.fixture(scope="module")
def result() -> ts.Result:
    return ts.tune(
        objective,
        ts.Space(k=ts.Int(0, 9), name=ts.Choice("b", "a"), m=ts.Int(0, 1, when={"name": "a"})),
        metric="loss",
        goal="maximize",
        trials=6,
        enqueue=[{"k": k, "name": "a" if k % 2 else "b"} for k in range(6)],
        progress=False,
    )


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return [row["number"] for row in rows]


def test_all(result: ts.Result) -> None:
    assert numbers(select(result)) == [0, 1, 2, 3, 4, 5]


def test_value_is_the_best_first(result: ts.Result) -> None:
    assert numbers(select(result, sort="value")) == [0, 1, 2, 4, 5, 3]
    assert numbers(select(result, sort="-value")) == [5, 4, 2, 1, 0, 3]


def test_by_a_column(result: ts.Result) -> None:
    assert numbers(select(result, sort="-k")) == [5, 4, 3, 2, 1, 0]
    assert numbers(select(result, sort="name"))[:3] == [1, 3, 5]
    assert numbers(select(result, sort="m"))[-3:] == [0, 2, 4], "those without one come last"


def test_by_state(result: ts.Result) -> None:
    assert numbers(select(result, states=["failed"])) == [3]
    assert numbers(select(result, states=["failed", "completed"])) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ts.StudyError, match="no state 'fialed'; did you mean 'failed'"):
        select(result, states=["fialed"])


def test_where(result: ts.Result) -> None:
    assert numbers(select(result, where="k >= 2 and name == 'a'")) == [3, 5]
    assert numbers(select(result, where="loss > 7")) == [0, 1, 2], "a failed one has no loss"
    with pytest.raises(ts.StudyError, match="where: there is no column 'los'; did you mean 'loss'"):
        select(result, where="los > 7")
    with pytest.raises(ExpressionError, match="cannot be worked out"):
        select(result, where="k > 'a'")
    with pytest.raises(ExpressionError):
        select(result, where="__import__('os')")


def test_limit(result: ts.Result) -> None:
    assert numbers(select(result, sort="value", limit=2)) == [0, 1]
    assert select(result, limit=0) == []


def test_a_sort_column_that_is_not_there(result: ts.Result) -> None:
    with pytest.raises(ts.StudyError, match="sort: there is no column 'kk'; did you mean 'k'"):
        select(result, sort="kk")


def test_columns(result: ts.Result) -> None:
    columns = Columns.of(result.ledger)
    assert columns.names[:6] == ("number", "state", "loss", "k", "name", "m")
    assert columns.chosen(None) == list(columns.names)
    assert columns.chosen("loss, k") == ["loss", "k"]
    with pytest.raises(ts.StudyError, match="there is no column 'stat'; did you mean 'state'"):
        columns.chosen("stat")


def test_csv_runs_nothing_in_a_spreadsheet() -> None:
    """Numbers, and flags of programs, are what they are."""
    formulas = [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3+HYPERLINK(1)",
        "\t=1",
        "\r=1",
        "-A1 ",
        "＝1",
        "--lr=3",
        "-\n",
    ]
    others = ["-O2", "--fast", "+", "-1", "-1.5e-3", "a=b", "'=1", "", "x-y", "ü"]
    numbers = [-1, -0.5, 1e300, True, None]
    rows = [{"a": value} for value in [*formulas, *others, *numbers]]
    read = [line[0] if line else "" for line in csv.reader(io.StringIO(to_csv(rows, ["a"])))]
    assert read[1 : len(formulas) + 1] == ["'" + text.replace("\r", "\n") for text in formulas]
    assert read[len(formulas) + 1 :] == [*others, "-1", "-0.5", "1e+300", "True", ""]
    assert to_csv([], ["number", "=x"]) == "number,'=x\n"


def test_csv(result: ts.Result) -> None:
    rows = select(result, where="k < 2")
    assert to_csv(rows, ["k", "m", "name"]) == "k,m,name\n0,,b\n1,0,a\n"


# -- names that are taken ---------------------------------------------------------------------


def tuned(space: ts.Space, metrics: Any, metric: str = "value") -> ts.Result:
    return ts.tune(metrics, space, metric=metric, trials=3, seed=1, progress=False)


def every_parameter_is_there(result: ts.Result) -> dict[str, str]:
    """Which column each parameter has: in the rows, in CSV, in the frame."""
    by_name = dict(Columns.of(result.ledger).parameters)
    assert len(set(Columns.of(result.ledger).names)) == len(Columns.of(result.ledger).names)
    parsed = list(csv.DictReader(io.StringIO(result.to_csv())))
    frame = result.table() if find_spec("pandas") else None
    for trial, row, line in zip(result.trials, result.rows(), parsed, strict=True):
        assert (row["number"], row["state"]) == (trial.number, "completed")
        assert (line["number"], line["state"]) == (str(trial.number), "completed")
        for name, value in trial.config.items():
            assert row[by_name[name]] == value
            assert line[by_name[name]] == str(value)
            if frame is not None:
                assert frame.loc[trial.number, by_name[name]] == value
    return by_name


def test_a_parameter_called_like_the_metric() -> None:
    space = ts.Space(loss=ts.Choice("hinge", "log_loss"), alpha=ts.Float(0, 1))
    result = tuned(space, lambda c: {"loss": c["alpha"]}, "loss")
    assert every_parameter_is_there(result) == {"loss": "config.loss", "alpha": "alpha"}
    assert [row["loss"] for row in result.rows()] == [t.value for t in result.trials]
    hinge = [t.number for t in result.trials if t.config["loss"] == "hinge"]
    assert numbers(select(result, where="config.loss == 'hinge'")) == hinge
    by_loss = sorted(result.trials, key=lambda t: str(t.config["loss"]))
    assert numbers(select(result, sort="config.loss")) == [t.number for t in by_loss]
    best_first = sorted(result.trials, key=lambda t: t.value or 0.0)
    assert numbers(select(result, sort="loss")) == [t.number for t in best_first]


def test_parameters_called_like_columns() -> None:
    space = ts.Space(
        state=ts.Choice("CA", "NY"), number=ts.Int(5, 9), attempt=ts.Int(50, 60), why=1
    )
    result = tuned(space, lambda c: 1.0)
    names = {"state", "number", "attempt", "why"}
    assert every_parameter_is_there(result) == {name: f"config.{name}" for name in space}
    assert set(space) == names
    assert numbers(select(result, where="config.number >= 5 and attempt == 0")) == [0, 1, 2]


def test_metrics_called_like_columns() -> None:
    space = ts.Space(x=ts.Float(0, 1))
    result = tuned(space, lambda c: {"state": c["x"], "wall_s": 7.0}, "state")
    every_parameter_is_there(result)
    for row, trial in zip(result.rows(), result.trials, strict=True):
        assert (row["metric.state"], row["metric.wall_s"]) == (trial.value, 7.0)
        assert row["wall_s"] == trial.cost.wall_s
    best = min(result.trials, key=lambda t: t.value or 0.0)
    assert numbers(select(result, sort="metric.state"))[0] == best.number
    assert numbers(select(result, sort="value"))[0] == best.number


def test_names_that_are_taken_twice() -> None:
    """The prefixed name is a parameter's too, or a metric's."""
    space = ts.Space({"loss": ts.Float(0, 1), "config.loss": ts.Float(2, 3), "state": ts.Int(1, 9)})
    result = tuned(space, lambda c: {"loss": c["loss"], "config.state": 5.0}, "loss")
    by_name = every_parameter_is_there(result)
    assert by_name["config.loss"] == "config.loss"
    assert by_name["loss"] == "config.config.loss"
    assert by_name["state"] == "config.config.state"
    assert [row["config.state"] for row in result.rows()] == [5.0] * 3


def test_a_parameter_keeps_its_column_where_only_some_trials_have_the_metric() -> None:
    space = ts.Space(lr=ts.Float(0, 1))
    late = tuned(space, lambda c: {"value": 1.0, **({"lr": 9.0} if c["lr"] > 0.5 else {})})
    assert len({t.config["lr"] > 0.5 for t in late.trials}) == 2, "the case at hand"
    assert every_parameter_is_there(late) == {"lr": "config.lr"}


def test_value_is_the_objective_unless_something_else_is_called_so() -> None:
    space = ts.Space(x=ts.Float(0, 1))
    result = ts.tune(lambda c: c["x"], space, goal="maximize", trials=4, seed=1, progress=False)
    assert numbers(select(result, sort="value"))[0] == result.best.number
    space = ts.Space(value=ts.Float(0, 1))
    result = tuned(space, lambda c: {"loss": -c["value"]}, "loss")
    rows = select(result, sort="value")
    assert [row["value"] for row in rows] == sorted(row["value"] for row in rows)
