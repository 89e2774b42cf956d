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
#: Functions with constraints; surrogates have one where their name has a "<".
CONSTRAINED = {"bnh", "srn", "c2dtlz2", "tnk", "osy", "beam", "beam2", "g4", "g6"}
#: Regret of ours at most this share of the best peer's, by kind of problem.
BARS = {"all": 0.85, "constrained": 0.85, "of numbers alone": 1.0}


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
        lines.append("")
        for kind, bar in BARS.items():
            lines += _ratios(
                kind, bar, {p: r for p, r in table.items() if _is(kind, p)}, tuners[1:]
            )
        lines.append("")
    lines += _feasible(rows, tuners)
    options.into.write_text("\n".join(lines))


def _is(kind: str, problem: str) -> bool:
    if kind == "constrained":
        return "<" in problem or problem in CONSTRAINED
    return kind == "all" or not problem.startswith("rbv2_")


def _ratios(
    kind: str, bar: float, table: Mapping[str, Mapping[str, list[float]]], peers: Sequence[str]
) -> list[str]:
    """What is left for us, to what is left for each peer, on the problems that both have run."""
    lines = []
    for peer in peers:
        both = [row for row in table.values() if row.get(OURS) and row.get(peer)]
        if both:
            ours, theirs = (fmean(fmean(row[t]) for row in both) for t in (OURS, peer))
            lines.append(
                f"- {kind}: {OURS} to {peer}: {ours:.3f} to {theirs:.3f}, a ratio of {ours / theirs:.2f} "
                f"(bar {bar}; {len(both)} problems)"
            )
    return lines


def _feasible(rows: Sequence[Mapping[str, str]], tuners: Sequence[str]) -> list[str]:
    """The first trial that keeps the constraints; one that never came counts as one more than there were."""
    firsts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if _is("constrained", row["problem"]) and int(row["trials"]):
            first = row["feasible_at"] or int(row["trials"]) + 1
            firsts[row["problem"]][row["tuner"]].append(float(first))
    if not firsts:
        return []
    lines = ["## The first trial that keeps the constraints", ""]
    lines += [f"| problem | {' | '.join(tuners)} |", "|---" * (len(tuners) + 1) + "|"]
    for problem in sorted(firsts):
        cells = (_cell(firsts[problem].get(t, []), 1) for t in tuners)
        lines.append(f"| {problem} | {' | '.join(cells)} |")
    for peer in tuners[1:]:
        both = [row for row in firsts.values() if row.get(OURS) and row.get(peer)]
        if both:
            ours, theirs = (fmean(fmean(row[t]) for row in both) for t in (OURS, peer))
            lines.append(f"\n{OURS} to {peer}: {ours:.1f} to {theirs:.1f} (bar: no more)")
    return [*lines, ""]


def _cell(values: list[float], digits: int = 3) -> str:
    if not values:
        return ""
    error = f" ± {stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{error} ({len(values)})"


if __name__ == "__main__":
    main()
