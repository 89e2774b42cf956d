"""The Parzen estimator is a density, and its samples follow it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.numeric.parzen import Parzen

NUMBERS = np.array([[0.1], [0.15], [0.9]])


def test_over_numbers_it_integrates_to_one() -> None:
    density = Parzen.of(NUMBERS, [0], np.zeros(1))
    grid = (np.arange(20_000)[:, None] + 0.5) / 20_000
    assert np.exp(density.log_density(grid)).mean() == pytest.approx(1.0, abs=1e-4)


def test_over_choices_it_sums_to_one() -> None:
    centres = (np.array([[0], [0], [2]]) + 0.5) / 4
    density = Parzen.of(centres, [4], np.zeros(1))
    cells = (np.arange(4)[:, None] + 0.5) / 4
    mass = np.exp(density.log_density(cells)) / 4
    assert mass.sum() == pytest.approx(1.0)
    assert mass[0] > mass[2] > mass[1] == pytest.approx(mass[3])


def test_jointly_it_integrates_to_one() -> None:
    rng = np.random.default_rng(0)
    centres = np.column_stack([rng.random((5, 2)), (rng.integers(3, size=5) + 0.5) / 3])
    density = Parzen.of(centres, [0, 0, 3], np.array([0.0, 0.25, 0.0]))
    points = rng.random((200_000, 3))
    points[:, 2] = (np.floor(points[:, 2] * 3) + 0.5) / 3
    assert np.exp(density.log_density(points)).mean() == pytest.approx(1.0, abs=0.02)


def test_samples_follow_the_density() -> None:
    density = Parzen.of(NUMBERS, [0], np.zeros(1))
    drawn = density.sample(50_000, np.random.default_rng(1))[:, 0]
    counts, edges = np.histogram(drawn, bins=20, range=(0.0, 1.0))
    middles = ((edges[1:] + edges[:-1]) / 2)[:, None]
    expected = np.exp(density.log_density(middles)) / 20
    assert np.abs(counts / 50_000 - expected).max() < 0.01
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0


def test_without_observations_it_is_uniform() -> None:
    density = Parzen.of(np.empty((0, 2)), [0, 3], np.zeros(2))
    points = np.random.default_rng(0).random((10, 2))
    assert density.log_density(points) == pytest.approx(np.zeros(10), abs=1e-12)


@pytest.mark.parametrize("size", [0, 3], ids=["a number", "a choice"])
def test_what_is_inactive_counts_for_nothing(size: int) -> None:
    """An inactive column, of an observation or of a query, is as good as none."""
    centres = np.array([[0.2, np.nan], [0.7, np.nan]])
    both = Parzen.of(centres, [0, size], np.zeros(2))
    points = np.array([[0.3, 0.1], [0.3, 0.9], [0.3, np.nan]])
    values = both.log_density(points)
    assert values == pytest.approx(np.full(3, values[0]))
    one = replace(Parzen.of(centres[:, :1], [0], np.zeros(1)), widths=both.widths[:1])
    assert values == pytest.approx(one.log_density(points[:, :1]))
    active = Parzen.of(np.array([[0.2, 0.5]]), [0, size], np.zeros(2))
    alone = Parzen.of(np.array([[0.2, np.nan]]), [0, size], np.zeros(2))
    query = points[2:]
    assert active.log_density(query) == pytest.approx(alone.log_density(query))


def test_kernels_of_stepped_numbers_reach_their_neighbours() -> None:
    wide = Parzen.of(np.full((40, 1), 0.5), [0], np.array([0.5]))
    assert wide.widths[0] == 0.25
