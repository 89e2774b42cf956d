"""The probability that the best trial is the best, under a Gaussian process: values have noise, and the best of many
is best partly by luck.

The model of the default searcher says what each config is worth on average over runs, and how sure it is. Functions
drawn from its posterior are compared at the trials' configs: in so many of them the best trial is best, too. As
the model knows how noisy values are, what only luck made good is pulled back to what is near it: the winner's
curse is taken out (Efron & Morris, "Data analysis using Stein's estimator and its generalizations", 1975).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.rng import stream
from tunesmith.numeric.threads import one_thread
from tunesmith.search.bayes import model_of
from tunesmith.strategy.evidence import Evidence

#: Functions drawn, and the trials compared: the best ones, by value and by what the model expects.
DRAWS: Final = 2000
COMPARED: Final = 60
#: Noise counts from this share of the way from the best to the median.
SEEN: Final = 0.02
#: The model takes its own hyperparameters for known, so its intervals are too narrow by this much.
WIDER: Final = 1.3


@dataclass(frozen=True)
class Certainty:
    """What the best trial's config is worth on average over runs, `value`, from `low` to `high` with a probability
    of 90 %; `chance` that no other completed trial's config is worth more; the likeliest of the others, and its
    chance. `noise` is the standard deviation of a run. All in the metric's units."""

    value: float
    low: float
    high: float
    chance: float
    rival: int | None
    rival_chance: float
    noise: float
    #: Whether noise counts beside what lies between the best and the median.
    noisy: bool
    #: The completed trial whose config is expected to be best on average, and at what; the best one without noise.
    recommended: int
    recommended_value: float


def certainty(trials: TrialArrays) -> Certainty | None:
    """None where there is too little to go by (fewer than 10 results, or than parameters and two more), or several objectives."""
    best = trials.best if trials.single else None
    # forecasts of what was stopped are no results: they may be off by more than the noise
    model = None if best is None else model_of(trials.history, Evidence.completed(trials.history))
    if best is None or model is None:
        return None
    seen = np.flatnonzero(np.isin(model.rows, trials.feasible))
    losses = trials.own_losses[model.rows[seen]]
    first = np.argsort(losses, kind="stable")[: COMPARED // 2]
    likely = np.argsort(model.at_known[seen], kind="stable")[: COMPARED // 2]
    among = seen[np.union1d(first, likely)]
    numbers = model.rows[among]
    if best not in numbers:
        return None
    rng = stream(trials.history.seed, trials.size, "certainty")
    with one_thread(), np.errstate(all="ignore"):
        drawn = model.sample(model.known[among], DRAWS, rng)
    place = int(np.flatnonzero(numbers == best)[0])
    # the same config, run again, is no rival of itself
    own = (model.known[among] == model.known[among[place]]) | np.isnan(model.known[among])
    others = np.flatnonzero(~own.all(axis=1))
    here = drawn[:, place]
    chances = np.zeros(len(among))
    if len(others):
        won = others[drawn[:, others].argmin(axis=1)]
        beaten = drawn[np.arange(DRAWS), won] < here
        chances = np.bincount(won[beaten], minlength=len(among)) / DRAWS
    rival = int(chances.argmax()) if chances.any() else None
    z = np.median(here) + WIDER * (np.quantile(here, (0.05, 0.5, 0.95)) - np.median(here))
    low, middle, high = (trials.sign * model.back(float(at)) for at in z)
    noisy = model.noise > SEEN * (float(np.median(losses)) - float(trials.own_losses[best]))
    likeliest = int(among[np.argmin(model.at_known[among])])
    # two runs of one config are one
    same = not len(others) or likeliest in np.delete(among, others)
    chosen = best if not noisy or same else int(model.rows[likeliest])
    return Certainty(
        middle,
        min(low, high),
        max(low, high),
        1.0 - float(chances.sum()),
        None if rival is None else int(numbers[rival]),
        0.0 if rival is None else float(chances[rival]),
        model.noise,
        noisy,
        chosen,
        middle if chosen == best else trials.sign * model.back(float(model.at_known[likeliest])),
    )


def recommended(trials: TrialArrays, sure: Certainty | None) -> int | None:
    """The completed trial whose config to take: of those that were confirmed the likeliest to be the best; else, where
    values have noise, the one that the model expects to be best on average; else the one with the best value. None
    with several objectives."""
    best = trials.best
    return best if best is None or trials.confirmed or sure is None else sure.recommended
