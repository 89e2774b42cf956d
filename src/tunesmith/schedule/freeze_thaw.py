"""Freeze-thaw: every trial pauses after a few steps, and the one that is likeliest to become the best goes on.

Swersky, Snoek & Adams, "Freeze-thaw Bayesian optimization" (arXiv 1406.3896, 2014). What goes on next is chosen by the
probability of improvement by a random margin, as in ifBO (Rakotoarison et al., "In-context freeze-thaw Bayesian
optimization for hyperparameter optimization", ICML 2024, section 4.3), over the trials that pause and a new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.incumbent import front
from tunesmith.core.strategy import CONTINUE, Decision, Resume
from tunesmith.core.trial import State
from tunesmith.numeric.threads import one_thread
from tunesmith.strategy import breach, halving, options
from tunesmith.strategy.chance import unbeaten
from tunesmith.strategy.extrapolation import GRID
from tunesmith.strategy.rungs import Rungs
from tunesmith.strategy.thaw import Thaw

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Of the trials that pause at a step, so many of the best may go on.
COMPARED: Final = 20
#: They are looked for among so many with the least losses of the first objective.
RANKED: Final = 200
#: What a new trial would come to is judged by so many of the newest.
NEWEST: Final = 20
#: The margin by which to improve is the spread of what trials come to, times ten to the power of minus one of these.
MARGINS: Final = (1.0, 4.0)
#: The power of its price by which a trial's chance is divided: it goes on for more steps than a new one begins with.
PRICE: Final = 0.5
#: The share of a limit (time, compute time, cost) that is for trials that have begun.
LAST: Final = 0.2
#: So many trials begin before one is to be completed: how curves end is to be known early.
FIRST: Final = 8
#: Below this chance, nobody goes on once no more trials begin.
LEAST: Final = 0.02


@dataclass(frozen=True, slots=True)
class FreezeThaw:
    """Pause trials at rising steps, and let the one go on that has the best chance to become the best for its price; or
    begin a new one, where that chance is better.

    `max` is the last step of a whole run; `min` the first at which trials pause (None: a 27th of `max`); each further one is
    half as far again. Trials need checkpoints to go on; without them one that goes on starts over. No trial is ever given up:
    one that pauses may go on much later. A decision takes O(1), letting one go on O(trials * steps of that grid).
    """

    max: int
    min: int | None = None

    def __post_init__(self) -> None:
        options.whole("freeze_thaw", "max", self.max)
        if self.min is not None:
            options.whole("freeze_thaw", "min", self.min)
            if self.min > self.max:
                raise StrategyError(
                    f"freeze_thaw: min is at most max, unlike {self.min} and {self.max}"
                )

    def levels(self) -> tuple[int, ...]:
        """The steps at which trials pause."""
        first = self.min or max(1, math.ceil(self.max / halving.FIRST))
        return tuple(step for step in sorted({first, *GRID}) if first <= step < self.max)

    def decide(self, history: History, trial: int) -> Decision:
        rungs = self._rungs(history)
        k = halving.crossed(history, rungs, trial)
        return CONTINUE if k is None else halving.pause(history, rungs, k, trial)

    def resume(self, history: History, rng: Generator) -> Resume | None:
        """The paused trial with the best chance for its price; None where a new one's is better."""
        rungs = self._rungs(history)
        trials = _candidates(history, rungs)
        if not len(trials):
            return None
        with one_thread(), np.errstate(all="ignore"):
            move = self._best(history, rungs, trials, rng)
        return move or halving.finish(history, rungs)

    def _best(self, history: History, rungs: Rungs, trials: Ints, rng: Generator) -> Resume | None:
        at = np.array([rungs.highest(trial) for trial in trials.tolist()])
        owed, full = self._owes(history, rungs), history.full
        forecast = _Forecast.of(history, self._seen(history))
        if forecast is None:
            one = int(np.argmax(at))  # nobody can be told from the others
            return _go_on(rungs, trials, at, one, "as good as any") if owed and not full else None
        left = history.budget_left
        last = full or (left is not None and left < LAST)
        steps = np.array([*rungs.levels, self.max])
        horizon, margin = 1.0, 0.0
        if not (last or owed):
            horizon = rng.uniform(steps[0] / self.max, 1.0)
            margin = 10.0 ** -rng.uniform(*MARGINS)
        then = np.minimum(steps[at] / self.max + horizon, 1.0)
        mean, deviation = forecast.at(trials, then)
        keeping = breach.keeping(history, trials)
        chance = unbeaten(mean + margin, deviation, forecast.rivals) * keeping
        breaking = breach.surely(history, trials)
        chance[breaking] = 0.0
        worth = chance / (steps[at + 1] - steps[at]) ** PRICE
        # where no trial keeps the constraints, nothing is to be beaten: of equal chances the least loss
        best = int(np.lexsort((mean[:, 0], -worth if chance.any() else -at))[0])
        if last:
            enough = chance[best] >= LEAST
            if not enough and history.constraints and not breaking.all() and _none_keeps(history):
                best = int(np.lexsort((mean[:, 0], -keeping, breaking))[0])
                enough = True
        elif owed:
            enough = True
        else:
            newest = _newest(rungs)
            kept = float(breach.keeping(history, newest).mean())
            new = kept * forecast.another(newest, horizon, margin) / steps[0] ** PRICE
            enough = chance[best] > 0.0 and worth[best] >= new
        if not enough:
            return None
        why = f"a chance of {100 * chance[best]:.0f} % to become the best"
        if owed and not last:
            why += " (a whole run is due)"
        return _go_on(rungs, trials, at, best, why)

    def _owes(self, history: History, rungs: Rungs) -> bool:
        """Whether a trial is to go on, however small its chance: the first after a few have begun, another whenever the first
        steps of new trials took as long as whole runs. Else a study that ends by what has been completed would not."""
        begun = rungs.at(0)[0]
        further = history.completed + int(history.where(State.RUNNING)[begun].sum())
        return len(begun) >= FIRST and len(begun) * rungs.levels[0] >= self.max * further

    def _rungs(self, history: History) -> Rungs:
        levels = self.levels()
        return history.memo(("freeze_thaw", levels), lambda: Rungs(levels)).update(history)

    def _seen(self, history: History) -> Rungs:
        """The same, and the end."""
        levels = (*self.levels(), self.max)
        return history.memo(("freeze_thaw", levels), lambda: Rungs(levels)).update(history)


