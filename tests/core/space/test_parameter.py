"""Float, Int, Choice and fixed values: what they take, and the words with which they refuse."""

from __future__ import annotations

import json
import math
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.parameter import (
    Choice,
    Fixed,
    Float,
    Int,
    Parameter,
    identity,
    parameter_from_dict,
    plain,
)
from tunesmith.testing.strategies import choices, floats, ints


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


# -- construction ---------------------------------------------------------------------------------

#: What takes anything, so that the wrong may be tried.
real: Any = Float
whole: Any = Int
choice: Any = Choice
fixed: Any = Fixed

WRONG: list[tuple[Any, str]] = [
    (lambda: real(1, 0), r"Float\(1, 0\): low is above high; write \(0, 1\)|low is above high"),
    (lambda: real("0", 1), "low is a number, not '0'"),
    (lambda: real(True, 2), "low is a number, not True"),
    (lambda: real(0, None), "high is a number, not None"),
    (lambda: real(math.nan, 1), "low is a finite number, not nan"),
    (lambda: real(0, math.inf), "high is a finite number, not inf"),
    (lambda: real(0, 1, log=True), "a log scale needs low > 0"),
    (lambda: real(0, 1, log="reverse"), "needs high < 1"),
    (lambda: real(1, 2, log="yes"), "log is True, False or 'reverse', not 'yes'"),
    (lambda: real(0, 1, step=0), "step is above 0, not 0"),
    (lambda: real(0, 1, step=-0.1), "step is above 0"),
    (lambda: real(0, 1, step=0.3), "the nearest highs that are: 0.9 and 1.2"),
    (lambda: real(1e9, 1e9 + 0.1), "too narrow for floating point"),
    (lambda: real(0, 1, default=2), "the default is 2.0, outside 0 .. 1"),
    (lambda: real(0, 1, default="a"), "default is a number"),
    (lambda: real(0, 1, step=0.5, default=0.4), r"the default is 0.4, not 0 \+ k \* 0.5"),
    (
        lambda: real(0, 1, group="optimiser"),
        "none of model, optimizer, data; did you mean 'optimizer'",
    ),
    (lambda: real(0, 1, when={}), "when= is empty; leave it out"),
    (lambda: real(0, 1, when=3), "when= is a mapping like"),
    (lambda: whole(1.5, 3), "low is a whole number, not 1.5; use Float"),
    (lambda: whole(1, 2**53 + 2), "beyond ±2"),
    (lambda: whole(5, 1), "low is above high"),
    (lambda: whole(0, 8, log=True), "a log scale needs low > 0"),
    (lambda: whole(1, 8, log="reverse"), "log is True or False, not 'reverse'"),
    (lambda: whole(1, 8, step=2), "the nearest highs that are: 7 and 9"),
    (lambda: whole(1, 8, step=0), "step is above 0"),
    (lambda: whole(1, 8, default=9), "the default is 9, outside 1 .. 8"),
    (lambda: whole(1, 9, step=2, default=2), r"the default is 2, not 1 \+ k \* 2"),
    (Choice, "has no values; write Choice"),
    (lambda: choice(["a", "b"]), r"separate arguments; write Choice\('a', 'b'\)"),
    (lambda: choice(range(3)), "separate arguments"),
    (lambda: choice("a", "b", "a"), "'a' is there twice"),
    (lambda: choice({"a": [1]}, {"a": [1]}), "is there twice"),
    (lambda: choice("a", math.nan), "nan is not a finite number"),
    (lambda: choice("a", {1, 2}), "is no JSON value; use its name"),
    (lambda: choice("a", print), "is no JSON value"),
    (lambda: choice({1: 2}, "a"), "is no JSON value"),
    (lambda: choice("a", [object()]), "is no JSON value"),
    (lambda: choice("\ud800", "a"), "is no valid text"),
    (lambda: choice({"\ud800": 1}, "a"), "is no valid text"),
    (lambda: choice("a", "b", default="c"), "the default is 'c', which is none of the 2 choices"),
    (lambda: choice("a", group="nothing"), "group 'nothing' is none of"),
    (lambda: fixed(print), "is no JSON value"),
    (lambda: fixed(math.inf), "is not a finite number"),
    (lambda: fixed(3, group="mode"), "did you mean 'model'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_wrong_parameters_cannot_be_made(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_numbers_become_their_own_type() -> None:
    parameter = real(np.int64(0), np.float32(2), default=1)
    assert [type(v) for v in (parameter.low, parameter.high, parameter.default)] == [float] * 3
    number = whole(np.int32(1), 8.0, step=np.int64(1), default=4.0)
    assert [type(v) for v in (number.low, number.high, number.step, number.default)] == [int] * 4
    with pytest.raises(AttributeError):
        parameter.low = 3.0


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (Float(0, 1), 0.5, None),
        (Float(0, 1), 1, None),
        (Float(0, 1), np.float32(0.25), None),
        (Float(0, 1), 1.5, "is 1.5, outside 0 .. 1"),
        (Float(0, 1), math.nan, "is nan, outside 0 .. 1"),
        (Float(0, 1), "0.5", "is '0.5', not a number"),
        (Float(0, 1), True, "is True, not a number"),
        (Float(0, 1), np.True_, "not a number"),
        (Float(0, 1), None, "is None, not a number"),
        (Float(0, 1, step=0.1), 0.1 + 0.2, None),
        (Float(0, 1, step=0.1), 0.15, "is 0.15, not 0 + k * 0.1"),
        (Int(1, 8), 3, None),
        (Int(1, 8), 3.0, None),
        (Int(1, 8), np.int8(3), None),
        (Int(1, 8), 3.5, "is 3.5, not a whole number"),
        (Int(1, 8), math.inf, "is inf, not a whole number"),
        (Int(1, 8), True, "is True, not a whole number"),
        (Int(1, 8), "3", "is '3', not a whole number"),
        (Int(1, 8), 9, "is 9, outside 1 .. 8"),
        (Int(1, 9, step=2), 4, "is 4, not 1 + k * 2"),
        (Choice("relu", "tanh"), "relu", None),
        (Choice("relu", "tanh"), np.str_("relu"), None),
        (Choice("red", "blue"), Colour.RED, None),
        (Choice("relu", "tanh"), "rleu", "which is none of the 2 choices; did you mean 'relu'?"),
        (Choice("relu", "tanh"), print, "which is none of the 2 choices"),
        (Choice(1, 2), Size.SMALL, None),
        (Choice(1, 2), 1.0, None),
        (Choice(1, 2), np.float32(1), None),
        (Choice(1, 2), np.int64(1), None),
        (Choice(1, 2), True, "is True, which is none"),
        (Choice(1, 2), "1", "is '1', which is none"),
        (Choice(True, False), 1, "is 1, which is none"),
        (Choice(True, False), np.True_, None),
        (Choice(None, 1), None, None),
        (Choice([1, 2], [3]), (1, 2), None),
        (Choice({"a": 1, "b": 2}, "c"), {"b": 2, "a": 1}, None),
        (Fixed(3), 3, None),
        (Fixed(3), 3.0, None),
        (Fixed(3), np.float64(3), None),
        (Fixed(3), True, "is True, but is fixed at 3"),
        (Fixed(True), 1, "is 1, but is fixed at True"),
        (Fixed(True), np.True_, None),
        (Fixed("a"), np.str_("a"), None),
        (Fixed("a"), "b", "is 'b', but is fixed at 'a'"),
        (Fixed("a"), {1, 2}, "but is fixed at 'a'"),
        (Fixed([1]), (1,), None),
    ],
)
def test_what_is_one_of_its_values(parameter: Parameter, value: Any, problem: str | None) -> None:
    found = parameter.problem(value)
    if problem is None:
        assert found is None
        cleaned = parameter.clean(value)
        assert json.loads(json.dumps(cleaned)) == cleaned, "in JSON's types"
    else:
        assert problem in str(found)


