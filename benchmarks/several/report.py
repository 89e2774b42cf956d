"""Write RESULTS.md from results.csv: what is left of the best known hypervolume, by problem and tuner, and the bars."""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

HERE = Path(__file__).parent
OURS = "auto"
#: Regret of ours at most this share of the best peer's: with choices among the parameters or constraints, and of numbers alone.
BAR = 0.85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    parser.add_argument("--into", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    with options.results.open() as file:
        rows = list(csv.DictReader(file))
    regrets: dict[int, dict[str, dict[str, list[float]]]] = {}
    for mark in (25, 50, 100):
        table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if row[f"volume_{mark}"]:  # empty where a run failed, or was shorter
                table[row["problem"]][row["tuner"]].append(1.0 - float(row[f"volume_{mark}"]))
        if table:
            regrets[mark] = table
    tuners = sorted({row["tuner"] for row in rows}, key=lambda t: (t != OURS, t))
    lines = ["# Several objectives, and constraints", ""]
    lines += [
        "What is left of the best known hypervolume (with one objective: of the way to the best known value).",
        "Means of the seeds ± their standard errors. `run.py` says how to make the runs.",
        "",
    ]
    for mark, table in regrets.items():
        lines += [
            f"## After {mark} trials",
            "",
            f"| problem | {' | '.join(tuners)} |",
            "|---" * (len(tuners) + 1) + "|",
        ]
        for problem in sorted(table):
            lines.append(
                f"| {problem.replace('|', ' ')} | {' | '.join(_cell(table[problem].get(t, [])) for t in tuners)} |"
            )
        lines += ["", *_ratios(table, tuners[1:])]
        lines.append("")
    options.into.write_text("\n".join(lines))


def _ratios(table: Mapping[str, Mapping[str, list[float]]], peers: Sequence[str]) -> list[str]:
    """What is left for us, to what is left for each peer, on the problems that both have run."""
    lines = []
    for peer in peers:
        both = [row for row in table.values() if row.get(OURS) and row.get(peer)]
        ours, theirs = (fmean(fmean(row[t]) for row in both) for t in (OURS, peer))
        lines.append(
            f"- {OURS} to {peer}: {ours:.3f} to {theirs:.3f}, a ratio of {ours / theirs:.2f} (bar {BAR}; {len(both)} problems)"
        )
    return lines


def _cell(regrets: list[float]) -> str:
    if not regrets:
        return ""
    error = f" ± {stdev(regrets) / len(regrets) ** 0.5:.3f}" if len(regrets) > 1 else ""
    return f"{fmean(regrets):.3f}{error} ({len(regrets)})"


if __name__ == "__main__":
    main()
