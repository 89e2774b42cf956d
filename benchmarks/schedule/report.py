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
    tuners = list(results.traces)
    peers = [t for t in tuners if not t.startswith(("tunesmith", "random"))]
    lines = [
        "# Spending wisely: results",
        "",
        (
            "Made by `python -m benchmarks.schedule.report` from results.csv; see `run.py`. Ten learning-curve problems (LCBench "
            "by YAHPO Gym's surrogate: 52 epochs, 7 parameters), one worker, virtual time. Costs are in whole trainings of a "
            "random config; a tuner that trains a config further pays for the further epochs only. Regret 1 is "
            "the median of random search after one whole training, 0 the best value that anybody found."
        ),
        "",
    ]
    for half in ("dev", "final"):
        seeds = {s for t in tuners for (p, s) in results.traces[t] if results.halves[p] == half}
        lines += [f"## The {half} half: mean regret by cost ({len(seeds)} seeds)", ""]
        lines += ["| tuner | " + " | ".join(f"{c}" for c in AT) + " | CPU s a run |"]
        lines += ["|---|" + "---|" * (len(AT) + 1)]
        for tuner in tuners:
            cells = []
            for cost in AT:
                mean, error = results.regret(tuner, half, cost)
                cells.append(f"{mean:.3f} ± {error:.3f}")
            cpu = np.mean(results.cpu_s[tuner])
            lines.append(f"| {tuner} | " + " | ".join(cells) + f" | {cpu:.1f} |")
        goals = results.final("random")
        lines += ["", f"### The {half} half: what was spent to reach what others reached", ""]
        lines += [
            "| tuner | random search's end (cost 100): median | reached in | the best peer's end: median | share of its budget |"
        ]
        lines += ["|---|---|---|---|---|"]
        best = min(peers, key=lambda t: results.regret(t, half, 30.0)[0])
        ends = results.final(best)
        for tuner in tuners:
            spent, against = results.reach(tuner, half, goals), results.reach(tuner, half, ends)
            there = np.mean(np.isfinite(spent))
            lines.append(
                f"| {tuner} | {np.median(spent):.1f} | {100 * there:.0f} % of runs | {np.median(against):.1f} | "
                f"{np.median(against) / 30.0:.2f} |"
            )
        lines += ["", f"The best peer is {best}.", ""]
    lines += ["## Winners that were stopped", ""]
    lines += [
        "Of each study, what its best config would have reached if all had been trained to their end.",
        "",
    ]
    lines += [
        "| tuner | studies | lost more than 1 % of the accuracy | mean loss |",
        "|---|---|---|---|",
    ]
    for tuner, lost in results.lost.items():
        share = np.mean([x > 0.01 for x in lost])
        lines.append(
            f"| {tuner} | {len(lost)} | {100 * share:.0f} % | {100 * np.mean(lost):.2f} % |"
        )
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")
    draw(results, tuners)


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
            axis.plot(costs, means, lw=2.2 if ours else 1.1, ls="-" if ours else "--", label=tuner)
        axis.set(xscale="log", yscale="log", title=f"{half} half", xlabel="cost (whole trainings)")
    axes[0].set_ylabel("mean normalised regret")
    axes[1].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(HERE / "regret.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
