"""Logistic regression: the approximate leave-one-out log loss, and its exact gradient."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

Floats = NDArray[np.float64]

_STEPS: Final = 100
#: Newton's method ends when it expects to gain less than this share of the loss.
_EXACT: Final = 1e-14


def logistic(
    X: Floats, y: Floats, penalties: Floats, group: NDArray[np.int64]
) -> tuple[float, Floats]:
    """The approximate leave-one-out log loss of logistic regression, and its derivatives by log penalty.

    X, shape (n, p), y, shape (n,), of 0 and 1, both there. Minimises sum_i log(1 + exp(-+ eta_i)) +
    1/2 sum_j penalty_group(j) b_j^2 with eta = b0 + X b, the intercept b0 without a penalty; a penalty is
    scikit-learn's 1/C. `penalties`, `group` and the gradient are as in `ridge`. O(n p^2 + p^3) per Newton step.

    Leaving i out is one Newton step from the whole fit (Rad & Maleki 2020; Pregibon 1981):
    eta_i + l'_i h_i / (1 - l''_i h_i) with h_i = x_i' A^-1 x_i and A the Hessian. The gradient is that of
    this value, by implicit differentiation of the fit.
    """
    n, p = X.shape
    D = np.append(penalties[group], 0.0)
    Z = np.column_stack([X, np.ones(n)])
    b = _fit(Z, y, D)
    eta = Z @ b
    p1 = expit(eta)
    a, w = p1 - y, p1 * (1.0 - p1)
    factor = cho_factor((Z.T * w) @ Z + np.diag(D))
    U = cho_solve(factor, Z.T)  # (p + 1, n)
    h = np.einsum("ij,ji->i", Z, U)
    q = np.maximum(1.0 - w * h, 1e-12)
    out = eta + a * h / q
    v = (expit(out) - y) / n  # dloss/dout
    # what moves with h, and with eta at a given b's Hessian; w's own derivative is w (1 - 2 p1)
    c = v * a / q**2
    slope = w * (1.0 - 2.0 * p1)
    Q = (U * c) @ U.T
    s = v * (1.0 + w * h / q + a * h * h * slope / q**2)
    s -= slope * np.einsum("ij,jk,ik->i", Z, Q, Z, optimize=True)
    by_D = -np.diag(Q) - b * cho_solve(factor, Z.T @ s)
    loss = float(np.mean(np.logaddexp(0.0, out) - y * out))
    gradient = np.zeros(len(penalties))
    np.add.at(gradient, group, (by_D * D)[:p])
    return loss, gradient


def _fit(Z: Floats, y: Floats, D: Floats) -> Floats:
    """The minimiser, by Newton's method with halved steps where a whole one does not go down."""
    b = np.zeros(Z.shape[1])

    def value(b: Floats) -> float:
        eta = Z @ b
        return float(np.sum(np.logaddexp(0.0, eta) - y * eta) + 0.5 * D @ (b * b))

    now = value(b)
    for _ in range(_STEPS):
        p1 = expit(Z @ b)
        down = Z.T @ (p1 - y) + D * b
        A = (Z.T * (p1 * (1.0 - p1))) @ Z + np.diag(D)
        A[np.diag_indices_from(A)] += 1e-12 * np.trace(A) / len(A)
        step = cho_solve(cho_factor(A), down)
        gain = float(down @ step)
        t = 1.0
        while t > 1e-10 and not (new := value(b - t * step)) <= now - 1e-4 * t * gain:
            t *= 0.5
        if gain < _EXACT * now or t <= 1e-10:
            return b - step if gain < _EXACT * now else b
        b, now = b - t * step, new
    return b
