"""Let tuners loose on problems; one row per run in a CSV file, which a later run completes.

    python benchmarks/quality/run.py --environments ENVS --surrogates DATA --tuners auto,optuna-gp --seeds 0-9

Runs that the file has already (with as many trials or more) are not made again. A row holds, after
each number of trials in `MARKS`, the true value of the recommended config (for problems without
noise: the best so far) and the CPU time of an ask and tell in the fifth of the trials before.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
#: Numbers of trials after which a run is judged.
MARKS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200)
FIELDS = ["problem", "tuner", "seed", "trials", "error"]
FIELDS += [f"value_{m}" for m in MARKS] + [f"cpu_ms_{m}" for m in MARKS]


@dataclass(frozen=True)
class Job:
    problem: str
    tuner: str
    seed: int
    trials: int


def run(job: Job, client: Any) -> dict[str, Any]:
    """One run. Configs that break a relation cost their tuner time but no trial."""
    from peers import REJECTIONS
    from problems import problems

    problem = problems()[job.problem]
    rng = np.random.default_rng([job.seed, 7])
    row: dict[str, Any] = {**vars(job), "error": ""}
    best_seen, best_config = np.inf, None
    times: list[float] = []
    client.start(problem.space, job.seed, job.trials)
    for number in range(1, job.trials + 1):
        spent = 0.0
        for _ in range(REJECTIONS):
            config, cpu_s = client.ask()
            spent += cpu_s
            if problem.space.satisfies(config):
                break
            spent += client.tell(config, np.nan)
        else:
            raise RuntimeError(f"{REJECTIONS} suggestions in a row broke a relation")
        value = problem.observe(config, rng)
        times.append(spent + client.tell(config, value))
        if value < best_seen or best_config is None:
            best_seen, best_config = value, config
        if number in MARKS:
            chosen = client.recommend() if problem.noise else None
            row[f"value_{number}"] = f"{problem.true(chosen or best_config):.7g}"
            lately = times[-max(5, number // 5) :]
            row[f"cpu_ms_{number}"] = f"{1e3 * statistics.median(lately):.3g}"
    return row


_client: Any = None


def work(job: Job, environments: Path) -> dict[str, Any]:
    """`run` in a pool's process, which keeps its tuner's process while the tuner stays the same."""
    from client import Client, TunerFailed

    global _client
    if _client is not None and _client.tuner != job.tuner:
        _client.close()
        _client = None
    if _client is None:
        _client = Client(job.tuner, environments)
    try:
        return run(job, _client)
    except (TunerFailed, RuntimeError) as error:
        _client.close()
        _client = None
        return {**vars(job), "error": str(error)}


def done(results: Path) -> dict[tuple[str, str, int], int]:
    """How many trials each run in the file has."""
    if not results.exists():
        return {}
    with results.open(newline="") as file:
        return {
            (r["problem"], r["tuner"], int(r["seed"])): int(r["trials"])
            for r in csv.DictReader(file)
        }


def numbers(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def jobs(args: argparse.Namespace) -> Iterator[Job]:
    """What is to be run: seed by seed, cheap tuners first."""
    from peers import peer
    from problems import problems

    names = [
        name
        for name, problem in problems().items()
        if any(w in (problem.half, name, "all", *problem.tags) for w in args.problems.split(","))
    ]
    had = done(args.results)
    tuners = sorted(args.tuners.split(","), key=lambda name: peer(name).cpu_s)
    for seed in numbers(args.seeds):
        for tuner in tuners:
            for name in names:
                if had.get((name, tuner, seed), 0) < args.trials:
                    yield Job(name, tuner, seed, args.trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tuners", required=True, help="names of peers or searchers, with commas")
    parser.add_argument("--problems", default="all", help="dev, final, live, .. or names")
    parser.add_argument("--seeds", default="0-9", help="FIRST-LAST")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--environments", type=Path, default=Path("environments"))
    parser.add_argument("--surrogates", help="the surrogates' folder (see problems/surrogates.py)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.surrogates:
        os.environ["SURROGATES"] = args.surrogates
    todo = list(jobs(args))
    if not args.results.exists():
        with args.results.open("w", newline="") as file:
            csv.DictWriter(file, FIELDS).writeheader()
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.jobs) as pool:
        waiting = [pool.apply_async(work, (job, args.environments.resolve())) for job in todo]
        for count, reply in enumerate(waiting, 1):
            row = reply.get()
            with args.results.open("a", newline="") as file:
                csv.DictWriter(file, FIELDS).writerow(row)
            spent = time.monotonic() - began
            last = f"{row['tuner']} on {row['problem']}, seed {row['seed']} {row['error']}"
            print(f"{count} of {len(todo)}, {spent:.0f} s: {last}", file=sys.stderr)


if __name__ == "__main__":
    main()
