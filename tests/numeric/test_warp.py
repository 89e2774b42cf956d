"""Output warping: monotone, invertible, gated, and not to be upset by any number."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.numeric.warp import OutputWarp, impute_failures


def test_only_a_long_bad_tail_is_bent() -> None:
    rng = np.random.default_rng(0)
    even = rng.normal(size=100)
    assert not OutputWarp.of(even).bent
    assert OutputWarp.of(np.exp(2 * even)).bent
    assert not OutputWarp.of(-np.exp(2 * even)).bent  # a long good tail stays


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_increasing_and_inverted(spread: float) -> None:
    values = np.exp(spread * np.random.default_rng(1).normal(size=50))
    warp = OutputWarp.of(values)
    z = warp(np.sort(values))
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose([warp.back(float(u)) for u in z], np.sort(values), rtol=1e-9)
    assert abs(z.mean()) < 1e-9
    assert z.std() == pytest.approx(1.0)


@pytest.mark.parametrize("bend", [True, False])
def test_its_slope(bend: bool) -> None:
    """Against finite differences."""
    values = np.exp(np.random.default_rng(1).normal(size=50))
    warp = OutputWarp.of(values, bend=bend)
    assert warp.bent == bend
    step = 1e-6 * values
    slope = (warp(values + step) - warp(values - step)) / (2 * step)
    assert warp.log_slope(values) == pytest.approx(np.log(slope).sum(), abs=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [2.0, 2.0, 2.0],
        [0.0, 0.0, 1.0],
        [0.0, 1.0, 1.0],
        [1e300, -1e300, 1e-300],
        [1.7e308, -1.7e308, 0.0],
        [1e-300, 2e-300, 3e-300],
        [5e-324, 0.0, 1.0],
        [1e300, 1e300, 1e300 * (1 + 1e-15)],
        [0.1, 0.2, 0.3, 1e300],
    ],
    ids=str,
)
def test_extremes(values: list[float]) -> None:
    losses = np.array(values)
    with np.errstate(all="ignore"):
        z = OutputWarp.of(losses)(losses)
    assert np.isfinite(z).all()
    order = np.argsort(losses, kind="stable")
    assert (np.diff(z[order]) >= 0).all()
    assert np.abs(z).max() <= 12.0


def test_failures_are_worse_than_the_worst() -> None:
    failed = np.array([False, True, False, True])
    z = impute_failures(np.array([-1.0, 0.0, 1.0, 0.0]), failed)
    assert (z[failed] == 2.0).all()
    assert (z[~failed] == [-1.0, 1.0]).all()
    assert (impute_failures(np.zeros(2), np.ones(2, dtype=bool)) == 0.0).all()
