"""Several processes ask and tell on one SQLite file: trials per second together, and how long one waits.

    python benchmarks/speed/writers.py [--processes 8] [--trials 500] [--rounds 3] [--json]

And `--store`: what a file costs the default searcher, ask and tell at 200 trials, beside memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tunesmith as ts

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(1e-5, 1e-1, log=True), c=ts.Choice("a", "b"))


def worker(storage: str, trials: int) -> None:
    """Ask and tell, after a line on stdin; then print how long each trial took."""
    with ts.Study.open("s", storage=storage) as study:
        study.tell(study.ask(), 0.5)
        print("ready", flush=True)
        sys.stdin.readline()
        waits = []
        for _ in range(trials):
            began = time.perf_counter()
            trial = study.ask()
            study.tell(trial, trial.config["x"])
            waits.append(time.perf_counter() - began)
        cpu_s = time.process_time()
    print(json.dumps({"waits": waits, "cpu_s": cpu_s}), flush=True)


def together(processes: int, trials: int) -> dict[str, float]:
    """Trials per second of all processes together, and the longest that one took."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        storage = str(Path(folder).absolute() / "study.db")
        ts.Study.create(SPACE, storage=storage, name="s", searcher="random", seed=1).close()
        command = [sys.executable, __file__, "--worker", storage, "--trials", str(trials)]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for one in workers:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        began = time.perf_counter()
        for one in workers:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        outputs = [json.loads(one.communicate()[0]) for one in workers]
        took_s = time.perf_counter() - began
        with ts.Study.open("s", storage=storage) as study:
            assert len(study.trials) == processes * (trials + 1)
            assert study.store.verify("s") is None
        waits = [wait for output in outputs for wait in output["waits"]]
        return {
            "per_s": processes * trials / took_s,
            "worst_s": max(waits),
            "median_ms": 1e3 * statistics.median(waits),
        }


def price_of_a_file(trials: int = 200) -> dict[str, float]:
    """How long the default searcher's ask and tell take up to 200 trials, in a file and in memory."""

    def seconds(storage: str | None) -> float:
        study = ts.Study.create(SPACE, storage=storage, name="s", seed=1)
        began = time.perf_counter()
        for _ in range(trials):
            trial = study.ask()
            study.tell(trial, trial.config["x"])
        took_s = time.perf_counter() - began
        study.close()
        return took_s

    with tempfile.TemporaryDirectory(dir=".") as folder:
        memory_s = seconds(None)
        file_s = seconds(str(Path(folder).absolute() / "study.db"))
    return {"memory_s": memory_s, "file_s": file_s, "ratio": file_s / memory_s}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.trials)
        return
    runs = [
        price_of_a_file() if options.store else together(options.processes, options.trials)
        for _ in range(options.rounds)
    ]
    figures = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    print(json.dumps(figures | {"load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
