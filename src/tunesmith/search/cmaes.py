"""CMA-ES with margin: for long runs over numbers, thousands of trials and more.

A population moves, stretches and turns towards what is better; see `tunesmith.numeric.cma`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from tunesmith.core.trial import Origin
from tunesmith.numeric import cma
from tunesmith.strategy.evidence import Evidence, Proposals

Floats = NDArray[np.float64]

#: The first step size where others have searched before.
SEEDED: Final = 0.1
#: How fast the choices' probabilities follow the best of a generation.
_LEARN: Final = 0.15


@dataclass(frozen=True, slots=True)
class Cmaes:
    """Its own trials in the order of their numbers are the generations, `population` at a time (0: by the
    number of parameters, and no fewer than run in parallel). Unordered choices are drawn with
    probabilities that follow the best. Restarts with twice the population where it has converged.
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "all"

    population: int = 0

    def __post_init__(self) -> None:
        if self.population < 0 or self.population == 1:
            raise StrategyError(
                f"cmaes: population is at least 2, or 0 for the default, not {self.population}"
            )

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        points = history.memo("points", lambda: Points(space))
        if not len(space):
            return [Suggestion(space.default(), "the only config")]
        proposals = Proposals(points, history)
        if not len(history):
            proposals.open(np.empty((0, len(space))), 1, n)
        size = self.population or max(cma.population(len(space)), history.parallel)
        run = history.memo(("cmaes", size), lambda: _Run(points, history.seed, size))
        run.follow(history)
        for _ in range(20):  # points that have been run are drawn again
            if len(proposals) >= n:
                break
            for point in points.mended(points.snap(run.sample(n - len(proposals), rng)), rng):
                if proposals.fresh(point):
                    proposals.add(point, run.why)
        proposals.fill(n, rng)
        return proposals.made


class _Run:
    """The fold of all generations so far. Droppable: it is folded again where they change."""

    def __init__(self, points: Points, seed: int, size: int) -> None:
        self._points = points
        self._seed = seed
        self._first_size = size
        self._numbers = np.array([c == 0 for c in points.choices], dtype=np.bool_)
        d = len(points.columns)
        self._edges = [
            None if c.choices or c.edges is None or not len(c.edges) else c.edges
            for c in points.columns
        ]
        self._d = d
        #: The numbers of its own trials, and how many trials have been looked at for them.
        self._own: list[int] = []
        self._looked = 0
        self._begin()

    def _begin(self, middle: Floats | None = None) -> None:
        self._seen = np.empty(0)
        self._next = 0
        self._restarts = 0
        self._middle = middle
        state = cma.State.start(np.full(self._d, 0.5), self._first_size)
        if middle is not None:
            state = replace(state, m=np.where(np.isnan(middle), 0.5, middle), sigma=SEEDED)
        self._state = state
        self._chances = [np.full(k, 1.0 / k) if k else np.empty(0) for k in self._points.choices]

    @property
    def why(self) -> str:
        deviation = float(np.median(self._state.deviations))
        return f"generation {self._state.generation}, deviation {deviation:.2g} of the ranges" + (
            f", restart {self._restarts}" if self._restarts else ""
        )

    def follow(self, history: History) -> None:
        """Take in the generations that have ended. O(trials) to see that the ended ones are the same.

        They are this searcher's own trials: those of others, among which it may be one in ten, would pull it back to
        where they look. What had come of them before its first trial is where it begins.
        """
        self._own += [k for k in range(self._looked, len(history)) if _is_own(history.origin(k))]
        self._looked = len(history)
        own = np.array(self._own, dtype=np.int64)
        evidence = Evidence.ranked(history)
        losses = np.full(len(history), np.nan)
        losses[evidence.rows] = np.where(np.isnan(evidence.losses), np.inf, evidence.losses)
        before = losses[: own[0] if len(own) else len(history)]
        best = np.argmin(np.where(np.isnan(before), np.inf, before)) if len(before) else 0
        middle = history.points[best] if (before < np.inf).any() else None
        same = np.array_equal(losses[own[: self._next]], self._seen, equal_nan=True)
        if not same or not _equal(middle, self._middle):
            self._begin(middle)
        while self._next + self._state.size <= len(own):
            size, after = self._state.size, self._next + self._state.size
            members = own[self._next : after]
            if np.isin(members, evidence.pending).any() and len(own) < after + size:
                break
            members = members[~np.isnan(losses[members])]
            if len(members) >= 2:
                self._learn(history.points[members], losses[members])
            self._next = after
        self._seen = losses[own[: self._next]]

    def _learn(self, x: Floats, losses: Floats) -> None:
        order = np.argsort(losses, kind="stable")
        x = x[order]
        weights = np.maximum(cma.Rates(self._d, len(x)).weights, 0.0)
        for j, k in enumerate(self._points.choices):
            if k:
                known = ~np.isnan(x[:, j])
                share = np.zeros(k)
                chosen = np.minimum((x[known, j] * k).astype(np.int64), k - 1)
                np.add.at(share, chosen, weights[known])
                if share.sum() > 0.0:
                    mixed = (1 - _LEARN) * self._chances[j] + _LEARN * share / share.sum()
                    mixed = np.maximum(mixed, min(0.5, 1.0 / (self._state.size * self._d)) / k)
                    self._chances[j] = mixed / mixed.sum()
        numbers = np.where(self._numbers, x, np.nan)
        state = self._state.update(numbers)
        low, high = np.full(self._d, -np.inf), np.full(self._d, np.inf)
        for j, edges in enumerate(self._edges):
            if edges is not None:
                at = int(np.searchsorted(edges, state.m[j], side="right"))
                low[j] = edges[at - 1] if at else -np.inf
                high[j] = edges[at] if at < len(edges) else np.inf
        state = state.with_margin(low, high, 1.0 / (self._d * state.size))
        flat = np.isfinite(losses).all() and float(np.ptp(losses)) == 0.0
        if state.converged or (flat and state.generation > 10):
            self._restarts += 1
            seed = derive_seed(self._seed, self._restarts, "restart")
            middle = np.random.default_rng(seed).random(self._d)
            state = cma.State.start(middle, self._first_size * 2**self._restarts)
        self._state = state

    def sample(self, n: int, rng: Generator) -> Floats:
        out = self._state.sample(n, rng)
        for j, chances in enumerate(self._chances):
            if len(chances):
                out[:, j] = (rng.choice(len(chances), size=n, p=chances) + 0.5) / len(chances)
        return out


def _is_own(origin: Origin) -> bool:
    """Whether a trial was suggested by CMA-ES, on its own or within `auto`."""
    return origin.searcher == "cmaes" or origin.why.startswith("cmaes ")


def _equal(a: Floats | None, b: Floats | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b, equal_nan=True)


SEARCHER = Cmaes
