"""Which trials are best: of one objective the incumbent, of several the front.

The only place that says so, for stores, results, reports, screens and the keeper of checkpoints. With several
objectives no one trial is best. With confirming runs (limit `confirm`) the incumbent is the likeliest of those that
were run again, for the best of many noisy trials is best partly by luck (the winner's curse): a contender's own value
does not count, but runs of its config with fresh seeds do. Means are compared with a deviation that is pooled over
the contenders, by draws from their posteriors under the vague prior, which are Student's t (Gelman et al., "Bayesian
data analysis", 3rd edition, section 3.2). A run that only confirms another trial is never best itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core import pareto
from tunesmith.core.rng import stream
from tunesmith.core.table import Table
from tunesmith.core.trial import CODES, State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Draws from the posterior.
DRAWS: Final = 4000
_COMPLETED: Final = CODES[State.COMPLETED]
#: Codes of the ends that count as a try.
TRIED: Final = [CODES[s] for s in (State.COMPLETED, State.STOPPED, State.FAILED)]


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


def feasible(table: Table) -> Mask:
    """Which trials may be best, shape (n,): completed, not retracted, inside the space, no constraint broken, and of no
    version of the program that is set aside (see `core.aging`)."""
    n = table.size
    mask: Mask = valid(table) & ~table.broken[:n] & ~table.aged[:n]
    return mask


def valid(table: Table) -> Mask:
    """Which trials have a result that stands, of whichever version, shape (n,): completed, not retracted, inside the
    space."""
    n = table.size
    mask: Mask = (table.state[:n] == _COMPLETED) & ~table.retracted[:n] & ~table.outside[:n]
    return mask


def may_be_best(table: Table, i: int) -> bool:
    """What `feasible` says of completed trial `i`: O(1)."""
    return not (table.retracted[i] or table.outside[i] or table.broken[i] or table.aged[i])


def breaches(table: Table, counted: Mask) -> tuple[int, Ints]:
    """How many trials are `counted`, shape (n,), and how many of them break each constraint, shape (constraints,)."""
    return int(counted.sum()), (table.excess[: table.size][counted] > 0.0).sum(axis=0)


def nearest(table: Table, counted: Mask) -> int | None:
    """Of the trials that are `counted`, shape (n,), the one that breaks the fewest constraints, and of those the least;
    None where none breaks any."""
    numbers = np.flatnonzero(counted & table.broken[: table.size])
    if not len(numbers):
        return None
    many = (table.excess[numbers] > 0.0).sum(axis=1)
    total = table.excess[numbers].clip(0.0).sum(axis=1)
    return int(numbers[np.lexsort((table.losses[numbers, 0], total, many))[0]])


def ranking(losses: Floats) -> Ints:
    """The rows of `losses`, shape (n, m), from the best to the worst: with several objectives by their fronts."""
    if losses.shape[1] > 1:
        return pareto.order(losses)
    return np.argsort(losses[:, 0], kind="stable")


def front_first(losses: Floats, members: Ints, *, descending: bool = False) -> Ints:
    """The rows of `losses`, shape (n, m), as a table shows them: `members`, those of the front, before all others (or
    after them), each part by the first objective; rows without a result at the end."""
    first, way = losses[:, 0], -1.0 if descending else 1.0
    behind = np.ones(len(losses))
    behind[members] = 0.0
    return np.lexsort((way * first, way * behind, np.isnan(first)))


def front(losses: Floats) -> Ints:
    """The rows that no other dominates, in their order; `losses` has shape (n, m). O(n log n) for two objectives,
    else O(n front)."""
    order = np.lexsort(losses.T[::-1])
    if losses.shape[1] == 2 and len(losses):
        one, two = losses[order].T
        new = np.ones(
            len(order), dtype=np.bool_
        )  # where a row begins that is not the same as the one before
        new[1:] = (one[1:] != one[:-1]) | (two[1:] != two[:-1])
        before = np.concatenate([[np.inf], np.minimum.accumulate(two)[:-1]])
        first = new & (two < before)
        first[0] = True
        return np.sort(order[first[new][np.cumsum(new) - 1]])
    members: list[int] = []
    for i in order.tolist():
        before = losses[members]
        dominated = (before <= losses[i]).all(axis=1) & (before < losses[i]).any(axis=1)
        if not dominated.any():
            members.append(i)
    return np.sort(np.array(members, dtype=np.int64))


def contenders(losses: Floats, candidates: Mask, k: int) -> list[int]:
    """The `k` best candidates by their losses, shape (n,), the best first; of equal ones the first."""
    numbers = np.flatnonzero(candidates)
    best: list[int] = numbers[np.argsort(losses[numbers], kind="stable")[:k]].tolist()
    return best


def confirmed(
    ranked: Sequence[tuple[int, float]],
    runs: Mapping[int, Sequence[float]],
    sign: float,
    seed: int,
) -> list[Confirmed]:
    """The contenders that have been run again, the likeliest winner first. O(runs + DRAWS k).

    `ranked` are the contenders with their losses, the best first; `runs` the losses of each one's further runs. `sign`
    times a loss is the metric's value.
    """
    again = [(trial, loss, runs[trial]) for trial, loss in ranked if runs.get(trial)]
    if not again:
        return []
    counts = np.array([len(r) for _, _, r in again], dtype=np.float64)
    means = np.array([float(np.mean(r)) for _, _, r in again])
    freedom = int(counts.sum()) - len(again)
    chances, within = np.zeros(len(again)), np.full(len(again), np.nan)
    if freedom > 0:
        square = sum(float(np.sum((np.array(r) - np.mean(r)) ** 2)) for _, _, r in again) / freedom
        error = np.sqrt(square / counts)
        rng = stream(seed, int(counts.sum()), "confirm")
        drawn = means + error * rng.standard_t(freedom, size=(DRAWS, len(again)))
        chances = np.bincount(drawn.argmin(axis=1), minlength=len(again)) / DRAWS
        within = error * _quantile(freedom)
    unordered = [
        Confirmed(
            trial,
            sign * loss,
            sign * float(means[i]),
            float(within[i]),
            int(counts[i]),
            float(chances[i]),
        )
        for i, (trial, loss, _) in enumerate(again)
    ]
    return sorted(unordered, key=lambda c: (-c.chance, sign * c.mean, c.trial))


def confirmed_of(
    losses: Floats,
    usable: Mask,
    confirmations: Mapping[int, Sequence[int]],
    confirming: Collection[int],
    k: int,
    sign: float,
    seed: int,
) -> list[Confirmed]:
    """`confirmed` from arrays over all trials, shape (n,): of the `k` best of those that are `usable` (see `feasible`)
    and confirm no other."""
    candidates = usable.copy()
    candidates[list(confirming)] = False
    ranked = [(trial, float(losses[trial])) for trial in contenders(losses, candidates, k)]
    runs = {
        trial: [float(losses[run]) for run in confirmations.get(trial, ()) if usable[run]]
        for trial, _ in ranked
    }
    return confirmed(ranked, runs, sign, seed)


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


class Improvement:
    """The last improvement of a study, a trial that no other had beaten until then: O(1) for each trial that ends, of
    several objectives O(front).

    Runs that only confirm others improve nothing, nor are they tries; nor are trials that a scheduler drops from a pause
    before anybody has completed.
    """

    __slots__ = ("_front", "elapsed_s", "trial", "trials_since")

    def __init__(self) -> None:
        #: The trial with the best value of the first objective; None before any has completed.
        self.trial: int | None = None
        #: Of several objectives, the trials that no other beats.
        self._front: list[int] = []
        #: How many trials have ended since, without being better.
        self.trials_since = 0
        #: How long the study had been worked on then.
        self.elapsed_s = 0.0

    def consider(self, table: Table, i: int) -> bool:
        """Whether completed trial `i` is the best so far; of equal ones the first is, whichever came in first. With
        several objectives, whether no other one is at least as good in all of them."""
        if not may_be_best(table, i):
            return False
        losses, other = table.losses, self.trial
        better = other is None or (losses.item(i, 0), i) < (losses.item(other, 0), other)
        if better:
            self.trial = i
        if losses.shape[1] > 1:
            better = self._widens(losses, i)
        if better:
            self.trials_since = 0
        return better

    def _widens(self, losses: Floats, i: int) -> bool:
        """Whether trial `i` comes into the front, of which the ones that it beats are no longer."""
        members = losses[self._front]
        if (members <= losses[i]).all(axis=1).any():
            return False
        beaten = (losses[i] <= members).all(axis=1)
        self._front = [n for n, gone in zip(self._front, beaten, strict=True) if not gone] + [i]
        return True

    def search(self, table: Table, confirming: Collection[int]) -> None:
        """After something other than a new result has changed: O(trials)."""
        n = table.size
        candidates, tried = feasible(table), np.isin(table.state[:n], TRIED)
        tried &= ~table.aged[:n]
        candidates[list(confirming)] = tried[list(confirming)] = False
        best = contenders(table.losses[:n, 0], candidates, 1)
        self.trial = last = best[0] if best else None
        if table.losses.shape[1] > 1:
            numbers = np.flatnonzero(candidates)
            members = numbers[front(table.losses[numbers])]
            firsts = np.unique(table.losses[members], axis=0, return_index=True)[1]
            self._front = sorted(members[firsts].tolist())
            last = self._front[-1] if self._front else None
        self.trials_since = int(tried[0 if last is None else last + 1 :].sum())
