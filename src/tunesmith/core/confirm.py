"""An honest winner: the best few trials are run again, until one of them is best with some probability.

The best of many noisy trials is best partly by luck (the winner's curse), so a contender's own value does not count:
what counts are runs of its config with fresh seeds. Means are compared with a deviation that is pooled over the
contenders, by draws from their posteriors under the vague prior, which are Student's t (Gelman et al., "Bayesian
data analysis", 3rd edition, section 3.2). The next run is for the less often run of the two most likely
winners (Russo, "Simple Bayesian algorithms for best-arm identification", 2020: top-two sampling).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tunesmith.core.history import History
from tunesmith.core.rng import stream
from tunesmith.core.trial import State

#: How probable it has to be that the winner is the best of the contenders.
SURE: Final = 0.95
#: Runs of each contender: at least, and at most.
LEAST: Final = 2
MOST: Final = 20
#: Draws from the posterior.
DRAWS: Final = 4000


class Confirmed(NamedTuple):
    """A contender: its trial, its value then, the mean of `runs` more runs, what that is within at 95 % (±; NaN for
    fewer than two runs in all), and the probability that it is the best of the contenders."""

    trial: int
    before: float
    mean: float
    within: float
    runs: int
    chance: float

    def __str__(self) -> str:
        within = "" if math.isnan(self.within) else f" ± {self.within:.2g}"
        times = "once" if self.runs == 1 else f"{self.runs} times"
        return (
            f"{self.before:.5g} then; run {times} more: {self.mean:.5g}{within}; "
            f"the best of them with a probability of {100 * self.chance:.0f} %"
        )


def contenders(history: History, k: int) -> list[int]:
    """The `k` best completed trials that are no runs of others, the best first."""
    losses = history.losses[:, 0]
    may = history.where(State.COMPLETED)
    may[list(history.confirming)] = False
    numbers = np.flatnonzero(may)
    order = np.argsort(losses[numbers], kind="stable")[:k]
    found: list[int] = numbers[order].tolist()
    return found


def standings(history: History, k: int) -> list[Confirmed]:
    """The contenders that have been run again, the likeliest winner first. O(runs + DRAWS k)."""
    objective = history.objectives[0]
    losses = history.losses[:, 0]
    done = history.where(State.COMPLETED)
    known: list[tuple[int, list[float]]] = []
    for trial in contenders(history, k):
        runs = [float(losses[t]) for t in history.confirmations.get(trial, ()) if done[t]]
        if runs:
            known.append((trial, runs))
    if not known:
        return []
    counts = np.array([len(runs) for _, runs in known], dtype=np.float64)
    means = np.array([float(np.mean(runs)) for _, runs in known])
    freedom = int(counts.sum()) - len(known)
    chances, within = np.zeros(len(known)), np.full(len(known), np.nan)
    if freedom > 0:
        square = sum(float(np.sum((np.array(r) - np.mean(r)) ** 2)) for _, r in known) / freedom
        error = np.sqrt(square / counts)
        rng = stream(history.seed, int(counts.sum()), "confirm")
        drawn = means + error * rng.standard_t(freedom, size=(DRAWS, len(known)))
        chances = np.bincount(drawn.argmin(axis=1), minlength=len(known)) / DRAWS
        within = error * _quantile(freedom)
    found = [
        Confirmed(
            trial,
            objective.sign * float(losses[trial]),
            objective.sign * float(means[i]),
            float(within[i]),
            int(counts[i]),
            float(chances[i]),
        )
        for i, (trial, _) in enumerate(known)
    ]
    return sorted(found, key=lambda c: (-c.chance, objective.sign * c.mean, c.trial))


def _quantile(freedom: int) -> float:
    """Of Student's t at 97.5 %: within 0.3 % (Abramowitz & Stegun 26.7.5), exact where that is off."""
    exact = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}
    if freedom in exact:
        return exact[freedom]
    z = 1.959964
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def next_run(history: History, k: int) -> int | None:
    """The contender to run again; None if one is best with probability `SURE`, or all have had `MOST`."""
    asked = {trial: len(history.confirmations.get(trial, ())) for trial in contenders(history, k)}
    if not asked:
        return None
    rare = min(asked, key=lambda trial: asked[trial])
    if asked[rare] < LEAST and len(asked) > 1:
        return rare
    known = standings(history, k)
    if len(asked) == 1:
        return rare if asked[rare] < LEAST + 1 else None
    if known and known[0].chance >= SURE and len(known) == len(asked):
        return None
    likeliest = [c.trial for c in known[:2]] or list(asked)
    chosen = min(likeliest, key=lambda trial: asked[trial])
    return chosen if asked[chosen] < MOST else None