def test_four_different_values() -> None:
    several = Choice(1, 1.0, True, "1")
    assert [several.number(value) for value in (1, 1.0, True, "1")] == [0.0, 1.0, 2.0, 3.0]
    assert len({identity(value) for value in (1, 1.0, True, "1", None, [1], {"1": 1})}) == 7


def test_a_choices_values_are_its_own() -> None:
    values = [1, 2]
    several = Choice(values, [3], default=values)
    values.append(9)
    several.decode(0.0).append(9)
    several.standard().append(9)
    several.levels(9)[0].append(9)
    several.clean([1, 2]).append(9)
    assert several.values == ([1, 2], [3])
    assert several.standard() == [1, 2]
    constant = Fixed([1])
    constant.standard().append(2)
    assert constant.constant == [1]


def test_choices_own_cells_of_the_same_size() -> None:
    several = Choice("a", "b", "c")
    assert [several.decode(u) for u in (0.0, 0.3, 0.34, 0.66, 0.67, 1.0)] == list("aabbcc")
    assert several.unit([0, 1, 2]).tolist() == [1 / 6, 0.5, 5 / 6]
    with pytest.raises(KeyError):
        several.number("z")


@pytest.mark.parametrize(
    ("parameter", "size", "standard", "has_default"),
    [
        (Float(0, 1), None, 0.5, False),
        (Float(0, 1, default=0.25), None, 0.25, True),
        (Float(0, 1, step=0.1), 11, 0.5, False),
        (Float(2, 2), 1, 2.0, False),
        (Float(1e-4, 1, log=True), None, 0.01, False),
        (Int(1, 9), 9, 5, False),
        (Int(1, 9, step=4, default=9), 3, 9, True),
        (Int(3, 3), 1, 3, False),
        (Choice("a", "b"), 2, "a", False),
        (Choice("a", None, default=None), 2, None, True),
    ],
)
def test_sizes_and_defaults(
    parameter: Float | Int | Choice, size: int | None, standard: Any, has_default: bool
) -> None:
    assert (parameter.size, parameter.standard()) == (size, standard)
    assert parameter.has_default is has_default


