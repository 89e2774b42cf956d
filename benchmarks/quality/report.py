"""Write RESULTS.md and its pictures from results.csv.

    python benchmarks/quality/report.py

Regret is (value - best known) / (median of random configs - best known), at most 1. Intervals are
95 % bootstrap intervals over seeds: for each problem its seeds are drawn again, 4,000 times.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from problems import Problem, problems
from run import MARKS, RESULTS

Floats = NDArray[np.float64]
Key = tuple[str, str, int]

HERE = Path(__file__).parent
OURS: Final = "auto"
#: Peers that take minutes of CPU time for a hundred trials: fewer seeds.
SLOW: Final = ("skopt", "ax", "hebo")
DRAWS: Final = 4000
JUDGED: Final = (25, 50, 100)
#: The bar: our regret over the best peer's.
MOST: Final = 0.85
NAMES: Final = {
    "auto": "tunesmith",
    "optuna-tpe": "Optuna TPE",
    "optuna-gp": "Optuna GPSampler",
    "optuna-auto": "Optuna AutoSampler",
    "hyperopt": "Hyperopt",
    "nevergrad": "Nevergrad NGOpt",
    "smac": "SMAC3",
    "skopt": "scikit-optimize",
    "ax": "Ax",
    "hebo": "HEBO",
    "random": "random search",
}


@dataclass(frozen=True)
class Runs:
    """regret, shape (tuners, problems, seeds, marks); cpu_ms alike. NaN where a run is missing."""

    tuners: tuple[str, ...]
    problems: tuple[Problem, ...]
    seeds: tuple[int, ...]
    regret: Floats
    cpu_ms: Floats

    def of(self, *, problems: Iterable[Problem]) -> Runs:
        wanted = list(problems)
        at = [i for i, p in enumerate(self.problems) if p in wanted]
        chosen = tuple(self.problems[i] for i in at)
        return Runs(self.tuners, chosen, self.seeds, self.regret[:, at], self.cpu_ms[:, at])

    def with_tuners(self, tuners: Sequence[str], least: int) -> Runs:
        """Those tuners, and the seeds with which all of them ran `least` trials on all problems."""
        known = [t for t in tuners if t in self.tuners]
        at = [self.tuners.index(t) for t in known]
        whole = np.isfinite(self.regret[at][..., MARKS.index(least)]).all(axis=(0, 1))
        return Runs(
            tuple(known),
            self.problems,
            tuple(np.array(self.seeds)[whole].tolist()),
            self.regret[at][:, :, whole],
            self.cpu_ms[at][:, :, whole],
        )

    @property
    def ranks(self) -> Floats:
        """1 is the best; ties share the mean of their ranks."""
        mine, other = self.regret[:, None], self.regret[None]
        before = (other < mine - 1e-9).sum(axis=1)
        equal = (np.abs(other - mine) <= 1e-9).sum(axis=1)
        ranks: Floats = before + (equal + 1) / 2
        return ranks


def read(path: Path, what: str = "result") -> Runs:
    """By what the tuner gives as its ``result``, or by what its ``search`` has found."""
    every = problems()
    rows: dict[Key, dict[str, Any]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["problem"], row["tuner"], int(row["seed"])] = row
    unknown = sorted({problem for problem, _, _ in rows} - set(every))
    if unknown:  # their data are elsewhere
        raise SystemExit(f"no data for {', '.join(unknown)}: name their folder in SURROGATES")
    every = {name: p for name, p in every.items() if any(key[0] == name for key in rows)}
    for problem, tuner, seed in list(rows):  # AutoSampler's rule, within its first 250 trials
        plain = not every[problem].mixed
        if tuner == ("optuna-gp" if plain else "optuna-tpe"):
            rows[problem, "optuna-auto", seed] = rows[problem, tuner, seed]
    tuners = tuple(t for t in NAMES if any(key[1] == t for key in rows))
    seeds = tuple(sorted({key[2] for key in rows}))
    shape = (len(tuners), len(every), len(seeds), len(MARKS))
    values, cpu_ms = np.full(shape, np.nan), np.full(shape, np.nan)
    least = dict.fromkeys(every, np.inf)
    for (problem, tuner, seed), row in rows.items():
        at = tuners.index(tuner), list(every).index(problem), seeds.index(seed)
        values[at] = [float(row[f"{what}_{m}"] or "nan") for m in MARKS]
        cpu_ms[at] = [float(row[f"cpu_ms_{m}"] or "nan") for m in MARKS]
        if row["error"]:  # what it has found until then is what it found
            values[at][np.isnan(values[at])] = np.inf
            values[at] = np.minimum.accumulate(values[at])
        both = [float(row[f"{w}_{m}"] or "nan") for w in ("search", "result") for m in MARKS]
        least[problem] = float(np.nanmin([least[problem], *both]))
    regret = np.empty(shape)
    for i, (name, problem_) in enumerate(every.items()):
        best = problem_.figure["best"]
        if problem_.moved is None:
            best = min(best, least[name])
        for k, seed in enumerate(seeds):
            regret[:, i, k] = (values[:, i, k] - best) / (problem_.median(seed) - best)
    return Runs(tuners, tuple(every.values()), seeds, np.clip(regret, 0.0, 1.0), cpu_ms)


def bootstrap(values: Floats, seed: int = 0) -> Floats:
    """Means over problems and seeds of `values`, shape (.., problems, seeds), drawn again: (DRAWS, ..)."""
    rng = np.random.default_rng(seed)
    p, s = values.shape[-2:]
    drawn = rng.integers(s, size=(DRAWS, p, s))
    counts = np.zeros((DRAWS, p, s))
    for k in range(s):
        counts[:, :, k] = (drawn == k).sum(axis=2)
    means: Floats = np.einsum("...ps,bps->b...", values, counts) / (p * s)
    return means


def interval(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def bracket(values: Floats, form: str, scale: float = 1.0) -> str:
    """The mean's interval, in brackets; nothing where one seed tells nothing of the spread."""
    if values.shape[-1] < 2:
        return ""
    low, high = interval(bootstrap(values))
    return f" ({low * scale:{form}} .. {high * scale:{form}})"


