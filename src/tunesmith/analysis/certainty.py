"""Which trial is likely the best where values have noise, what it is worth, and how sure that is.

The best of many noisy values is best partly by luck (the winner's curse). The model of the default searcher says what
each config is worth on average over runs: functions drawn from its posterior, over plausible hyperparameters, noise and
roughness (see `numeric.rough`), are compared at the trials' configs. What only luck made good is pulled back to what is
near it (Efron & Morris, "Data analysis using Stein's estimator and its generalizations", 1975).

Of a deterministic program the best value is the best, however rough it is. So another trial is named best only where
noise is found: where results that lie close together, or runs of one config, differ as noise does and roughness does
not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.kept import Kept
from tunesmith.core.incumbent import contenders
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import stream
from tunesmith.numeric.rough import Mixture
from tunesmith.numeric.threads import one_thread
from tunesmith.search.bayes import model_of
from tunesmith.search.bayes.surrogate import Model
from tunesmith.strategy.evidence import Evidence

if TYPE_CHECKING:
    from tunesmith.analysis.trials import TrialArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Functions drawn, the parts of the mixture that they are drawn by, and the trials compared: the best ones, by value
#: and by what the model expects.
DRAWS: Final = 2000
PICKS: Final = 40
COMPARED: Final = 60
#: The probability of an interval.
SURE: Final = 0.9
#: Noise counts from this share of the way from the best to the median.
SEEN: Final = 0.02
#: Noise is found where it is so probable; once found, it is lost where it is less probable than the second.
FOUND: Final = 0.9
LOST: Final = 0.7
#: Between the two counts what held when there were so many times fewer results, and so on, so often.
BEFORE: Final = 1.25
LOOKS: Final = 3
#: Larger studies show themselves without what a model has to be fitted for.
LARGE: Final = 10_000


class Worth(NamedTuple):
    """What a config is worth on average over runs, and from where to where with a probability of 90 %, in the
    metric's units."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Certainty:
    """The completed trial that is `likely` the best (where no noise is found the one with the best value), what it is
    `worth`, and the `chance` that no other's config is worth more; the likeliest of the others, and its chance. `noise`
    is the standard deviation of a run."""

    likely: int
    worth: Worth
    chance: float
    rival: int | None
    rival_chance: float
    noise: float
    #: Whether noise is found, and counts beside what lies between the best and the median.
    noisy: bool
    #: What the trial with the best value is worth.
    observed_worth: Worth
    #: The completed trial whose config is worth most: `likely`, or one whose checkpoints do not stay.
    recommended: int
    recommended_worth: Worth


_known: WeakKeyDictionary[Ledger, tuple[int, Certainty | None]] = WeakKeyDictionary()
_models: Kept[tuple[int, Model, Mixture]] = Kept()


def model_there(ledger: Ledger) -> tuple[Model, Mixture] | None:
    """The model of the completed trials, if `certainty` has been asked since the study went on (and hardly any other since: see `Kept`)."""
    last = _models.get(ledger)
    return None if last is None or last[0] != ledger.cursor else last[1:]


def certainty(trials: TrialArrays) -> Certainty | None:
    """None where there is too little to go by (fewer than 10 results, or than parameters and two more), with several
    objectives, or constraints, and in studies of more than `LARGE` trials. Kept until the study goes on."""
    ledger = trials.ledger
    if trials.size > LARGE:
        return None
    last = _known.get(ledger)
    if last is None or last[0] != ledger.cursor:
        last = _known[ledger] = (ledger.cursor, _certainty(trials))
    return last[1]


def likely_best(trials: TrialArrays) -> int | None:
    """The trial that is best, as far as is known: of those that were confirmed the likeliest; else, where noise is
    found, the one that is likely best; else the one with the best value. None with several objectives and no rule.

    Every door asks this. In studies of more than `LARGE` trials the best value counts, which is known without them.
    """
    sure = None if trials.confirmed else certainty(trials)
    return trials.incumbent if sure is None else sure.likely


def worth_of_best(trials: TrialArrays) -> Worth | None:
    """What `likely_best` is worth where noise is found; None elsewhere."""
    sure = None if trials.confirmed else certainty(trials)
    return sure.worth if sure is not None and sure.noisy else None


def recommended(trials: TrialArrays, sure: Certainty | None) -> int | None:
    """The completed trial whose config to take: `likely_best`, but for checkpoints."""
    return likely_best(trials) if trials.confirmed or sure is None else sure.recommended


