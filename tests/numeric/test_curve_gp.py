"""The process over learning curves: gradients by finite differences, and what it makes of curves that are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.numeric.test_gp import SIZES, _difference

from tunesmith.numeric import curve_gp
from tunesmith.numeric.features import Features

FIRST = curve_gp.begin(SIZES)


def _curves(n: int = 12, seed: int = 0) -> tuple[Any, Any, Any, Any, Any]:
    """Features, owner, times, losses, and every curve's end."""
    rng = np.random.default_rng(seed)
    points = rng.random((n, len(SIZES)))
    points[:, 2] = (np.floor(points[:, 2] * 3) + 0.5) / 3
    ends = np.sin(4 * points[:, 0]) + points[:, 1]
    times = [0.05, 0.1, 0.2, 0.5][: 1 + n % 4] if n < 4 else [0.05, 0.1, 0.2]
    features = Features(SIZES)
    t = np.tile(times, n)
    y = np.repeat(ends, len(times)) + 0.2 / (t + 0.1) * np.repeat(1 + points[:, 3], len(times))
    return np.repeat(features(points), len(times), axis=0), features.owner, t, y, ends


@pytest.mark.parametrize("late", [(0.0, math.log(0.1)), (1.0, -0.5), (-2.0, -3.0)])
def test_the_marginal_likelihood_has_the_gradient_it_says(late: tuple[float, float]) -> None:
    features, owner, t, y, _ = _curves()
    theta = np.array([-0.5, 0.3, 0.2, -0.4, 0.4, math.log(1e-2), *late])
    likelihood = curve_gp.MarginalLikelihood(features, owner, t, (y - y.mean()) / y.std())
    expected = _difference(lambda x: likelihood(x)[0], theta)
    np.testing.assert_allclose(likelihood(theta)[1], expected, rtol=1e-3, atol=1e-3)
    expected = _difference(lambda x: curve_gp.prior(x, FIRST)[0], theta)
    np.testing.assert_allclose(curve_gp.prior(theta, FIRST)[1], expected, rtol=1e-4, atol=1e-5)


def test_it_ranks_ends_and_is_surer_of_those_that_went_further() -> None:
    features, owner, t, y, ends = _curves(20)
    y = (y - y.mean()) / y.std()
    seen = (t < 0.2) | (np.arange(len(t)) % 6 < 3)  # every other curve went further
    theta = curve_gp.fit(features[seen], owner, t[seen], y[seen], FIRST)
    model = curve_gp.CurveGP.condition(features[seen], owner, t[seen], y[seen], theta)
    mean, deviation = model.predict(features[::3], np.ones(20))
    assert np.corrcoef(np.argsort(np.argsort(mean)), np.argsort(np.argsort(ends)))[0, 1] > 0.9
    assert np.median(deviation[::2]) < np.median(deviation[1::2])


def test_where_all_times_are_the_same_there_is_still_an_answer() -> None:
    features, owner, t, y, _ = _curves()
    same = t == 0.05
    theta = curve_gp.fit(features[same], owner, t[same], y[same], FIRST)
    model = curve_gp.CurveGP.condition(features[same], owner, t[same], y[same], theta)
    assert all(np.isfinite(part).all() for part in model.predict(features, np.ones_like(t)))
