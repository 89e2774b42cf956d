"""Let tuners loose on problems; one row per run in a CSV file, which a later run completes.

    python benchmarks/quality/run.py --environments ENVS --surrogates DATA --tuners auto,optuna-gp --seeds 0-9
    python benchmarks/quality/run.py --tuners auto,optuna-tpe,optuna-gp:50,random:100:10 --seeds 0-19 --jobs 16 \\
        --problems trained --half dev --limit-s 500 --evaluations FOLDER --results live.csv

``optuna-gp:50`` has 50 trials instead of `--trials`, ``random:100:10`` 100 trials and the first 10 seeds only. Without
`--environments` the peers are those of this Python. Runs that the file has already (with as many trials or more) are
not made again. A run that the limit cuts off is written with the trials it has.

A row holds, after each number of trials in `MARKS`: the least true value among the configs tried, which is what the
*search* has found; the true value of the config that the tuner gives as its *result*, by its own means; and the CPU time
of an ask and tell in the fifth of the trials before.
"""

from __future__ import annotations

import argparse
import csv
import math
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

from client import ONE_THREAD

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
#: Numbers of trials after which a run is judged.
MARKS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200)
FIELDS = ["problem", "tuner", "seed", "trials", "error"]
FIELDS += [f"{what}_{m}" for what in ("search", "result", "cpu_ms") for m in MARKS]
FIELDS += ["tuner_s", "problem_s"]
#: Tuners' processes that each process of the pool keeps.
CLIENTS = 4


@dataclass(frozen=True)
class Job:
    problem: str
    tuner: str
    seed: int
    trials: int


def run(job: Job, client: Any, until: float = math.inf) -> dict[str, Any]:
    """One run, cut off at a time (`time.time`). Configs that break a relation cost their tuner time but no trial."""
    from peers import REJECTIONS
    from problems import problems

    problem = problems()[job.problem].of_seed(job.seed)
    rng = np.random.default_rng([job.seed, 7])
    row: dict[str, Any] = {**vars(job), "error": "", "trials": 0}
    least, any_config = math.inf, None
    times: list[float] = []
    began = time.process_time()
    start_s = client.start(problem.space, job.seed, job.trials)
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
        true = problem.true(config)
        value = true if problem.noise is None else problem.noise(true, rng)
        times.append(spent + client.tell(config, value))
        least = min(least, true) if math.isfinite(true) else least
        any_config = any_config or config
        row["trials"] = number
        if number in MARKS:
            row[f"search_{number}"] = f"{least:.7g}"
            row[f"result_{number}"] = f"{problem.true(client.recommend() or any_config):.7g}"
            lately = times[-max(5, number // 5) :]
            row[f"cpu_ms_{number}"] = f"{1e3 * statistics.median(lately):.3g}"
        if time.time() > until:
            break
    row["tuner_s"] = f"{start_s + sum(times):.3g}"
    row["problem_s"] = f"{time.process_time() - began:.3g}"
    return row


_clients: dict[str, Any] = {}


def work(order: tuple[Job, Path | None, float]) -> dict[str, Any] | None:
    """`run` in a pool's process, which keeps some tuners' processes; None after the limit."""
    from client import Client, TunerFailed

    job, environments, until = order
    if time.time() > until:
        return None
    client = _clients.pop(job.tuner, None) or Client(job.tuner, environments)
    while len(_clients) >= CLIENTS:
        _clients.pop(next(iter(_clients))).close()
    try:
        row = run(job, client, until)
    except (TunerFailed, RuntimeError) as error:
        client.close()
        return {**vars(job), "error": str(error)}
    _clients[job.tuner] = client
    return row


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
    """What is to be run: seed by seed, so that what is done is balanced; within a seed the long runs first."""
    from peers import peer
    from problems import problems

    names = [
        name
        for name, problem in problems().items()
        if any(w in (problem.half, name, "all", *problem.tags) for w in args.problems.split(","))
        and args.half in (None, problem.half)
    ]
    had, seeds = done(args.results), numbers(args.seeds)
    tuners = []
    for text in args.tuners.split(","):
        name, _, rest = text.partition(":")
        trials, _, count = rest.partition(":")
        tuners.append((name, int(trials or args.trials), int(count or len(seeds))))
    tuners.sort(key=lambda t: -peer(t[0]).cpu_s * t[1])
    for k, seed in enumerate(seeds):
        for tuner, trials, count in tuners:
            for name in names:
                if k < count and had.get((name, tuner, seed), 0) < trials:
                    yield Job(name, tuner, seed, trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tuners", required=True, help="NAME[:TRIALS[:SEEDS]], with commas")
    parser.add_argument("--problems", default="all", help="dev, final, live, trained, .. or names")
    parser.add_argument("--half", choices=("dev", "final"), help="of these problems")
    parser.add_argument("--seeds", default="0-9", help="FIRST-LAST")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--limit-s", type=float, default=math.inf, help="end after these seconds")
    parser.add_argument("--environments", type=Path, help="the peers' (see install)")
    parser.add_argument("--surrogates", help="the surrogates' folder (see problems/surrogates.py)")
    parser.add_argument("--evaluations", help="keep those of trained models in this folder")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    until = time.time() + args.limit_s
    for name, value in (("SURROGATES", args.surrogates), ("EVALUATIONS", args.evaluations)):
        if value:
            os.environ[name] = str(Path(value).resolve())
    os.environ.update(ONE_THREAD)  # before the pool's processes load anything
    todo = list(jobs(args))
    if not args.results.exists():
        with args.results.open("w", newline="") as file:
            csv.DictWriter(file, FIELDS).writeheader()
    began = time.monotonic()
    environments = args.environments and args.environments.resolve()
    orders = [(job, environments, until) for job in todo]
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.jobs) as pool:
        for count, row in enumerate(pool.imap_unordered(work, orders), 1):
            if row is None:
                continue
            with args.results.open("a", newline="") as file:
                csv.DictWriter(file, FIELDS).writerow(row)
            spent = time.monotonic() - began
            last = f"{row['tuner']} on {row['problem']}, seed {row['seed']} {row['error']}"
            print(f"{count} of {len(todo)}, {spent:.0f} s: {last}", file=sys.stderr)


if __name__ == "__main__":
    main()
