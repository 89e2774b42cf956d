"""What plain search reaches at its end, and what it costs to reach it with a look at the cost: lcbench, by seconds of training.

    python benchmarks/several/cost.py --problems FOLDER --seeds 0-9

Each study has the budget of as many average trials as `--trials`; plain search does not know of it. For each problem the goal is the
median of what plain search has at its end over the seeds. Printed are the geometric means of the shares of the budget at which it
is reached, by plain search and with a look at the cost (`NEVER` where it is not), and of them all the ratio.
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
    seeds = range(int(first), int(last or first) + 1)
    ratios: list[float] = []
    for name in options.only:
        problem = problems.get_problem(f"lcbench/{name}")
        budgets = [_budget(problem, seed, options.trials) for seed in seeds]
        plain, priced = (
            [_run(problem, seed, b, priced=p) for seed, b in zip(seeds, budgets, strict=True)]
            for p in (False, True)
        )
        ends = [min(v for v, _ in run) for run in plain]
        goal = float(np.median(ends))
        shares = [
            [_share(run, goal, b) for run, b in zip(runs, budgets, strict=True)]
            for runs in (plain, priced)
        ]
        strict = [_share(run, e, b) for run, e, b in zip(priced, ends, budgets, strict=True)]
        means = [_mean(mine) for mine in (*shares, strict)]
        ratios.append(means[1] / means[0])
        print(
            f"{name}: plain {means[0]:.2f}, priced {means[1]:.2f}, ratio {ratios[-1]:.2f}; "
            f"to what plain has with the same seed {means[2]:.2f}; never {shares[0].count(NEVER)} and "
            f"{shares[1].count(NEVER)} of {len(ends)}",
            flush=True,
        )
    print(f"all: {_mean(ratios):.2f}")


def _mean(shares: list[float]) -> float:
    return math.exp(float(np.mean(np.log(shares))))


def _budget(problem: Any, seed: int, trials: int) -> float:
    rng = np.random.default_rng(seed)
    return trials * float(np.mean([problem.cost(problem.sample(rng)) for _ in range(200)]))


def _share(run: list[tuple[float, float]], goal: float, budget: float) -> float:
    """Of the budget, what is spent when the goal is reached."""
    return next((spent / budget for value, spent in run if value <= goal), NEVER)


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
        if spent <= budget:
            out.append((value, spent))
    return out


if __name__ == "__main__":
    main()
