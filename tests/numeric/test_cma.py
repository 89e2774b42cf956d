"""CMA-ES: what it is known to solve, and that a margin keeps integers moving."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunesmith.numeric.cma import Floats, Rates, State, population

BEST = np.array([0.31, 0.62, 0.47, 0.55, 0.4])
TURNED = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]


def solve(f: Callable[[Floats], Floats], d: int, generations: int) -> State:
    state = State.start(np.full(d, 0.5), population(d))
    rng = np.random.default_rng(0)
    for _ in range(generations):
        x = state.sample(state.size, rng)
        state = state.update(x[np.argsort(f(x))])
    return state


def test_a_turned_ellipsoid() -> None:
    scales = 10.0 ** np.linspace(0, 2, 5)
    state = solve(lambda x: ((((x - BEST) @ TURNED) * scales) ** 2).sum(axis=1), 5, 200)
    assert state.m == pytest.approx(BEST, abs=1e-5)


def test_it_learns_the_shape() -> None:
    """The covariance is the inverse of the Hessian, up to a factor."""
    scales = 10.0 ** np.linspace(0, 1, 5)
    state = solve(lambda x: (((x - BEST) * scales) ** 2).sum(axis=1), 5, 120)
    widths = np.sqrt(np.diag(state.C))
    assert np.corrcoef(np.log(widths), -np.log(scales))[0, 1] > 0.95


def test_it_converges_and_says_so() -> None:
    state = solve(lambda x: ((x - 0.5) ** 2).sum(axis=1), 3, 150)
    assert state.converged
    assert not State.start(np.full(3, 0.5), 7).converged


@pytest.mark.parametrize(("d", "size"), [(1, 4), (2, 6), (5, 9), (40, 15), (3, 64), (5, 2)])
def test_rates(d: int, size: int) -> None:
    rates = Rates(d, size)
    w = rates.weights
    assert w[w > 0].sum() == pytest.approx(1.0)
    assert (np.diff(w) <= 0).all(), "a better rank never weighs less"
    for rate in (rates.cs, rates.cc, rates.c1, rates.cmu):
        assert 0.0 <= rate <= 1.0
    assert rates.c1 + rates.cmu <= 1.0 + 1e-12


def test_the_covariance_stays_positive_whatever_comes() -> None:
    rng = np.random.default_rng(5)
    state = State.start(np.full(4, 0.5), 8)
    for _ in range(100):
        x = np.where(rng.random((8, 4)) < 0.3, rng.integers(2, size=(8, 4)), rng.random((8, 4)))
        x[rng.random((8, 4)) < 0.1] = np.nan
        state = state.update(x)
        assert np.isfinite(state.C).all()
        assert np.linalg.eigvalsh(state.C).min() > 0.0
        assert ((state.m >= 0.0) & (state.m <= 1.0)).all()


def test_samples_are_inside() -> None:
    x = State.start(np.array([0.01, 0.99]), 6).sample(2000, np.random.default_rng(0))
    assert ((x >= 0.0) & (x <= 1.0)).all()


def test_a_margin_keeps_integers_moving() -> None:
    narrow = State(np.array([0.5, 0.5]), 1e-4, np.eye(2), np.zeros(2), np.zeros(2), np.ones(2), 6)
    low, high = np.array([0.4, -np.inf]), np.array([0.6, np.inf])
    widened = narrow.with_margin(low, high, 0.1)
    x = widened.sample(20_000, np.random.default_rng(0))
    left = ((x[:, 0] < 0.4) | (x[:, 0] > 0.6)).mean()
    assert left == pytest.approx(0.1, abs=0.01)
    assert widened.stretch[1] == 1.0, "what has no cells is left alone"
    assert np.ptp(x[:, 1]) < 1e-2