def table(runs: Runs, marks: Sequence[int]) -> list[str]:
    """Mean normalised regret (x 100) and mean rank of each tuner."""
    at = [MARKS.index(m) for m in marks]
    head = [f"regret at {m}" for m in marks] + [f"rank at {m}" for m in marks]
    lines = ["| tuner | " + " | ".join(head) + " | CPU ms |", "|---" * (len(head) + 2) + "|"]
    order = np.argsort(runs.ranks[..., at[-1]].mean(axis=(1, 2)))
    for t in order:
        cells = []
        for what, scale, form in ((runs.regret, 100, ".1f"), (runs.ranks, 1, ".2f")):
            for k in at:
                mean = what[t, :, :, k].mean() * scale
                cells.append(f"{mean:{form}}" + bracket(what[t, :, :, k], form, scale))
        cpu = float(np.nanmedian(runs.cpu_ms[t, :, :, at[-1]]))
        name = NAMES[runs.tuners[t]]
        name = f"**{name}**" if runs.tuners[t] == OURS else name
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {cpu:.3g} |")
    return lines


def rival(values: Floats, me: int) -> int:
    """The best of the others by the mean of `values`, shape (tuners, problems, seeds)."""
    others = [t for t in range(len(values)) if t != me]
    return min(others, key=lambda t: float(values[t].mean()))


def lead(runs: Runs, mark: int) -> tuple[str, bool]:
    """How far ahead of the next by rank we are, and whether that is more than chance."""
    k, me = MARKS.index(mark), runs.tuners.index(OURS)
    ranks = runs.ranks[..., k]
    apart = ranks[me] - ranks[rival(ranks, me)]
    return f"{float(apart.mean()):+.2f}{bracket(apart, '+.2f')}", interval(bootstrap(apart))[1] < 0


