"""The default searcher with a declared space, and with one that is learned from what trials ask: 50 trials, six problems.

    python benchmarks/define_by_run/run.py [--seeds 10] [--trials 50]

Writes results.csv (a line for each run) and prints the tables of RESULTS.md. Random search says how hard each problem is.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from conditional import PROBLEMS, Place, Problem  # type: ignore[import-not-found]

import tunesmith as ts

HERE = Path(__file__).parent
ARMS = ("declared", "learned", "random")


def run(problem: Problem, arm: str, seed: int, trials: int) -> list[float]:
    """The best loss after each trial."""
    place = Place(seed)
    if arm == "learned":
        result = ts.tune(
            lambda trial: problem.loss(trial, place),
            trials=trials,
            seed=seed,
            name="s",
            progress=False,
        )
    else:
        result = ts.tune(
            lambda _, trial: problem.loss(trial, place),
            problem.space,
            searcher="random" if arm == "random" else "auto",
            trials=trials,
            seed=seed,
            name="s",
            progress=False,
        )
    losses = [t.value if t.value is not None else np.inf for t in result.trials]
    best: list[float] = np.minimum.accumulate(losses).tolist()
    return best


def report(rows: list[dict[str, str]]) -> str:
    """The table, and how far the learned space is behind."""
    names = [name for name in PROBLEMS if any(row["problem"] == name for row in rows)]
    seeds = sorted({int(row["seed"]) for row in rows})
    final = {(r["problem"], r["arm"], int(r["seed"])): float(r["final"]) for r in rows}
    half = {(r["problem"], r["arm"], int(r["seed"])): float(r["half"]) for r in rows}
    lines = [
        f"{len(seeds)} seeds. Share of random search's median loss that is gone after all trials (1 is the optimum), and",
        "after half of them; mean over seeds, and its standard error.",
        "",
        "| problem | declared | learned | declared, half | learned, half | learned better in |",
        "|---|---|---|---|---|---|",
    ]
    gone: dict[tuple[str, str], list[float]] = {}
    for name in names:
        cells = []
        for what, values in (("all", final), ("half", half)):
            hard = float(np.median([final[name, "random", s] for s in seeds]))
            for arm in ("declared", "learned"):
                shares = [1 - values[name, arm, s] / hard for s in seeds]
                gone.setdefault((what, arm), []).append(float(np.mean(shares)))
                error = np.std(shares, ddof=1) / np.sqrt(len(seeds))
                cells.append(f"{np.mean(shares):.3f} ± {error:.3f}")
        better = sum(final[name, "learned", s] < final[name, "declared", s] for s in seeds)
        lines.append(f"| {name} | {' | '.join(cells)} | {better} of {len(seeds)} |")
    means = [
        np.mean(gone[what, arm]) for what in ("all", "half") for arm in ("declared", "learned")
    ]
    lines += [
        f"| **mean** | {' | '.join(f'**{m:.3f}**' for m in means)} | |",
        "",
        f"Learned over declared: {means[1] / means[0]:.3f} after all trials, {means[3] / means[2]:.3f} after half.",
        "",
        "Median of the best loss, after half of the trials and after all:",
        "",
        "| problem | random, all | declared, half | learned, half | declared, all | learned, all |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        columns = [
            (final, "random"),
            (half, "declared"),
            (half, "learned"),
            (final, "declared"),
            (final, "learned"),
        ]
        cells = [
            f"{np.median([values[name, arm, s] for s in seeds]):.2g}" for values, arm in columns
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--out", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    rows: list[dict[str, str]] = []
    if options.out.exists():
        with options.out.open() as file:
            rows = list(csv.DictReader(file))
    done = {(r["problem"], r["arm"], int(r["seed"])) for r in rows}
    for seed in range(options.seeds):
        for name in options.problems:
            for arm in ARMS:
                if (name, arm, seed) in done:
                    continue
                best = run(PROBLEMS[name], arm, seed, options.trials)
                rows.append(
                    {
                        "problem": name,
                        "arm": arm,
                        "seed": str(seed),
                        "half": f"{best[options.trials // 2 - 1]:.6g}",
                        "final": f"{best[-1]:.6g}",
                    }
                )
                with options.out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
    print(report(rows))


if __name__ == "__main__":
    main()
