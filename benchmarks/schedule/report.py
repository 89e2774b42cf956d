"""From results.csv to RESULTS.md and a picture.

python -m benchmarks.schedule.report
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
AT = (1, 2, 3, 5, 10, 20, 30)
BUDGET = 30.0
NAMES = {
    "random": "random search, no stopping",
    "tunesmith:none": "tunesmith, no stopping",
    "tunesmith:asha": "tunesmith, `asha`",
    "tunesmith:hyperband;min=1": "tunesmith, `hyperband`",
    "tunesmith:forecast": "tunesmith, `forecast`",
    "tunesmith:median": "tunesmith, `median`",
    "tunesmith:freeze_thaw": "tunesmith, `freeze_thaw`",
    "optuna:hyperband": "Optuna TPE, HyperbandPruner",
    "optuna:median": "Optuna TPE, MedianPruner",
    "synetune": "Syne Tune ASHA",
    "smac": "SMAC3 multi-fidelity",
}
Trace = list[tuple[float, float]]


class Results:
    """Traces by tuner, problem and seed."""

    def __init__(self, path: Path) -> None:
        self.traces: dict[str, dict[tuple[str, str], Trace]] = defaultdict(dict)
        self.lost: dict[str, list[float]] = defaultdict(list)
        self.cpu_s: dict[str, list[float]] = defaultdict(list)
        self.halves: dict[str, str] = {}
        with path.open() as file:
            for row in csv.DictReader(file):
                pairs = (pair.split(":") for pair in row["trace"].split())
                trace = [(float(cost), float(value)) for cost, value in pairs]
                self.traces[row["tuner"]][row["problem"], row["seed"]] = trace
                self.halves[row["problem"]] = row["half"]
                self.cpu_s[row["tuner"]].append(float(row["cpu_s"]))
                if row["lost"]:
                    self.lost[row["tuner"]].append(float(row["lost"]))
        self.best = {
            name: min(
                t[-1][1] for runs in self.traces.values() for (p, _), t in runs.items() if p == name
            )
            for name in self.halves
        }
        first = self.traces["random"]
        self.scale = {
            name: float(np.median([at(t, 1.0) for (p, _), t in first.items() if p == name]))
            for name in self.halves
        }

    @property
    def peers(self) -> list[str]:
        return [t for t in self.traces if not t.startswith(("tunesmith", "random"))]

    def best_peer(self, half: str) -> str:
        """Whose regret is least when the budget is used up."""
        return min(self.peers, key=lambda t: self.regret(t, half, BUDGET)[0])

    def regret(self, tuner: str, half: str, cost: float) -> tuple[float, float]:
        """Mean normalised regret at a cost, and its standard error over runs."""
        found = [
            (at(trace, cost) - self.best[name]) / (self.scale[name] - self.best[name])
            for (name, _), trace in self.traces[tuner].items()
            if self.halves[name] == half
        ]
        return float(np.mean(found)), float(np.std(found) / math.sqrt(len(found)))

    def reach(self, tuner: str, half: str, goals: dict[str, float]) -> list[float]:
        """What each run of a half spent until it reached its problem's goal; infinite if it never did."""
        return [
            next((cost for cost, value in trace if value <= goals[name]), math.inf)
            for (name, _), trace in self.traces[tuner].items()
            if self.halves[name] == half
        ]

    def final(self, tuner: str) -> dict[str, float]:
        """The median over seeds of what a tuner found in the end, by problem."""
        found: dict[str, list[float]] = defaultdict(list)
        for (name, _), trace in self.traces[tuner].items():
            found[name].append(trace[-1][1])
        return {name: float(np.median(values)) for name, values in found.items()}


def at(trace: Trace, cost: float) -> float:
    """The best value that had been found at a cost; 1 (all wrong) before the first."""
    return next((value for c, value in reversed(trace) if c <= cost), 1.0)


def main() -> None:
    results = Results(HERE / "results.csv")
    lines = [INTRODUCTION, *reached(results), *bars(results)]
    for half in ("dev", "final"):
        lines += by_cost(results, half)
    lines += [*stopped(results), AT_SCALE, HOW]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")
    draw(results, list(results.traces))


def reached(results: Results) -> list[str]:
    """What was to be reached, and what was."""
    shown = ("hyperband;min=1", "asha", "freeze_thaw", "forecast", "median")
    tuners = [f"tunesmith:{name}" for name in shown]
    lines = [
        f"| what | bar | {' | '.join(NAMES[t].removeprefix('tunesmith, ') for t in tuners)} |",
        "|---" * (len(tuners) + 2) + "|",
    ]
    for half in ("dev", "final"):
        best = results.best_peer(half)
        for what, goals, budget, most in (
            ("random search's end: share of its cost", results.final("random"), 100.0, 0.1),
            ("the best peer's end: share of its cost", results.final(best), BUDGET, 0.1),
        ):
            parts = [float(np.median(results.reach(t, half, goals))) / budget for t in tuners]
            cells = [f"{p:.2f}{'' if p <= most else ' (no)'}" for p in parts]
            lines.append(f"| {half} half, {what} | {most} | {' | '.join(cells)} |")
    shares = [float(np.mean([x > 0.01 for x in results.lost[t]])) for t in tuners]
    cells = [f"{100 * s:.0f} %{'' if s <= 0.05 else ' (no)'}" for s in shares]
    lines.append(f"| studies that lost more than 1 % | 5 % | {' | '.join(cells)} |")
    return ["## The bars", "", *lines, "", BARS_AT_SCALE, ""]


