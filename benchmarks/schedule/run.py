"""Run tuners over learning curves in virtual time; resumable, in parallel.

    python -m benchmarks.schedule.run --tuners all --problems final --seeds 0-9 --results results.csv

Costs are in whole trainings of a random config. A row has the trace of a run: each moment at which there was
a better value, as ``cost:error`` pairs.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.schedule.curves import DEV, FINAL, curves
from benchmarks.schedule.tuners import ALL, run

FIELDS = ["tuner", "problem", "half", "seed", "budget", "cpu_s", "lost", "trace"]
#: Whole trainings that random search without stopping gets, and all the others.
RANDOM_BUDGET, BUDGET = 100.0, 30.0

Job = tuple[str, str, int, float]


def done(job: Job) -> dict[str, Any]:
    tuner, name, seed, budget = job
    warnings.filterwarnings("ignore")
    problem = curves(name)
    began = time.process_time()
    trace, lost = run(tuner, problem, seed, budget * problem.full_s)
    return {
        "tuner": tuner,
        "problem": name,
        "half": "dev" if name in DEV else "final",
        "seed": seed,
        "budget": budget,
        "cpu_s": round(time.process_time() - began, 2),
        "lost": "" if lost is None else f"{lost:.6f}",
        "trace": " ".join(thin([(cost / problem.full_s, value) for cost, value in trace])),
    }


def thin(trace: list[tuple[float, float]]) -> Iterator[str]:
    """The last of the values whose costs are the same to one per cent."""
    for _, near in groupby(trace, key=lambda point: math.floor(100 * math.log(point[0]))):
        cost, value = list(near)[-1]
        yield f"{cost:.4f}:{value:.6f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuners", default="all", help="comma-separated, or all")
    parser.add_argument("--problems", default="all", help="dev, final, all, or names")
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results.csv"))
    told = parser.parse_args()
    tuners = ALL if told.tuners == "all" else told.tuners.split(",")
    halves = {"dev": DEV, "final": FINAL, "all": DEV + FINAL}
    names = halves.get(told.problems) or told.problems.split(",")
    first, _, last = told.seeds.partition("-")
    known = set()
    if told.results.exists():
        with told.results.open() as file:
            known = {(r["tuner"], r["problem"], int(r["seed"])) for r in csv.DictReader(file)}
    jobs: list[Job] = [
        (tuner, name, seed, RANDOM_BUDGET if tuner == "random" else BUDGET)
        for seed in range(int(first), int(last or first) + 1)
        for name in names
        for tuner in tuners
        if (tuner, name, seed) not in known
    ]
    with told.results.open("a", newline="") as file, ProcessPoolExecutor(told.jobs) as pool:
        out = csv.DictWriter(file, FIELDS)
        if not known:
            out.writeheader()
        for k, row in enumerate(pool.map(done, jobs), start=1):
            out.writerow(row)
            file.flush()
            print(f"{k} of {len(jobs)}: {row['tuner']} on {row['problem']}, seed {row['seed']}")


if __name__ == "__main__":
    main()
