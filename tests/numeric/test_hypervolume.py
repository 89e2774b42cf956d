"""Hypervolumes against counting, and expected improvements against sampling and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.numeric.hypervolume import Boxes, hypervolume, log_ehvi, log_ehvi_slopes


def points(m: int) -> st.SearchStrategy[list[list[int]]]:
    return st.lists(st.lists(st.integers(0, 5), min_size=m, max_size=m), max_size=6)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_of_whole_numbers_by_counting_cells(m: int) -> None:
    @given(points(m))
    def check(front: list[list[int]]) -> None:
        cells = np.stack(np.meshgrid(*[np.arange(5)] * m, indexing="ij"), axis=-1).reshape(-1, m)
        rows: Any = np.array(front, dtype=np.float64).reshape(-1, m)
        dominated = (rows[None] <= cells[:, None]).all(axis=2).any(axis=1)
        assert hypervolume(rows, np.full(m, 5.0)) == pytest.approx(dominated.sum())

    check()


@pytest.mark.parametrize("m", [1, 2, 3])
def test_boxes_fill_what_is_left_and_do_not_overlap(m: int) -> None:
    @given(points(m))
    def check(front: list[list[int]]) -> None:
        rows: Any = np.array(front, dtype=np.float64).reshape(-1, m)
        boxes = Boxes.of(rows, np.full(m, 5.0))
        cells = np.stack(np.meshgrid(*[np.arange(-1, 5)] * m, indexing="ij"), axis=-1).reshape(
            -1, m
        )
        dominated = (rows[None] <= cells[:, None]).all(axis=2).any(axis=1)
        inside = np.ones((len(cells), len(boxes.low)), dtype=np.bool_)
        for j, edges in enumerate(boxes.edges):
            low, high = edges[boxes.low[:, j]], edges[boxes.high[:, j]]
            inside &= (cells[:, j, None] >= low) & (cells[:, j, None] < high)
        assert inside.sum(axis=1).tolist() == (~dominated).astype(int).tolist()

    check()


@pytest.mark.parametrize("m", [1, 2, 3])
def test_expected_improvement_is_the_mean_of_many_draws(m: int) -> None:
    rng = np.random.default_rng(m)
    front, reference = rng.random((5, m)), np.full(m, 1.1)
    boxes = Boxes.of(front, reference)
    mean, deviation = rng.random((3, m)), rng.uniform(0.05, 0.5, (3, m))
    before = hypervolume(front, reference)
    for i in range(3):
        draws = rng.normal(mean[i], deviation[i], (4000, m))
        gains = [hypervolume(np.vstack([front, d[None]]), reference) - before for d in draws]
        error = np.std(gains) / np.sqrt(len(gains))
        expected = float(np.exp(log_ehvi(mean[i : i + 1], deviation[i : i + 1], boxes)[0]))
        assert abs(expected - np.mean(gains)) < 5 * error + 1e-9


@pytest.mark.parametrize("m", [1, 2, 3])
def test_slopes_agree_with_finite_differences(m: int) -> None:
    rng = np.random.default_rng(10 + m)
    boxes = Boxes.of(rng.random((6, m)), np.full(m, 1.2))
    mean, deviation = rng.uniform(-0.5, 2.0, (20, m)), rng.uniform(0.02, 0.5, (20, m))
    value, by_mean, by_deviation = log_ehvi_slopes(mean, deviation, boxes)
    assert value == pytest.approx(log_ehvi(mean, deviation, boxes))
    for j in range(m):
        step = np.zeros(m)
        step[j] = 1e-6
        slope = (
            log_ehvi(mean + step, deviation, boxes) - log_ehvi(mean - step, deviation, boxes)
        ) / 2e-6
        assert by_mean[:, j] == pytest.approx(slope, rel=1e-4, abs=1e-6)
        slope = (
            log_ehvi(mean, deviation + step, boxes) - log_ehvi(mean, deviation - step, boxes)
        ) / 2e-6
        assert by_deviation[:, j] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_hopeless_points_are_still_told_apart() -> None:
    boxes = Boxes.of(np.array([[0.0, 0.0]]), np.array([1.0, 1.0]))
    mean = np.array([[50.0, 50.0], [60.0, 60.0], [1e4, 1e4]])
    value, by_mean, by_deviation = log_ehvi_slopes(mean, np.full((3, 2), 0.1), boxes)
    assert np.isfinite(value).all()
    assert value[0] > value[1] > value[2]
    assert np.isfinite(by_mean).all()
    assert (by_mean < 0).all()
    assert np.isfinite(by_deviation).all()
