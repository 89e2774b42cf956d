"""Hyperband: brackets of successive halving, each of which trusts early values less than the one before.

Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization" (JMLR 2018),
algorithm 1. Bracket s = s_max, .., 0 begins with n = ceil((s_max + 1) / (s + 1) * eta^s) trials of
max * eta^-s steps each; when all of a rung are there, the best floor(n_i / eta) go on to eta times as many
steps, and the others end. After bracket 0 the next round begins with s_max.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.random import Generator

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Drop, Resume
from tunesmith.core.trial import CODES, State
from tunesmith.strategy import halving, options
from tunesmith.strategy.rungs import Rungs


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Let the best ``1/reduction`` of each rung go on once all of the rung are there (synchronous).

    `max` is the last step of a whole run; `min` the fewest steps that say anything (None: a 27th of `max`).
    Trials pause at rungs, and need checkpoints to go on. While a rung waits for its last trials, free workers
    begin the next bracket. Trial numbers decide who is in which bracket. A decision takes O(1),
    letting one go on O(trials of the brackets that are not over).
    """

    instant: ClassVar[bool] = True

    max: int
    min: int | None = None
    reduction: float = 3.0

    def __post_init__(self) -> None:
        options.whole("hyperband", "max", self.max)
        if self.min is not None:
            options.whole("hyperband", "min", self.min)
            if self.min > self.max:
                raise StrategyError(
                    f"hyperband: min is at most max, unlike {self.min} and {self.max}"
                )
        options.number("hyperband", "reduction", self.reduction, above=1.0)

    def brackets(self) -> tuple[int, ...]:
        """How many trials each bracket of a round begins with; the last bracket has no rung, the one before
        it the highest one, and so on."""
        eta = self.reduction
        least = self.min or max(1, math.ceil(self.max / halving.FIRST))
        s_max = int(math.log(self.max / least, eta) + _ROUND)
        return tuple(
            math.ceil((s_max + 1) / (s + 1) * eta**s - _ROUND) for s in range(s_max, -1, -1)
        )

    def levels(self) -> tuple[int, ...]:
        """All the rungs: max * reduction^-s."""
        s_max = len(self.brackets()) - 1
        return tuple(max(1, round(self.max * self.reduction**-s)) for s in range(s_max, 0, -1))

    def decide(self, history: History, trial: int) -> Decision:
        rungs = self._rungs(history)
        k = halving.crossed(history, rungs, trial)
        first = self._of(trial).first
        return CONTINUE if k is None or k < first else halving.pause(history, rungs, k, trial)

    def resume(self, history: History, rng: Generator) -> Resume | Drop | None:
        """The first trial of a complete rung that is to go on, or to end."""
        begin: list[int] = history.memo(("hyperband", self), lambda: [0])
        trial, known = begin[0], len(history)
        while trial < known:
            bracket = self._of(trial)
            over = _over(history, bracket.trials)
            move = None if over else self._next(history, bracket)
            if move is not None:
                return move
            trial = bracket.trials.stop
            if over and bracket.trials.start == begin[0]:
                begin[0] = trial
        return None

    def _of(self, trial: int) -> _Bracket:
        """The bracket of a trial."""
        sizes = self.brackets()
        round_, rest = divmod(trial, sum(sizes))
        ends = list(accumulate(sizes))
        b = bisect_right(ends, rest)
        stop = round_ * ends[-1] + ends[b]
        return _Bracket(b, range(stop - sizes[b], stop))

    def _rungs(self, history: History) -> Rungs:
        rungs: Rungs = history.memo(self, lambda: Rungs(self.levels()))
        return rungs.update(history)

    def _next(self, history: History, bracket: _Bracket) -> Resume | Drop | None:
        trials, full = bracket.trials, history.full
        if len(history) < trials.stop and not full:
            return None  # not all have begun
        rungs, states = self._rungs(history), history.states
        here = states[trials.start : trials.stop]
        moves = np.isin(here, [_RUNNING] if full else _MOVING)
        moving = set((np.flatnonzero(moves) + trials.start).tolist()) - history.confirming
        planned = float(len(trials))
        for k in range(bracket.first, len(rungs.levels)):
            if any(rungs.highest(trial) < k or trial in history.ending for trial in moving):
                return None  # not all have come
            ranked = halving.ranking(
                history, rungs, k, range(trials.start, trials.start + len(here))
            )
            most = max(
                int(planned / self.reduction + _ROUND),
                1,
                halving.members(history, rungs, k, ranked),
            )
            for place, (_, trial) in enumerate(ranked, start=1):
                if states[trial] != _PAUSED or rungs.highest(trial) != k:
                    continue
                if place <= most:
                    why = f"number {place} of {len(ranked)} {halving.way(rungs, k)}"
                    return Resume(trial, why)
                at = f"number {place} of {len(ranked)} at step {rungs.levels[k]}"
                return Drop(trial, f"{at}; the best {most} go on")
            planned = int(planned / self.reduction + _ROUND)
        return None


class _Bracket(NamedTuple):
    """The first of its rungs, and its trials."""

    first: int
    trials: range


def _over(history: History, trials: range) -> bool:
    """Whether all trials of a bracket have ended."""
    states = history.states[trials.start : trials.stop]
    return len(states) == len(trials) and not np.isin(states, [*_MOVING, _PAUSED]).any()


#: What is lost in a logarithm, or a power, of floats.
_ROUND: Final = 1e-9
_PAUSED: Final = CODES[State.PAUSED]
_RUNNING: Final = CODES[State.RUNNING]
_MOVING: Final = [CODES[State.WAITING], _RUNNING]

SCHEDULER = Hyperband