def bars(results: Results) -> list[str]:
    """What was spent until the values were reached that others end with, over both halves."""
    lines = ["## What was spent to reach what others end with", ""]
    for half in ("dev", "final"):
        best = results.best_peer(half)
        lines += [
            f"{half.capitalize()} half, medians over problems and seeds; the best peer at the end is {NAMES[best]}.",
            "",
            "| tuner | random search's end (cost 100) | runs that reach it | the best peer's end (cost 30) |",
            "|---|---|---|---|",
        ]
        goals, ends = results.final("random"), results.final(best)
        for tuner in results.traces:
            if tuner == "random":
                continue
            spent, against = results.reach(tuner, half, goals), results.reach(tuner, half, ends)
            there = f"{100 * np.mean(np.isfinite(spent)):.0f} %"
            lines.append(f"| {NAMES[tuner]} | {cost(spent)} | {there} | {cost(against)} |")
        lines.append("")
    return lines


def cost(spent: list[float]) -> str:
    """The median."""
    middle = float(np.median(spent))
    return f"{middle:.1f}" if math.isfinite(middle) else "not within 30"


def by_cost(results: Results, half: str) -> list[str]:
    lines = [f"## The {half} half: mean regret by cost", ""]
    lines += [f"| tuner | {' | '.join(map(str, AT))} | CPU s a run |", "|---" * (len(AT) + 2) + "|"]
    for tuner in results.traces:
        cells = ["{:.3f} ± {:.3f}".format(*results.regret(tuner, half, c)) for c in AT]
        lines.append(
            f"| {NAMES[tuner]} | {' | '.join(cells)} | {np.mean(results.cpu_s[tuner]):.1f} |"
        )
    return [*lines, ""]


def stopped(results: Results) -> list[str]:
    lines = [
        "## Winners that were stopped",
        "",
        "What the best of all configs that a study tried would have reached, had every one been trained to its",
        "end, against what the study found: the share of studies that lost more than 1 % of the accuracy.",
        "",
        "| tuner | studies | lost more than 1 % | mean loss |",
        "|---|---|---|---|",
    ]
    for tuner, lost in results.lost.items():
        share, mean = 100 * np.mean([x > 0.01 for x in lost]), 100 * np.mean(lost)
        lines.append(f"| {NAMES[tuner]} | {len(lost)} | {share:.0f} % | {mean:.2f} % |")
    return [*lines, ""]


def draw(results: Results, tuners: list[str]) -> None:
    """Mean regret over cost, both halves."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tunesmith"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    costs = np.geomspace(0.5, 30.0, 60)
    for axis, half in zip(axes, ("dev", "final"), strict=True):
        for tuner in tuners:
            ours = tuner.startswith("tunesmith")
            means = [results.regret(tuner, half, float(c))[0] for c in costs]
            axis.plot(
                costs,
                means,
                lw=2.2 if ours else 1.1,
                ls="-" if ours else "--",
                label=NAMES[tuner].replace("`", ""),
            )
        axis.set(xscale="log", yscale="log", title=f"{half} half", xlabel="cost (whole trainings)")
    axes[0].set_ylabel("mean normalised regret")
    axes[1].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(HERE / "regret.svg", metadata={"Date": None})


INTRODUCTION = """\
# Spending wisely: results

Made by `python -m benchmarks.schedule.report` from results.csv, which `run.py` wrote; how to make it again is at
the end. Ten learning-curve problems (LCBench by YAHPO Gym's surrogate: 52 epochs, 7 parameters), ten seeds, one
worker, virtual time. Costs are in whole trainings of a random config; a tuner that trains a config further pays
for the further epochs only. Random search gets 100, the others 30. Regret 1 is the median of random search after
one whole training, 0 the best value that anybody found; ± is the standard error over problems and seeds.
tunesmith's runs were made again later than the others', at about twice the machine's speed, and those of `asha`, `median` and `freeze_thaw` later
still, on a machine that did other work, with the searcher as it was then: CPU seconds are not to be set against each other.
`freeze_thaw` has four seeds.

![Mean normalised regret by cost](regret.svg)
"""

BARS_AT_SCALE = """\
At scale (below): 64 workers are busy 99.9 % of the time (bar 98 %), and a decision among 100,000 trials takes at most 0.7 ms
(bar 1 ms), but for `freeze_thaw`, which takes 3 ms among 300 and 10 ms among 3,000. "(no)" marks what was not reached. Who cannot afford to lose a winner takes `median` or `forecast`; `hyperband` is the
fastest. None reaches both a tenth of the best peer's cost and 5 %."""

AT_SCALE = """\
## At scale

`python -m benchmarks.schedule.scale`: 100,000 trials with 100 reports each are in the study; milliseconds that a
decision takes (median of 200, Intel Xeon, one core), and which share of virtual time 64 workers are busy.

| asha | asha, promotion | hyperband | pasha | forecast | median | percentile | threshold | patience | racing |
|---|---|---|---|---|---|---|---|---|---|
| 0.084 | 0.170 | 0.254 | 0.240 | 0.683 | 0.121 | 0.165 | 0.022 | 0.194 | 0.672 |

64 workers are busy 99.95 % of the time with asha, 99.94 % with promotions.
"""

HOW = """\
## How to make it again

    python -m venv PEERS && PEERS/bin/pip install . optuna==5.0.0 smac==2.4.1 syne-tune==0.16.0 onnxruntime matplotlib
    SURROGATES=DATA PYTHONPATH=. PEERS/bin/python -m benchmarks.schedule.run --tuners all --problems all --seeds 0-9
    SURROGATES=DATA PYTHONPATH=. PEERS/bin/python -m benchmarks.schedule.report

`DATA` holds YAHPO Gym's `lcbench`. A run that was interrupted goes on where it was. Every tuner has its defaults;
peers' halving begins after one epoch, ours after two (a 27th of a run), and keeps a third. The dev problems were looked at while we developed, the
final ones for this report only."""


if __name__ == "__main__":
    main()
