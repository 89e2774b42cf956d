"""Expected improvement against its integral, in closed form and by quadrature."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from scipy.integrate import quad

from tunesmith.numeric.acquisition import (
    log_below,
    log_below_slopes,
    log_ei,
    log_ei_slopes,
    log_h,
)


@pytest.mark.parametrize("z", [-5.0, -2.0, -1.0, -0.3, 0.0, 0.7, 3.0, 8.0])
def test_quadrature(z: float) -> None:
    def integrand(x: float) -> float:
        return (z - x) * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)

    expected, _ = quad(integrand, min(z, 0.0) - 12.0, z, epsabs=0, epsrel=1e-11, limit=500)
    assert float(log_h(np.array([z]))[0]) == pytest.approx(math.log(expected), abs=1e-9)


def _far(z: float) -> float:
    """log h(z) for z << 0 by the continued fraction of Mills' ratio, in 60 digits."""
    getcontext().prec = 60
    x = Decimal(-z)
    tail = x
    for k in range(400, 0, -1):
        tail = x + Decimal(k) / tail
    share = 1 - x / tail  # h / phi = 1 - x * (Mills' ratio)
    return float(share.ln() - x * x / 2) - 0.5 * math.log(2 * math.pi)


@pytest.mark.parametrize("z", [-4.0, -6.0, -20.0, -100.0, -3e3, -9.99e3, -1.001e4, -1e7])
def test_far_tail(z: float) -> None:
    assert float(log_h(np.array([z]))[0]) == pytest.approx(_far(z), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("z", [29.0, 30.5, 1e3, 1e100])
def test_far_above(z: float) -> None:
    """Improvement is certain: h(z) = z."""
    assert float(log_h(np.array([z]))[0]) == pytest.approx(math.log(z), rel=1e-12)


def test_rises_across_the_seams() -> None:
    for seam in (-1e4, -1.0, 0.0, 30.0):
        z = seam + np.linspace(-1e-3, 1e-3, 201) * max(1.0, abs(seam))
        assert (np.diff(log_h(z)) > 0).all()


def test_slopes_are_finite_differences() -> None:
    rng = np.random.default_rng(0)
    best = 0.3
    mean = np.concatenate([rng.normal(size=40), [0.3, 50.0, -40.0, 4e3]])
    deviation = np.concatenate([np.exp(rng.uniform(-3, 1, 40)), [1e-3, 0.5, 0.5, 0.3]])
    value, by_mean, by_deviation = log_ei_slopes(mean, deviation, best)
    np.testing.assert_allclose(value, log_ei(mean, deviation, best))
    step = 1e-5 * deviation
    numeric = (log_ei(mean + step, deviation, best) - log_ei(mean - step, deviation, best)) / (
        2 * step
    )
    np.testing.assert_allclose(by_mean, numeric, rtol=2e-4)
    numeric = (log_ei(mean, deviation + step, best) - log_ei(mean, deviation - step, best)) / (
        2 * step
    )
    np.testing.assert_allclose(by_deviation, numeric, rtol=2e-3, atol=1e-6)


def test_below() -> None:
    assert np.exp(log_below(np.array([0.0, 3.0]), np.array([1.0, 2.0]), 3.0)) == pytest.approx(
        [0.9986501, 0.5]
    )
    mean, deviation = np.array([-2.0, 0.3, 40.0]), np.array([0.5, 2.0, 1.5])
    value, by_mean, by_deviation = log_below_slopes(mean, deviation, 0.7)
    assert value == pytest.approx(log_below(mean, deviation, 0.7))
    step = 1e-6
    slope = (log_below(mean + step, deviation, 0.7) - log_below(mean - step, deviation, 0.7)) / (
        2 * step
    )
    assert by_mean == pytest.approx(slope, rel=1e-5, abs=1e-9)
    slope = (log_below(mean, deviation + step, 0.7) - log_below(mean, deviation - step, 0.7)) / (
        2 * step
    )
    assert by_deviation == pytest.approx(slope, rel=1e-5, abs=1e-9)
