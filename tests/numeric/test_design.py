"""Points to begin with are spread out, choices included."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.numeric.design import sobol, stratified


def test_sobol_is_spread_better_than_chance() -> None:
    points = sobol(64, 2, 1)
    cells = {tuple(cell) for cell in np.floor(points * 8).astype(int).tolist()}
    assert len(cells) == 64, "one in each of 8 x 8 cells"


def test_the_seed_makes_it() -> None:
    assert np.array_equal(sobol(16, 3, 5), sobol(16, 3, 5))
    assert not np.array_equal(sobol(16, 3, 5), sobol(16, 3, 6))


@pytest.mark.parametrize(("n", "k"), [(6, 3), (7, 3), (9, 2), (12, 12), (5, 8)])
def test_every_choice_comes_equally_often(n: int, k: int) -> None:
    points = stratified(n, [0, k], 3)
    assert len(points) >= 8 * n
    counts = np.bincount(np.floor(points[:n, 1] * k).astype(int), minlength=k)
    assert counts.sum() == n
    assert np.ptp(counts) <= 1


def test_no_columns() -> None:
    assert stratified(6, [], 0).shape == (64, 0)
