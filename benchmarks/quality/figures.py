"""Write ``problems/figures.json``: the best value known and the median of random configs.

    python benchmarks/quality/figures.py [PROBLEM..]

The best is of 2,000 random configs (300 for live problems) and 1,000 (400) mutants of the best of them; the
report takes a better one where a run has found it. Of a problem whose optimum moves the median is for the noise only: the report
measures that of each seed.
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np

from problems import FIGURES, Problem, problems
from tunesmith.numeric.candidates import mutants

#: True minima.
EXACT = {
    "hartmann6": -3.32237, "levy8": 0.0, "optimizers": 0.0, "grids": 0.0,
    "ackley10": 0.0, "michalewicz5": -4.687658, "pipeline": 0.0, "cells+errors": 0.05,
    "rosenbrock6": 0.0, "styblinski5": -195.830829, "griewank4": 0.0, "ackley5": 0.0, "valley6": 0.0,
    "dixon4": 0.0, "michalewicz4": -3.698857, "shekel4": -10.536410, "levy4": 0.0, "ackley3": 0.0,
    "rastrigin3": 0.0, "hartmann6/moved": -3.32237,
}  # fmt: skip


def measured(problem: Problem) -> dict[str, float]:
    rng = np.random.default_rng(0)
    live = "live" in problem.tags
    count, rounds = (300, 4) if live else (2000, 10)
    points = np.array([problem.space.encode(problem.space.sample(rng)) for _ in range(count)])
    values = np.array(
        [problem.true(problem.space.decode(np.nan_to_num(p, nan=0.5))) for p in points]
    )
    values = np.where(np.isfinite(values), values, np.inf)
    median = float(np.median(values))
    choices = np.zeros(points.shape[1], dtype=np.bool_)
    for _ in range(rounds):
        top = np.argsort(values)[:10]
        bred = mutants(points[top], 100, np.zeros(points.shape[1]), choices, rng)
        for point in bred:
            config = problem.space.decode(point)
            if problem.space.satisfies(config):
                points = np.vstack([points, problem.space.encode(config)])
                value = problem.true(config)
                values = np.append(values, value if math.isfinite(value) else np.inf)
    best = EXACT.get(problem.name.removesuffix("+noise"), float(values.min()))
    return {"best": best, "median": median}


def main() -> None:
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for problem in problems().values():
        base = problem.name.removesuffix("+noise")
        if problem.moved is not None and base in known:
            continue
        if (sys.argv[1:] and base not in sys.argv[1:]) or (not sys.argv[1:] and base in known):
            continue
        known[base] = measured(problem)
        print(base, known[base], flush=True)
        FIGURES.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


main()
