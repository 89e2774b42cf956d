"""Write RESULTS.md from results.csv: what is left of the best known hypervolume, by problem and tuner, and the bars."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

HERE = Path(__file__).parent
OURS = "auto"
#: Regret of ours at most this share of the best peer's: with choices among the parameters or constraints, and of numbers alone.
BAR = 0.85


def main() -> None:
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    regrets: dict[int, dict[str, dict[str, list[float]]]] = {}
    for mark in (25, 50, 100):
        table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if row[f"volume_{mark}"]:
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
        shared = [p for p in table if all(table[p].get(t) for t in tuners)]
        means = [fmean([fmean(table[p][t]) for p in shared]) for t in tuners] if shared else []
        if means:
            lines.append(
                f"| **mean of {len(shared)}** | {' | '.join(f'**{m:.3f}**' for m in means)} |"
            )
            ratio = means[0] / min(means[1:]) if len(means) > 1 else float("nan")
            lines += ["", f"Ours to the best peer's: {ratio:.2f} (bar {BAR})."]
        lines.append("")
    (HERE / "RESULTS.md").write_text("\n".join(lines))


def _cell(regrets: list[float]) -> str:
    if not regrets:
        return ""
    error = stdev(regrets) / len(regrets) ** 0.5 if len(regrets) > 1 else float("nan")
    return f"{fmean(regrets):.3f} ± {error:.3f} ({len(regrets)})"


if __name__ == "__main__":
    main()
