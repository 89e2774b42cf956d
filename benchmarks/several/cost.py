"""What plain search reaches at its end, and what it costs to reach it with a look at the cost: lcbench, by seconds of training.

    python benchmarks/several/cost.py --problems FOLDER --seeds 0-9

Each study has the budget of as many average trials as `--trials`; plain search does not know of it. Prints, for each problem, the
share of plain search's whole cost at which the other has what plain search has at its end (2 where it never has), and the geometric
mean of all.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tunesmith as ts

NAMES = ["3945", "7593", "126025", "146212", "167104", "168330", "189862", "189906"]
#: What a study counts that never has the value.
NEVER = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", nargs="*", default=NAMES)
    options = parser.parse_args()
    sys.path.insert(0, str(options.problems))
    problems = importlib.import_module("problems")
    first, _, last = options.seeds.partition("-")
    shares: list[float] = []
    for name in options.only:
        problem = problems.get_problem(f"lcbench/{name}")
        seeds = range(int(first), int(last or first) + 1)
        mine = [_share(problem, seed, options.trials) for seed in seeds]
        shares += mine
        print(name, " ".join(f"{share:.2f}" for share in mine), f"-> {_mean(mine):.2f}", flush=True)
    print(f"all: {_mean(shares):.2f}, median {np.median(shares):.2f}")


def _mean(shares: list[float]) -> float:
    return math.exp(float(np.mean(np.log(shares))))


def _share(problem: Any, seed: int, trials: int) -> float:
    rng = np.random.default_rng(seed)
    budget = trials * float(np.mean([problem.cost(problem.sample(rng)) for _ in range(200)]))
    plain, priced = (_run(problem, seed, budget, priced=p) for p in (False, True))
    goal = min(value for value, spent in plain if spent <= budget)
    return next((spent / budget for value, spent in priced if value <= goal), NEVER)


def _run(problem: Any, seed: int, budget: float, *, priced: bool) -> list[tuple[float, float]]:
    """The values, and what was spent when they came."""
    space = {
        p["name"]: (ts.Float if p["kind"] == "float" else ts.Int)(p["low"], p["high"], log=p["log"])
        for p in problem.space
    }
    limits: Any = {"cost_metric": "seconds", "cost": budget} if priced else {"trials": 10_000}
    study = ts.Study.create(ts.Space(space), metric="loss", seed=seed, **limits)
    out: list[tuple[float, float]] = []
    spent = 0.0
    while spent < budget:
        trial = study.ask()
        value, seconds = problem.evaluate(trial.config), problem.cost(trial.config)
        study.tell(trial, {"loss": value, "seconds": seconds})
        spent += seconds
        out.append((value, spent))
    return out


if __name__ == "__main__":
    main()