def _certainty(trials: TrialArrays) -> Certainty | None:
    best = trials.incumbent if trials.single else None
    # forecasts of what was stopped are no results: they may be off by more than the noise
    evidence = Evidence.completed(trials.history)
    model = None if best is None else model_of(trials.history, evidence)
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
        mixture = model.mixture(rng)
        _models.keep(trials.ledger, (trials.ledger.cursor, model, mixture))
        features = model.domain.features(model.known[among])
        drawn, _ = mixture.sample(features, DRAWS, rng, PICKS)
    noise = model.worth(math.sqrt(mixture.noise))
    noisy = noise > SEEN * (float(np.median(losses)) - float(trials.own_losses[best]))
    # a copy of a trial that goes on with another config is worth what both made of it
    noisy = noisy and not trials.ledger.forks and _found(trials, evidence, mixture, LOOKS)
    place = int(np.flatnonzero(numbers == best)[0])
    points = model.known[among]
    mean = drawn.mean(axis=0)
    taken = free = place
    if noisy:
        free = _least(mean, points, trials.own_losses[numbers], place)
        staying = np.isin(numbers, _staying(trials))
        taken = _least(np.where(staying, mean, np.inf), points, trials.own_losses[numbers], place)
    chances, rival = _rivals(drawn, points, taken)

    def worth(k: int) -> Worth:
        ends = mixture.interval(features[[k]], SURE)
        low, high = (trials.sign * model.back(float(end[0])) for end in ends)
        return Worth(trials.sign * model.back(float(mean[k])), min(low, high), max(low, high))

    return Certainty(
        int(numbers[taken]),
        worth(taken),
        1.0 - float(chances.sum()),
        None if rival is None else int(numbers[rival]),
        0.0 if rival is None else float(chances[rival]),
        noise,
        noisy,
        worth(place),
        int(numbers[free]),
        worth(free),
    )


def _rivals(drawn: Floats, points: Floats, place: int) -> tuple[Floats, int | None]:
    """How probably each of the compared is the best instead of the one at `place`; and the likeliest of them."""
    others = np.flatnonzero(~_alike(points, place))
    chances = np.zeros(len(points))
    if len(others):
        won = others[drawn[:, others].argmin(axis=1)]
        beaten = drawn[np.arange(len(drawn)), won] < drawn[:, place]
        chances = np.bincount(won[beaten], minlength=len(points)) / len(drawn)
    return chances, int(chances.argmax()) if chances.any() else None


def _alike(points: Floats, place: int) -> NDArray[np.bool_]:
    """The same config, run again, is no rival of itself."""
    alike: NDArray[np.bool_] = (
        (points == points[place]) | (np.isnan(points) & np.isnan(points[place]))
    ).all(axis=1)
    return alike


def _least(mean: Floats, points: Floats, losses: Floats, place: int) -> int:
    """The one with the least mean; of several runs of its config the one with the best value."""
    least = int(mean.argmin())
    runs = np.flatnonzero(_alike(points, least) & np.isfinite(mean))
    return place if place in runs else int(runs[losses[runs].argmin()])


def _found(trials: TrialArrays, evidence: Evidence, mixture: Mixture, looks: int) -> bool:
    """Whether noise is found: a fold over the study, so that it does not come and go."""
    chance = mixture.noise_chance
    if chance >= FOUND or chance < LOST or not looks:
        return chance >= FOUND
    n = int(len(evidence.rows) / BEFORE)
    before = Evidence(
        evidence.rows[:n], evidence.losses[:n], evidence.pending, evidence.deviations[:n]
    )
    model = model_of(trials.history, before)
    if model is None:
        return False
    rng = stream(trials.history.seed, n, "certainty")
    with one_thread(), np.errstate(all="ignore"):
        return _found(trials, before, model.mixture(rng), looks - 1)


def _staying(trials: TrialArrays) -> Ints:
    """The trials whose checkpoints stay, if they write any: those that report may."""
    ledger, keep = trials.ledger, trials.ledger.spec.limits.keep
    best = trials.incumbent
    if (
        keep == "all"
        or not keep
        or best is None
        or next(iter(ledger.curves.back(best)), None) is None
    ):
        return trials.feasible
    candidates = np.zeros(trials.size, dtype=np.bool_)
    candidates[trials.feasible] = True
    return np.array(contenders(trials.own_losses, candidates, keep), dtype=np.int64)
