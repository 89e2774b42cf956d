"""Run `auto` and `gradient` on the problems, at equal CPU time; resumable.

    python -m benchmarks.gradient.run --seeds 0-4

A row is where a run stood when it had spent a share of its CPU seconds (searcher and evaluations alike).
On ridge, `auto` gets trials instead, and `gradient` as many as it needs for the same loss.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gradient.problems import PROBLEMS, Problem, ridge_50

import tunesmith as ts
from tunesmith.numeric.threads import one_thread

FIELDS = ["problem", "searcher", "seed", "share", "cpu_s", "trials", "loss", "held_out"]
SEARCHERS = ("auto", "gradient")
SHARES = (0.125, 0.25, 0.5, 1.0)
RIDGE_TRIALS = 400
Row = dict[str, Any]
Best = tuple[float, int, float, ts.Trial]


def bests(problem: Problem, searcher: str, seed: int, limit: int | None) -> Iterator[Best]:
    """After each trial: CPU seconds so far, trials so far, the best loss and its trial."""
    study = ts.Study.create(
        problem.space,
        metric="loss",
        searcher=searcher,
        seed=seed,
        trials=limit,
    )
    began, loss = time.process_time(), math.inf
    best: ts.Trial | None = None
    for number in range(limit or 1_000_000):
        trial = study.ask()
        try:
            told = problem.evaluate(trial.config, searcher == "gradient")
            study.tell(trial, told)
        except ts.ConfigError as error:  # a training that diverged
            study.tell(trial, failed=str(error))
        else:
            if told["loss"] < loss:
                loss, best = told["loss"], trial
        if best is not None:
            yield time.process_time() - began, number + 1, loss, best


def run(name: str, seed: int) -> Iterator[Row]:
    make, budget_s = PROBLEMS[name]
    problem = make(seed)
    problem.evaluate(problem.space.default(), True)  # imports, and PyTorch's first time
    for searcher in SEARCHERS:
        shares = list(SHARES)
        before: Best | None = None
        for now in bests(problem, searcher, seed, None):
            while shares and now[0] >= shares[0] * budget_s:
                yield row(name, searcher, seed, problem, shares.pop(0), before or now)
            if not shares:
                break
            before = now
    for what, value in problem.others.items():
        yield {"problem": name, "searcher": what, "seed": seed, "held_out": f"{value:.6f}"}


def ridge(seed: int) -> Iterator[Row]:
    problem = ridge_50(seed)
    problem.evaluate(problem.space.default(), True)
    *_, end = bests(problem, "auto", seed, RIDGE_TRIALS)
    yield row("ridge", "auto", seed, problem, 1.0, end)
    for now in bests(problem, "gradient", seed, RIDGE_TRIALS):
        if now[2] <= end[2]:
            yield row("ridge", "gradient, to the same loss", seed, problem, 1.0, now)
            break
    for limit in (50, RIDGE_TRIALS):
        *_, now = bests(problem, "gradient", seed, limit)
        yield row("ridge", f"gradient, {limit} trials", seed, problem, 1.0, now)
    for what, value in problem.others.items():
        yield {"problem": "ridge", "searcher": what, "seed": seed, "held_out": f"{value:.6f}"}


def row(name: str, searcher: str, seed: int, problem: Problem, share: float, at: Best) -> Row:
    cpu_s, trials, loss, best = at
    return {
        "problem": name,
        "searcher": searcher,
        "seed": seed,
        "share": share,
        "cpu_s": f"{cpu_s:.3f}",
        "trials": trials,
        "loss": f"{loss:.6f}",
        "held_out": f"{problem.held_out(best.config):.6f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", default=",".join(["ridge", *PROBLEMS]))
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results.csv"))
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    first, _, last = asked.seeds.partition("-")
    known = set()
    if asked.results.exists():
        with asked.results.open() as file:
            known = {(r["problem"], int(r["seed"])) for r in csv.DictReader(file)}
    for name in asked.problems.split(","):
        for seed in range(int(first), int(last or first) + 1):
            if (name, seed) in known:
                continue
            make: Callable[[], Iterator[Row]] = (
                (lambda: ridge(seed)) if name == "ridge" else (lambda: run(name, seed))  # noqa: B023
            )
            with one_thread():
                rows = list(make())
            write(asked.results, rows)
            print(name, seed, *(f"{r['searcher']}: {r['held_out']}" for r in rows), flush=True)


def write(path: Path, rows: list[Row]) -> None:
    """A seed's rows at once: a run that was interrupted leaves none."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
