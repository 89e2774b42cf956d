"""A coordinator to be killed: ``python coordinator.py STORAGE MODE TRIALS LOG``.

Tunes a small function and writes a line to LOG for each trial that it knows to be recorded: what is in
LOG must never be lost. Says so when it is at work.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import tunesmith as ts
from tunesmith.core.ledger import Ledger
from tunesmith.tuning.feed import Follower


def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    trial.report(step=1, loss=config["x"])
    time.sleep(random.uniform(0.0, 0.03))
    return float(config["x"] ** 2 + config["k"])


def main(storage: str, mode: str, trials: int, log: Path) -> None:
    follower = Follower()

    def watcher(ledger: Ledger, _: float) -> None:
        print("at work", flush=True)
        with log.open("a") as file:
            for trial in follower.new(ledger):
                file.write(f"{trial.number} {trial.value!r}\n")

    ts.tune(
        objective,
        ts.Space(x=ts.Float(-5, 5), k=ts.Int(0, 3)),
        metric="loss",
        name="killed",
        storage=storage,
        searcher="random",
        seed=1,
        trials=trials,
        parallel=1 if mode == "inline" else 2,
        retries=1000,
        progress=False,
        watcher=watcher,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
