"""Filtering, sorting and cutting the list of trials."""

from __future__ import annotations

from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import ExpressionError
from tunesmith.tuning.table import columns_of, select, to_csv


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
    rows = select(result)
    assert columns_of(rows, None)[:2] == ["number", "state"]
    assert columns_of(rows, "loss, k") == ["loss", "k"]
    with pytest.raises(ts.StudyError, match="there is no column 'stat'; did you mean 'state'"):
        columns_of(rows, "stat")


def test_csv(result: ts.Result) -> None:
    rows = select(result, where="k < 2")
    assert to_csv(rows, ["k", "m", "name"]) == "k,m,name\n0,,b\n1,0,a\n"
