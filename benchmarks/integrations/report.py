"""From searches.csv and overheads.csv to RESULTS.md.

python -m benchmarks.integrations.report
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
HOW = "Mean rank, 1 is best; a pair counts the same however many runs it has, and the error is that of the mean over pairs."
NOTE = HERE / "notes.md"


def rows(name: str) -> list[dict[str, str]]:
    path = HERE / name
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def ranks() -> tuple[dict[str, dict[str, list[float]]], set[str]]:
    """Ranks by pair and search, over the pairs and seeds that all have run; and the pairs that have none of these."""
    blocks: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in rows("searches.csv"):
        blocks[row["pair"], row["seed"]][row["search"]] = float(row["score"])
    every = {search for block in blocks.values() for search in block}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (pair, _), block in blocks.items():
        if block.keys() != every:
            continue
        for search, score in block.items():
            better = sum(other > score for other in block.values())
            same = sum(other == score for other in block.values())
            found[pair][search].append(better + (same + 1) / 2)
    return found, {pair for pair, _ in blocks} - found.keys()


def searches() -> list[str]:
    found, missing = ranks()
    if not found:
        return []
    every = sorted({search for of in found.values() for search in of})
    mean = {s: [float(np.mean(of[s])) for of in found.values()] for s in every}
    order = sorted(every, key=lambda s: float(np.mean(mean[s])))
    runs = sum(len(of[every[0]]) for of in found.values())
    budget = max(float(row["budget_s"]) for row in rows("searches.csv"))
    lines = [
        f"{budget:g} s each, {len(found)} of 8 pairs of model and data, {runs} runs of each search. {HOW}",
        "",
        f"| pair | runs | {' | '.join(order)} |",
        f"|---|---|{'---|' * len(order)}",
    ]
    for pair, of in found.items():
        cells = " | ".join(f"{np.mean(of[s]):.2f}" for s in order)
        lines.append(f"| {pair} | {len(of[every[0]])} | {cells} |")
    cells = " | ".join(
        f"**{np.mean(mean[s]):.2f}** ± {np.std(mean[s], ddof=1) / len(found) ** 0.5:.2f}"
        for s in order
    )
    lines.append(f"| **all** | {runs} | {cells} |")
    if missing:
        lines += ["", f"No complete run: {'; '.join(sorted(missing))}."]
    return [*lines, "", NOTE.read_text().strip()]


def main() -> None:
    lines = [
        "# What integrations are worth, and what they cost",
        "",
        "Made by `python -m benchmarks.integrations.report` from what `searches.py` and `overheads.py` have measured, and notes.md.",
        "",
        "## Searches for scikit-learn, equal processor time",
        "",
        *searches(),
    ]
    if measured := rows("overheads.csv"):
        lines += [
            "",
            "## Overheads",
            "",
            "Processor time, if nothing else is said; load is the machine's, of 2 cores, at the end of each.",
            "",
            "| what | seconds | load |",
            "|---|---|---|",
        ]
        lines += [
            f"| {row['what']} | {float(row['seconds']):.3g} | {row['load']} |" for row in measured
        ]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