def share(runs: Runs, mark: int) -> tuple[str, bool]:
    """Our regret divided by the least of the others', and whether that is within the bar."""
    k, me = MARKS.index(mark), runs.tuners.index(OURS)
    regrets = runs.regret[..., k]
    ratio = float(regrets[me].mean() / regrets[rival(regrets, me)].mean())
    return f"{ratio:.2f}", ratio <= MOST


def bars(runs: Runs) -> list[str]:
    """What was to be reached, and what was."""
    lines = ["| what | bar | at 50 trials | at 100 trials | reached |", "|---|---|---|---|---|"]

    def row(what: str, bar: str, told: list[tuple[str, bool]]) -> None:
        reached = "yes" if all(well for _, well in told) else "no"
        lines.append(f"| {what} | {bar} | {' | '.join(t for t, _ in told)} | {reached} |")

    halves = [(half, [p for p in runs.problems if p.half == half]) for half in ("dev", "final")]
    for half, mine in halves:
        part, at = runs.of(problems=mine), f"{half} half"
        row(
            f"{at}: mean rank minus the second's",
            "below 0, interval too",
            [lead(part, m) for m in JUDGED[1:]],
        )
        row(
            f"{at}: regret divided by the best peer's",
            f"{MOST}",
            [share(part, m) for m in JUDGED[1:]],
        )
    for kind in ("mixed", "noisy"):
        part = runs.of(problems=[p for p in runs.problems if kind in p.kinds])
        told = [lead(part, m)[0] for m in JUDGED[1:]]
        first = [float(t.split()[0]) < 0 for t in told]
        row(
            f"{kind} problems alone: mean rank minus the second's",
            "first",
            list(zip(told, first, strict=True)),
        )
    worst = [against_random(runs, m)[0].partition("on ")[2] for m in JUDGED[1:]]
    row("worse than random search (90 %)", "nowhere", [(w, w == "no problem") for w in worst])
    return lines


def verdict(runs: Runs, mark: int) -> list[str]:
    """Ours against the best of the others, by rank and by regret."""
    k, me = MARKS.index(mark), runs.tuners.index(OURS)
    ranks, regrets = runs.ranks[..., k], runs.regret[..., k]
    second, best = rival(ranks, me), rival(regrets, me)
    draws = bootstrap(np.stack([regrets[me], regrets[best]]))
    ratio = float(regrets[me].mean() / regrets[best].mean())
    low, high = interval(draws[:, 0] / draws[:, 1])
    spread = f" ({low:.2f} .. {high:.2f})" if ranks.shape[-1] > 1 else ""
    text = (
        f"- {mark} trials: mean rank minus that of {NAMES[runs.tuners[second]]}, the best of the others: "
        f"{lead(runs, mark)[0]}; "
        f"regret divided by {NAMES[runs.tuners[best]]}'s, the least of the others: {ratio:.2f}{spread}"
    )
    return [text]


def against_random(runs: Runs, mark: int) -> list[str]:
    """Problems on which we are worse than random search, with 90 % confidence (one-sided)."""
    k, me, chance = MARKS.index(mark), runs.tuners.index(OURS), runs.tuners.index("random")
    worse = []
    for i, problem in enumerate(runs.problems):
        gap = runs.regret[me, i, :, k] - runs.regret[chance, i, :, k]
        if float(np.quantile(bootstrap(gap[None]), 0.1)) > 0:
            worse.append(f"{problem.name} ({100 * float(gap.mean()):+.1f})")
    return [f"- {mark} trials: worse than random search on {', '.join(worse) or 'no problem'}"]


