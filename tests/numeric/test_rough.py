"""Noise or roughness: what runs of one config say, and what close ones do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.numeric import gp
from tunesmith.numeric.rough import Mixture, plausible
from tunesmith.numeric.warp import OutputWarp

Floats = NDArray[np.float64]


def mixture(x: Floats, y: Floats) -> Mixture:
    features, owner = x[:, None], np.zeros(1, dtype=np.int64)
    z = (y - y.mean()) / y.std()
    begin = gp.start([0])
    mode, _ = gp.fit(features, owner, z, begin)
    rng = np.random.default_rng(0)
    thetas = plausible(features, owner, z, mode, begin, 0.0, 4, rng)
    return Mixture.of(features, owner, z, thetas)


def scattered(seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x = rng.random(16)
    return x, (x - 0.4) ** 2 + 0.1 * rng.standard_normal(16)


def test_runs_of_one_config_tell_noise_from_roughness() -> None:
    x, y = scattered()
    again = np.repeat(x[:6], 2)
    rng = np.random.default_rng(1)
    differ = mixture(
        np.append(x, again), np.append(y, (again - 0.4) ** 2 + 0.1 * rng.standard_normal(12))
    )
    same = mixture(np.append(x, again), np.append(y, np.repeat(y[:6], 2)))
    assert differ.noise_chance > 0.95
    assert same.noise < 0.2 * differ.noise


def test_where_nothing_tells_them_apart_the_value_itself_stays_possible() -> None:
    x, y = scattered(2)
    both = mixture(x, y)
    z = (y - y.mean()) / y.std()
    drawn, _ = both.sample(x[:, None], 2000, np.random.default_rng(0), picks=60)
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0)
    assert (low - 0.05 <= z).all()
    assert (z <= high + 0.05).all()


def test_an_interval_holds_what_all_noise_would_make_of_it() -> None:
    """Too narrow, it left the truth out in 17 % of noisy studies instead of 10 %."""
    x, y = scattered(2)
    both = mixture(x, y)
    noise = replace(both, parts=tuple(p for p in both.parts if p.share == 0.0))
    at = np.append(x, 0.95)[:, None]
    low, high = both.interval(at, 0.9)
    for one in (both, noise):
        drawn, _ = one.sample(at, 4000, np.random.default_rng(0), picks=4000)
        least, most = np.quantile(drawn, (0.05, 0.95), axis=0)
        assert (low < least + 0.05).all()
        assert (most < high + 0.05).all()
        assert np.mean(high - low) > 1.1 * np.mean(most - least)
    inner = both.interval(at, 0.5)
    assert (low < inner[0]).all()
    assert (inner[1] < high).all()


def test_samples_have_the_moments_of_the_parts() -> None:
    x, y = scattered(3)
    one = mixture(x, y)
    at = np.linspace(0, 1, 9)[:, None]
    first, noises = one.sample(at, 4000, np.random.default_rng(0), picks=200)
    second, _ = one.sample(at, 4000, np.random.default_rng(1), picks=200)
    assert first.shape == (4000, 9)
    assert noises.shape == (4000,)
    assert first.mean(axis=0) == pytest.approx(second.mean(axis=0), abs=0.15)


def test_logs_give_back_what_is_positive() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=30) * 3.0)
    warp = OutputWarp.log(values)
    z = warp(values)
    assert z.mean() == pytest.approx(0.0, abs=1e-9)
    assert z.std() == pytest.approx(1.0)
    assert [warp.back(float(v)) for v in z] == pytest.approx(values.tolist())
    assert warp.back(-50.0) > 0.0
    step = 1e-6 * values
    slope = np.log((warp(values + step) - warp(values - step)) / (2 * step)).sum()
    assert warp.log_slope(values) == pytest.approx(slope, rel=1e-4)
