"""Constraints while trials run: which ones will surely be broken at a trial's end, by how those of others went on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.strategy.extrapolation import Extrapolation

Ints = NDArray[np.int64]

#: From this probability on, a constraint counts as broken.
SURE: Final = 0.95


def surely(history: History, trials: Ints) -> NDArray[np.bool_]:
    """Which of `trials`, by the reports that they were judged by last, will break a constraint, shape (n,).

    Never where a metric is not reported, or nobody went on from where they are to the end: an accuracy that is too low at
    first may rise. (A memory that never fell will not.)
    """
    out = np.zeros(len(trials), dtype=bool)
    for j in range(len(history.constraints)):
        out |= chances(history, trials, j) >= SURE
    return out


def chances(history: History, trials: Ints, constraint: int) -> NDArray[np.float64]:
    """The probability of each of `trials` to break a constraint at its end, shape (n,); 0 where nothing is known."""
    from scipy.special import ndtr

    extrapolation = Extrapolation.of_excess(history, constraint)
    ends = extrapolation.ends(history, trials)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance: NDArray[np.float64] = ndtr(ends.losses / ends.deviations)
    chance[(ends.deviations == 0.0) | np.isnan(chance)] = 0.0
    chance[(ends.deviations == 0.0) & (ends.losses > 0.0)] = 1.0
    chance[~extrapolation.reaches(history, trials)] = 0.0
    return chance


def keeping(history: History, trials: Ints) -> NDArray[np.float64]:
    """The probability of each of `trials` to keep all constraints at its end, shape (n,), as if they were independent; 1 where
    nothing is known."""
    out = np.ones(len(trials))
    for j in range(len(history.constraints)):
        out *= 1.0 - chances(history, trials, j)
    return out


def kept(history: History, trials: Ints, reports: Ints) -> NDArray[np.bool_]:
    """Which of `trials` are known to keep every constraint, by one report of each or by what they returned, shape (n,)."""
    out = np.ones(len(trials), dtype=bool)
    for j in range(len(history.constraints)):
        then, in_the_end = history.excess_at(reports, j), history.excess[trials, j]
        out &= np.where(np.isnan(in_the_end), then, in_the_end) <= 0.0
    return out


def named(history: History, trial: int) -> str:
    """The constraints that a trial will surely break, in words; empty where there is none."""
    one = np.array([trial])
    texts = [
        constraint.text
        for j, constraint in enumerate(history.constraints)
        if chances(history, one, j)[0] >= SURE
    ]
    return " and ".join(texts)
