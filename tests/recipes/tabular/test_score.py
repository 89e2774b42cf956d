"""Scores that new rows would have: corrected for choosing, with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.tabular.metrics import METRICS, Aim, Metric, metric_for
from tunesmith.recipes.tabular.model import rounded
from tunesmith.recipes.tabular.roles import Bonds
from tunesmith.recipes.tabular.score import (
    Checked,
    Optimism,
    Tried,
    clusters_of,
    corrected,
    interval,
    optimism,
    spread,
)

COST = metric_for("multiclass", "cost", Aim(costs=((0, 5, 1), (1, 0, 1), (1, 2, 0))))
PINBALL = metric_for("regression", "pinball", Aim(0.9))
EVERY = {**METRICS, "cost": COST, "pinball": PINBALL}
NAMES = st.sampled_from(sorted(EVERY))


def alone(y: Any, weight: Any = None) -> Checked:
    return Checked(np.asarray(y, dtype=float), weight, np.arange(len(y)))


def library(metric: Metric, seed: int, models: int, rows: int, telling: float = 0.3) -> Any:
    """A target, and what models of the same worth predict for it."""
    rng = np.random.default_rng(seed)
    if metric.regression:
        y = rng.normal(size=rows)
        return y, [(telling * y + rng.normal(size=rows))[:, None] for _ in range(models)]
    y = np.append([0.0, 1.0, 2.0], rng.integers(0, 3, rows - 3))
    return y, [
        telling * np.eye(3)[y.astype(int)] + (1 - telling) * rng.dirichlet(np.ones(3), rows)
        for _ in range(models)
    ]


def flattery(name: str, y: Any, predictions: Any, most: int = 1, weight: Any = None) -> float:
    metric = EVERY[name]
    tried = Tried(["knn"] * len(predictions), predictions, most)

    def tried_on(places: Any) -> Tried:
        return Tried(tried.algorithms, [p[places] for p in predictions], most)

    return optimism(metric, {name: metric}, alone(y, weight), tried_on, 0)[name].by


@settings(max_examples=40)
@given(NAMES, st.integers(0, 99), st.sampled_from([1, 3]), st.booleans())
def test_a_score_is_within_its_interval_and_bounds(
    name: str, seed: int, most: int, weighted: bool
) -> None:
    metric = EVERY[name]
    y, predictions = library(metric, seed, 4, 40)
    weight = np.random.default_rng(seed).uniform(0.1, 3, 40) if weighted else None
    by = flattery(name, y, predictions, most, weight)
    assert by >= 0
    rows = alone(y, weight)
    p = predictions[0] if not metric.regression else predictions[0][:, 0]
    score = corrected(metric, metric.of(y, p, weight), by)
    low, high = interval(metric, [rows], predictions[0], Optimism(by, by), 0)
    assert metric.bounds[0] <= low <= score <= high <= metric.bounds[1]
    assert low < high


@pytest.mark.parametrize("name", sorted(EVERY))
def test_the_best_of_many_equals_flatters(name: str) -> None:
    """Of models that only differ by chance, the best is better on the rows it was chosen by, and by about the
    correction."""
    metric = EVERY[name]
    gains, corrections = [], []
    for seed in range(12):
        y, predictions = library(metric, seed, 15, 80)
        values = [metric.of(y, p[:, 0] if metric.regression else p) for p in predictions]
        best = min(metric.sign * v for v in values)
        gains.append(metric.sign * float(np.mean(values)) - best)
        corrections.append(flattery(name, y, predictions))
    assert 0.5 < np.mean(corrections) / np.mean(gains) < 1.6


@pytest.mark.parametrize("name", ["log_loss", "rmse", "accuracy"])
def test_nothing_to_choose_from_needs_no_correction(name: str) -> None:
    y, predictions = library(EVERY[name], 1, 1, 60)
    assert flattery(name, y, predictions) == 0.0
    assert flattery(name, y, predictions * 5) == pytest.approx(0.0)


def test_a_blend_that_was_chosen_flatters_too() -> None:
    y, predictions = library(METRICS["rmse"], 2, 12, 100)
    assert flattery("rmse", y, predictions, most=10) > 0


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1", "roc_auc"])
def test_no_mistake_in_40_rows_does_not_promise_none(name: str) -> None:
    y = np.tile([0.0, 1.0], 20)
    low, high = spread(METRICS[name], alone(y), np.eye(2)[y.astype(int)], 0)
    assert 0.88 < low < 0.99
    assert high == 1.0


@given(st.integers(20, 200), st.integers(0, 99))
def test_an_accuracys_interval_is_jeffreys(rows: int, seed: int) -> None:
    from scipy.stats import beta

    rng = np.random.default_rng(seed)
    y = np.tile([0.0, 1.0], rows)[:rows]
    right = rng.random(rows) < 0.8
    p = np.eye(2)[np.where(right, y, 1 - y).astype(int)]
    low, high = spread(METRICS["accuracy"], alone(y), p, 0)
    ends = beta.ppf([0.05, 0.95], right.sum() + 0.5, rows - right.sum() + 0.5)
    assert [low, high] == pytest.approx(ends, abs=0.3 * (ends[1] - ends[0]))


@pytest.mark.parametrize(
    ("score", "low", "high", "shown"),
    [
        (0.0729810, 0.0533671, 0.0961662, ("0.073", "0.053", "0.096")),
        (1.0, 0.97512, 1.0, ("1", "0.975", "1")),
        (54_321.9, 51_234.5, 57_890.1, ("54300", "51200", "57900")),
        (0.5, 0.5, 0.5, ("0.5", "0.5", "0.5")),
    ],
)
def test_a_score_has_the_digits_that_its_interval_leaves(
    score: float, low: float, high: float, shown: tuple[str, str, str]
) -> None:
    assert rounded(score, low, high) == shown


def test_groups_and_times_make_intervals_wider() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 30)
    y = rng.normal(size=20)[group] + 0.1 * rng.normal(size=600)
    bonds = Bonds(group=group, time=np.arange(600.0))
    (by_group, by_time), metric = clusters_of(bonds, 600), METRICS["mae"]

    def width(rows: list[Checked]) -> float:
        low, high = interval(metric, rows, np.zeros((600, 1)), Optimism(0.0, 0.0), 0)
        return high - low

    apart, grouped, timed = (
        Checked(y, None, cluster) for cluster in (np.arange(600), by_group, by_time)
    )
    assert width([grouped]) > 2 * width([apart])
    assert width([timed]) > 1.5 * width([apart])
    assert width([grouped, timed]) >= width([grouped])


def test_more_rows_than_are_looked_at_narrow_an_interval() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=40_000)
    widths = []
    for rows in (10_000, 40_000):
        low, high = spread(METRICS["rmse"], alone(y[:rows]), np.zeros((rows, 1)), 0)
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(2.0, rel=0.15)
