from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith.core.errors import SpaceError
from tunesmith.core.space.axis import Axis
from tunesmith.core.space.parameter import Float, Int
from tunesmith.testing.strategies import floats, ints

UNITS = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(floats(), UNITS)
def test_a_value_is_found_again_at_its_own_place(parameter: Float, u: float) -> None:
    value = parameter.decode(u)
    assert parameter.problem(value) is None
    assert parameter.decode(float(parameter.unit(value))) == value, "exactly"


@settings(max_examples=100, deadline=None)
@given(ints(), UNITS)
def test_an_int_is_found_again_at_its_own_place(parameter: Int, u: float) -> None:
    value = parameter.decode(u)
    assert type(value) is int
    assert parameter.problem(value) is None
    assert parameter.decode(float(parameter.unit(value))) == value


@settings(max_examples=100, deadline=None)
@given(floats(), st.lists(UNITS, min_size=2, max_size=5))
def test_order_is_kept(parameter: Float, units: list[float]) -> None:
    values = [parameter.decode(u) for u in sorted(units)]
    assert values == sorted(values)


@settings(max_examples=100, deadline=None)
@given(st.one_of(floats(), ints()))
def test_the_ends_are_the_ends(parameter: Float | Int) -> None:
    assert parameter.decode(0.0) == parameter.low
    assert parameter.decode(1.0) == parameter.high


@pytest.mark.parametrize(
    ("axis", "middle"),
    [
        (Axis(0.0, 10.0, False, None), 5.0),
        (Axis(-3.0, 1.0, False, None), -1.0),
        (Axis(1e-5, 1e-1, True, None), 1e-3),
        (Axis(0.9, 0.9999, "reverse", None), 1 - math.sqrt(0.1 * 0.0001)),
        (Axis(0.0, 1.0, False, 0.25), 0.5),
        (Axis(2.0, 2.0, False, None), 2.0),
    ],
)
def test_the_middle_of_each_scale(axis: Axis, middle: float) -> None:
    assert axis.value(0.5) == pytest.approx(middle, rel=1e-9)


@pytest.mark.parametrize(
    "parameter", [Float(-0.0, 1), Float(-1, 1), Float(-1, -0.0), Float(-1, 1, step=0.1)]
)
def test_there_is_one_zero(parameter: Float) -> None:
    """-0.0 equals 0.0, but has other bits: a config would not be found again."""
    near = [0.0, 0.5, 0.5 - 1e-17, 0.5 - 1e-16, 1.0, 1e-38]
    values = [*map(parameter.decode, near), *parameter.levels(5), parameter.standard()]
    values.append(parameter.clean(-0.0))
    assert "-0.0" not in [repr(value) for value in values]


def test_each_step_owns_a_cell_of_the_same_size() -> None:
    axis = Axis(0.0, 1.0, False, 0.25)
    drawn = [axis.value(u) for u in np.linspace(0.0, 1.0, 10_001)[:-1]]
    counts = {value: drawn.count(value) for value in set(drawn)}
    assert set(counts) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert max(counts.values()) - min(counts.values()) <= 2, "the ends are as likely as the rest"


def test_values_on_a_log_scale_get_rarer_as_they_grow() -> None:
    axis = Axis(1.0, 4.0, True, 1.0)
    drawn = [axis.value(u) for u in np.linspace(0.0, 1.0, 10_001)]
    counts = [drawn.count(value) for value in (1.0, 2.0, 3.0, 4.0)]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 500


def test_values_are_decimals_that_people_would_write() -> None:
    assert [Axis(0.0, 1.0, False, 0.1).nth(k) for k in (3, 7)] == [0.3, 0.7]
    assert list(Axis(0.1, 0.7, False, 0.2).levels(9)) == [0.1, 0.3, 0.5, 0.7]
    assert Axis(1e-3, 1.0, False, 1e-3).nth(17) == 0.018
    for value in (0.3, 1e-4, 0.12345):
        axis = Axis(0.0, 1.0, False, None)
        assert axis.value(float(axis.unit(value))) == value


