"""Ridge and kernel ridge regression: the exact leave-one-out error, and its gradient.

Both losses are Allen's PRESS (1974; Stone 1974), the mean squared error of every sample under the model
that was trained without it, at the cost of one training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Floats = NDArray[np.float64]


def ridge(
    X: Floats, y: Floats, penalties: Floats, group: NDArray[np.int64]
) -> tuple[float, Floats]:
    """The leave-one-out mean squared error of ridge regression, and its derivatives by log penalty.

    X, shape (n, p), y, shape (n,); minimises ||y - b0 - X b||^2 + sum_j penalty_group(j) b_j^2, the intercept
    b0 without a penalty. `penalties`, shape (k,), above 0; `group`, shape (p,), says which of them each column
    has. The gradient has shape (k,). O(n p min(n, p)).

    H = 1/n + Xc B with B = (Xc'Xc + D)^-1 Xc', residuals without i: (y - Hy)_i / (1 - H_ii); and
    dB/dpenalty_j = -B's j-th row outer that of (Xc'Xc + D)^-1.
    """
    n, p = X.shape
    D = penalties[group]
    Xc = X - X.mean(axis=0)
    if p <= n:
        B = cho_solve(cho_factor(Xc.T @ Xc + np.diag(D)), Xc.T)
    else:
        Z = Xc / D
        B = cho_solve(cho_factor(Z @ Xc.T + np.eye(n)), Z).T
    beta = B @ y
    rest = np.maximum(1.0 - 1.0 / n - np.einsum("ij,ji->i", Xc, B), 1e-12)
    r = (y - y.mean() - Xc @ beta) / rest
    by_D = (2.0 / n) * (beta * (B @ (r / rest)) - (B * B) @ (r * r / rest))
    gradient = np.zeros(len(penalties))
    np.add.at(gradient, group, by_D * D)
    return float(r @ r / n), gradient


def kernel_ridge(X: Floats, y: Floats, penalty: float, lengths: Floats) -> tuple[float, Floats]:
    """The leave-one-out mean squared error of kernel ridge regression with a Gaussian kernel, and its
    derivatives by the logarithms of the penalty and of each lengthscale, shape (1 + k,).

    K_ij = exp(-sum_d (x_id - x_jd)^2 / (2 l_d^2)); predictions K (K + penalty I)^-1 y, without an intercept:
    centre y. X, shape (n, p); `lengths`, shape (p,), or (1,) for all, above 0. O(n^3 + n^2 p).

    With C = K + penalty I and G = C^-1 the residual without i is (G y)_i / G_ii (Sundararajan & Keerthi 2001;
    Rasmussen & Williams 2006, equations 5.10 to 5.13).
    """
    n = len(X)
    S = X / lengths
    squares = (S * S).sum(axis=1)
    K = np.exp(-0.5 * np.maximum(squares[:, None] + squares - 2.0 * S @ S.T, 0.0))
    G = cho_solve(cho_factor(K + penalty * np.eye(n)), np.eye(n))
    a, g = G @ y, np.diag(G)
    r = a / g
    # dloss = 2/n <dC, W>, from da = -G dC a and dG_ii = -(G dC G)_ii
    W = (G * (r * r / g)) @ G - np.outer(G @ (r / g), a)
    T = K * (W + W.T)  # symmetric: twice what its symmetric part would be
    by_length = (S * S * T.sum(axis=1)[:, None]).sum(axis=0) - np.einsum("id,id->d", S, T @ S)
    if len(lengths) == 1:
        by_length = by_length.sum(keepdims=True)
    gradient = np.concatenate([[penalty * np.trace(W)], by_length])
    return float(r @ r / n), 2.0 / n * gradient
