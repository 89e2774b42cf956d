"""Leave-one-out losses: against leaving one out, and their gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.numeric.logistic import logistic
from tunesmith.numeric.ridge import kernel_ridge, ridge

Floats = NDArray[np.float64]
SHAPES = [(30, 5), (14, 22)]


def data(n: int, p: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, p)) + 1.0
    return x, x[:, 0] - 2.0 * x[:, 1] + rng.normal(size=n)


def differences(value: Callable[[Floats], float], at: Floats, step: float = 1e-5) -> Floats:
    steps = step * np.eye(len(at))
    return np.array([(value(at + s) - value(at - s)) / (2 * step) for s in steps])


def left_out(make: Callable[[], Any], x: Floats, y: Floats, predict: str = "predict") -> Floats:
    """Each sample's prediction by a model trained without it."""
    rest = [np.arange(len(y)) != i for i in range(len(y))]
    return np.concatenate(
        [getattr(make().fit(x[k], y[k]), predict)(x[~k]).reshape(1, -1) for k in rest]
    )[:, -1]


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_ridge_is_leave_one_out(n: int, p: int) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = data(n, p)
    penalties = np.exp(np.linspace(-2.0, 2.0, p))
    loss, _ = ridge(x, y, penalties, np.arange(p))
    # a column divided by the root of its penalty has the penalty 1
    out = left_out(lambda: linear_model.Ridge(alpha=1.0), x / np.sqrt(penalties), y)
    assert loss == pytest.approx(np.mean((y - out) ** 2), rel=1e-9)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_ridge_gradient(n: int, p: int) -> None:
    x, y = data(n, p)
    group = np.arange(p) % 4
    at = np.array([-3.0, 0.0, 1.0, 4.0])
    gradient = ridge(x, y, np.exp(at), group)[1]
    numeric = differences(lambda t: ridge(x, y, np.exp(t), group)[0], at)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
    assert np.abs(gradient).min() > 1e-4


def test_kernel_ridge_is_leave_one_out() -> None:
    kernels = pytest.importorskip("sklearn.kernel_ridge")
    x, y = data(25, 3)
    lengths = np.array([0.7, 1.0, 2.0])
    loss, _ = kernel_ridge(x, y, 0.3, lengths)
    out = left_out(lambda: kernels.KernelRidge(alpha=0.3, kernel="rbf", gamma=0.5), x / lengths, y)
    assert loss == pytest.approx(np.mean((y - out) ** 2), rel=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_kernel_ridge_gradient(k: int) -> None:
    x, y = data(25, 3)
    at = np.linspace(-1.0, 1.0, 1 + k)

    def slope(t: Floats) -> tuple[float, Floats]:
        return kernel_ridge(x, y, float(np.exp(t[0])), np.exp(t[1:]))

    np.testing.assert_allclose(
        slope(at)[1], differences(lambda t: slope(t)[0], at), rtol=1e-6, atol=1e-9
    )


def test_logistic_is_near_leave_one_out() -> None:
    """Much nearer than the loss of training, which is what it corrects."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = data(60, 4)
    y = (y > y.mean()).astype(float)
    loss, _ = logistic(x, y, np.array([0.5]), np.zeros(4, dtype=np.int64))

    def make() -> Any:
        return linear_model.LogisticRegression(C=2.0, solver="newton-cholesky")

    def log_loss(p: Floats) -> float:
        return float(-np.mean(np.log(np.where(y == 1.0, p, 1.0 - p))))

    exact = log_loss(left_out(make, x, y, "predict_proba"))
    trained = log_loss(make().fit(x, y).predict_proba(x)[:, 1])
    assert abs(loss - exact) < 0.05 * abs(trained - exact)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_logistic_gradient(n: int, p: int) -> None:
    x, y = data(n, p)
    y = (y > np.median(y)).astype(float)
    group = np.arange(p) % 4
    at = np.array([-2.0, 0.0, 1.0, 3.0])
    gradient = logistic(x, y, np.exp(at), group)[1]
    numeric = differences(lambda t: logistic(x, y, np.exp(t), group)[0], at)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-9)
    assert np.abs(gradient).min() > 1e-5


def test_logistic_of_classes_that_are_apart() -> None:
    """Without a penalty the fit would run off; a small one keeps it."""
    x = np.linspace(-1.0, 1.0, 20)[:, None]
    loss, gradient = logistic(x, (x[:, 0] > 0).astype(np.float64), np.array([1e-6]), np.array([0]))
    assert np.isfinite([loss, *gradient]).all()
