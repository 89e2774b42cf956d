"""What constraints say, by how much results break them, and what is no constraint."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.core.constraint import WORST, Constraint, constraints_of, values_of
from tunesmith.core.trial import Cost

SPACE = ts.Space(x=ts.Float(0, 1), kind=ts.Choice("a", "b"), m=ts.Float(0, 1, when={"kind": "a"}))
numbers = st.floats(-1e6, 1e6)


def excess(text: str, **values: Any) -> float:
    return Constraint(text).excess(SPACE, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("memory <= 4", 1.0), ("memory >= 4", -1.0), ("3 < memory < 6", -1.0), ("0 < memory < 3", 2.0),
        ("memory <= 4 or memory >= 5", 0.0), ("memory >= 4 and memory <= 3", 2.0), ("not memory <= 4", -1.0),
        ("memory / 2 <= 2", 0.5), ("memory == 4", 1.0), ("memory != 5", 1.0), ("memory in [5, 6]", -1.0),
        ("x * memory <= 1", 1.5), ("kind == 'a'", 1.0), ("metric('eval/loss') <= 1", 1.0), ("log(memory) < 0", math.log(5)),
    ],
)  # fmt: skip
def test_excess(text: str, expected: float) -> None:
    values = {"memory": 5.0, "x": 0.5, "kind": "b", "eval/loss": 2.0}
    assert excess(text, **values) == pytest.approx(expected)


def test_equal_numbers_break_less_than() -> None:
    assert excess("memory <= 4", memory=4.0) == 0.0
    assert excess("memory < 4", memory=4.0) > 0.0
    assert excess("memory <= 1e999", memory=math.inf) == 0.0


@pytest.mark.parametrize("value", [math.nan, "a lot"])
def test_what_is_no_number_breaks_it(value: Any) -> None:
    assert excess("memory <= 4", memory=value) == WORST
    assert excess("not memory <= 4", memory=value) == WORST


def test_missing_metrics_break_it_and_inactive_parameters_do_not() -> None:
    assert excess("memory <= 4") == WORST
    assert excess("1 / memory <= 4", memory=0.0) == WORST
    assert math.isnan(excess("memory * m <= 4", memory=9.0))
    assert excess("memory * m <= 4", m=0.5) == WORST


@given(numbers, numbers)
def test_positive_exactly_where_broken(value: float, bound: float) -> None:
    for sign in ("<=", "<", ">=", ">", "==", "!="):
        constraint = Constraint(f"memory {sign} {bound!r}")
        holds = constraint.expression.holds({"memory": value})
        assert (constraint.excess(SPACE, {"memory": value}) <= 0.0) == holds


def test_parameters_and_metrics_come_before_what_a_trial_took() -> None:
    values = values_of({"x": 1.0}, {"wall_s": 2.0, "loss": None}, Cost(5.0, 6.0, 7, None))
    assert values["wall_s"] == 2.0
    assert (values["cpu_s"], values["memory_bytes"]) == (6.0, 7)
    assert math.isnan(values["loss"])
    assert "money" not in values


def test_bounds_by_metric() -> None:
    made = constraints_of("a <= 1", {"seconds": 60, "top-1": 3}, {"accuracy": -0.5})
    texts = ["a <= 1", "seconds <= 60", "metric('top-1') <= 3", "accuracy >= -0.5"]
    assert [constraint.text for constraint in made] == texts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["memory"], "compares a metric with something"), (["3 < 4"], "compares a metric"), ([""], "non-empty"),
        ([5], "a text such as"), (5, "a list of texts"), (["memory <="], "cannot read 'memory <='"),
        (["memory = 5"], "write '=='"), (["open('x') <= 1"], "calls 'open'"),
    ],
)  # fmt: skip
def test_no_constraints(arguments: Any, words: str) -> None:
    with pytest.raises(ts.StudyError, match=words.replace("(", r"\(").replace(")", r"\)")):
        constraints_of(arguments)


@pytest.mark.parametrize("bound", [math.nan, math.inf, "60", True, None])
def test_no_bounds(bound: Any) -> None:
    with pytest.raises(ts.StudyError, match="at_most: the bound of 'seconds' is a number"):
        constraints_of((), {"seconds": bound})
    with pytest.raises(ts.StudyError, match="at_least is a number for each"):
        constraints_of((), None, bound if bound is not None else 3)
