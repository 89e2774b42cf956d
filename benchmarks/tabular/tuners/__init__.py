"""The tuners, each a program in an environment of its own:

    python -m benchmarks.tabular.tuners.NAME TRAIN.parquet TEST.parquet METRIC SECONDS SEED CORES OUTPUT.parquet OPTIONS

It learns from the first table and writes predictions for the second one: a column ``value``, or one for each class,
named by it. SECONDS are for everything but reading the tables; OPTIONS, in JSON, say
which columns bind rows together. A tuner leaves its ``version`` beside its predictions, in OUTPUT.json, and may leave there
what it takes them to be worth: ``reported``, between ``reported_low`` and ``reported_high``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd


class Work(NamedTuple):
    """`learned` has the column ``target``, `held_out` has not."""

    learned: pd.DataFrame
    held_out: pd.DataFrame
    metric: str
    seconds: float
    seed: int
    cores: int
    #: Such as ``{"group": "country"}``: see `tables.OPTIONS`.
    options: dict[str, Any]
    #: Where to write what the predictions are taken to be worth.
    report: Path

    def say(self, package: str, **fields: float | str) -> None:
        """Write the report of a tuner that is in `package`."""
        self.report.write_text(json.dumps({"version": version(package), **fields}))


def main(solve: Callable[[Work], pd.DataFrame]) -> None:
    """Do what the command line says."""
    learned, held_out, metric, seconds, seed, cores, output, options = sys.argv[1:]
    work = Work(
        pd.read_parquet(learned), pd.read_parquet(held_out), metric, float(seconds), int(seed), int(cores),
        json.loads(options), Path(output).with_suffix(".json"),
    )  # fmt: skip
    solve(work).to_parquet(output)
