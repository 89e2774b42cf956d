"""The tuners, each a program in an environment of its own:

    python -m benchmarks.tabular.tuners.NAME TRAIN.parquet TEST.parquet METRIC SECONDS SEED OUTPUT.parquet

It learns from the first table and writes predictions for the second one: a column ``value``, or one for each class,
named by it. SECONDS are for everything but reading the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd


class Work(NamedTuple):
    """`learned` has the column ``target``, `held_out` has not."""

    learned: pd.DataFrame
    held_out: pd.DataFrame
    metric: str
    seconds: float
    seed: int


def main(solve: Callable[[Work], pd.DataFrame]) -> None:
    """Do what the command line says."""
    learned, held_out, metric, seconds, seed, output = sys.argv[1:]
    work = Work(
        pd.read_parquet(learned), pd.read_parquet(held_out), metric, float(seconds), int(seed)
    )
    solve(work).to_parquet(output)
