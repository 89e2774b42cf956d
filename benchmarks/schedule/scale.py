"""What a decision takes in a study of 100,000 trials with 100 reports each, and how busy 64 workers are.

python -m benchmarks.schedule.scale
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import tunesmith as ts
from tunesmith import schedule
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.rng import stream
from tunesmith.core.strategy import Resumer
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.tuning.simulate import simulate

STEPS = 100
SCHEDULERS: dict[str, dict[str, Any]] = {
    "asha": {"max": STEPS},
    "asha, promotion": {"max": STEPS, "type": "promotion"},
    "hyperband": {"max": STEPS},
    "pasha": {"max": STEPS},
    "forecast": {},
    "median": {},
    "percentile": {},
    "threshold": {"worst": 10.0},
    "patience": {"reports": 10},
    "racing": {},
}
#: Decisions that are timed, after as many that are not.
TIMED = 200


def big(trials: int) -> Ledger:
    """Trials that all ran to their end."""
    spec = StudySpec(name="big", space=ts.Space(x=ts.Float(0, 1)), objectives=(Objective("loss"),))
    ledger = Ledger(spec)
    ledger.apply(events.Opened(0.0, "s", "host", 1, 0.0))
    rng = np.random.default_rng(0)
    curve = 1.0 / np.arange(1, STEPS + 1)
    for number in range(trials):
        begin(ledger, number, rng)
        for step, loss in enumerate((rng.random() + curve).tolist(), start=1):
            ledger.apply(events.Reported(0.0, number, 0, step, {"loss": loss}))
        ledger.apply(events.Finished(0.0, number, 0, State.COMPLETED, (loss,), {"loss": loss}))
    return ledger


def begin(ledger: Ledger, number: int, rng: np.random.Generator) -> None:
    config = {"x": float(rng.random())}
    ledger.apply(events.Suggested(0.0, number, config, Origin(USER), "s"))


def decisions(ledger: Ledger, name: str, options: dict[str, Any]) -> tuple[float, float]:
    """Median and longest time of a decision and, for those who pause, of what is to go on, in ms."""
    scheduler = schedule.make(Strategy(name.split(",", maxsplit=1)[0], options))
    assert scheduler is not None
    memo: dict[Any, Any] = {}
    rng, took = np.random.default_rng(1), []
    number = ledger.size
    begin(ledger, number, rng)
    for step in range(1, 2 * TIMED + 1):
        if step % STEPS == 1 and step > 1:
            ledger.apply(events.Finished(0.0, number, 0, State.CANCELLED))
            number = ledger.size
            begin(ledger, number, rng)
        at = (step - 1) % STEPS + 1
        loss = {"loss": float(rng.random()) + 1.0 / at}
        ledger.apply(events.Reported(0.0, number, 0, at, loss))
        began = time.perf_counter()
        scheduler.decide(History(ledger, memo=memo), number)
        if isinstance(scheduler, Resumer):
            scheduler.resume(History(ledger, memo=memo), stream(0, number, "resume"))
        took.append(1000 * (time.perf_counter() - began))
    ledger.apply(events.Finished(0.0, number, 0, State.CANCELLED))
    return float(np.median(took[TIMED:])), float(np.max(took[TIMED:]))


def busy(scheduler: Any) -> float:
    """The share of 64 workers' time that is spent in trials, over 1,000 of them."""

    def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
        for step in range(1, STEPS + 1):
            yield 10.0 + 50.0 * config["x"], (config["x"] - 0.3) ** 2 + 1.0 / step

    space = ts.Space(x=ts.Float(0, 1))
    told = simulate(
        curve, space, searcher="random", seed=1, parallel=64, scheduler=scheduler, time="20h"
    )
    return told.busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    told = parser.parse_args()
    for name, options in SCHEDULERS.items():
        if name in ("asha", "asha, promotion"):
            share = busy({name.split(",")[0]: options})
            print(f"{name}: 64 workers busy {100 * share:.2f} % of the time")
    ledger = big(told.trials)
    for name, options in SCHEDULERS.items():
        median, longest = decisions(ledger, name, options)
        print(
            f"{name}: a decision takes {median:.3f} ms, at most {longest:.3f}, at {told.trials:,} trials"
        )


if __name__ == "__main__":
    main()
