"""tunesmith's side of the speed benchmarks: ``python ours.py CASE [N]`` prints one JSON object.

Every case runs in a process of its own, on the same work as `optuna_side`.
"""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tunesmith as ts


def two_floats() -> ts.Space:
    return ts.Space(x=ts.Float(-5, 5), y=ts.Float(-5, 5))


def five_mixed() -> ts.Space:
    return ts.Space(
        x=ts.Float(-5, 5),
        y=ts.Float(1e-5, 1e-1, log=True),
        z=ts.Float(0, 1),
        k=ts.Int(1, 512, log=True),
        c=ts.Choice("sgd", "adam", "rmsprop"),
    )


def sphere(config: dict[str, Any]) -> float:
    return float(config["x"] ** 2 + config["y"] ** 2)


def no_op(_: dict[str, Any]) -> float:
    return 0.5


def tuned(n: int, space: ts.Space, objective: Any = sphere, **options: Any) -> dict[str, float]:
    """Trials per second of `n` trials of random search, imports and a warm-up not counted."""
    ts.tune(sphere, two_floats(), trials=10, searcher="random", progress=False)
    began = time.perf_counter()
    result = ts.tune(
        objective, space, trials=n, searcher="random", seed=1, progress=False, **options
    )
    took = time.perf_counter() - began
    assert len(result.trials) == n
    return {"per_s": n / took}


def in_file(n: int, **options: Any) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return tuned(n, two_floats(), storage=Path(folder) / "study.db", **options)


def ask_after(n: int) -> dict[str, float]:
    """Median seconds of ask + tell with `n` finished trials (random search, memory)."""
    study = ts.Study.create(two_floats(), searcher="random", seed=1)
    fill(study, n)
    laps = []
    for _ in range(300):
        began = time.perf_counter()
        trial = study.ask()
        laps.append(time.perf_counter() - began)
        study.tell(trial, 1.0)
    return {"ask_us": sorted(laps)[len(laps) // 2] * 1e6}


def fill(study: ts.Study, n: int) -> None:
    for _ in range(n):
        study.tell(study.ask(), 1.0)


def make_big(n: int) -> dict[str, float]:
    """Write a study of `n` trials to big.db, for `open_best`."""
    Path("big.db").unlink(missing_ok=True)
    return tuned(n, five_mixed(), storage="big.db", name="big")


def open_best(_: int) -> dict[str, float]:
    """Open big.db by the command line and show its best: seconds and peak megabytes."""
    began = time.perf_counter()
    command = [str(Path(sys.executable).parent / "tunesmith"), "best", "big", "--storage", "big.db"]
    subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": took, "mb": peak}


def open_history(_: int) -> dict[str, float]:
    """Open big.db in Python and read its best trial with the whole history."""
    began = time.perf_counter()
    study = ts.Study.open("big", storage="big.db")
    assert study.best.value is not None
    took = time.perf_counter() - began
    return {"s": took, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def million(n: int) -> dict[str, float]:
    """Peak megabytes of a history of `n` trials of five parameters."""
    from tunesmith.core import events
    from tunesmith.core.ledger import Ledger
    from tunesmith.core.rng import passing_stream
    from tunesmith.core.study import StudySpec
    from tunesmith.core.trial import Cost, Origin, State

    spec = StudySpec(name="million", space=five_mixed())
    ledger = Ledger(spec)
    origin = Origin("random", "", 1, 1, 1, 0)
    cost = Cost(1.0, 1.0, 1, None)
    began = time.perf_counter()
    for k in range(n):
        config = spec.space.sample(passing_stream(0, k, "suggest"))
        ledger.apply(events.Suggested(float(k), k, config, origin, "s"))
        finished = events.Finished(
            float(k), k, 0, State.COMPLETED, (float(k),), {"value": float(k)}, None, cost
        )
        ledger.apply(finished)
    took = time.perf_counter() - began
    return {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "us": took / n * 1e6}


CASES: dict[str, Callable[[int], dict[str, float]]] = {
    "memory2": lambda n: tuned(n, two_floats()),
    "memory5": lambda n: tuned(n, five_mixed()),
    "sqlite": in_file,
    "power8": lambda n: in_file(n, durability="power", parallel=8),
    "process2": lambda n: tuned(n, two_floats(), no_op, parallel=2),
    "ask": ask_after,
    "make_big": make_big,
    "open_best": open_best,
    "open_history": open_history,
    "million": million,
}

if __name__ == "__main__":
    logging.disable()
    print(json.dumps(CASES[sys.argv[1]](int(sys.argv[2]))))
