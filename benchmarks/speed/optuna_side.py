"""Optuna's side of the speed benchmarks: ``python optuna_side.py CASE [N]`` prints one JSON object."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def two_floats(trial: Any) -> float:
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", -5, 5)
    return float(x**2 + y**2)


def five_mixed(trial: Any) -> float:
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_float("y", 1e-5, 1e-1, log=True)
    trial.suggest_float("z", 0, 1)
    trial.suggest_int("k", 1, 512, log=True)
    trial.suggest_categorical("c", ["sgd", "adam", "rmsprop"])
    return float(x**2 + y**2)


def tuned(
    n: int, objective: Callable[[Any], float], storage: str | None = None
) -> dict[str, float]:
    optuna.create_study().optimize(two_floats, n_trials=10)
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(sampler=sampler, storage=storage)
    began = time.perf_counter()
    study.optimize(objective, n_trials=n)
    return {"per_s": n / (time.perf_counter() - began)}


def in_file(n: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return tuned(n, two_floats, f"sqlite:///{folder}/study.db")


CASES: dict[str, Callable[[int], dict[str, float]]] = {
    "memory2": lambda n: tuned(n, two_floats),
    "memory5": lambda n: tuned(n, five_mixed),
    "sqlite": in_file,
}

if __name__ == "__main__":
    print(json.dumps(CASES[sys.argv[1]](int(sys.argv[2]))))
