"""Whatever an objective returns, its trial ends in a state that says what it was."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import StudyError
from tunesmith.core.objective import Objective
from tunesmith.core.outcome import (
    Outcome,
    Unusable,
    fingerprint,
    finite,
    number,
    numbers,
    outcome_of,
    whole,
)
from tunesmith.core.trial import Kind, Reason, State

ONE = (Objective("loss"),)
TWO = (Objective("loss"), Objective("speed", "maximize"))


class Tensor:
    """As torch has it: a thing with `item`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "returned",
    [
        0.5,
        np.float32(0.5),
        np.float64(0.5),
        np.array(0.5),
        np.array([0.5]),
        Tensor(0.5),
        Fraction(1, 2),
        Decimal("0.5"),
        [0.5],
        (0.5,),
        {"loss": 0.5},
        {"loss": np.float16(0.5)},
    ],
)
def test_numbers_of_all_kinds(returned: Any) -> None:
    assert outcome_of(ONE, returned) == Outcome(State.COMPLETED, (0.5,), {"loss": 0.5})
    assert type(outcome_of(ONE, returned).values[0]) is float  # type: ignore[index]


@pytest.mark.parametrize("returned", [3, np.int64(3), np.uint8(3), {"loss": 3}, Tensor(3)])
def test_whole_numbers_become_floats(returned: Any) -> None:
    values = outcome_of(ONE, returned).values
    assert values == (3.0,)
    assert type(values[0]) is float


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan"), np.inf])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"loss": x}, lambda x: [x]])
def test_what_is_not_finite_fails_as_such(bad: Any, wrap: Any) -> None:
    outcome = outcome_of(ONE, wrap(bad))
    assert outcome.state is State.FAILED
    assert outcome.reason == Reason(Kind.NOT_FINITE, f"loss = {float(bad)}")
    assert (outcome.values, outcome.metrics) == (None, {"loss": None})


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("0.5", "the result was '0.5' (str); give a number, or a mapping with 'loss'"),
        ("good", "the result was 'good' (str)"),
        (b"1", "the result was b'1' (bytes)"),
        (True, "the result was True (bool)"),
        (np.True_, "the result was np.True_ (bool"),
        (1j, "the result was 1j (complex)"),
        ([1, 2], "the result was [1, 2] (list)"),
        (np.array([1, 2]), "(ndarray)"),
        (np.datetime64("2020-01-01"), "(datetime64)"),
        (np.str_("1"), "(str_)"),
        (10**400, "(int)"),
        (Tensor("x"), "(Tensor)"),
        (Tensor(None), "(Tensor)"),
        (Tensor(True), "(Tensor)"),
        (Tensor(1j), "(Tensor)"),
        (Tensor(10**400), "(Tensor)"),
        (Tensor(RuntimeError("two elements")), "(Tensor)"),
        (Unprintable(), "the result was something (Unprintable)"),
        (Unusable("<a model>", "Model"), "the result was <a model> (Model)"),
        (
            None,
            "the metric 'loss' never arrived (the result was None); give a number, or {'loss': number}",
        ),
        (
            {},
            "the metric 'loss' never arrived (nothing was reported); give a number, or {'loss': number}",
        ),
        (
            {"los": 1, "b": 2},
            "the metric 'loss' never arrived (only 'b', 'los'); give a number, or {'loss': number}",
        ),
        ({"loss": "low"}, "the metric 'loss' is 'low' (str), which is no number"),
        ({"loss": None}, "the metric 'loss' is None (NoneType), which is no number"),
        ({"loss": Tensor("x")}, "which is no number"),
    ],
)
def test_what_is_no_number_fails_with_words(returned: Any, message: str) -> None:
    outcome = outcome_of(ONE, returned)
    assert (outcome.state, outcome.values) == (State.FAILED, None)
    assert outcome.reason is not None
    assert outcome.reason.kind is Kind.ERROR
    assert message in outcome.reason.message


def test_long_things_are_cut_short() -> None:
    reason = outcome_of(ONE, "x" * 10_000).reason
    assert reason is not None
    assert len(reason.message) < 200


def test_other_metrics_come_along() -> None:
    returned = {"loss": 0.5, "note": "hello", "seconds": np.int64(3), "bad": math.nan, 7: 1}
    assert outcome_of(ONE, returned).metrics == {"loss": 0.5, "seconds": 3.0, "bad": None, "7": 1.0}


def test_reports_fill_in_what_was_not_returned() -> None:
    latest = {"loss": 0.25, "accuracy": 0.9}
    assert outcome_of(ONE, None, latest) == Outcome(State.COMPLETED, (0.25,), latest)
    assert outcome_of(ONE, 0.5, latest).values == (0.5,)
    assert outcome_of(ONE, 0.5, latest).metrics == {"loss": 0.5, "accuracy": 0.9}
    assert outcome_of(ONE, {"accuracy": 1}, latest).metrics == {"loss": 0.25, "accuracy": 1.0}
    assert outcome_of(ONE, {"loss": None}, latest).state is State.FAILED, "None is not: left out"
    assert outcome_of(ONE, None, {"loss": math.nan}).reason == Reason(
        Kind.NOT_FINITE, "the last loss is NaN or infinite"
    )


