"""The chance of a trial that runs to become one of the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.incumbent import front
from tunesmith.core.trial import State
from tunesmith.strategy import breach
from tunesmith.strategy.extrapolation import Chance, Extrapolation

Floats = NDArray[np.float64]


def of(history: History, trial: int) -> Chance | None:
    """That no completed trial beats `trial` at its end, where it keeps the constraints; None where nothing is known.

    Its losses there are taken for independent. O(completed trials) with several objectives, else O(1).
    """
    one = np.array([trial])
    ends = [Extrapolation.of(history, j).ends(history, one) for j in range(len(history.objectives))]
    expected = np.array([float(end.losses[0]) for end in ends])
    deviation = np.array([float(end.deviations[0]) for end in ends])
    rivals = best(history)
    if not len(rivals) or not (deviation > 0.0).all() or not np.isfinite(expected).all():
        return None
    chance = float(unbeaten(expected[None], deviation[None], history.losses[rivals])[0])
    for j in range(len(history.constraints)):
        chance *= 1.0 - float(breach.chances(history, one, j)[0])
    return Chance(expected, deviation, chance)


def best(history: History) -> NDArray[np.int64]:
    """The completed trials that keep the constraints and are beaten by no other."""
    if len(history.objectives) == 1:
        return np.array([] if history.best is None else [history.best], dtype=np.int64)
    done = history.where(State.COMPLETED) & np.isfinite(history.losses).all(axis=1)
    done &= ~(history.excess > 0.0).any(axis=1)
    done[list(history.confirming)] = False
    rows = np.flatnonzero(done)
    return rows[front(history.losses[rows])] if len(rows) else rows


def unbeaten(expected: Floats, deviation: Floats, rivals: Floats) -> Floats:
    """The probability of each of n losses, normal and independent, shape (n, objectives), not to be beaten by the likeliest of
    some rivals to do so, shape (rivals, objectives): at most that of not being beaten by any."""
    from scipy.special import ndtr

    behind = (expected[:, None, :] - rivals) / deviation[:, None, :]
    beaten: Floats = ndtr(behind).prod(axis=2)
    out: Floats = 1.0 - beaten.max(axis=1, initial=0.0)
    return out
