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
    told = simulate(
        curve, SPACE, searcher=searcher, scheduler=scheduler, seed=1, trials=16, parallel=3
    )
    states = {trial.state for trial in told.result.trials}
    assert states <= {ts.State.COMPLETED, ts.State.STOPPED, ts.State.PAUSED}
    if name != "threshold":  # which allows nothing here
        assert ts.State.COMPLETED in states
        assert told.result.best.value is not None
    assert told.result.ended_by == "trials"


def test_a_grid() -> None:
    space = ts.Space(x=ts.Float(0.0, 1.0), kind=ts.Choice("a", "b"))

    def flat(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
        for step in range(1, STEPS + 1):
            yield 1.0, config["x"] + 1.0 / step

    told = simulate(
        flat, space, searcher={"grid": {"levels": 4}}, scheduler={"asha": {"max": STEPS}}, seed=1
    )
    assert told.result.ended_by == "exhausted"
    assert len(told.result.trials) == 8
