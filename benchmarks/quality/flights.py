"""Long runs, and trials side by side, on the problems of numbers: a CSV file, which a later run completes.

    python benchmarks/quality/flights.py long --seeds 0-4 --results long.csv       500 trials of six numbers, CMA-ES beside
    python benchmarks/quality/flights.py eight --seeds 0-3 --results eight.csv     50 trials, 8 at a time, and 43 and 50 one by one

CMA-ES is pycma (`pip install cma`) from a random point with a step of 0.25 of the ranges, started again where it ends. Side by
side all trials take equally long: the one that began first ends, and one is suggested. A row has the least true value after each number of trials in
`MARKS` (of trials that have ended).
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from problems import Config, Problem, problems
from run import numbers
from tunesmith import Study

MARKS = (25, 43, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500)
FIELDS = ["problem", "half", "tuner", "seed", "unit", *(f"at_{m}" for m in MARKS)]
LONG = ("rosenbrock6", "valley6", "hartmann6/moved")


def ours(problem: Problem, seed: int, trials: int, flying: int) -> Iterator[float]:
    """The true values in the order in which they are told; `flying` run at a time."""
    study = Study.create(problem.space, seed=seed, trials=trials)
    running: list[Any] = []
    asked = 0
    while asked < trials or running:
        while asked < trials and len(running) < flying:
            running.append(study.ask())
            asked += 1
        trial = running.pop(0)
        value = problem.true(dict(trial.config))
        study.tell(trial, value)
        yield value


def pycma(problem: Problem, seed: int, trials: int) -> Iterator[float]:
    import cma

    names, rng = list(problem.space.tunables), np.random.default_rng(seed)
    told = 0
    while told < trials:
        options = {"bounds": [0, 1], "seed": seed + 1000 * told + 1, "verbose": -9}
        strategy = cma.CMAEvolutionStrategy(rng.random(len(names)), 0.25, options)
        while not strategy.stop() and told < trials:
            points = strategy.ask()
            values = [problem.true(_config(problem, names, point)) for point in points]
            strategy.tell(points, values)
            yield from values[: trials - told]
            told += len(values)


def _config(problem: Problem, names: list[str], point: Any) -> Config:
    columns = problem.space.tunables
    return {name: columns[name].decode(float(u)) for name, u in zip(names, point, strict=True)}


def row(problem: Problem, tuner: str, seed: int, values: Iterator[float]) -> dict[str, Any]:
    """With its regret after each number of trials: 0 the best known, 1 the median of random configs."""
    best = problem.figure["best"]
    unit = problem.median(seed) - best
    made: dict[str, Any] = {"problem": problem.name, "half": problem.half, "tuner": tuner}
    made |= {"seed": seed, "unit": f"{unit:.6g}"}
    least = math.inf
    for count, value in enumerate(values, 1):
        least = min(least, value)
        if count in MARKS:
            made[f"at_{count}"] = f"{(least - best) / unit:.6g}"
    return made


def jobs(what: str, half: str | None) -> Iterator[tuple[Problem, str, int, int]]:
    """Problem, tuner, trials, and how many run at a time."""
    for problem in problems().values():
        if "numbers" not in problem.tags or half not in (None, problem.half):
            continue
        if what == "long" and problem.name in LONG:
            yield problem, "auto", 500, 1
            yield problem, "cma", 500, 1
        if what == "eight":
            yield problem, "auto", 50, 1
            yield problem, "auto/8", 50, 8


def report(rows: list[dict[str, str]]) -> None:
    """Medians and means over seeds, per problem and over all."""
    tuners = list(dict.fromkeys(r["tuner"] for r in rows))
    for name in (*dict.fromkeys(r["problem"] for r in rows), "all"):
        for tuner in tuners:
            of = [r for r in rows if r["tuner"] == tuner and name in ("all", r["problem"])]
            told = []
            for m in MARKS:
                at = [float(r[f"at_{m}"]) for r in of if r[f"at_{m}"]]
                if at:
                    told.append(f"{m}: {statistics.median(at):.3g} {statistics.mean(at):.3g}")
            print(f"{name} {tuner} n={len(of)}: median mean at {', '.join(told)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("long", "eight"))
    parser.add_argument("--seeds", default="0-2", help="FIRST-LAST")
    parser.add_argument("--half", choices=("dev", "final"))
    parser.add_argument("--results", type=Path, required=True)
    args = parser.parse_args()
    had = []
    if args.results.exists():
        with args.results.open(newline="") as file:
            had = list(csv.DictReader(file))
    done = {(r["problem"], r["tuner"], r["seed"]) for r in had}
    with args.results.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not had:
            writer.writeheader()
        for seed in numbers(args.seeds):
            for problem, tuner, trials, flying in jobs(args.what, args.half):
                if (problem.name, tuner, str(seed)) in done:
                    continue
                here = problem.of_seed(seed)
                if tuner == "cma":
                    values = pycma(here, seed, trials)
                else:
                    values = ours(here, seed, trials, flying)
                writer.writerow(row(problem, tuner, seed, values))
                file.flush()
    with args.results.open(newline="") as file:
        report(list(csv.DictReader(file)))


if __name__ == "__main__":
    main()
