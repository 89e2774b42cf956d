"""Every scheduler works with every searcher: in virtual time, on curves of two kinds of configs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.schedule.test_schedulers import OPTIONS

import tunesmith as ts
from tunesmith import search
from tunesmith.tuning.simulate import simulate

SPACE = ts.Space(
    x=ts.Float(1e-4, 1.0, log=True),
    k=ts.Int(1, 8),
    kind=ts.Choice("a", "b"),
    y=ts.Float(0.0, 1.0, when={"kind": "b"}),
)
#: The first configs, for the schedulers that need a certain one.
STEPS = 9


def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    floor = abs(config["x"] - 0.1) + config["k"] / 10 + config.get("y", 0.5)
    for step in range(1, STEPS + 1):
        yield 1.0 + config["k"], floor + 1.0 / step


@pytest.mark.parametrize("searcher", [name for name in search.names() if name != "grid"])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "scripted"])
def test_all_pairs(name: str, searcher: str) -> None:
    scheduler = {name.split(",", maxsplit=1)[0]: OPTIONS[name]}
    simulated = simulate(
        curve, SPACE, searcher=searcher, scheduler=scheduler, seed=1, trials=16, parallel=3
    )
    states = {trial.state for trial in simulated.result.trials}
    assert states <= {ts.State.COMPLETED, ts.State.STOPPED, ts.State.PAUSED}
    if name != "threshold":  # which allows nothing here
        assert ts.State.COMPLETED in states
        assert simulated.result.best.value is not None
    assert simulated.result.ended_by == "trials"


@pytest.mark.parametrize("configs", [3, 12])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "scripted"])
def test_a_grid(name: str, configs: int) -> None:
    """No limit says when the last trial has begun: the searcher does."""
    simulated = simulate(
        flat,
        ts.Space(x=ts.Float(0.0, 1.0)),
        searcher={"grid": {"levels": configs}},
        scheduler={name.split(",", maxsplit=1)[0]: OPTIONS[name]},
        parallel=2,
        seed=1,
    )
    assert simulated.result.ended_by == "exhausted"
    assert len([t for t in simulated.result.trials if t.parent is None]) == configs
    if name != "threshold":
        assert simulated.result.counts[ts.State.COMPLETED]
    if name == "hyperband":
        assert not simulated.result.counts[ts.State.PAUSED]


def flat(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    for step in range(1, STEPS + 1):
        yield 1.0, config["x"] + 1.0 / step


#: Those that let trials go on which they have paused.
PAUSING = {
    "asha": {"max": 27, "type": "promotion"},
    "freeze_thaw": {"max": 27},
    "hyperband": {"max": 27, "min": 1},
    "pasha": {"max": 27},
    "pbt": {"max": 27, "interval": 5},
}


def long(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
    for step in range(1, 28):
        yield 1.0, abs(config["x"] - 0.3) + 1.0 / step


ENDS: list[tuple[str, dict[str, Any]]] = [
    ("trials", {"trials": 25}),
    ("confirmed", {"trials": 25, "confirm": 3}),
    ("confirmed", {"trials": 40, "confirm": 3, "parallel": 3}),
    ("no_improvement", {"no_improvement": 15}),
    ("no_improvement", {"no_improvement": 15, "parallel": 3}),
    ("time", {"time": 200.0}),
    ("time", {"time": 200.0, "parallel": 3}),
]


@pytest.mark.parametrize(
    ("name", "why", "limits"),
    [
        (name, why, limits)
        for name in PAUSING
        for why, limits in ENDS
        if (name, why) != ("pasha", "no_improvement")  # it completes none while the search goes on
    ],
)
def test_however_a_study_ends_a_trial_has_been_completed(
    name: str, why: str, limits: dict[str, Any]
) -> None:
    simulated = simulate(
        long,
        ts.Space(x=ts.Float(0.0, 1.0)),
        searcher="random",
        scheduler={name: PAUSING[name]},
        seed=1,
        **limits,
    )
    result = simulated.result
    assert result.counts[ts.State.COMPLETED]
    assert result.ended_by in {why, "trials"}
    if "confirm" in limits:
        assert result.confirmed


@pytest.mark.parametrize("every", [0, 2, 4], ids="saves every {}".format)
@pytest.mark.parametrize("name", ["pbt", "pb2", "freeze_thaw", "hyperband", "pasha"])
def test_whoever_goes_on_from_an_earlier_step_comes_further(name: str, every: int) -> None:
    """A trial that saves nothing, or less often than it is paused, is not sent back at the same step for ever."""
    steps = 0

    def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        nonlocal steps
        begin: int = trial.restore() or 0
        for step in range(begin + 1, STEPS + 1):
            steps += 1
            assert steps < 1000  # ends the trial, which is seen below
            if every and step % every == 0:
                trial.save(step, step=step)
            trial.report(step=step, value=config["x"] + 1.0 / step)
        return float(config["x"])

    result = ts.tune(
        train,
        ts.Space(x=ts.Float(0.0, 1.0)),
        trials=6,
        searcher="random",
        scheduler={name: OPTIONS[name]},
        seed=1,
        progress=False,
    )
    assert result.ended_by == "trials"
    assert steps < 1000
