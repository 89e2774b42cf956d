"""Run many tuners, problems and seeds side by side until a time limit, seeds outermost; rows are written as they come.

    python benchmarks/several/drive.py --problems FOLDER --half dev --tuners auto:100 optuna-tpe:100 optuna-gp:50 \
        --seeds 0-9 --processes 15 --minutes 9 --results several.csv

`tuner:trials`. What is not done when the time is up is left out, and can be done by a later call with the same results file.
Each process has one thread. See `run.py` for what a row holds; `--half final` takes the problems of `final.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import time
from multiprocessing import TimeoutError as TooLate
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

run: Any = importlib.import_module("run")  # the one beside this file

Task = tuple[str, str, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--half", choices=["dev", "final"], default="dev")
    parser.add_argument("--only", nargs="*", help="names of problems")
    parser.add_argument("--tuners", nargs="+", default=["auto:100"])
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    names = options.only or run.problems(options.problems, options.half)
    first, _, last = options.seeds.partition("-")
    tuners = [
        (name, int(trials or 50)) for name, _, trials in (t.partition(":") for t in options.tuners)
    ]
    tasks = [
        (name, tuner, seed, trials)
        for seed in range(int(first), int(last or first) + 1)
        for tuner, trials in tuners
        for name in names
        if (name, tuner, str(seed)) not in run.done(options.results, trials)
    ]
    print(f"{len(tasks)} runs", flush=True)
    ended = 0
    with get_context("spawn").Pool(options.processes, _begin, (str(options.problems),)) as pool:
        rows = pool.imap_unordered(_run, tasks, chunksize=1)
        while ended < len(tasks):
            try:
                row = rows.next(max(0.0, until - time.monotonic()))
            except TooLate:
                break
            ended += 1
            run.append(options.results, row)
            print(*row, flush=True)
        pool.terminate()
    print(f"{ended} of {len(tasks)} runs done", flush=True)


def _begin(problems: str) -> None:
    run.problems(Path(problems), "final")
    with contextlib.suppress(ImportError):
        importlib.import_module("torch").set_num_threads(1)


def _run(task: Task) -> list[object]:
    name, tuner, seed, trials = task
    try:
        row: list[object] = run.row(name, tuner, seed, trials)
        return row
    except Exception as error:  # noqa: BLE001 - one run ends no other
        print(f"{task}: {error!r}", file=sys.stderr, flush=True)
        return [name, tuner, seed, 0, *[""] * (len(run.FIELDS) - 4)]


if __name__ == "__main__":
    main()
