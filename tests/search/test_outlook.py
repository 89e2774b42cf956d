"""What is still to gain, and studies that end when that is little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.core.strategy import Outlook

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))


def bowl(config: dict[str, Any]) -> float:
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2)


def noisy(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    return bowl(config) + float(0.02 * np.random.default_rng(trial.seed).normal())


def outlooks_of(objective: Any, trials: int) -> list[Outlook]:
    """What 20 more trials would gain, in studies with several seeds."""
    outlooks = []
    for seed in range(4):
        outlook = ts.tune(objective, SPACE, trials=trials, seed=seed, progress=False).outlook(20)
        assert outlook is not None
        outlooks.append(outlook)
    return outlooks


def test_the_more_is_known_the_less_is_to_gain() -> None:
    gains = []
    for trials in (10, 20, 60):
        outlooks = outlooks_of(bowl, trials)
        assert all(0.0 <= outlook.gain <= outlook.bound for outlook in outlooks)
        gains.append(np.median([outlook.gain for outlook in outlooks]))
    assert gains[2] <= gains[0]
    assert gains[2] < 1e-4


def test_little_is_to_gain_at_the_bottom_of_a_bowl() -> None:
    """Most results are nearly as good as the best then, and the others look like a very long tail."""
    assert np.median([outlook.bound for outlook in outlooks_of(bowl, 60)]) < 1e-4


def test_noise_is_told_from_gain() -> None:
    outlooks = outlooks_of(noisy, 60)
    assert {outlook.trials for outlook in outlooks} == {20}
    noise = np.median([outlook.noise for outlook in outlooks])
    assert 0.01 < noise < 0.04
    assert np.median([outlook.gain for outlook in outlooks]) < noise
    assert str(outlooks[0]).startswith("20 more trials are expected to gain 0")


def test_random_search_leaves_more_to_gain_than_was_found() -> None:
    shares = []
    for seed in range(5):
        result = ts.tune(bowl, SPACE, trials=15, seed=seed, searcher="random", progress=False)
        outlook = result.outlook()
        assert outlook is not None
        assert result.best.value is not None
        shares.append(outlook.gain / result.best.value)
    assert np.median(shares) > 0.3


def test_too_little_to_go_by() -> None:
    assert ts.tune(bowl, SPACE, trials=9, seed=1, progress=False).outlook() is None
    study = ts.Study.create(SPACE, metric=["a", "b"], searcher="random")
    assert study.outlook() is None


@pytest.mark.parametrize("least", [1e-4, "noise"])
def test_a_study_ends_when_little_is_to_gain(least: Any) -> None:
    function = bowl if least != "noise" else noisy
    result = ts.tune(function, SPACE, trials=200, seed=1, least_gain=least, progress=False)
    assert result.ended_by == "converged"
    assert 30 <= len(result.trials) <= 150
    assert result.ended.startswith("little is left to gain: 20 more trials are expected to gain")


def test_maximising_is_the_same() -> None:
    def below(config: dict[str, Any]) -> float:
        return bowl(config) - 0.1

    def hill(config: dict[str, Any]) -> float:
        return 0.1 - bowl(config)

    one = ts.tune(below, SPACE, trials=20, seed=1, progress=False).outlook()
    other = ts.tune(hill, SPACE, goal="maximize", trials=20, seed=1, progress=False).outlook()
    assert one is not None
    assert other is not None
    assert one.gain == pytest.approx(other.gain)


@pytest.mark.parametrize(
    ("metric", "goal", "scale"),
    [("val_accuracy", "maximize", 1.0), ("top1-acc", "maximize", 100.0), ("rmse", "minimize", 1.0)],
)
def test_nothing_is_beyond_the_end_of_a_metric(metric: str, goal: Any, scale: float) -> None:
    def clipped(config: dict[str, Any]) -> float:
        error = max(0.0, bowl(config) - 0.05)
        return scale * (1.0 - error if goal == "maximize" else error)

    result = ts.tune(clipped, SPACE, metric=metric, goal=goal, trials=30, seed=1, progress=False)
    assert result.best.value == (scale if goal == "maximize" else 0.0)
    outlook = result.outlook()
    assert outlook is not None
    assert outlook.gain == outlook.bound == 0.0


def test_a_metric_whose_end_is_not_known() -> None:
    def hill(config: dict[str, Any]) -> float:
        return 1.0 - bowl(config)

    one = ts.tune(hill, SPACE, goal="maximize", trials=15, seed=1, progress=False).outlook()
    told = ts.tune(
        hill, SPACE, metric="f1", goal="maximize", trials=15, seed=1, progress=False
    ).outlook()
    assert one is not None
    assert told is not None
    assert told.bound < one.bound


def test_no_loss_below_zero_is_promised_where_none_was() -> None:
    """Heavy-tailed losses above 0: the model of their logs is likelier, and cannot promise it."""

    def heavy(config: dict[str, Any]) -> float:
        return float(np.exp(6.0 * config["x"] - 8.0 * config["y"] + np.sin(9.0 * config["x"])))

    for seed in range(3):
        result = ts.tune(heavy, SPACE, trials=14, seed=seed, searcher="random", progress=False)
        outlook = result.outlook()
        assert outlook is not None
        assert result.best.value is not None
        assert 0.0 < outlook.gain <= outlook.bound <= result.best.value
