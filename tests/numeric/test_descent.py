"""The descent in a box, and the climbs of several points that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith.numeric.ascent import climb
from tunesmith.numeric.descent import descend


def rosenbrock(x: Any) -> tuple[float, Any]:
    value = float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    gradient[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return value, gradient


def test_it_finds_the_minimum_of_a_curved_valley() -> None:
    low, high = np.full(5, -2.0), np.full(5, 2.0)
    end, value = descend(
        rosenbrock, np.full(5, -0.5), low, high, evaluations=300, gtol=1e-8, ftol=0.0
    )
    assert end == pytest.approx(np.ones(5), abs=1e-5)
    assert value == pytest.approx(rosenbrock(end)[0])


def test_it_stays_in_the_box_and_slides_along_its_edge() -> None:
    low, high = np.full(2, -2.0), np.array([0.5, 2.0])
    end, _ = descend(
        rosenbrock, np.array([-1.0, 1.5]), low, high, evaluations=200, gtol=1e-8, ftol=0.0
    )
    assert end == pytest.approx([0.5, 0.25], abs=1e-6)


def test_it_evaluates_no_more_than_it_may_and_never_ends_higher() -> None:
    for most in range(1, 12):
        seen: list[float] = []

        def function(x: Any, seen: list[float] = seen) -> tuple[float, Any]:
            seen.append(rosenbrock(x)[0])
            return rosenbrock(x)

        box = np.full(4, 3.0)
        _, value = descend(
            function, np.full(4, -1.0), -box, box, evaluations=most, gtol=0.0, ftol=0.0
        )
        assert len(seen) <= most
        assert value <= seen[0]


def test_it_steps_back_from_where_the_function_is_not_finite() -> None:
    def function(x: Any) -> tuple[float, Any]:
        if x[0] > 1.0:
            return np.nan, np.full_like(x, np.nan)
        return float((x[0] - 0.9) ** 2), 2 * (x - 0.9)

    end, _ = descend(
        function,
        np.array([-3.0]),
        np.array([-5.0]),
        np.array([5.0]),
        evaluations=50,
        gtol=1e-6,
        ftol=0.0,
    )
    assert end == pytest.approx([0.9], abs=1e-4)


def test_points_climb_on_their_own_and_what_may_not_move_stays() -> None:
    starts = np.array([[0.2, 0.4, np.nan], [0.9, 0.1, 0.5]])
    movable = np.array([[True, True, False], [True, False, True]])

    def slopes(points: Any) -> tuple[Any, Any]:
        away = np.nan_to_num(points) - np.array([0.6, 1.4, 0.3])
        return -(away**2).sum(axis=1), -2 * away

    ends = climb(slopes, starts, movable, np.ones(3), 40)
    assert ends[0, :2] == pytest.approx([0.6, 1.0], abs=1e-2)
    assert np.isnan(ends[0, 2])
    assert ends[1] == pytest.approx([0.6, 0.1, 0.3], abs=1e-2)
