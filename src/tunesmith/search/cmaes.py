"""CMA-ES with margin: for long runs over numbers, thousands of trials and more.

A population moves, stretches and turns towards what is better; see `tunesmith.numeric.cma`.
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
from tunesmith.numeric import cma
from tunesmith.strategy.evidence import Evidence, Proposals

Floats = NDArray[np.float64]

#: How fast the choices' probabilities follow the best of a generation.
_LEARN: Final = 0.15


@dataclass(frozen=True, slots=True)
class Cmaes:
    """Trials in the order of their numbers are the generations, `population` at a time (0: by the
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
        self._begin()

    def _begin(self) -> None:
        self._seen: tuple[NDArray[np.int64], Floats] = (np.empty(0, np.int64), np.empty(0))
        self._next = 0
        self._restarts = 0
        self._state = cma.State.start(np.full(self._d, 0.5), self._first_size)
        self._chances = [np.full(k, 1.0 / k) if k else np.empty(0) for k in self._points.choices]

    @property
    def why(self) -> str:
        deviation = float(np.median(self._state.deviations))
        return f"generation {self._state.generation}, deviation {deviation:.2g} of the ranges" + (
            f", restart {self._restarts}" if self._restarts else ""
        )

    def follow(self, history: History) -> None:
        """Take in the generations that have ended. O(trials) to see that the ended ones are the same."""
        evidence = Evidence.ranked(history)
        rows, losses = evidence.rows, evidence.losses
        done = int(np.searchsorted(rows, self._next))
        ended = (rows[:done], losses[:done])
        if not (
            np.array_equal(ended[0], self._seen[0])
            and np.array_equal(ended[1], self._seen[1], equal_nan=True)
        ):
            self._begin()
        while self._next + self._state.size <= len(history):
            size, first = self._state.size, self._next
            after = first + size
            waiting = ((evidence.pending >= first) & (evidence.pending < after)).any()
            if waiting and len(history) < after + size:
                break
            low, high = np.searchsorted(rows, [first, after])
            members = rows[low:high]
            if len(members) >= 2:
                self._learn(history.points[members], losses[low:high])
            self._next = after
        done = int(np.searchsorted(rows, self._next))
        self._seen = (rows[:done].copy(), losses[:done].copy())

    def _learn(self, x: Floats, losses: Floats) -> None:
        order = np.argsort(np.where(np.isnan(losses), np.inf, losses), kind="stable")
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


SEARCHER = Cmaes
