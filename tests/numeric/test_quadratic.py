"""Quadratic regression: exact where the function is quadratic, doubtful where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.numeric.quadratic import Quadratic, terms


@pytest.mark.parametrize("d", [1, 3, 6])
def test_a_quadratic_function_is_found_again(d: int) -> None:
    rng = np.random.default_rng(d)
    turned, _ = np.linalg.qr(rng.standard_normal((d, d)))
    shape = turned * 10.0 ** np.linspace(0, 2, d) @ turned.T
    at = rng.uniform(0.3, 0.7, d)
    x = rng.random((terms(d) + 4, d))
    y = np.einsum("ij,jk,ik->i", x - at, shape, x - at)
    quadratic = Quadratic.fit(x, y)
    assert quadratic.explained > 0.999
    np.testing.assert_allclose(
        quadratic.lowest(x[0], np.zeros(d), np.ones(d)), at, rtol=0, atol=1e-3
    )


def test_the_minimum_is_within_the_box() -> None:
    """Both where it lies outside and where the function has none."""
    x = np.random.default_rng(0).random((30, 2))
    bowl = Quadratic.fit(x, np.square(x - 0.9).sum(axis=1))
    low, high = np.array([0.1, 0.1]), np.array([0.5, 0.4])
    np.testing.assert_allclose(bowl.lowest(low, low, high), high)
    hill = Quadratic.fit(x, -np.square(x - 0.9).sum(axis=1))
    np.testing.assert_allclose(hill.lowest(np.array([0.3, 0.3]), low, high), low)


def test_noise_is_not_explained() -> None:
    rng = np.random.default_rng(0)
    assert Quadratic.fit(rng.random((20, 3)), rng.standard_normal(20)).explained < 0.3
    assert Quadratic.fit(rng.random((20, 3)), np.ones(20)).explained == 0.0