@pytest.mark.parametrize(
    ("axis", "most", "wanted"),
    [
        (Axis(0.0, 1.0, False, None), 3, [0.0, 0.5, 1.0]),
        (Axis(0.0, 1.0, False, None), 1, [0.5]),
        (Axis(1e-4, 1.0, True, None), 5, [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        (Axis(2.0, 2.0, False, None), 5, [2.0]),
        (Axis(0.0, 1.0, False, 0.5), 2, [0.0, 0.5, 1.0]),
    ],
)
def test_levels(axis: Axis, most: int, wanted: list[float]) -> None:
    assert list(axis.levels(most)) == pytest.approx(wanted, rel=1e-12)


def test_places_of_arrays_by_element() -> None:
    axis = Axis(0.0, 2.0, False, None)
    places: Any = axis.unit(np.array([0.0, 1.0, 2.0, 9.0, -1.0, np.nan]))
    assert places[:5].tolist() == [0.0, 0.5, 1.0, 1.0, 0.0], "clipped to the axis"
    assert math.isnan(places[5])
    assert Axis(2.0, 2.0, False, None).unit(np.array([2.0])).tolist() == [0.5]


@settings(max_examples=100, deadline=None)
@given(floats(), st.floats(0.01, 0.99))
def test_stretch_is_the_derivative_of_the_value(parameter: Float, u: float) -> None:
    axis = parameter.axis
    x = axis.backward(axis.start + u * axis.span)
    step = 1e-4
    up, down = (axis.backward(axis.start + (u + h) * axis.span) for h in (step, -step))
    slope = float(axis.stretch(np.array([x]))[0])
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-2, abs=1e-12 * abs(x))


# -- generators and validators agree ------------------------------------------------------------


@st.composite
def wild(draw: st.DrawFn) -> Float | Int:
    """Ranges as wide, narrow, far away and finely stepped as they may be; those that may not are left out."""
    kind = draw(st.sampled_from(["float", "log", "reverse", "step", "int", "int step", "int log"]))
    signed = st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(1e-300, 1e300))
    try:
        if kind.startswith("int"):
            first, last = sorted(draw(st.tuples(*[st.integers(-(2**53), 2**53)] * 2)))
            if kind == "int log":
                return Int(abs(first) or 1, max(abs(first), abs(last), 1), log=True)
            by = draw(st.sampled_from([1, 2, 3, 10**6])) if kind == "int step" else 1
            return Int(first, last - (last - first) % by, step=by)
        if kind == "step":
            low, step = draw(st.sampled_from([0.0, 1e9, -7.3, 1e-9])), draw(st.floats(1e-9, 1e6))
            high = low + step * draw(st.sampled_from([1, 2, 3, 7, 10**6, 10**9]))
            shift = draw(st.sampled_from([1.0, 1.0, 1 - 1e-10, 1 + 1e-10]))
            return Float(low, high * shift, step=step)
        if kind == "reverse":
            near, nearer = sorted(draw(st.tuples(*[st.floats(1e-15, 3.0)] * 2)))
            return Float(1.0 - nearer, 1.0 - near, log="reverse")
        ends = [sign * size for sign, size in draw(st.tuples(signed, signed))]
        if draw(st.booleans()):
            ends[1] = ends[0] * (1.0 + 10.0 ** draw(st.floats(-12, 0)))
        low, high = sorted(map(abs, ends)) if kind == "log" else sorted(ends)
        return Float(low, high, log=kind == "log")
    except SpaceError:
        reject()


