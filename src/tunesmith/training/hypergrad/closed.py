"""Closed forms, without PyTorch: leave-one-out losses and their derivatives by log hyperparameter.

Arguments are checked here; the mathematics and its sources are in `tunesmith.numeric`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunesmith.core.errors import ConfigError
from tunesmith.numeric import logistic as of_logistic
from tunesmith.numeric import ridge as of_ridge
from tunesmith.numeric.threads import one_thread

Floats = NDArray[np.float64]

#: Up to so many samples one thread is faster.
_FEW: Final = 1000


class Slope(NamedTuple):
    """A loss, and its derivatives by the logarithm of each hyperparameter, shape (k,)."""

    loss: float
    by_log: Floats


def ridge(
    x: ArrayLike, y: ArrayLike, penalties: ArrayLike, groups: ArrayLike | None = None
) -> Slope:
    """The exact leave-one-out mean squared error of ridge regression.

    x, shape (n, p), y, shape (n,). `penalties`: one for all columns, one for each, or, with `groups`, shape
    (p,), of whole numbers from 0, one for each group of columns. They are scikit-learn's ``alpha``; the
    intercept has none. Put x on one scale before. Raises ConfigError.

    >>> round(ridge([[1.0], [2.0], [3.0], [5.0]], [1.0, 3.0, 2.0, 5.0], 0.5).loss, 3)
    1.747
    """
    x, y = _samples(x, y)
    strengths = _penalties(penalties, groups, x.shape[1])
    with _threads(x):
        return Slope(*of_ridge.ridge(x, y, *strengths))


def kernel_ridge(x: ArrayLike, y: ArrayLike, penalty: float, lengthscales: ArrayLike) -> Slope:
    """The exact leave-one-out mean squared error of kernel ridge regression with a Gaussian kernel.

    `lengthscales`: one for all columns or one for each. The derivatives are those by the penalty, then by the
    lengthscales. There is no intercept: centre y. Raises ConfigError.
    """
    x, y = _samples(x, y)
    (one,), lengths = _positive("penalty", penalty), _positive("lengthscales", lengthscales)
    if len(lengths) not in (1, x.shape[1]):
        raise ConfigError(
            f"there are {len(lengths)} lengthscales for {x.shape[1]} columns; give one, or one for each"
        )
    with _threads(x):
        return Slope(*of_ridge.kernel_ridge(x, y, float(one), lengths))


def logistic(
    x: ArrayLike, y: ArrayLike, penalties: ArrayLike, groups: ArrayLike | None = None
) -> Slope:
    """The log loss of logistic regression without each sample in turn, approximated by one Newton step
    from the whole fit; the derivatives are exactly those of this value.

    y has two classes, 0 and 1. Penalties are scikit-learn's ``1/C``, otherwise as in `ridge`. Raises ConfigError.
    """
    x, y = _samples(x, y)
    if set(np.unique(y)) != {0.0, 1.0}:
        raise ConfigError(
            f"y has the values {np.unique(y)[:5].tolist()}; logistic regression needs both 0 and 1, "
            "and nothing else"
        )
    strengths = _penalties(penalties, groups, x.shape[1])
    with _threads(x):
        return Slope(*of_logistic.logistic(x, y, *strengths))


def _threads(x: Floats) -> AbstractContextManager[None]:
    """One BLAS thread where more would cost more than they save."""
    return one_thread() if len(x) <= _FEW else nullcontext()


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """x, shape (n, p), and y, shape (n,), as finite floats."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),) or len(x) < 3 or x.shape[1] < 1:
        raise ConfigError(
            f"x has the shape {x.shape}, y {y.shape}; they are (n, p) and (n,), with 3 samples or more"
        )
    for name, values in (("x", x), ("y", y)):
        if bad := int((~np.isfinite(values)).sum()):
            raise ConfigError(
                f"{name} has {bad} values that are NaN or infinite; impute them first"
            )
    return x, y


def _penalties(
    penalties: ArrayLike, groups: ArrayLike | None, p: int
) -> tuple[Floats, NDArray[np.int64]]:
    """The penalties, shape (k,), and which of them each of `p` columns has."""
    values = _positive("penalties", penalties)
    k = len(values)
    if groups is None:
        if k not in (1, p):
            raise ConfigError(
                f"there are {k} penalties for {p} columns; give one, {p}, or groups= that says which "
                "column has which"
            )
        return values, np.arange(p) if k == p else np.zeros(p, dtype=np.int64)
    group = np.asarray(groups)
    if group.shape != (p,) or group.dtype.kind not in "iu" or group.min() < 0 or group.max() >= k:
        raise ConfigError(
            f"groups is {p} whole numbers from 0 to {k - 1}: which of the {k} penalties each column has"
        )
    return values, group.astype(np.int64)


def _positive(name: str, numbers: ArrayLike) -> Floats:
    """One or more finite numbers above 0, shape (k,)."""
    values = np.atleast_1d(np.asarray(numbers, dtype=np.float64))
    if values.ndim != 1 or not (np.isfinite(values) & (values > 0.0)).all():
        raise ConfigError(f"{name}: finite numbers above 0, not {numbers!r}")
    return values
