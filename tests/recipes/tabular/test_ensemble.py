from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.recipes.tabular.ensemble import choose, loss
from tunesmith.recipes.tabular.metrics import METRICS, Metric

Floats = NDArray[np.float64]


def library(metric: Metric, seed: int, models: int, rows: int = 40) -> tuple[Floats, list[Floats]]:
    """A target, and what models of differing worth predict for it."""
    rng = np.random.default_rng(seed)
    if metric.regression:
        y = rng.normal(size=rows)
        return y, [(y + rng.normal(0, rng.uniform(0.1, 2), rows))[:, None] for _ in range(models)]
    y = rng.integers(0, 3, rows).astype(float)
    return y, [
        0.3 * np.eye(3)[y.astype(int)] + 0.7 * rng.dirichlet(np.ones(3) * rng.uniform(0.2, 2), rows)
        for _ in range(models)
    ]


@given(
    st.sampled_from(sorted(METRICS)),
    st.integers(0, 999),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_weights_and_worth(name: str, seed: int, models: int, most: int) -> None:
    metric = METRICS[name]
    y, predictions = library(metric, seed, models)
    weights = choose(y, predictions, metric, most)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert all(weight > 0 for weight in weights.values())
    assert 1 <= len(weights) <= most
    assert set(weights) <= set(range(models))
    blended = np.sum([w * predictions[k] for k, w in weights.items()], axis=0)
    best = min(loss(metric, y, p) for p in predictions)
    assert loss(metric, y, blended) <= best + 1e-9
    assert choose(y, predictions, metric, most) == weights


def test_errors_that_cancel_out_are_blended() -> None:
    y = np.linspace(0, 1, 50)
    error = np.sin(40 * y)
    weights = choose(
        y, [(y + error)[:, None], (y - error)[:, None], (y + 3)[:, None]], METRICS["rmse"], 3
    )
    assert weights == {0: 0.5, 1: 0.5}


def test_one_is_the_best_one() -> None:
    y, predictions = library(METRICS["mae"], 3, 6)
    best = min(range(6), key=lambda k: METRICS["mae"].of(y, predictions[k][:, 0]))
    assert choose(y, predictions, METRICS["mae"], 1) == {best: 1.0}


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_the_unit_of_the_target_does_not_matter(scale: float) -> None:
    y, predictions = library(METRICS["rmse"], 5, 6)
    scaled = choose(y * scale, [p * scale for p in predictions], METRICS["rmse"], 4)
    assert scaled == choose(y, predictions, METRICS["rmse"], 4)
    assert len(scaled) > 1


def test_of_many_rows_some_say_enough() -> None:
    y, predictions = library(METRICS["log_loss"], 1, 3, rows=50_000)
    weights = choose(y, predictions, METRICS["log_loss"], 3)
    blended = np.sum([w * predictions[k] for k, w in weights.items()], axis=0)
    best = min(loss(METRICS["log_loss"], y, p) for p in predictions)
    assert loss(METRICS["log_loss"], y, blended) < best + 0.01


def test_where_classes_are_as_right_surer_is_better() -> None:
    y = np.array([0.0, 1.0] * 10)
    sure, unsure = np.eye(2)[y.astype(int)] * 0.8 + 0.1, np.eye(2)[y.astype(int)] * 0.2 + 0.4
    assert choose(y, [unsure, sure], METRICS["accuracy"], 1) == {1: 1.0}