def _none_keeps(history: History) -> bool:
    """Whether no completed trial keeps the constraints: then somebody goes on, however small its chance."""
    return not (history.where(State.COMPLETED) & ~history.broken).any()


def _go_on(rungs: Rungs, trials: Ints, at: Ints, i: int, why: str) -> Resume:
    return Resume(int(trials[i]), f"{why} {halving.way(rungs, int(at[i]))}")


def _candidates(history: History, rungs: Rungs) -> Ints:
    """Of the paused trials, those that were best at the step at which they pause."""
    paused = history.where(State.PAUSED)
    chosen: list[int] = []
    for k in range(len(rungs.levels)):
        trials, losses = rungs.at(k)
        waits = paused[trials]
        if k + 1 < len(rungs.levels):
            waits &= ~np.isin(trials, rungs.at(k + 1)[0])
        there = trials[waits]
        if len(there) > RANKED:
            there = there[np.argsort(losses[waits], kind="stable")[:RANKED]]
        ranked = halving.ranking(history, rungs, k, there.tolist())
        chosen += [trial for _, trial in ranked[:COMPARED]]
    return np.array(sorted(chosen), dtype=np.int64)


def _newest(rungs: Rungs) -> Ints:
    trials, losses = rungs.at(0)
    return trials[np.isfinite(losses)][-NEWEST:]


@dataclass(frozen=True)
class _Forecast:
    """The curves of each objective, and what is to be beaten, shape (rivals, objectives): the best value seen at any step;
    with several objectives, or under constraints, those that no other trial's last ones beat, of trials that keep the constraints there."""

    curves: list[Thaw]
    rivals: Floats

    @classmethod
    def of(cls, history: History, rungs: Rungs) -> _Forecast | None:
        """None where too little is known."""
        several = range(len(history.objectives))
        curves = [Thaw.of(history, rungs, j) for j in several]
        known = [thaw for thaw in curves if thaw is not None]
        if len(known) < len(curves):
            return None
        if len(known) == 1 and not history.constraints:
            return cls(known, np.array([[known[0].best]]))
        usable = np.flatnonzero(history.usable)
        trials = [trial for trial in usable.tolist() if rungs.highest(trial) >= 0]
        reports = np.array(
            [rungs.report(rungs.highest(trial), trial) for trial in trials], dtype=np.int64
        )
        losses = history.losses_at(reports)
        counts = np.isfinite(losses).all(axis=1) & breach.kept(
            history, np.array(trials, dtype=np.int64), reports
        )
        losses = losses[counts]
        best = losses[front(losses)] if len(losses) else losses
        scaled = [thaw.scaled(column) for thaw, column in zip(known, best.T, strict=True)]
        return cls(known, np.column_stack(scaled))

    def another(self, newest: Ints, horizon: float, margin: float) -> float:
        """That of one that has not begun: it comes to what the `newest` came to, or will."""
        mean, deviation = self.at(newest, np.full(len(newest), horizon))
        apart = np.sqrt(mean.var(axis=0) + np.square(deviation).mean(axis=0))
        return float(unbeaten(mean.mean(axis=0)[None] + margin, apart[None], self.rivals)[0])

    def at(self, trials: Ints, t: Floats) -> tuple[Floats, Floats]:
        """Expected losses and deviations of each trial after a share `t` of a whole run, shape (n, objectives) each."""
        pairs = [thaw.at(trials, t) for thaw in self.curves]
        means, deviations = zip(*pairs, strict=True)
        return np.column_stack(means), np.column_stack(deviations)


SCHEDULER = FreezeThaw
