"""The Gaussian process against finite differences and scikit-learn's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunesmith.numeric import gp
from tunesmith.numeric.features import Features

SIZES = [0, 0, 3, 0]


def _data(n: int = 30, seed: int = 0) -> tuple[Features, Any, Any]:
    rng = np.random.default_rng(seed)
    points = rng.random((n, len(SIZES)))
    points[:, 2] = (np.floor(points[:, 2] * 3) + 0.5) / 3
    points[::5, 3] = np.nan
    features = Features(SIZES)
    y = np.sin(5 * points[:, 0]) + points[:, 1] ** 2 + (points[:, 2] > 0.5)
    y = y + 0.1 * rng.standard_normal(n)
    return features, points, (y - y.mean()) / y.std()


def _difference(function: Any, x: Any, step: float = 1e-6) -> Any:
    out = np.empty_like(x)
    for i in range(x.size):
        up, down = x.copy(), x.copy()
        up.flat[i] += step
        down.flat[i] -= step
        out.flat[i] = (function(up) - function(down)) / (2 * step)
    return out


THETAS = [
    np.array([0.0, 0.0, 0.0, 0.0, 0.0, math.log(1e-2)]),
    np.array([-1.0, 0.5, 0.3, -0.7, 0.8, math.log(0.3)]),
    np.array([1.5, -2.0, -0.5, 1.0, -1.0, math.log(1e-5)]),
]


@pytest.mark.parametrize("theta", THETAS)
def test_the_marginal_likelihood_has_the_gradient_it_says(theta: Any) -> None:
    features, points, y = _data()
    likelihood = gp.MarginalLikelihood(features(points), features.owner, y)
    expected = _difference(lambda t: likelihood(t)[0], theta)
    np.testing.assert_allclose(likelihood(theta)[1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("d", [1, 4, 40])
def test_prior_has_the_gradient_it_says(d: int) -> None:
    theta = np.random.default_rng(d).normal(size=d + 2)
    begin = gp.start([j % 3 for j in range(d)])
    for prior in (gp.USUAL, gp.LITERAL):
        slope = gp.log_prior(theta, begin, prior)[1]
        expected = _difference(lambda t, prior=prior: gp.log_prior(t, begin, prior)[0], theta)
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [2, 5, 40])
def test_a_choice_counts_as_much_as_a_number_beforehand(k: int) -> None:
    """At the prior's mode, ten random choices are as far apart as ten random numbers: they correlate as much."""
    rng = np.random.default_rng(k)
    a, b = rng.random((2, 4000, 10))

    def apart(sizes: list[int]) -> float:
        features = Features(sizes)
        scale = np.exp(-gp.start(sizes)[:10])[features.owner]
        return float(np.square((features(a) - features(b)) * scale).sum(axis=1).mean())

    assert apart([k] * 10) == pytest.approx(apart([0] * 10), rel=0.05)


def test_what_is_predicted_at_the_data_comes_with_the_posterior() -> None:
    rng = np.random.default_rng(3)
    features = Features([0, 3, 0])
    f, y, extra = features(rng.random((30, 3))), rng.standard_normal(30), rng.random(30)
    model = gp.GP.condition(f, features.owner, y, gp.start([0, 3, 0]), extra)
    np.testing.assert_allclose(model.fitted, model.predict(f)[0], atol=1e-8)
    twice = np.vstack([f, f])  # singular but for the noise and what makes it regular
    theta = gp.start([0, 3, 0])
    theta[-1] = np.log(1e-18)
    again = gp.GP.condition(twice, features.owner, np.tile(y, 2), theta)
    np.testing.assert_allclose(again.fitted, again.predict(twice)[0], atol=1e-5)


