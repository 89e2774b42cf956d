from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.metrics import METRICS, metric_for, scores

seeds = st.integers(0, 2**32 - 1)


def predicted(
    seed: int, rows: int, classes: int, coarse: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Classes, all of which there are, and probabilities; coarse ones have ties."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.r_[np.arange(classes), rng.integers(0, classes, rows - classes)])
    p = rng.dirichlet(np.ones(classes), rows) + 0.3 * np.eye(classes)[y]
    p = np.round(p, 1) + 0.05 if coarse else p
    return y.astype(float), p / p.sum(axis=1, keepdims=True)


@given(seeds, st.integers(8, 60), st.integers(2, 5), st.booleans())
def test_classes_are_judged_as_scikit_learn_does(
    seed: int, rows: int, classes: int, coarse: bool
) -> None:
    y, p = predicted(seed, rows, classes, coarse)
    said, labels = p.argmax(axis=1), list(range(classes))
    binary = classes == 2
    wanted = {
        "log_loss": sk.log_loss(y, p, labels=labels),
        "roc_auc": sk.roc_auc_score(y, p[:, 1] if binary else p, multi_class="ovr"),
        "accuracy": sk.accuracy_score(y, said),
        "balanced_accuracy": sk.balanced_accuracy_score(y, said),
        "f1": sk.f1_score(y, said, average="binary" if binary else "macro", zero_division=0),
    }
    found = scores("binary" if binary else "multiclass", y, p)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@given(seeds, st.integers(2, 60), st.sampled_from([1e-6, 1.0, 1e9]))
def test_numbers_are_judged_as_scikit_learn_does(seed: int, rows: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.normal(size=(2, rows)) * scale
    wanted = {
        "rmse": sk.root_mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "r2": sk.r2_score(y, p),
    }
    assert scores("regression", y, p) == pytest.approx(wanted, rel=1e-9)


def test_what_a_fold_may_lack() -> None:
    """Classes that are not there, and one class alone: values, not errors."""
    y, p = np.array([0.0, 0, 2]), np.array([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.2, 0.2, 0.6]])
    assert METRICS["roc_auc"].of(y, p) == pytest.approx(1.0)
    assert METRICS["balanced_accuracy"].of(y, p) == pytest.approx(0.75)
    assert METRICS["roc_auc"].of(np.zeros(3), p[:, :2]) == 0.5
    assert METRICS["f1"].of(np.zeros(2), np.array([[0.9, 0.1], [0.8, 0.2]])) == 0.0
    assert METRICS["r2"].of(np.ones(3), np.zeros(3)) == 0.0


def test_a_certain_mistake_costs_much_and_not_everything() -> None:
    loss = METRICS["log_loss"].of(np.array([0.0]), np.array([[0.0, 1.0]]))
    assert 30 < loss < 40


def test_less_is_better_with_the_sign() -> None:
    y = np.array([0.0, 1, 0, 1])
    good, bad = np.eye(2)[[0, 1, 0, 1]] * 0.8 + 0.1, np.eye(2)[[1, 0, 0, 1]] * 0.8 + 0.1
    for metric in METRICS.values():
        if not metric.regression:
            assert metric.sign * metric.of(y, good) < metric.sign * metric.of(y, bad)


@pytest.mark.parametrize(
    ("task", "name", "found"),
    [
        ("regression", None, "rmse"),
        ("binary", None, "log_loss"),
        ("multiclass", None, "log_loss"),
        ("binary", "AUC", "roc_auc"),
        ("multiclass", "Accuracy", "accuracy"),
        ("regression", "R2", "r2"),
    ],
)
def test_metrics_by_name(task: str, name: str | None, found: str) -> None:
    assert metric_for(task, name).name == found


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        ("binary", "acuracy", "no metric 'acuracy'; did you mean 'accuracy'"),
        ("regression", "accuracy", "accuracy does not fit numbers.*take one of rmse, mae, r2"),
        ("binary", "rmse", "rmse does not fit classes"),
    ],
)
def test_unknown_metrics(task: str, name: str, said: str) -> None:
    with pytest.raises(JobError, match=said):
        metric_for(task, name)
