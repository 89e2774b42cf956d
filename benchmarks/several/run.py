"""Tune problems with several objectives, or with constraints: one row per run in a CSV file, which a later run completes.

    python benchmarks/several/run.py --problems FOLDER --tuner auto --seeds 0-9
    PEERS/bin/python benchmarks/several/run.py --problems FOLDER --tuner optuna-gp --seeds 0-9

FOLDER has `several.py` (the problems, see its docstring). A tuner called `optuna-...` needs Optuna instead of tunesmith, and may
run in an environment of its own. A row holds the share of the best known hypervolume after each number of trials in MARKS
(with one objective: of the way from the reference to the best known value), the first feasible trial, and the CPU time of
a trial, problem included.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARKS = (25, 50, 100)
FIELDS = [
    "problem",
    "tuner",
    "seed",
    "trials",
    *(f"volume_{m}" for m in MARKS),
    "feasible_at",
    "cpu_ms",
]

Evaluate = Callable[[dict[str, Any]], dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--tuner", default="auto")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--half", choices=["dev", "final"], default="dev")
    parser.add_argument("--only", nargs="*", help="names of problems")
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    for name in options.only or problems(options.problems, options.half):
        for seed in range(int(first), int(last or first) + 1):
            if (name, options.tuner, str(seed)) in done(options.results, options.trials):
                continue
            values = row(name, options.tuner, seed, options.trials)
            append(options.results, values)
            print(*values, flush=True)


def problems(folder: Path, half: str) -> list[str]:
    """The names of the problems of one half; those of both can be got by `several.get_several` from then on."""
    if str(folder) not in sys.path:
        sys.path[:0] = [str(folder), str(HERE)]
    several = importlib.import_module("several")
    final: list[str] = importlib.import_module("final").register(several)
    dev: list[str] = several.list_several("dev")
    return final if half == "final" else dev


def row(name: str, tuner: str, seed: int, trials: int) -> list[Any]:
    """One run, as a row of the results."""
    problem = importlib.import_module("several").get_several(name)
    values: list[dict[str, float]] = []

    def evaluate(config: dict[str, Any]) -> dict[str, float]:
        values.append(problem.evaluate(config))
        return values[-1]

    tune = (
        _botorch if tuner == "botorch" else _optuna if tuner.startswith("optuna-") else _tunesmith
    )
    began = time.process_time()
    tune(tuner, problem, evaluate, seed, trials)
    cpu_ms = 1000 * (time.process_time() - began) / trials
    return [name, tuner, seed, trials, *_measured(problem, values), f"{cpu_ms:.1f}"]


def _measured(problem: Any, values: list[dict[str, float]]) -> list[str]:
    volumes = [f"{problem.hypervolume(values[:m]):.5f}" if m <= len(values) else "" for m in MARKS]
    kept = (i for i, v in enumerate(values, 1) if all(v[c] <= 0 for c in problem.constraints))
    return [*volumes, str(next(kept, ""))]


def done(results: Path, trials: int) -> set[tuple[str, ...]]:
    """The runs that are there with as many trials."""
    if not results.exists():
        return set()
    with results.open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["trials"]) >= trials]
    return {(row["problem"], row["tuner"], row["seed"]) for row in rows}


def append(results: Path, row: list[Any]) -> None:
    new = not results.exists()
    with results.open("a", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([FIELDS, row] if new else [row])


def _tunesmith(tuner: str, problem: Any, evaluate: Evaluate, seed: int, trials: int) -> None:
    import tunesmith as ts

    made: dict[str, Any] = {}
    for p in problem.space:
        when: Any = {}
        if p["condition"] is not None:
            when = {"when": {p["condition"][0]: list(p["condition"][1])}}
        if p["kind"] == "categorical":
            made[p["name"]] = ts.Choice(*p["choices"], **when)
        else:
            kind = ts.Float if p["kind"] == "float" else ts.Int
            made[p["name"]] = kind(p["low"], p["high"], log=p["log"], **when)
    study = ts.Study.create(
        ts.Space(made),
        metric=list(problem.objectives),
        constraints=[f"metric({name!r}) <= 0" for name in problem.constraints],
        searcher=tuner,
        seed=seed,
        trials=trials,
    )
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, evaluate(trial.config))


def _optuna(tuner: str, problem: Any, evaluate: Evaluate, seed: int, trials: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {
        "optuna-tpe": optuna.samplers.TPESampler,
        "optuna-gp": optuna.samplers.GPSampler,
        "optuna-nsga2": optuna.samplers.NSGAIISampler,
    }
    options = {"constraints_func": lambda t: t.user_attrs["broken"]} if problem.constraints else {}
    sampler = samplers[tuner](seed=seed, **options)
    study = optuna.create_study(directions=["minimize"] * len(problem.objectives), sampler=sampler)

    def objective(trial: Any) -> list[float]:
        config: dict[str, Any] = {}
        for p in problem.space:
            if (
                p["condition"] is not None
                and config.get(p["condition"][0]) not in p["condition"][1]
            ):
                continue
            if p["kind"] == "categorical":
                config[p["name"]] = trial.suggest_categorical(p["name"], p["choices"])
            else:
                suggest = trial.suggest_float if p["kind"] == "float" else trial.suggest_int
                config[p["name"]] = suggest(p["name"], p["low"], p["high"], log=p["log"])
        values = evaluate(config)
        trial.set_user_attr("broken", [values[name] for name in problem.constraints])
        return [values[name] for name in problem.objectives]

    study.optimize(objective, n_trials=trials)


def _botorch(_tuner: str, problem: Any, evaluate: Evaluate, seed: int, trials: int) -> None:
    """Where there are numbers alone and no constraints."""
    import numpy as np

    sys.path.append(str(HERE.parent / "quality"))
    peer = importlib.import_module("peers.botorch")
    if problem.constraints or any(p["kind"] == "categorical" for p in problem.space):
        raise ValueError(
            f"{problem.name}: this adapter of BoTorch is for numbers, without constraints"
        )
    suggest = peer.Suggest(len(problem.space), seed)
    points: list[Any] = []
    losses: list[list[float]] = []
    for _ in range(trials):
        points.append(suggest(np.array(points), np.array(losses)))
        config = {
            p["name"]: peer.number(p["kind"], p["low"], p["high"], p["log"], share)
            for p, share in zip(problem.space, points[-1].tolist(), strict=True)
        }
        values = evaluate(config)
        losses.append([values[name] for name in problem.objectives])


if __name__ == "__main__":
    main()
