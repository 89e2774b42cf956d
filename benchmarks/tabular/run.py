"""Let tuners loose on tables for the same time; one row per run in a CSV file, which a later run completes.

    python -m benchmarks.tabular.run --environments ENVS --seconds 60 --cores 1 --seeds 0-2

Each run is a process on so many cores. Seed by seed, the tuners take turns in an order that differs from table to
table, so that what else the machine does meets them all.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.tabular.tables import OPTIONS, TABLES, make

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.csv"
FIELDS = (
    "table",
    "tuner",
    "seed",
    "seconds",
    "metric",
    "value",
    "lowest",
    "highest",
    "reported",
    "reported_low",
    "reported_high",
    "wall_s",
    "cpu_s",
    "version",
    "error",
)
#: The environment of each tuner.
TUNERS = {
    "tunesmith": "tunesmith",
    "flaml": "flaml",
    "optuna": "tunesmith",
    "halving": "tunesmith",
    "autogluon": "autogluon",
}
#: Those that search the space of `tunesmith fit`: only run where they are asked for.
SAME_SPACE = ("optuna", "halving")


def run(
    table: str, tuner: str, seed: int, seconds: float, cores: int, environments: Path
) -> dict[str, Any]:
    """One run, and what its predictions for held-out rows are worth."""
    learned, held_out, metric = make(table, seed)
    row: dict[str, Any] = {
        "table": table, "tuner": tuner, "seed": seed, "seconds": f"{seconds:g}", "metric": metric,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{name}.parquet") for name in ("learned", "held_out", "predicted")]
        learned.to_parquet(files[0])
        held_out.drop(columns="target").to_parquet(files[1])
        python = environments / TUNERS[tuner] / "bin" / "python"
        command = [
            python,
            "-m",
            f"benchmarks.tabular.tuners.{tuner}",
            *files[:2],
            metric,
            str(seconds),
            str(seed),
            str(cores),
            files[2],
            json.dumps(OPTIONS.get(table, {})),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=_environment(cores),
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * seconds + 240,
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
        )
        row["wall_s"] = f"{time.monotonic() - began:.1f}"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row["cpu_s"] = f"{spent:.0f}"
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            row["error"] = lines[-1][:300] if lines else f"exit code {done.returncode}"
        else:
            predicted = pd.read_parquet(files[2])
            row["value"] = f"{worth(predicted, held_out, metric, OPTIONS.get(table, {})):.6g}"
            low, high = interval(predicted, held_out, metric, OPTIONS.get(table, {}))
            row |= {"lowest": f"{low:.6g}", "highest": f"{high:.6g}"}
        if (report := files[2].with_suffix(".json")).exists():
            row |= {
                field: f"{value:.6g}" if isinstance(value, float) else value
                for field, value in json.loads(report.read_text()).items()
            }
    return row


def _environment(cores: int) -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    knobs = str(ROOT / "benchmarks" / "quality")
    return {**os.environ, **dict.fromkeys(threads, str(cores)), "PYTHONPATH": knobs}


def worth(
    predicted: pd.DataFrame, held_out: pd.DataFrame, metric: str, options: dict[str, str]
) -> float:
    """The root mean squared error, or the log loss (probabilities from 1e-15 on); rows count by their weight."""
    target = held_out["target"]
    by = held_out[options["weight"]] if "weight" in options else None
    if metric == "rmse":
        off = np.square(predicted["value"].to_numpy() - target.to_numpy())
        return float(np.sqrt(np.average(off, weights=by)))
    p = predicted.to_numpy(dtype=float)
    p = p / p.sum(axis=1, keepdims=True)
    places = predicted.columns.get_indexer(pd.Index(target.astype(str)))
    losses = -np.log(np.clip(p[np.arange(len(p)), places], 1e-15, None))
    return float(np.average(losses, weights=by))


def interval(
    predicted: pd.DataFrame,
    held_out: pd.DataFrame,
    metric: str,
    options: dict[str, str],
    draws: int = 500,
) -> tuple[float, float]:
    """Where the true value lies with 90 %, by drawing the held-out rows (or groups) again: a reported value outside is
    one that a held-out check contradicts."""
    rng = np.random.default_rng(0)
    each = held_out[options["group"]].to_numpy() if "group" in options else np.arange(len(held_out))
    _, codes = np.unique(each, return_inverse=True)
    rows_of = [np.flatnonzero(codes == k) for k in range(codes.max() + 1)]
    values = []
    for _ in range(draws):
        rows = np.concatenate([rows_of[k] for k in rng.integers(0, len(rows_of), len(rows_of))])
        values.append(worth(predicted.iloc[rows], held_out.iloc[rows], metric, options))
    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(high)


def jobs(args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """What is to be run and has not been."""
    had = set()
    if args.results.exists():
        with args.results.open(newline="") as file:
            had = {
                (r["table"], r["tuner"], int(r["seed"]))
                for r in csv.DictReader(file)
                if float(r["seconds"]) == args.seconds
            }
    first, _, last = args.seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        for table in args.tables.split(","):
            tuners = args.tuners.split(",")
            random.Random(f"{table} {seed}").shuffle(tuners)
            for tuner in tuners:
                if (table, tuner, seed) not in had:
                    yield table, tuner, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--environments", type=Path, required=True, help="made by install")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seeds", default="0-2", help="FIRST-LAST")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--tuners", default=",".join(t for t in TUNERS if t not in SAME_SPACE))
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.results.exists() and not args.results.read_text().startswith(",".join(FIELDS)):
        parser.error(f"{args.results} has other columns; name another file with --results")
    if not args.results.exists():
        args.results.write_text(",".join(FIELDS) + "\n")
    for table, tuner, seed in list(jobs(args)):
        row = run(table, tuner, seed, args.seconds, args.cores, args.environments.resolve())
        with args.results.open("a", newline="") as file:
            csv.DictWriter(file, FIELDS, lineterminator="\n").writerow(row)
        print(f"{table} {tuner} {seed}: {row.get('value') or row.get('error')}", file=sys.stderr)


if __name__ == "__main__":
    main()
