from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunesmith.numeric.resampling import blocks, bootstrap, interval, some

SEEDS = st.integers(0, 999)


def mean_interval(values: np.ndarray, cluster: np.ndarray, seed: int) -> tuple[float, float]:
    def mean(weights: np.ndarray) -> float:
        return float(np.average(values, weights=weights))

    return interval(mean, cluster, np.random.default_rng(seed), draws=1000)


@given(SEEDS, st.integers(5, 200))
def test_the_interval_of_a_mean_is_students(seed: int, rows: int) -> None:
    values = np.random.default_rng(seed).normal(size=rows)
    low, high = mean_interval(values, np.arange(rows), seed)
    assert low <= values.mean() <= high
    half = stats.t.isf(0.05, rows - 1) * values.std(ddof=1) / np.sqrt(rows)
    assert (high - low) / 2 == pytest.approx(half, rel=0.3)


@given(SEEDS, st.integers(3, 50), st.integers(1, 9))
def test_copies_within_a_cluster_tell_nothing(seed: int, clusters: int, copies: int) -> None:
    values = np.random.default_rng(seed).normal(size=clusters)
    once = mean_interval(values, np.arange(clusters), seed)
    often = mean_interval(np.repeat(values, copies), np.repeat(np.arange(clusters), copies), seed)
    assert often == pytest.approx(once)


def test_a_single_cluster_says_nothing() -> None:
    assert mean_interval(np.arange(4.0), np.zeros(4, dtype=int), 0) == (-np.inf, np.inf)


@given(SEEDS, st.integers(1, 30))
def test_a_bootstrap_draws_whole_clusters(seed: int, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = np.append(np.arange(clusters), rng.integers(clusters, size=20))
    drawn = bootstrap(cluster, rng)
    counts = [np.unique(drawn[cluster == k]) for k in range(clusters)]
    assert all(len(count) == 1 for count in counts)
    assert sum(int(count[0]) for count in counts) == clusters


@given(SEEDS, st.integers(1, 60), st.integers(1, 80))
def test_some_rows_are_whole_clusters(seed: int, most: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = np.unique(rng.integers(0, 9, rows), return_inverse=True)[1]
    chosen = some(cluster, most, rng)
    assert set(cluster[chosen]).isdisjoint(set(np.delete(cluster, chosen)))
    assert len(chosen) >= 1
    assert len(chosen) <= most or len(np.unique(cluster[chosen])) == 1


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_blocks_are_neighbours_in_time(times: list[int]) -> None:
    time = np.array(times, dtype=float)
    block = blocks(time)
    order = np.argsort(time, kind="stable")
    assert (np.diff(block[order]) >= 0).all()
    assert all(len(np.unique(block[time == t])) == 1 for t in time)
    assert set(block) == set(range(int(block.max()) + 1))
    assert block.max() + 1 == max(1, round(len(set(times)) ** (2 / 3)))
