"""The default searcher: Bayesian optimisation, which later shares the trials with CMA-ES or evolution.

A Gaussian process (`bayes`) has the best values in few trials. After some hundreds its model is local,
and cheap evolution may find what it does not: from then on it gets a tenth of the trials, and more
as long as it improves on the best value more often than the model does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.space.parameter import Choice
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Suggestion
from tunesmith.search.bayes import Bayes, check_exploration
from tunesmith.search.cmaes import Cmaes
from tunesmith.search.evolution import Evolution

#: The first trials are the model's alone.
ALONE: Final = 400
#: Shares are worked out again after so many trials.
BLOCK: Final = 50
#: The other searcher begins with this share, which is also the least that either has.
LEAST_SHARE: Final = 0.1
#: With several objectives or constraints, evolution by their order (NSGA-II's) has this share.
JOINT_SHARE: Final = 0.5
#: Trials at the average rate of success that are added to each one's own.
LENT: Final = 4.0
#: The golden ratio's fraction: k * GOLDEN mod 1 spreads a share evenly over the trials.
GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Auto:
    """`bayes` for the first 400 trials; then `cmaes` (numbers only) or `evolution` has a tenth, and the
    odds change every 50 trials by how much more often either improved on the best value.

    `exploration` is `bayes`'s: "low", "balanced" or "high".
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "all"

    exploration: Literal["low", "balanced", "high"] = "balanced"

    def __post_init__(self) -> None:
        check_exploration("auto", self.exploration)

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        number, bayes = len(history), Bayes(self.exploration)
        if number < ALONE:
            return [
                Suggestion(config, f"bayes: {why}")
                for config, why in bayes.suggest(space, history, n, rng)
            ]
        joint = len(history.objectives) > 1 or bool(history.constraints)
        name, other = ("evolution", Evolution()) if joint else _other(space)
        share = JOINT_SHARE if joint else _share(history)
        others: list[bool] = _is_others(np.arange(number, number + n), share).tolist()
        made: dict[bool, Iterator[Suggestion]] = {}
        for is_other in dict.fromkeys(others):
            searcher: Bayes | Cmaes | Evolution = other if is_other else bayes
            percent = share if is_other else 1.0 - share
            label = f"{name if is_other else 'bayes'} ({percent:.0%} of trials now)"
            suggested = searcher.suggest(space, history, others.count(is_other), rng)
            made[is_other] = iter(
                [Suggestion(config, f"{label}: {why}") for config, why in suggested]
            )
        return [suggestion for is_other in others for suggestion in islice(made[is_other], 1)]


def _other(space: Space) -> tuple[str, Cmaes | Evolution]:
    plain = all(
        space.condition(name) is None and not (isinstance(p, Choice) and not p.ordered)
        for name, p in space.tunables.items()
    )
    return ("cmaes", Cmaes()) if plain else ("evolution", Evolution())


def _is_others(numbers: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which of these trials are the other searcher's."""
    others: NDArray[np.bool_] = (numbers * GOLDEN) % 1.0 < share
    return others


def _share(history: History) -> float:
    """The other searcher's share now: a fold over the blocks that have gone by. O(trials)."""
    losses = history.first_losses
    losses = np.where(np.isnan(losses) | ~history.usable, np.inf, losses)
    before = np.concatenate([[np.inf], np.minimum.accumulate(losses)[:-1]])
    better = losses < before
    share = LEAST_SHARE
    for first in range(ALONE, len(losses) - BLOCK + 1, BLOCK):
        numbers = np.arange(first, first + BLOCK)
        others, won = _is_others(numbers, share), better[numbers]
        pooled = float(won.mean())
        if pooled == 0.0:
            continue
        rate = (int(won[others].sum()) + LENT * pooled) / (int(others.sum()) + LENT)
        rate_bayes = (int(won[~others].sum()) + LENT * pooled) / (int((~others).sum()) + LENT)
        odds = share / (1.0 - share) * rate / rate_bayes
        share = float(np.clip(odds / (1.0 + odds), LEAST_SHARE, 1.0 - LEAST_SHARE))
    return share


SEARCHER = Auto
