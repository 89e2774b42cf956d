from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith import ConfigError, schedules, spaces
from tunesmith.training.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    OneCycle,
    Piecewise,
    ReduceOnPlateau,
    Step,
    Warmup,
    WarmupStableDecay,
    from_config,
)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 3000))
def test_every_config_of_the_space_gives_factors_up_to_one(seed: int, steps: int) -> None:
    config = spaces.lr_schedule().sample(np.random.default_rng(seed))
    schedule = from_config(config, steps)
    if isinstance(schedule, ReduceOnPlateau):
        assert 1 <= schedule.patience <= max(1, 0.2 * steps + 1)
        return
    at = sorted({0, 1, steps // 3, steps // 2, steps - 1, steps, steps + 7})
    factors = [schedule(step) for step in at]
    assert all(0.0 <= factor <= 1.0 + 1e-12 for factor in factors), (config, factors)
    assert max(schedule(step) for step in range(min(steps, 400))) > 0.0


@given(steps=st.integers(10, 2000), seed=st.integers(0, 2**32))
def test_shares_of_a_training_do_not_depend_on_its_length(steps: int, seed: int) -> None:
    config = spaces.lr_schedule(schedule="polynomial").sample(np.random.default_rng(seed))
    short, long = from_config(config, steps), from_config(config, 10 * steps)
    assert not isinstance(short, ReduceOnPlateau)
    assert not isinstance(long, ReduceOnPlateau)
    assert short(steps) == pytest.approx(long(10 * steps))


def test_one_worked_by_hand() -> None:
    assert [Step(10, 0.5)(s) for s in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    assert [Piecewise((3, 5), (1.0, 0.1, 0.01))(s) for s in (2, 3, 5)] == [1.0, 0.1, 0.01]
    waves = CosineRestarts(10, stretch=2.0, shrink=0.5)
    assert [round(waves(s), 6) for s in (0, 5, 10, 20, 30)] == [1.0, 0.5, 0.5, 0.25, 0.25]
    flat = WarmupStableDecay(100, warmup=10, decay=20)
    assert [flat(s) for s in (0, 5, 10, 80, 90, 100, 200)] == [0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    assert Warmup(Constant(), 4)(1) == 0.25
    assert max(OneCycle(100)(s) for s in range(100)) == pytest.approx(1.0, abs=1e-3)


def test_a_plateau_is_a_fold() -> None:
    state = ReduceOnPlateau(gamma=0.5, patience=1, cooldown=1)
    seen = []
    for metric in (1.0, 0.9, 0.95, 0.95, 0.95, 0.95, math.nan, 0.5):
        state = state.observe(metric)
        seen.append(state.factor)
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_a_plateau_that_begins_with_nan_sees_what_improves_later() -> None:
    state = ReduceOnPlateau(patience=1).observe(math.nan)
    assert (state.best, state.bad) == (None, 1)
    for metric in (1.0, 0.9, 0.8, 0.7):
        state = state.observe(metric)
    assert (state.best, state.bad, state.factor) == (0.7, 0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(0), "Cosine: steps is above 0, not 0"),
        (lambda: Piecewise((3,), (1.0,)), "give as many factors, not 1"),
        (lambda: Piecewise((3, 2), (1.0, 0.5, 0.1)), "do not ascend"),
        (lambda: WarmupStableDecay(10, 8, 8), "do not fit into 10 steps"),
        (lambda: CosineRestarts(5, 0.5), "stretch is at least 1"),
        (lambda: OneCycle(5, 1.5), "a share of the steps"),
        (lambda: Warmup(Constant(), -1), "0 or more"),
        (lambda: from_config({"schedule": "cosin"}, 10), "did you mean 'cosine'"),
        (lambda: from_config({"schedule": "cosine"}, 10), "needs other options"),
        (lambda: from_config({"schedule": "constant"}, 0), "1 step or more"),
    ],
)
def test_nonsense_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_the_module_is_public() -> None:
    assert schedules.Cosine is Cosine