@settings(max_examples=300, deadline=None)
@example(Float(6.52648339256507e16, 6.526483777145001e16, log=True), 1.0 - 1e-16)
@example(Float(6.526483392565052e16, 6.526483777144982e16, log=True), 1.0 - 1e-16)
@given(wild(), st.one_of(UNITS, st.sampled_from([0.0, 0.5, 1.0, 1 - 1e-16, 1e-300])))
def test_what_is_made_is_contained_and_found_again(parameter: Float | Int, u: float) -> None:
    value = parameter.decode(u)
    place = float(parameter.unit(value))
    for made in (value, parameter.decode(0.0), parameter.decode(1.0), parameter.exact(u)):
        assert parameter.problem(made) is None
    assert parameter.decode(place) == value
    assert (parameter.decode(0.0), parameter.decode(1.0)) == (parameter.low, parameter.high)
    if parameter.size is None and not 0 < parameter.low == value:
        axis = parameter.axis  # a logarithm that is large beside its span has fewer digits left,
        digits = 1e-13 * (1.0 + abs(axis.start)) / axis.span  # and so has what is close below 1
        if axis.log == "reverse":
            digits = max(digits, 2e-15 / (1.0 - value) / axis.span)
        assert abs(place - u) <= max(1e-6, digits)


@pytest.mark.parametrize("low", [2**46, 2**52, 2**53 - 3, 2 - 2**53])
@pytest.mark.parametrize("log", [False, True])
def test_where_half_steps_are_lost_all_values_are_found(low: int, log: bool) -> None:
    parameter = Int(low, low + 1, log=log and low > 0)
    values = [parameter.decode(u) for u in np.linspace(0.0, 1.0, 101)]
    assert (values[0], values[-1]) == (parameter.low, parameter.high)
    assert all(parameter.decode(float(parameter.unit(value))) == value for value in values)


@settings(max_examples=100, deadline=None)
@given(wild())
def test_the_last_step_is_contained_and_so_are_its_neighbours(parameter: Float | Int) -> None:
    if parameter.step is None:
        return
    levels = parameter.levels(5)
    for k in (0, 1, len(levels) // 2, len(levels) - 2, len(levels) - 1):
        if 0 <= k < len(levels):
            assert parameter.problem(levels[k]) is None
    assert levels[len(levels) - 1] == parameter.high


def test_suggested_values_are_numbers_that_a_person_can_read() -> None:
    for parameter in (
        Float(0, 1),
        Float(-5, 10),
        Float(1e-5, 1e-1, log=True),
        Float(0.5, 0.9999, log="reverse"),
        Float(1e-300, 1e300, log=True),
    ):
        values = [parameter.decode(u) for u in np.random.default_rng(0).random(200).tolist()]
        digits = [repr(v).partition("e")[0].replace(".", "").strip("-0") for v in values]
        if parameter.log != "reverse":  # 0.999912345 says how far from 1
            assert max(map(len, digits)) <= 8
        assert len(set(values)) > 195


@settings(max_examples=200, deadline=None)
@given(floats(), UNITS, st.floats(-1e-12, 1e-12))
def test_rounding_is_swallowed(parameter: Float, u: float, error: float) -> None:
    """Two places that differ by rounding have values that are equal, or next to each other."""
    one, other = parameter.decode(u), parameter.decode(min(max(u + error, 0.0), 1.0))
    if one != other and parameter.step is None:
        between = abs(float(parameter.unit(one)) - float(parameter.unit(other)))
        assert between <= 1.01e-6


@pytest.mark.parametrize(
    "space",
    [
        ts.Space(x=ts.Int(0, 10**9, step=2)),
        ts.Space(x=ts.Float(0, 1e9, step=0.5)),
        ts.Space(x=ts.Int(1, 2**53), c=ts.Choice("a", "b")),
    ],
    ids=str,
)
def test_steps_are_walked_lazily(space: ts.Space) -> None:
    tracemalloc.start()
    result = ts.tune(lambda c: c["x"], space, searcher="grid", trials=3, progress=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert next(t.config["x"] for t in result.trials) == space["x"].low  # type: ignore[union-attr]
    assert peak < 50e6


@pytest.mark.parametrize("bounds", [(0, 2**53 + 1), (-(2**53) - 1, 0), (2**60 + 1, 2**60 + 3)])
def test_whole_numbers_that_doubles_skip_are_refused(bounds: tuple[int, int]) -> None:
    """They were rounded without a word."""
    with pytest.raises(SpaceError, match="beyond"):
        Int(*bounds)
