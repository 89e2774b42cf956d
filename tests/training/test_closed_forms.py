"""The closed forms' front: shapes, what is said of bad input, and metrics for a trial."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tunesmith import ConfigError, hypergrad

x = np.random.default_rng(0).normal(size=(20, 3))
y = x @ [1.0, 0.5, 0.0] + np.random.default_rng(1).normal(size=20)
classes = (y > 0) * 1


def test_one_penalty_is_that_penalty_for_each() -> None:
    for differentiate, target in ((hypergrad.ridge, y), (hypergrad.logistic, classes)):
        one, each = differentiate(x, target, 0.7), differentiate(x, target, [0.7] * 3)
        grouped = differentiate(x, target, [0.7, 0.7], [0, 1, 1])
        assert one.loss == pytest.approx(each.loss)
        assert one.by_log.shape == (1,)
        assert one.by_log[0] == pytest.approx(each.by_log.sum())
        assert grouped.by_log[1] == pytest.approx(each.by_log[1:].sum())


def test_kernel_ridge_shapes() -> None:
    assert hypergrad.kernel_ridge(x, y, 0.1, 1.0).by_log.shape == (2,)
    assert hypergrad.kernel_ridge(x, y, 0.1, [1.0, 2.0, 3.0]).by_log.shape == (4,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hypergrad.ridge(x, y[:5], 1.0), r"x has the shape \(20, 3\), y \(5,\)"),
        (lambda: hypergrad.ridge(x, np.where(y > 0, y, np.nan), 1.0), "y has .* values that are NaN"),
        (lambda: hypergrad.ridge(x, y, [1.0, 2.0]), "there are 2 penalties for 3 columns"),
        (lambda: hypergrad.ridge(x, y, 0.0), "penalties: finite numbers above 0, not 0.0"),
        (lambda: hypergrad.ridge(x, y, [1.0, 1.0], [0, 1, 2]), "groups is 3 whole numbers from 0 to 1"),
        (lambda: hypergrad.ridge(x, y, [1.0], [0.0, 0.0, 0.0]), "groups is 3 whole numbers"),
        (lambda: hypergrad.kernel_ridge(x, y, 1.0, [1.0, 1.0]), "2 lengthscales for 3 columns"),
        (lambda: hypergrad.kernel_ridge(x, y, -1.0, 1.0), "penalty: finite numbers above 0"),
        (lambda: hypergrad.logistic(x, y, 1.0), "needs both 0 and 1"),
        (lambda: hypergrad.logistic(x, classes * 0, 1.0), "needs both 0 and 1"),
    ],
)  # fmt: skip
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


def test_metrics() -> None:
    assert hypergrad.as_metrics(0.5, {"lr": np.float64(2.0)}, metric="mse") == {
        "mse": 0.5,
        "d_mse/d_lr": 2.0,
    }
    assert hypergrad.as_metrics(0.5, {"lr": float("nan")}) == {"loss": 0.5}
    with pytest.raises(ConfigError, match="by 'w' is no single number"):
        hypergrad.as_metrics(0.5, {"w": np.zeros(3)})
    with pytest.raises(ConfigError, match="logs_of has no 'lr'; did you mean 'lrs'"):
        hypergrad.as_metrics(0.5, {"lr": 1.0}, logs_of={"lrs": 1.0})
    with pytest.raises(ConfigError, match=r"lr is .*, which has no logarithm"):
        hypergrad.as_metrics(0.5, {"lr": 1.0}, logs_of={"lr": 0.0})


def test_pytorch_is_loaded_only_where_it_is_needed() -> None:
    code = "import sys, tunesmith; tunesmith.hypergrad.ridge; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
