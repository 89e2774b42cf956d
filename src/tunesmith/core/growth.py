"""What trials that ended early would have come to: their last losses, carried on as those of others went on.

Steps are looked at on a grid, each half as far again as the one before. From one to the next, the
improvement of those that went on is regressed on where they were, shrunk towards the same for all; so a loss is
carried up the grid to the step of whole runs, its uncertainty growing on the way. Nothing is assumed of a
curve's form but that those who are worse at a step improve more or less than others by a linear rule.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.rungs import Rungs
from tunesmith.core.trial import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: 1, 2, 3, 4, 6, 9, 13, .., beyond any number of steps.
GRID: Final = tuple(sorted({round(1.5**k) for k in range(100)}))
#: How many observations of "all improve alike" each regression begins with.
PRIOR: Final = 4.0
#: Fewer that went on say nothing.
FEWEST: Final = 2


class Ends(NamedTuple):
    """Predicted losses at the end of a whole run, shape (n,), and their standard deviations, (n,)."""

    losses: Floats
    deviations: Floats


class Growth:
    """Where every trial was at the steps of the grid: a fold of a history's reports. Droppable."""

    def __init__(self) -> None:
        self._rungs = Rungs(GRID)

    def update(self, history: History) -> Growth:
        """Read what is new: O(new reports)."""
        self._rungs.update(history)
        return self

    def ends(self, history: History, trials: Ints) -> Ends:
        """What `trials`, which have reported, would come to. O(reports of the grid)."""
        n = len(history)
        losses, deviations = np.full(n, np.nan), np.zeros(n)
        completed = history.where(State.COMPLETED)
        top = max(self._top(np.flatnonzero(completed).tolist()), self._top(trials.tolist()))
        usable = history.usable
        here: Ints = np.zeros(0, dtype=np.int64)
        before: Floats = np.full(n, np.nan)
        for k in range(top + 1):
            numbers, values = self._rungs.at(k)
            kept = usable[numbers] & np.isfinite(values)
            numbers, values = numbers[kept], values[kept]
            now = np.full(n, np.nan)
            now[numbers] = values
            if len(here):
                _carry(losses, deviations, before, now)
            losses[numbers], deviations[numbers] = values, 0.0
            here, before = numbers, now
        return Ends(losses[trials], deviations[trials])

    def _top(self, trials: list[int]) -> int:
        return max((self._rungs.highest(trial) for trial in trials), default=0)


def _carry(losses: Floats, deviations: Floats, before: Floats, now: Floats) -> None:
    """Carry all losses, shape (n,), from one step of the grid to the next, in place."""
    both = np.flatnonzero(np.isfinite(before) & np.isfinite(now))
    if len(both) < FEWEST:
        return
    x, y = before[both], before[both] - now[both]
    middle, gain = float(np.median(x)), float(np.median(y))
    spread = np.abs(x - middle)
    reach = 3.0 * float(np.median(spread)) or 1.0
    away = np.clip(x - middle, -reach, reach)
    square = float(away @ away)
    slope = float(away @ (y - gain)) / (square * (1.0 + PRIOR / len(both)) or 1.0)
    slope = min(max(slope, -0.5), 0.8)
    rest = y - gain - slope * away
    noise = 1.4826 * float(np.median(np.abs(rest)))
    carried = np.isfinite(losses)
    losses[carried] -= gain + slope * np.clip(losses[carried] - middle, -reach, reach)
    deviations[carried] = np.hypot((1.0 - slope) * deviations[carried], noise)
