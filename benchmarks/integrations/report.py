"""From searches.csv and overheads.csv to RESULTS.md.

python -m benchmarks.integrations.report
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    path = HERE / name
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def ranks() -> tuple[dict[str, list[float]], set[str], set[str]]:
    """Ranks by search, over the pairs and seeds that all have run; those pairs, and those that not all have."""
    blocks: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in rows("searches.csv"):
        blocks[row["pair"], row["seed"]][row["search"]] = float(row["score"])
    every = {search for block in blocks.values() for search in block}
    found: dict[str, list[float]] = defaultdict(list)
    whole, part = set(), set()
    for (pair, _), block in blocks.items():
        if block.keys() != every:
            part.add(pair)
            continue
        whole.add(pair)
        for search, score in block.items():
            better = sum(other > score for other in block.values())
            found[search].append(better + (sum(o == score for o in block.values()) + 1) / 2)
    return found, whole, part - whole


def main() -> None:
    found, whole, part = ranks()
    lines = [
        "# What integrations are worth, and what they cost",
        "",
        "Made by `python -m benchmarks.integrations.report` from what `searches.py` and `overheads.py` have measured.",
        "",
        "## Searches for scikit-learn, equal processor time",
        "",
    ]
    if found:
        count = len(next(iter(found.values())))
        budget = max(float(row["budget_s"]) for row in rows("searches.csv"))
        lines += [
            f"{budget:g} s each, {len(whole)} of 8 pairs of model and data, {count} runs of each search: "
            f"{'; '.join(sorted(whole))}."
            + (f" Not complete: {'; '.join(sorted(part))}." if part else ""),
            "",
            "| search | mean rank (1 is best) |",
            "|---|---|",
        ]
        for search, of in sorted(found.items(), key=lambda item: sum(item[1])):
            lines.append(f"| {search} | {sum(of) / len(of):.2f} |")
        if len(whole) < 8:
            lines += [
                "",
                "Not all pairs have run: this does not settle who is first.",
            ]
    measured = rows("overheads.csv")
    if measured:
        lines += [
            "",
            "## Overheads",
            "",
            "Processor time, if nothing else is said.",
            "",
            "| what | seconds |",
            "|---|---|",
        ]
        lines += [f"| {row['what']} | {float(row['seconds']):.3g} |" for row in measured]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
