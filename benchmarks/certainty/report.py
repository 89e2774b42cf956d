"""Write RESULTS.md from results.csv: ``python benchmarks/certainty/report.py``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Final

import numpy as np
from functions import KINDS  # type: ignore[import-not-found]
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
DRAWS: Final = 4000


def share(held: NDArray[np.bool_]) -> str:
    """With its 95 % interval (Wilson's)."""
    n, p, z = len(held), float(held.mean()), 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    wide = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * p:.0f} ({100 * (middle - wide):.0f} .. {100 * (middle + wide):.0f})"


def ratio(a: Floats, b: Floats) -> str:
    """Of means, with its 95 % bootstrap interval over cases."""
    rng = np.random.default_rng(0)
    picks = rng.integers(len(a), size=(DRAWS, len(a)))
    draws = a[picks].sum(1) / np.maximum(b[picks].sum(1), 1e-12)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{a.sum() / max(b.sum(), 1e-12):.2f} ({low:.2f} .. {high:.2f})"


def table(columns: dict[str, Floats], kinds: NDArray[np.str_]) -> list[str]:
    lines = [
        "| kind | n | best of what was said | best value | noise found | expected / gained | within the bound |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in (*KINDS, "all"):
        of = np.ones(len(kinds), dtype=bool) if kind == "all" else kinds == kind
        if not of.any():
            continue
        c = {name: values[of] for name, values in columns.items()}
        slack = 1e-6 * np.maximum(np.abs(c["truth"]), c["unit"])  # figures are rounded
        held = (c["low"] - slack <= c["truth"]) & (c["truth"] <= c["high"] + slack)
        best = (c["observed_low"] - slack <= c["observed_truth"]) & (
            c["observed_truth"] <= c["observed_high"] + slack
        )
        gains = ratio(c["gain"] / c["unit"], c["gained"] / c["unit"])
        means = f"{(c['gain'] / c['unit']).mean():.3f} / {(c['gained'] / c['unit']).mean():.3f}"
        bound = share(c["gained"] <= c["bound"] + slack)
        lines.append(
            f"| {kind} | {of.sum()} | {share(held)} | {share(best)} | {share(c['noisy'] > 0)} | "
            f"{gains}: {means} | {bound} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    args = parser.parse_args()
    with args.results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = np.array([row.pop("kind") for row in rows])
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    text = [
        "# How sure the best is, and what more trials gain",
        "",
        "Made by `python benchmarks/certainty/report.py` from what `run.py` wrote. Random functions of two to four numbers whose truth is",
        "known, studies of 12 to 50 trials, half of them drawn at random, half by the default searcher, and 20 more trials. How often",
        "(%) the 90 % interval holds the truth, of the trial that is said to be best and of that with the best value; how often",
        "noise is found; the gain that was expected of 20 more trials over the one that came, in parts of the way from the median of",
        "the first eight to the best; how often it was within the bound. In brackets 95 % intervals.",
    ]  # fmt: skip
    for half, parity in (("For developing", 0), ("Kept aside", 1)):
        of = columns["seed"] % 2 == parity
        text += ["", f"## {half}", ""]
        text += table({n: v[of] for n, v in columns.items()}, kinds[of])
    args.output.write_text("\n".join(text) + "\n")
    print(args.output.read_text())


if __name__ == "__main__":
    main()