def by_problem(runs: Runs, mark: int) -> list[str]:
    k = MARKS.index(mark)
    names = [NAMES[t] for t in runs.tuners]
    lines = [f"| problem | half | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for i, problem in enumerate(runs.problems):
        means = 100 * runs.regret[:, i, :, k].mean(axis=1)
        least = float(means.min())
        cells = [f"**{m:.2f}**" if m <= least + 5e-3 else f"{m:.2f}" for m in means]
        lines.append(f"| {problem.name} | {problem.half} | {' | '.join(cells)} |")
    return lines


def wins(runs: Runs, mark: int) -> list[str]:
    """Against each other tuner: problems won, drawn and lost (by the paired difference's interval)."""
    k, me = MARKS.index(mark), runs.tuners.index(OURS)
    lines = ["| against | won | undecided | lost |", "|---|---|---|---|"]
    for t, tuner in enumerate(runs.tuners):
        if t == me:
            continue
        won, lost, open_ = [], [], 0
        for i, problem in enumerate(runs.problems):
            gap = runs.regret[me, i, :, k] - runs.regret[t, i, :, k]
            low, high = interval(bootstrap(gap[None]))
            if high < 0:
                won.append(problem.name)
            elif low > 0:
                lost.append(problem.name)
            else:
                open_ += 1
        named = f" ({', '.join(lost)})" if lost else ""
        lines.append(f"| {NAMES[tuner]} | {len(won)} | {open_} | {len(lost)}{named} |")
    return lines


def picture(runs: Runs, path: Path) -> None:
    """Mean regret over trials, for each half."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tunesmith"
    import matplotlib.pyplot as plt

    halves = [h for h in ("dev", "final") if any(p.half == h for p in runs.problems)]
    figure, axes = plt.subplots(1, len(halves), figsize=(10, 4.2), sharey=True, squeeze=False)
    upto = max(k for k in range(len(MARKS)) if np.isfinite(runs.regret[..., k]).all()) + 1
    colours = plt.get_cmap("tab10")
    for axis, half in zip(axes[0], halves, strict=True):
        part = runs.of(problems=[p for p in runs.problems if p.half == half])
        for t, tuner in enumerate(part.tuners):
            mine = tuner == OURS
            colour = "#d62728" if mine else colours([0, 1, 2, 4, 5, 6, 7, 8, 9][t % 9])
            draws = [bootstrap(part.regret[t, :, :, k]) for k in range(upto)]
            low, high = np.array([interval(d) for d in draws]).T
            mean = part.regret[t, :, :, :upto].mean(axis=(0, 1))
            axis.plot(
                MARKS[:upto], mean, color=colour, lw=2.6 if mine else 1.2, label=NAMES[tuner],
                ls="--" if tuner == "random" else "-", zorder=3 if mine else 2,
            )  # fmt: skip
            if mine:
                axis.fill_between(MARKS[:upto], low, high, color=colour, alpha=0.2, lw=0)
        axis.set(yscale="log", xlabel="trials", title=f"{half} problems ({len(part.problems)})")
        axis.set_yticks([0.5, 0.2, 0.1, 0.05], ["0.5", "0.2", "0.1", "0.05"])
        axis.minorticks_off()
        axis.grid(alpha=0.3, which="both", lw=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("mean normalised regret")
    axes[0][-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def section(title: str, runs: Runs, marks: Sequence[int]) -> list[str]:
    lines = ["", f"### {title}: {len(runs.problems)} problems", "", *table(runs, marks), ""]
    for mark in marks[1:]:
        lines += verdict(runs, mark)
    return lines


def groups(runs: Runs, marks: Sequence[int]) -> list[str]:
    lines: list[str] = []
    for half in ("dev", "final"):
        part = runs.of(problems=[p for p in runs.problems if p.half == half])
        lines += section(f"{half} half".capitalize(), part, marks)
    for kind, title in (
        ("mixed", "Mixed and conditional problems"),
        ("noisy", "Noisy problems, by the true value of the recommended config"),
        ("live", "Live problems"),
    ):
        lines += section(
            title, runs.of(problems=[p for p in runs.problems if kind in p.kinds]), marks
        )
    return lines


def brief(path: Path, tag: str) -> list[str]:
    """Of problems with a tag: search and result, half by half, with the tuners that have as many trials."""
    lines: list[str] = []
    for half in ("dev", "final"):
        for mark in JUDGED:
            for what in ("search", "result"):
                runs = read(path, what)
                runs = runs.of(
                    problems=[p for p in runs.problems if tag in p.tags and p.half == half]
                )
                there = np.isfinite(runs.regret[..., MARKS.index(mark)])
                tried = [t for j, t in enumerate(runs.tuners) if there[j].any(axis=1).all()]
                tried = [t for t in tried if t != "optuna-auto"]  # it is one of two others
                if not runs.problems or OURS not in tried or len(tried) < 2:
                    continue
                pairs = [runs.with_tuners([OURS, t], mark) for t in tried if t != OURS]
                runs = runs.with_tuners([t for t in tried if t != "random"], mark)
                title = f"{half} half, {mark} trials, by the {what}: {len(runs.problems)} problems"
                lines += ["", f"### {title}", ""]
                if runs.seeds and len(runs.tuners) > 1:
                    lines += [f"{len(runs.seeds)} seeds", "", *table(runs, [mark]), ""]
                    lines += verdict(runs, mark)
                for pair in pairs:
                    if pair.seeds:
                        lines += [
                            f"{line} ({len(pair.seeds)} seeds)" for line in verdict(pair, mark)
                        ]
                if what == "search" and mark == JUDGED[-1]:
                    lines += ["", *by_problem(runs, mark), "", *wins(runs, mark)]
    return lines


def apart(path: Path, marks: Sequence[int]) -> list[str]:
    """What the search has found beside what the tuner gives as its result, on problems with noise (regret x 100)."""
    both = [read(path, what) for what in ("search", "result")]
    both = [r.of(problems=[p for p in r.problems if "noisy" in p.kinds]) for r in both]
    heads = [f"{what} at {m}" for what in ("search", "result") for m in marks]
    lines = ["| tuner | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for t, tuner in enumerate(both[0].tuners):
        means = [100 * float(r.regret[t, ..., MARKS.index(m)].mean()) for r in both for m in marks]
        if np.isfinite(means).all():
            lines.append(f"| {NAMES[tuner]} | " + " | ".join(f"{m:.1f}" for m in means) + " |")
    return lines if len(lines) > 2 else []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--only", help="print the tables of problems with this tag, and write nothing"
    )
    args = parser.parse_args()
    if args.only:
        print(
            "\n".join([BRIEF.format(args.results.name, args.only), *brief(args.results, args.only)])
        )
        return
    runs = read(args.results)
    fast = runs.with_tuners([t for t in runs.tuners if t not in SLOW], 100)
    lines = [
        "# Quality against the peers",
        "",
        INTRODUCTION,
        "",
        "![Mean normalised regret over trials](regret.svg)",
        "",
        "## The bars",
        "",
        *bars(fast),
        "",
        COSTS,
        "",
        f"## All but the slow ones: {len(fast.seeds)} seeds",
        *section("All", fast, JUDGED),
        "",
        *[line for mark in JUDGED for line in against_random(fast, mark)],
        *groups(fast, JUDGED),
    ]
    for mark in (50, 100):
        lines += ["", f"### Each problem at {mark} trials", "", *by_problem(fast, mark), ""]
        lines += [f"Problem by problem at {mark} trials, by the paired difference's interval:", ""]
        lines += wins(fast, mark)
    slow = [t for t in runs.tuners if t in SLOW]
    if slow:
        least = 50
        every = runs.with_tuners(runs.tuners, least)
        if every.seeds:
            count = "1 seed" if len(every.seeds) == 1 else f"{len(every.seeds)} seeds"
            lines += ["", f"## With {', '.join(NAMES[t] for t in slow)}: {count}"]
            lines += section("All", every, (25, least))
            lines += groups(every, (25, least))
            lines += ["", f"### Each problem at {least} trials", "", *by_problem(every, least)]
    beside = apart(args.results, JUDGED[1:])
    if beside:
        lines += ["", "## Search apart from recommendation: problems with noise", "", *beside]
    lines += ["", HOW]
    (HERE / "RESULTS.md").write_text("\n".join(lines))
    picture(fast, HERE / "regret.svg")


INTRODUCTION: Final = """\
Generated by `python benchmarks/quality/report.py` from `results.csv`, which `run.py` wrote; how to make it
again is at the end. Normalised regret times 100: 0 is the best value known, 100 the median of random
configs. The value is that of the config which a tuner gives as its result (ours `best`, others their best seen or what they
recommend); optima of synthetic functions are at another place for each seed. Ranks among the tuners of a table; 1 is best. In brackets 95 % bootstrap intervals over seeds. CPU ms:
the median of an ask and a tell in the last fifth of the trials; tunesmith's were measured again, later and at
about twice the machine's speed (random search, run again then: 0.10 to 0.40 ms where it had 0.21 to 0.57), so
they are not to be set against the others'."""

BRIEF: Final = """\
# Problems of one kind against the peers

Made from `{0}` by `python benchmarks/quality/report.py --results {0} --only {1}`, see [the other page](RESULTS.md). Normalised regret
times 100: 0 is the best value known, 100 the median of random configs; in brackets 95 % bootstrap intervals over seeds. What a
*search* has found is the least true value among the configs tried; a *result* is what the tuner gives in the end. CPU ms: the
median of an ask and a tell in the last fifth of the trials. After each table ours beside each peer, by the seeds that both have."""

COSTS: Final = """\
These are against the peers with ten seeds; Ax, HEBO and scikit-optimize had one, of 50 trials, at the end of this page.

CPU time of an ask and a tell with 10 mixed parameters on one thread, by another measurement (medians, ms; bars in
brackets): 13 at 50 trials (15), 19 at 200 (30), 18 at 1,000 (35), 23 at 10,000 (60), and 40 at 100,000 with 186 MB of
memory (300 MB). Measured before on a machine of this kind: Optuna's GPSampler 419 at 50, 585 at 200 and 4,783 at 1,000, its TPE 36 at 1,000
and 153 at 10,000.

Not reached: 8 trials side by side are to be within 15 % of one after another at equal trials. On 27 problems and 6 seeds they are 19 %
worse at 50 trials, 10 % at 75 and equal at 100; what was tried is in [the decision](../../docs/decisions/0005-searchers.md)."""

HOW: Final = """## How to make it again

    benchmarks/quality/install ENVIRONMENTS
    ENVIRONMENTS/problems/bin/python benchmarks/quality/run.py --environments ENVIRONMENTS --surrogates DATA \\
        --tuners auto,random,optuna-tpe,optuna-gp,hyperopt,nevergrad,smac --seeds 0-9 --trials 100 --jobs 2
    ENVIRONMENTS/problems/bin/python benchmarks/quality/run.py --environments ENVIRONMENTS --surrogates DATA \\
        --tuners ax,hebo,skopt --seeds 0 --trials 50 --jobs 2
    SURROGATES=DATA ENVIRONMENTS/problems/bin/python benchmarks/quality/report.py

    ENVIRONMENTS/problems/bin/python benchmarks/quality/run.py --environments ENVIRONMENTS --problems trained \\
        --tuners auto,optuna-tpe,optuna-gp:50:12,random:100:5 --seeds 0-19 --trials 100 --jobs 16 --limit-s 600 \\
        --evaluations FOLDER --results benchmarks/quality/live.csv
    python benchmarks/quality/report.py --results benchmarks/quality/live.csv --only trained > benchmarks/quality/LIVE.md

`DATA` holds YAHPO Gym's `lcbench`, `rbv2_xgboost` and `rbv2_rpart`. A run that was interrupted goes on where
it was; runs in `results.csv` are not made again. Every tuner has a process and an environment of its own, one
thread, and its defaults; `peers/` says for each how conditions, relations and failures are put to it. Optuna
AutoSampler's rule is GPSampler where there are numbers only and TPE otherwise (within the first 250
trials), so its runs are theirs. The dev problems were looked at while we developed, the final ones for this report only.
"""

if __name__ == "__main__":
    main()