def test_slope_of_the_kernel() -> None:
    squared = np.array([1e-6, 0.01, 0.5, 3.0, 40.0])
    value, slope = gp.matern_and_slope(squared.copy())
    np.testing.assert_allclose(value, gp.matern(squared.copy()), rtol=1e-14)
    step = 1e-4 * squared
    numeric = (gp.matern(squared + step) - gp.matern(squared - step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-5)
    assert gp.matern_and_slope(np.zeros(1))[1] == -5 / 6


def test_distances_between_choices_and_of_what_is_inactive() -> None:
    features = Features([3, 0, 2])
    points = np.array([[1 / 6, 0.2, 0.25], [0.5, 0.2, 0.25], [np.nan, np.nan, 0.75]])
    squared = gp.squared_distances(features(points), features(points))
    assert squared[0, 1] == pytest.approx(1.0)  # one choice differs
    assert squared[0, 2] == pytest.approx(0.5 + 0.3**2 + 1.0)


@pytest.mark.parametrize("theta", THETAS)
def test_posterior_is_scikit_learns(theta: Any) -> None:
    pytest.importorskip("sklearn")
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    features, points, y = _data()
    f = features(points)
    model = gp.GP.condition(f, features.owner, y, theta)
    lengths = np.exp(theta[:4])[features.owner]
    kernel = ConstantKernel(math.exp(theta[4])) * Matern(length_scale=lengths, nu=2.5)
    reference = GaussianProcessRegressor(kernel, alpha=math.exp(theta[5]), optimizer=None)
    reference.fit(f, y - model.mean)
    query = features(_data(20, seed=9)[1])
    mean, deviation = model.predict(query)
    expected_mean, expected_deviation = reference.predict(query, return_std=True)
    np.testing.assert_allclose(mean - model.mean, expected_mean, atol=1e-7)
    np.testing.assert_allclose(deviation, expected_deviation, rtol=1e-5, atol=1e-8)
    value = gp.MarginalLikelihood(f, features.owner, y)(theta)[0]
    assert value == pytest.approx(reference.log_marginal_likelihood_value_, abs=1e-6)


def test_the_mean_is_generalised_least_squares() -> None:
    """A shift of the targets shifts the predictions, whatever the signal's variance."""
    features, points, y = _data()
    near = gp.GP.condition(features(points), features.owner, y, THETAS[0])
    far = gp.GP.condition(features(points), features.owner, y + 100.0, THETAS[0])
    query = features(_data(20, seed=9)[1])
    np.testing.assert_allclose(far.predict(query)[0], near.predict(query)[0] + 100.0, rtol=1e-9)


@pytest.mark.parametrize("theta", THETAS)
def test_slopes_of_the_prediction(theta: Any) -> None:
    features, points, y = _data()
    model = gp.GP.condition(features(points), features.owner, y, theta)
    columns = features.start[features.numbers]
    query = features(_data(6, seed=3)[1])
    mean, deviation, by_mean, by_deviation = model.slopes(columns)(query)
    np.testing.assert_allclose(mean, model.predict(query)[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(deviation, model.predict(query)[1], rtol=1e-8)
    for which, slopes in ((0, by_mean), (1, by_deviation)):
        for at, column in enumerate(columns):
            up, down = query.copy(), query.copy()
            up[:, column] += 1e-5
            down[:, column] -= 1e-5
            numeric = (model.predict(up)[which] - model.predict(down)[which]) / 2e-5
            np.testing.assert_allclose(slopes[:, at], numeric, rtol=1e-3, atol=1e-5)


def test_believing_is_conditioning_on_the_own_mean() -> None:
    features, points, y = _data()
    model = gp.GP.condition(features(points), features.owner, y, THETAS[1])
    new = features(_data(3, seed=5)[1])
    believed, mean = model.believe(new[:1])[0].believe(new[1:])
    assert mean == pytest.approx(model.predict(new[1:])[0])
    # the same posterior from scratch, about the same mean
    all_f = np.vstack([features(points), new])
    all_y = np.concatenate([y, model.predict(new)[0]])
    theta = THETAS[1]
    weights = np.exp(-theta[:4])[features.owner]
    scaled = all_f * weights
    signal, noise = math.exp(theta[4]), math.exp(theta[5])
    covariance = signal * gp.matern(gp.squared_distances(scaled, scaled))
    covariance += np.diag(np.r_[np.full(len(y), noise), np.full(3, 1e-8 * signal)])
    query = features(_data(10, seed=7)[1])
    cross = signal * gp.matern(gp.squared_distances(scaled, query * weights))
    mean = model.mean + cross.T @ np.linalg.solve(covariance, all_y - model.mean)
    variance = signal - np.einsum("ij,ij->j", cross, np.linalg.solve(covariance, cross))
    np.testing.assert_allclose(believed.predict(query)[0], mean, atol=1e-8)
    np.testing.assert_allclose(believed.predict(query)[1], np.sqrt(variance), rtol=1e-5)


def test_a_fit_finds_what_made_the_data() -> None:
    """Lengthscales of what matters are shorter than of what does not; noise is found."""
    rng = np.random.default_rng(1)
    points = rng.random((120, 3))
    y = np.sin(8 * points[:, 0]) + 0.3 * rng.standard_normal(120)
    y = (y - y.mean()) / y.std()
    features = Features([0, 0, 0])
    theta, value = gp.fit(features(points), features.owner, y, gp.start([0, 0, 0]))
    begin = gp.MarginalLikelihood(features(points), features.owner, y)(gp.start([0, 0, 0]))[0]
    assert value > begin + gp.log_prior(gp.start([0, 0, 0]), gp.start([0, 0, 0]))[0]
    assert theta[0] < min(theta[1], theta[2]) - 0.7
    share = 0.09 / (0.09 + 0.5)  # of the variance that is noise
    assert math.exp(theta[-1]) == pytest.approx(share, rel=0.5)


@pytest.mark.parametrize(
    "y", [np.zeros(8), np.r_[np.zeros(7), 12.0], np.tile([-1.0, 1.0], 4)], ids=str
)
def test_duplicates_and_constants(y: Any) -> None:
    """Eight times the same point: no crash, finite predictions."""
    features = Features([0, 4])
    f = features(np.full((8, 2), 0.3))
    theta, value = gp.fit(f, features.owner, y, gp.start([0, 0]))
    model = gp.GP.condition(f, features.owner, y, theta).believe(f[:3])[0]
    assert np.isfinite([value, *theta, *np.ravel(model.predict(f))]).all()


def test_a_watch_follows_what_is_believed() -> None:
    features, points, y = _data()
    model = gp.GP.condition(features(points), features.owner, y, THETAS[1])
    new, pool = features(_data(60, seed=5)[1]), features(_data(20, seed=6)[1])
    watch = gp.Watch(model, pool)
    for first, last in [(0, 0), (0, 1), (1, 2), (2, 5), (5, 60)]:
        model = model.believe(new[first:last])[0]
        for followed, predicted in zip(watch.follow(model), model.predict(pool), strict=True):
            assert followed == pytest.approx(predicted, abs=1e-6)


def test_results_of_a_rough_function_are_taken_at_their_word_by_the_literal_prior() -> None:
    """Thirty results of waves that are shorter than their distances: the usual prior takes them for noise."""
    points = np.random.default_rng(0).random((30, 2))
    y = np.cos(25.0 * points).sum(axis=1)
    features = Features([0, 0])
    share = [
        math.exp(theta[-1] - theta[-2])
        for theta, _ in (
            gp.fit(features(points), features.owner, y, gp.start([0, 0]), prior=prior)
            for prior in (gp.USUAL, gp.LITERAL)
        )
    ]
    assert share[0] > 0.05
    assert share[1] < 0.01