def test_several_objectives() -> None:
    good: list[Any] = [(0.5, 9), [0.5, 9.0], {"loss": 0.5, "speed": 9}]
    for returned in good:
        assert outcome_of(TWO, returned).values == (0.5, 9.0)
    assert outcome_of(TWO, {"loss": 0.5}, {"speed": 7.0}).values == (0.5, 7.0)
    bad: list[Any] = [0.5, (0.5,), (1, 2, 3), "ab", {"loss": 0.5}]
    for returned in bad:
        assert outcome_of(TWO, returned).state is State.FAILED
    assert outcome_of(TWO, (0.5, math.inf)).reason == Reason(
        Kind.NOT_FINITE, "loss = 0.5, speed = inf"
    )
    message = str(outcome_of(TWO, 0.5).reason)
    assert "a mapping with 'loss', 'speed'" in message


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=2)
    | st.complex_numbers() | st.builds(Tensor, st.floats() | st.text(max_size=1) | st.integers()),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["loss", "speed", "a"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(st.sampled_from([ONE, TWO]), anything, st.dictionaries(st.just("loss"), st.floats()))
def test_anything_ends_completed_or_failed(
    objectives: tuple[Objective, ...], returned: Any, latest: dict[str, float]
) -> None:
    outcome = outcome_of(objectives, returned, latest)
    if outcome.state is State.COMPLETED:
        assert outcome.values is not None
        assert len(outcome.values) == len(objectives)
        assert all(math.isfinite(value) for value in outcome.values)
        assert outcome.reason is None
    else:
        assert outcome.state is State.FAILED
        assert (outcome.values, outcome.reason is None) == (None, False)
    assert all(v is None or math.isfinite(v) for v in outcome.metrics.values())


def test_numbers_and_steps() -> None:
    assert numbers({"a": 1, "b": "x", "c": np.float32(0.5), "d": True}) == {"a": 1.0, "c": 0.5}
    assert finite({"a": 1.0, "b": math.nan}) == {"a": 1.0, "b": None}
    assert number(2**53) == 2.0**53
    assert [whole(v) for v in (3, 3.0, np.int32(3), 2**63 - 1, -(2**63))] == [
        *[3] * 3,
        2**63 - 1,
        -(2**63),
    ]
    assert [whole(v) for v in (0.5, "3", True, None, math.nan, math.inf, 2**63, 1e300)] == [
        None
    ] * 8


def test_fingerprints_forget_numbers_and_addresses() -> None:
    def of(message: str) -> str:
        return fingerprint(Reason(Kind.ERROR, message))

    assert of("no file 3.csv at 0x7fa0") == of("no file 14.csv at 0x7fb1")
    assert of("loss 1.5e-3") == of("loss 27")
    assert of("no file") != of("no memory")
    assert fingerprint(Reason(Kind.LOST, "gone")) != fingerprint(Reason(Kind.ERROR, "gone"))


class TestUseOfReports:
    REPORTS: ClassVar = [{"loss": 3.0}, {"other": 0.0}, {"loss": 1.0}, {"loss": 2.0}]

    @pytest.mark.parametrize(
        ("goal", "use", "value"),
        [
            ("minimize", "last", 2.0),
            ("minimize", "best", 1.0),
            ("maximize", "best", 3.0),
            ("minimize", "mean of last 2", 1.5),
            ("minimize", "mean of last 10", 2.0),
            ("minimize", {"mean": 1}, 2.0),
            ("minimize", "mean 2", 1.5),
        ],
    )
    @pytest.mark.parametrize("returned", [None, {"loss": 2.0}, 2.0])
    def test_makes_the_value(self, goal: Any, use: Any, value: float, returned: Any) -> None:
        """Whether a program's last report is returned once more or not makes no difference."""
        objectives = (Objective("loss", goal, use),)
        outcome = outcome_of(objectives, returned, {"loss": 2.0}, lambda: self.REPORTS)
        assert outcome == Outcome(State.COMPLETED, (value,), {"loss": value})

    def test_what_is_not_finite(self) -> None:
        reports = [{"loss": 1.0}, {"loss": math.nan}]
        for use, state in (("best", State.COMPLETED), ("mean of last 2", State.FAILED)):
            objectives = (Objective("loss", use=use),)
            assert outcome_of(objectives, None, reports[-1], lambda: reports).state is state

    def test_a_mean_of_huge_values(self) -> None:
        assert Objective("loss", use="mean of last 2").value_of([1e308, 1.5e308]) == 1.25e308

    def test_without_reports_what_is_returned_counts(self) -> None:
        assert outcome_of((Objective("loss", use="best"),), 0.5).values == (0.5,)

    @pytest.mark.parametrize("use", ["worst", "mean", "mean of last 0", {"mean": 1.5}, None, 3, {}])
    def test_mistakes(self, use: Any) -> None:
        with pytest.raises(StudyError, match="use is 'last', 'best' or 'mean of last 10'"):
            Objective("loss", use=use)

    def test_it_is_said_and_stored(self) -> None:
        objective = Objective("loss", "maximize", {"mean": 5})  # type: ignore[arg-type]
        assert str(objective) == "maximize loss (mean of last 5 reports)"
        assert Objective("loss", "minimize", objective.use).use == "mean of last 5"
