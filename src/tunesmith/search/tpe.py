"""The tree-structured Parzen estimator: for large spaces of mostly choices and conditions.

Where good configs are dense and bad ones are not. One joint model over the whole space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.rng import derive_seed
from tunesmith.core.space.points import Points
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Suggestion
from tunesmith.numeric.candidates import lowest
from tunesmith.numeric.design import stratified
from tunesmith.numeric.parzen import Parzen
from tunesmith.strategy.evidence import Evidence, Proposals

Floats = NDArray[np.float64]

#: The good ones are this share of the results, but no more than so many.
GOOD: Final = 0.1
MOST_GOOD: Final = 25
#: The others are represented by this many.
MOST_OTHERS: Final = 400
#: Draws from the good ones' density, of which the best is taken.
CANDIDATES: Final = 24


@dataclass(frozen=True, slots=True)
class Tpe:
    """Suggests where the density of good configs is highest against that of the others.

    `startup` results come from the initial design. About 2 ms per suggestion, whatever the number of
    trials. Running trials count as bad ones ("constant liar"), so that others go elsewhere.
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "all"

    startup: int = 10

    def __post_init__(self) -> None:
        if self.startup < 1:
            raise StrategyError(f"tpe: startup is at least 1, not {self.startup}")

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        points = history.memo("points", lambda: Points(space))
        proposals = Proposals(points, history)
        evidence = Evidence.ranked(history)
        if not len(space):
            return [Suggestion(space.default(), "the only config")]
        if evidence.results < self.startup:
            seed = derive_seed(history.seed, 0, "design")
            design = points.snap(stratified(self.startup, points.choices, seed))
            proposals.open(design, len(history) + n, n)
        while len(proposals) < n:
            proposal = _best(points, history, evidence, proposals, rng)
            if proposal is None:
                break
            proposals.add(*proposal)
        proposals.fill(n, rng)
        return proposals.made


def _best(
    points: Points, history: History, evidence: Evidence, proposals: Proposals, rng: Generator
) -> tuple[Floats, str] | None:
    known = history.points
    losses = np.where(np.isnan(evidence.losses), np.inf, evidence.losses)
    count = min(int(np.ceil(GOOD * evidence.results)), MOST_GOOD)
    best = np.argsort(losses, kind="stable")[:count] if len(losses) < 512 else lowest(losses, count)
    rest = np.setdiff1d(np.arange(len(losses)), best, assume_unique=True)
    even = np.unique(np.linspace(0, len(rest) - 1, min(len(rest), MOST_OTHERS)).astype(np.int64))
    others = [
        known[evidence.rows[rest[even]]],
        known[evidence.pending],
        *(p[None] for p in proposals.taken),
    ]
    good = Parzen.of(known[evidence.rows[best]], points.choices, points.cells)
    bad = Parzen.of(np.vstack(others), points.choices, points.cells)
    pool = points.mended(points.snap(good.sample(CANDIDATES, rng)), rng)
    if not len(pool):
        return None
    ratio = good.log_density(pool) - bad.log_density(pool)
    order = np.argsort(-ratio, kind="stable")
    for j in order:
        if proposals.fresh(pool[j]):
            times = float(np.exp(min(ratio[j], 50.0)))
            return pool[
                j
            ], f"{times:.3g} times as likely among the best {count} as among the others"
    return None


SEARCHER = Tpe
