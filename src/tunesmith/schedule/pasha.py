"""Progressive halving: promotions stop where the order of the best does not change any more.

Bohdal, Balles, Wistuba, Ermis, Archambeau & Zappella, "PASHA: efficient HPO and NAS with progressive resource
allocation" (ICLR 2023). As `asha` with promotions, but only up to a highest rung, the second at first, which
rises while the two highest rungs rank their trials differently. Values closer than epsilon count as equal:
the 90th percentile of the differences of pairs whose curves cross to and fro (section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Final

import numpy as np
from numpy.random import Generator

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.strategy import CONTINUE, Decision, Resume
from tunesmith.strategy import halving, options
from tunesmith.strategy.rungs import Rungs

#: Of the trials in the highest rung, so many of the best are compared with each other.
COMPARED: Final = 30
#: A pair's curves have to change their order so often to tell of noise.
CROSSINGS: Final = 2


@dataclass(frozen=True, slots=True)
class Pasha:
    """Pause trials at rungs as `asha` does, and promote no further than is needed to tell who is best.

    A quick answer: at the end only the best one is trained to its end. `max` is the last step of a whole run,
    `min` the first rung (None: a 27th of `max`). Trials need checkpoints. A decision takes
    O(log trials), letting one go on O(COMPARED^2 * steps) when the best of a rung are others.
    """

    instant: ClassVar[bool] = True

    max: int
    min: int | None = None
    reduction: float = 3.0

    def __post_init__(self) -> None:
        options.whole("pasha", "max", self.max)
        if self.min is not None:
            options.whole("pasha", "min", self.min)
            if self.min >= self.max:
                raise StrategyError(f"pasha: min is below max, unlike {self.min} and {self.max}")
        options.number("pasha", "reduction", self.reduction, above=1.0)

    def decide(self, history: History, trial: int) -> Decision:
        rungs = self._rungs(history)
        k = halving.crossed(history, rungs, trial)
        return CONTINUE if k is None else halving.pause(history, rungs, k, trial)

    def resume(self, history: History, rng: Generator) -> Resume | None:
        """The best of the highest rung below the top that has one to promote."""
        rungs = self._rungs(history)
        for k in reversed(range(self.top(history, rungs))):
            promotion = halving.promote(history, rungs, k, self.reduction)
            if promotion is not None:
                return promotion
        return halving.finish(history, rungs)

    def top(self, history: History, rungs: Rungs) -> int:
        """The highest rung to which trials are promoted: the first that ranks its trials as the one below."""
        answers: dict[tuple[int, ...], bool] = history.memo(("pasha", self), dict)
        top = 1
        while top < len(rungs.levels):
            best = [trial for _, trial in halving.ranking(history, rungs, top)[:COMPARED]]
            if len(best) < 2:
                break
            key = (top, *best)
            if key not in answers:
                answers[key] = stable(history, rungs, top, best)
            if answers[key]:
                break
            top += 1
        return top

    def _rungs(self, history: History) -> Rungs:
        levels = halving.levels(self.max, self.min, self.reduction)
        return history.memo(("pasha", levels), lambda: Rungs(levels)).update(history)


def stable(history: History, rungs: Rungs, top: int, best: list[int]) -> bool:
    """Whether rung `top` ranks its `best` trials as the rung below does, but for differences up to epsilon."""
    below = [t for _, t in halving.ranking(history, rungs, top - 1, sorted(best))]
    here, there = (halving.losses_there(history, rungs, top, trials) for trials in (best, below))
    level = rungs.levels[top]
    epsilon = [noise(history, o.metric, best, level) for o in history.objectives]
    with np.errstate(invalid="ignore"):  # of two that are not finite none equals the other
        return bool((np.abs(there - here) <= epsilon).all())


def noise(history: History, metric: str, trials: list[int], upto: int) -> float:
    """Epsilon of a metric, from curves that cross to and fro up to a step; 0 where none do."""
    curves = {
        trial: {
            report.step: report.metrics[metric]
            for report in history.curve(trial)
            if report.step <= upto and metric in report.metrics
        }
        for trial in trials
    }
    differences = []
    for one, other in combinations(trials, 2):
        common = sorted(curves[one].keys() & curves[other].keys())
        apart = np.array([curves[one][step] - curves[other][step] for step in common])
        signs = np.sign(apart[np.isfinite(apart) & (apart != 0.0)])
        if np.count_nonzero(np.diff(signs)) >= CROSSINGS:
            differences.append(abs(float(apart[-1])))
    return float(np.percentile(differences, 90)) if differences else 0.0


SCHEDULER = Pasha