@pytest.mark.parametrize(
    ("parameter", "most", "levels"),
    [
        (Float(0, 1), 3, [0.0, 0.5, 1.0]),
        (Int(1, 4), 9, [1, 2, 3, 4]),
        (Int(1, 9), 3, [1, 5, 9]),
        (Int(1, 9), 1, [5]),
        (Int(1, 9, step=2), 2, [1, 3, 5, 7, 9]),
        (Int(1, 10**9), 2, [1, 10**9]),
        (Choice("a", "b", "c"), 2, ["a", "b", "c"]),
    ],
)
def test_levels(parameter: Float | Int | Choice, most: int, levels: list[Any]) -> None:
    assert list(parameter.levels(most)) == levels


@settings(max_examples=100, deadline=None)
@given(st.one_of(floats(), ints(), choices()), st.floats(0, 1))
def test_value_number_and_place(parameter: Float | Int | Choice, u: float) -> None:
    value = parameter.decode(u)
    assert parameter.problem(value) is None
    assert identity(parameter.clean(value)) == identity(value)
    assert identity(parameter.value(parameter.number(value))) == identity(value)
    assert identity(parameter.decode(float(parameter.unit(parameter.number(value))))) == identity(
        value
    )


@settings(max_examples=100, deadline=None)
@given(st.one_of(floats(), ints()), st.integers(1, 12))
def test_levels_are_values_in_order_without_repeats(parameter: Float | Int, most: int) -> None:
    levels = list(parameter.levels(most))
    assert all(parameter.problem(level) is None for level in levels)
    assert levels == sorted(set(levels))


# -- as data --------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.one_of(floats(), ints(), choices()))
def test_dicts_read_back(parameter: Float | Int | Choice) -> None:
    data = json.loads(json.dumps(parameter.to_dict()))
    assert parameter_from_dict("p", data) == parameter


def test_every_option_reads_back() -> None:
    for parameter in (
        Float(0.5, 0.9, log="reverse", default=0.8, group="optimizer", when={"a": ["b", "c"]}),
        Float(0, 1, step=0.25, when="a > 3"),
        Int(1, 64, log=True, default=8, group="model"),
        Choice("a", [1], {"b": None}, ordered=True, default=[1], group="data"),
        Choice("a", None, default=None),
        Fixed({"a": 1}),
        Fixed(3, group="data", when="a > 3"),
    ):
        assert parameter_from_dict("p", json.loads(json.dumps(parameter.to_dict()))) == parameter


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert Float(0, 1).to_dict() == {"float": [0.0, 1.0]}
    assert Int(1, 2).to_dict() == {"int": [1, 2]}
    assert Choice("a").to_dict() == {"choice": ["a"]}
    assert Fixed("a").to_dict() == "a"
    assert Fixed({"a": 1}).to_dict() == {"value": {"a": 1}}
    assert parameter_from_dict("p", 5) == Fixed(5)
    assert parameter_from_dict("p", [1, 2]) == Fixed([1, 2])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"flaot": [0, 1]}, "p: exactly one of .* found flaot; did you mean 'float'"),
        ({}, "p: exactly one of .* found nothing"),
        ({"float": [0, 1], "int": [0, 1]}, "exactly one of .* found float, int"),
        ({"float": [0, 1], "lgo": True}, "p: float has no 'lgo'; did you mean 'log'"),
        ({"choice": ["a"], "log": True}, "p: choice has no 'log'"),
        ({"float": 3}, "p: float takes a list, not 3"),
        ({"float": [0]}, r"p: float takes \[low, high\], not \[0\]"),
        ({"float": [0, 1, 2]}, r"p: float takes \[low, high\]"),
        ({"int": [0.5, 3]}, "p: Int.*low is a whole number"),
        ({"choice": "ab"}, "p: choice takes a list, not 'ab'"),
        ({"choice": []}, "p: .*no values"),
        ({"value": math.nan}, "p: nan is not a finite number"),
    ],
)
def test_wrong_dicts_are_refused(spec: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parameter_from_dict("p", spec)


def test_plain_data() -> None:
    data = {"a": (1, np.int64(2)), np.str_("b"): np.float32(0.5), "c": [np.True_, Colour.RED]}
    made = plain(data)
    assert made == {"a": [1, 2], "b": 0.5, "c": [True, "red"]}
    assert [type(v) for v in (made["a"][1], made["b"], *made["c"])] == [int, float, bool, str]
    assert {type(key) for key in made} == {str}
    assert plain("größe 😀") == "größe 😀"
