"""deterministic=True: the same trials, however fast the workers are."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

import tunesmith as ts
from tunesmith.core.history import History
from tunesmith.core.space.space import Config, Space


@dataclass(frozen=True)
class NearTheBest:
    """A searcher that depends on all results, so that any difference shows."""

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Config]:
        if history.best is None:
            return [space.sample(rng) for _ in range(n)]
        centre = history.points[history.best]
        return [
            space.decode((centre + rng.normal(0, 0.1, len(space))).clip(0, 1)) for _ in range(n)
        ]


def restless(config: dict[str, Any]) -> float:
    time.sleep(random.SystemRandom().uniform(0, 0.04))
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2)


def configs(seed: int) -> list[Config]:
    result = ts.tune(
        restless,
        ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)),
        searcher=NearTheBest(),
        deterministic=True,
        parallel=4,
        trials=40,
        seed=seed,
        progress=False,
    )
    return [trial.config for trial in result.trials]


def test_three_runs_with_four_workers_of_random_speed_are_identical() -> None:
    first = configs(1)
    assert configs(1) == first
    assert configs(1) == first
    assert configs(2) != first
