"""What is learned from and what is checked: groups stay whole, and time goes forward."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.roles import Bonds, Roles
from tunesmith.recipes.tabular.splits import Split, checked_rows, inner, most_folds, parts, splits

seeds = st.integers(0, 2**32 - 1)


def rows(y: Any, classes: int = 0, group: Any = None, time: Any = None) -> Data:
    y = np.asarray(y, dtype=np.float64)
    roles = Roles("g" if group is not None else None, "t" if time is not None else None)
    bonds = Bonds(
        None if group is None else np.asarray(group),
        None if time is None else np.asarray(time, dtype=np.float64),
    )
    task: Any = "binary" if classes else "regression"
    return Data("t", y[:, None], y, task, "y", (), tuple(range(classes)), roles=roles, bonds=bonds)


def stops(split: Split) -> Any:
    mask = np.zeros(len(split.learned) + len(split.checked), dtype=bool)
    mask[split.checked] = True
    return mask


@given(seeds, st.integers(2, 5), st.integers(5, 40), st.booleans())
def test_no_group_is_both_learned_from_and_checked(
    seed: int, k: int, groups: int, classes: bool
) -> None:
    rng = np.random.default_rng(seed)
    group = np.r_[np.arange(groups), np.arange(groups), rng.integers(0, groups, 60)]
    y = np.r_[np.zeros(groups), np.ones(groups + 60)] if classes else rng.normal(size=len(group))
    data = rows(y, 2 * classes, group)
    found = splits(data, k, 2, seed)
    assert len(found) == 2 * k
    for repeat in (found[:k], found[k:]):
        assert (np.sort(np.concatenate([s.checked for s in repeat])) == np.arange(len(y))).all()
    for split in found:
        assert len(split.checked) > 0
        assert not np.isin(group[split.checked], group[split.learned]).any()
        assert len(split.learned) + len(split.checked) == len(y)


def test_groups_are_spread_evenly() -> None:
    """40 groups of 8 rows, a quarter of one class: so is each fold. Groups of other sizes make folds of one size."""
    group = np.repeat(np.arange(40), 8)
    data = rows(np.repeat(np.arange(40) < 10, 8), 2, group)
    for split in splits(data, 5, 2, 0):
        assert len(split.checked) == 64
        assert data.y[split.checked].sum() == 16
    sizes = np.r_[np.full(5, 40), np.full(50, 4)]
    group = np.repeat(np.arange(55), sizes)
    data = rows(np.random.default_rng(0).normal(size=400), 0, group)
    assert all(abs(len(split.checked) - 80) <= 12 for split in splits(data, 5, 1, 0))


@given(seeds, st.integers(2, 5), st.integers(8, 60))
def test_what_is_checked_is_later_than_what_is_learned(seed: int, k: int, times: int) -> None:
    rng = np.random.default_rng(seed)
    time = rng.integers(0, times, 3 * times).astype(float)
    data = rows(rng.normal(size=len(time)), 0, None, time)
    if len(np.unique(time[time > np.sort(time)[(len(time) - 1) // 2]])) < max(2, k):
        return
    found = splits(data, *most_folds(data, k, 2), seed)
    assert len(found) == k
    for before, split in zip([None, *found], found, strict=False):
        assert time[split.learned].max() < time[split.checked].min()
        assert (np.sort(np.r_[split.learned, split.checked]) == np.flatnonzero(
            time <= time[split.checked].max())).all()  # fmt: skip
        assert before is None or time[before.checked].max() < time[split.checked].min()
    assert 0.2 * len(time) <= len(checked_rows(found)) <= 0.5 * len(time)


@pytest.mark.parametrize("panel", [True, False])
def test_groups_in_time(panel: bool) -> None:
    """Groups that are there all the time, or come one after the other."""
    group = np.tile(np.arange(20), 10) if panel else np.repeat(np.arange(20), 10)
    time = np.repeat(np.arange(10), 20) if panel else np.arange(200)
    data = rows(np.random.default_rng(0).normal(size=200), 0, group, time)
    for split in splits(data, 5, 1, 0):
        assert len(split.learned) > 0
        assert len(split.checked) > 0
        assert time[split.learned].max() < time[split.checked].min()
        assert not np.isin(group[split.checked], group[split.learned]).any()


def test_fewer_groups_and_times_make_fewer_folds() -> None:
    y = np.arange(40.0)
    assert most_folds(rows(y, 0, np.arange(40) % 3), 5, 2) == (3, 2)
    assert most_folds(rows(y, 0, None, np.arange(40) // 8), 5, 2) == (2, 1)
    years = rows(y, 0, None, np.arange(40) // 15)  # the later half has two, or one
    assert most_folds(years, 5, 2) == (2, 1)
    few = rows(y, 0, None, np.arange(40) // 30 + np.arange(40) // 35)
    assert [len(split.checked) for split in splits(few, *most_folds(few, 5, 1), 0)] == [5, 5]
    with pytest.raises(JobError, match="'t' has two different times"):
        most_folds(rows(y, 0, None, np.arange(40) > 15), 5, 1)


@pytest.mark.parametrize(
    ("group", "time", "words"),
    [
        (np.arange(40) // 20, None, "each class has to be in two groups of 'g'"),
        (None, np.arange(40), "in the order of 't' are all 0"),
    ],
)
def test_a_single_class_to_learn_from_is_said(group: Any, time: Any, words: str) -> None:
    data = rows(np.arange(40) >= 20, 2, group, time)
    with pytest.raises(JobError, match=words):
        splits(data, 2, 1, 0)


def test_what_says_when_to_stop_respects_groups_and_time_too() -> None:
    y = np.random.default_rng(0).normal(size=160)
    group, time = np.arange(160) // 4, np.random.default_rng(1).permutation(160)
    whole = stops(inner(rows(y, 0, group), y, 8, 0))
    assert 0 < whole.sum() < 40
    assert not np.isin(group[whole], group[~whole]).any()
    later = stops(inner(rows(y, 0, None, time), y, 8, 0))
    assert later.sum() == 20
    assert time[later].min() > time[~later].max()
    alone = replace(rows(y, 0, group), bonds=Bonds(np.zeros(160, dtype=int)))
    assert 0 < len(inner(alone, y, 8, 0).checked) < 40


def test_what_stops_a_panel_is_later_and_of_other_groups() -> None:
    time, group = np.repeat(np.arange(60), 10), np.tile(np.arange(10), 60)
    y = np.random.default_rng(0).normal(size=600)
    split = inner(rows(y, 0, group, time), y, 8, 0)
    assert len(split.checked) > 0
    assert not np.isin(group[split.checked], group[split.learned]).any()
    assert time[split.learned].max() < time[split.checked].min()


@given(seeds, st.integers(2, 6), st.integers(2, 12), st.integers(1, 12))
def test_parts_are_a_partition_told_by_others(seed: int, k: int, groups: int, times: int) -> None:
    rng = np.random.default_rng(seed)
    group, time = rng.integers(0, groups, 80), rng.integers(0, times, 80).astype(float)
    y = rng.normal(size=80)
    assert parts(rows(y), y, k, seed) is None
    for each in (rows(y, 0, group), rows(y, 0, None, time), rows(y, 0, group, time)):
        found = parts(each, y, k, seed)
        if found is None:
            assert len(np.unique(time)) < 2 or k < 2
            continue
        assert (np.sort(np.concatenate([s.checked for s in found])) == np.arange(80)).all()
        for at, split in enumerate(found):
            assert len(split.learned) > 0
            if each.bonds.time is not None and at:
                assert time[split.learned].max() < time[split.checked].min()
            if each.bonds.time is None:
                assert not np.isin(group[split.checked], group[split.learned]).any()
