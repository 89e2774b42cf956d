"""A steady-state evolutionary algorithm: for cheap objectives and huge runs, over spaces of any kind.

Costs microseconds, and keeps looking in many places at once.
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
from tunesmith.strategy.evidence import Evidence, Proposals

Floats = NDArray[np.float64]

#: Share of the children that differ in one parent's way from another's, and by how much.
_CROSSED: Final = 0.7
_DIFFERENCE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Evolution:
    """The `population` consists of the best half ever and of the newest results (Real et al.,
    "Regularized evolution", AAAI 2019, without the ageing of the best). Each child is the better of
    a few parents, crossed with another's difference (Storn & Price, 1997) and mutated.
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "all"

    population: int = 40

    def __post_init__(self) -> None:
        if self.population < 4:
            raise StrategyError(f"evolution: population is at least 4, not {self.population}")

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        points = history.memo("points", lambda: Points(space))
        if not len(space):
            return [Suggestion(space.default(), "the only config")]
        proposals = Proposals(points, history)
        evidence = Evidence.ranked(history)
        begin = self.population // 2
        if evidence.results < begin:
            seed = derive_seed(history.seed, 0, "design")
            design = points.snap(stratified(begin, points.choices, seed))
            proposals.open(design, len(history) + n, n)
        if len(proposals) < n and evidence.results:
            parents = _parents(evidence, self.population)
            known = history.points[evidence.rows[parents]]
            for _ in range(8):
                children, whose = _children(points, known, 2 * (n - len(proposals)), rng)
                for snapped, parent in zip(points.snap(children), whose, strict=True):
                    child = next(iter(points.mended(snapped[None], rng)), snapped)
                    if len(proposals) < n and proposals.fresh(child):
                        number = int(evidence.rows[parents[parent]])
                        proposals.add(child, f"a mutant of trial {number}")
                if len(proposals) >= n:
                    break
        proposals.fill(n, rng)
        return proposals.made


def _parents(evidence: Evidence, size: int) -> NDArray[np.int64]:
    """Places of the best and of the newest results, half of `size` each, the best first. O(trials)."""
    losses = np.where(np.isnan(evidence.losses), np.inf, evidence.losses)
    half = min(size // 2, evidence.results)
    best = lowest(losses, half)
    newest = np.arange(max(0, len(losses) - size // 2), len(losses))
    chosen = np.union1d(best, newest[np.isfinite(losses[newest])])
    return chosen[np.argsort(losses[chosen], kind="stable")]


def _children(
    points: Points, known: Floats, n: int, rng: Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Coordinates, shape (n, d), and the row of `known` (sorted, best first) each is bred from."""
    k, d = known.shape
    whose = rng.integers(k, size=(n, 3)).min(axis=1)
    drawn = rng.random((n, d))
    base = np.where(np.isnan(known[whose]), drawn, known[whose])
    others = known[rng.integers(k, size=(2, n))]
    choices = np.array([c > 0 for c in points.choices], dtype=np.bool_)
    from_other = np.where(np.isnan(others[0]), base, others[0])
    difference = np.nan_to_num(others[0] - others[1], nan=0.0)
    crossed = np.where(choices, from_other, base + _DIFFERENCE * difference)
    taken = (rng.random((n, d)) < 0.5) & (rng.random((n, 1)) < _CROSSED)
    child = np.where(taken, crossed, base)
    mutated = rng.random((n, d)) < 1.0 / d
    mutated[np.arange(n), rng.integers(d, size=n)] |= ~taken.any(axis=1)
    step = np.exp(rng.uniform(np.log(0.003), np.log(0.3), (n, 1))) * rng.standard_normal((n, d))
    step = np.sign(step) * np.maximum(np.abs(step), points.cells)
    child = np.where(mutated, np.where(choices, drawn, child + step), child)
    child = np.abs(child)
    return np.clip(np.where(child > 1.0, 2.0 - child, child), 0.0, 1.0), whose


SEARCHER = Evolution
