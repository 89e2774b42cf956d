"""Measure `tunesmith report` on studies of 10,000 trials, each run a whole process: ``python report.py [--rounds 5]``.

On a busy machine ``chrt -r 1 python report.py`` gives each process a core of its own.

Writes REPORT.md: seconds as median (lowest .. highest), the file's size, and the bar of 3 s and 6 MB.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tunesmith as ts

HERE = Path(__file__).parent
TRIALS = 10_000
SECONDS, BYTES = 3.0, 6_000_000


def five_mixed() -> ts.Space:
    return ts.Space(
        x=ts.Float(-5, 5),
        y=ts.Float(1e-5, 1e-1, log=True),
        z=ts.Float(0, 1),
        k=ts.Int(1, 512, log=True),
        c=ts.Choice("sgd", "adam", "rmsprop"),
    )


def spread(values: Sequence[float]) -> str:
    """``median (lowest .. highest)``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} .. {max(values):.2f})"


def plain(config: dict[str, Any]) -> float:
    """Five parameters; half of the differences are noise."""
    away = (math.log10(config["y"]) + 3) ** 2 + config["x"] ** 2 / 5 + (config["c"] == "sgd")
    return float(away + np.random.default_rng(config["k"]).normal())


def curve(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """Ten reports a trial; some fail, and a scheduler stops others."""
    if config["k"] > 450:
        raise MemoryError("more than 4 GiB")
    value = plain(config)
    for step in range(1, 11):
        trial.report(step=step, loss=value + 3 / step)
    return value


def wide() -> ts.Space:
    """Sixty parameters, most of them active in a part of the trials only."""
    return ts.spaces.joined(
        ts.spaces.torch_optimizer(),
        ts.spaces.lr_schedule(),
        ts.Space({f"p{k}": ts.Float(0, 1, group="model") for k in range(24)}),
    )


def uneven(config: dict[str, Any]) -> float:
    return float(config["p0"] ** 2 + config["p1"] / 2 + (config["optimizer"] == "sgd"))


def two(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": plain(config), "size": float(config["k"] + config["z"])}


STUDIES: dict[str, dict[str, Any]] = {
    "plain": {"function": plain, "space": five_mixed(), "metric": "loss"},
    "curves": {
        "function": curve, "space": five_mixed(), "metric": "loss",
        "scheduler": "median", "failures_in_a_row": None, "failure_rate": None,
    },
    "wide": {"function": uneven, "space": wide(), "metric": "loss"},
    "two": {"function": two, "space": five_mixed(), "metric": ["loss", "size"]},
}  # fmt: skip


def run(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds of a whole process: by the clock, and of processor time (a busy machine makes the first longer)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, cwd=folder)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, rounds: int, folder: Path) -> str:
    """A study is made, and its report written `rounds` times."""
    options = dict(STUDIES[name])
    function, space = options.pop("function"), options.pop("space")
    result = ts.tune(
        function, space, name=name, trials=TRIALS, searcher="random", seed=1, progress=False,
        storage=folder / f"{name}.db", **options,
    )  # fmt: skip
    command = [str(Path(sys.executable).parent / "tunesmith"), "report", name, "-s", f"{name}.db"]
    took = [run(command, folder) for _ in range(rounds)]
    wall, cpu = ([pair[k] for pair in took] for k in (0, 1))
    size = (folder / f"{name}.html").stat().st_size
    ended = ", ".join(f"{n:,} {state}" for state, n in result.counts.items() if n)
    reached = "yes" if statistics.median(wall) < SECONDS and size < BYTES else "NO"
    return f"| {name} | {ended} | {spread(wall)} | {spread(cpu)} | {size / 1e6:.2f} | 3 s, 6 MB | {reached} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    alone = "chrt -r 1 " if os.sched_getscheduler(0) == os.SCHED_RR else ""
    about = (
        f"Made by `{alone}python benchmarks/speed/report.py --rounds {rounds}` on {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores: `tunesmith report` of {TRIALS:,} trials, whole processes, as "
        f"median (lowest .. highest). {os.getloadavg()[0]:.1f} processes wanted a core when it began."
    )
    lines = [
        "# Reports\n",
        f"{about}\n",
        "| study | trials in it | report, s | its processor time, s | file, MB | bar | reached |",
        "| --- " * 7 + "|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name in STUDIES:
            lines.append(row(name, rounds, Path(folder)))
            print(lines[-1], flush=True)
    (HERE / "REPORT.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
