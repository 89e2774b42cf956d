"""From results.csv to RESULTS.md.

python -m benchmarks.gradient.report
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from benchmarks.gradient.problems import PROBLEMS
from benchmarks.gradient.run import RIDGE_TRIALS, SEARCHERS, SHARES

HERE = Path(__file__).parent
Row = dict[str, str]
TITLES = {
    "penalties": "L2 penalties of 6 groups of columns (digits, odd or even)",
    "network": "Learning rate, weight decay and augmentation of a network (digits)",
    "cleaning": "Data hyper-cleaning: 200 weights, 40 % of the labels random (digits)",
}
HELD_OUT = {
    "penalties": "log loss",
    "network": "error",
    "cleaning": "error",
}


def main() -> None:
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = [INTRODUCTION, *ridge([r for r in rows if r["problem"] == "ridge"])]
    for name in PROBLEMS:
        lines += demonstration(name, [r for r in rows if r["problem"] == name])
    (HERE / "RESULTS.md").write_text("\n".join([*lines, HOW]) + "\n")


def ridge(rows: list[Row]) -> list[str]:
    seeds = sorted({r["seed"] for r in rows}, key=int)
    lines = [
        "## Ridge with 50 penalties",
        "",
        f"Leave-one-out error of 352 diabetes patients, 150 columns in 50 groups. `auto` has {RIDGE_TRIALS} trials;",
        "`gradient` goes on until it has the same loss. **Bar: at most 1/20 of the cost.**",
        "",
        "| seed | loss of `auto` | trials, CPU s | `gradient` to the same loss: trials, CPU s | share of the trials | share of the CPU time |",
        "|---|---|---|---|---|---|",
    ]
    shares = []
    for seed in seeds:
        of = {r["searcher"]: r for r in rows if r["seed"] == seed}
        auto, same = of["auto"], of.get("gradient, to the same loss")
        if same is None:
            lines.append(
                f"| {seed} | {auto['loss']} | {auto['trials']}, {auto['cpu_s']} | never | | |"
            )
            continue
        share = [float(same[k]) / float(auto[k]) for k in ("trials", "cpu_s")]
        shares.append(share)
        lines.append(
            f"| {seed} | {auto['loss']} | {auto['trials']}, {auto['cpu_s']} | {same['trials']}, "
            f"{same['cpu_s']} | 1/{1 / share[0]:.0f} | 1/{1 / share[1]:.0f} |"
        )
    worst = np.max(shares, axis=0)
    kept = len(shares) == len(seeds) and worst.max() <= 1 / 20
    verdict = f"The bar is {'kept' if kept else 'not kept'}: the worst seed needs"
    lines += [
        "",
        f"{verdict} 1/{1 / worst[0]:.0f} of the trials and 1/{1 / worst[1]:.0f} of the CPU time.",
        "",
        "| | leave-one-out loss | held-out squared error (90 patients; variance of the target: 1) |",
        "|---|---|---|",
    ]
    for searcher in dict.fromkeys(r["searcher"] for r in rows):
        mine = [r for r in rows if r["searcher"] == searcher]
        lines.append(f"| {searcher} | {mean(mine, 'loss')} | {mean(mine, 'held_out')} |")
    return [
        *lines,
        "",
        "A lower leave-one-out loss is not a lower held-out one here: fifty penalties overfit it, whoever finds them.",
        "",
    ]


def demonstration(name: str, rows: list[Row]) -> list[str]:
    make, budget_s = PROBLEMS[name]
    lines = [f"## {TITLES[name]}", "", " ".join((make.__doc__ or "").split()), ""]
    lines += [
        f"| CPU s | {' | '.join(f'`{s}`: validation loss | held-out {HELD_OUT[name]} | trials' for s in SEARCHERS)} |",
        "|---" * (1 + 3 * len(SEARCHERS)) + "|",
    ]
    for share in SHARES:
        cells = [f"{share * budget_s:.3g}"]
        for searcher in SEARCHERS:
            mine = [r for r in rows if r["searcher"] == searcher and r["share"] == str(share)]
            middle = np.median([int(r["trials"]) for r in mine])
            cells += [mean(mine, "loss"), mean(mine, "held_out"), f"{middle:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    told = dict.fromkeys(r["searcher"] for r in rows if not r["share"])
    others = [
        f"{what}: {mean([r for r in rows if r['searcher'] == what], 'held_out')}" for what in told
    ]
    return [*lines, "", f"Without tuning, held-out {HELD_OUT[name]}: {'; '.join(others)}.", ""]


def mean(rows: list[Row], key: str) -> str:
    """Mean ± standard deviation over seeds."""
    values = [float(r[key]) for r in rows if r[key]]
    return f"{np.mean(values):.4f} ± {np.std(values):.4f}" if values else ""


INTRODUCTION = """\
# Gradient descent on hyperparameters: results

Made by `python -m benchmarks.gradient.report` from results.csv, which `run.py` wrote; how to make it again is at the
end. `auto` is the default searcher, `gradient` the one that follows the derivatives that trials report. Everything
counts: searcher, evaluations, and the derivatives, which `auto` does not have computed. Five seeds (ten on ridge), each
with samples of its own; ± is the standard deviation over them. One thread; CPU seconds of a shared machine.
"""

HOW = """\
## How to make it again

    pip install '.[torch,examples]'
    python -m benchmarks.gradient.run --seeds 0-4
    python -m benchmarks.gradient.run --seeds 5-9 --problems ridge
    python -m benchmarks.gradient.report

Some twenty minutes. A run that was interrupted goes on where it was; delete results.csv to begin anew."""


if __name__ == "__main__":
    main()
