"""How often `racing` stops what it should not: ``python benchmarks/schedule/racing.py``, a few minutes at most.

Folds have an effect that all trials share, and noise of deviation 1. The candidate is as good as the trial that looks best of those
that are completed, or better or worse than it by some deviations of a fold. Printed: how many are stopped, in percent, with a 95 %
interval, at the nominal 5 %; the others are all alike (spread 0), or differ in truth by one deviation of a fold (spread 1).
"""

from __future__ import annotations

import argparse
import math

import numpy as np

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.objective import Objective
from tunesmith.core.strategy import Verdict
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import USER, Origin, State
from tunesmith.schedule.racing import Racing

#: How much worse the candidate is, in deviations of a fold; of how many the best is.
WORSE = (-0.3, 0.0, 1.0)
OTHERS = (1, 20, 50)
SPACE = ts.Space(x=ts.Float(0, 1))


def stopped(others: int, folds: int, worse: float, spread: float, rng: np.random.Generator) -> bool:
    ledger = Ledger(StudySpec(name="s", space=SPACE, objectives=(Objective("loss"),)))
    shared = rng.standard_normal(folds)
    truths = spread * rng.standard_normal(others)
    losses = truths[:, None] + shared + rng.standard_normal((others, folds))
    for number, values in enumerate(losses):
        _reported(ledger, number, values)
        mean = float(values.mean())
        done = events.Finished(0.0, number, 0, State.COMPLETED, (mean,), {"loss": mean})
        ledger.apply(done)
    truth = truths[losses.mean(axis=1).argmin()] + worse
    racing, mine = Racing(), truth + shared + rng.standard_normal(folds)
    _begun(ledger, others)
    for step, value in enumerate(mine[:-1], 1):
        ledger.apply(events.Reported(0.0, others, 0, step, {"loss": float(value)}))
        if racing.decide(History(ledger), others).verdict == Verdict.STOP:
            return True
    return False


def _begun(ledger: Ledger, number: int) -> None:
    ledger.apply(events.Suggested(0.0, number, {"x": number / 100}, Origin(USER), "s"))


def _reported(ledger: Ledger, number: int, values: np.ndarray) -> None:
    _begun(ledger, number)
    for step, value in enumerate(values.tolist(), 1):
        ledger.apply(events.Reported(0.0, number, 0, step, {"loss": value}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--simulations", type=int, default=600)
    args = parser.parse_args()
    n, z = args.simulations, 1.96
    for folds in (5, 10):
        for spread in (0.0, 1.0):
            for others in OTHERS:
                told = []
                for worse in WORSE:
                    rng = np.random.default_rng([folds, others, int(10 * spread)])
                    p = sum(stopped(others, folds, worse, spread, rng) for _ in range(n)) / n
                    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
                    wide = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
                    low, high = 100 * (middle - wide), 100 * (middle + wide)
                    told.append(f"{worse:+.1f}: {100 * p:.1f} ({low:.1f} .. {high:.1f})")
                print(
                    f"{folds} folds, spread {spread:g}, best of {others}: {', '.join(told)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
