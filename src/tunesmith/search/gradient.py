"""Gradient descent on continuous parameters, from where the default searcher has been.

For trials that report, beside the metric, its derivatives by the parameters (``d_loss/d_learning_rate``; see
`tunesmith.training.hypergrad`). Starts are `auto`'s proposals. From the promising ones, projected L-BFGS
steps in the unit cube follow, one trial each, until little is left to gain; then it is `auto`'s turn again, which
learns from all of them. Choices, conditions and parameters without a derivative stay as they are at the start.

All of it is read from the history: which trial a step began at is in the trial's `why`, what the steps
have come to in its results.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.space.points import Points
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Suggestion
from tunesmith.core.trial import State
from tunesmith.numeric.quasi_newton import curved, direction, shorter
from tunesmith.search.auto import Auto
from tunesmith.search.bayes import check_exploration

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: The longest coordinate of a first step, and of any step, in the unit cube.
FIRST: Final = 0.2
LONGEST: Final = 0.3
#: Shorter steps change nothing that matters.
SHORTEST: Final = 1e-6
#: A step has to bring this share of what its slope promises (Armijo).
PROMISED: Final = 1e-4
#: A refinement has converged when the next step promises less than this share of what it has gained.
ENOUGH: Final = 1e-5
#: ... or when so many steps from one place were all too long.
MOST_TRIES: Final = 6
#: Steps that L-BFGS remembers.
REMEMBERED: Final = 10
#: One in so many of the default searcher's trials is worth a refinement: the best ones.
ONE_IN: Final = 3
#: ... and no more than so many of them, so that a suggestion costs little in a long study.
MOST_STARTS: Final = 100
#: From this near (in every coordinate) to where another refinement was lower, it would end where that one did.
NEAR: Final = 0.05

_WHY: Final = re.compile(r"gradient step \d+ from trial (\d+), ")
#: The reciprocals of smaller numbers overflow: a step along such a slope would be infinitely long.
_LEAST: Final = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True)
class Gradient:
    """L-BFGS from the default searcher's best trials, where trials report derivatives; otherwise `auto`.

    `exploration` is `bayes`'s: "low", "balanced" or "high".
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "first"

    exploration: Literal["low", "balanced", "high"] = "balanced"

    def __post_init__(self) -> None:
        check_exploration("gradient", self.exploration)

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        """A step of each refinement that waits for one; the rest is `auto`'s."""
        made: list[Suggestion] = []
        if len(history.objectives) == 1:
            with np.errstate(all="ignore"):
                slopes = _Slopes.of(space, history)
                if slopes.known.any():
                    made = _steps(slopes, history, n)
        if len(made) < n:
            made += Auto(self.exploration).suggest(space, history, n - len(made), rng)
        return made


@dataclass(frozen=True, slots=True)
class _Slopes:
    """What the history says to whoever follows gradients: arrays over all trials."""

    points: Points
    #: Points of the unit cube, shape (n, d).
    at: Floats
    #: Shape (n,): NaN for what has no result.
    losses: Floats
    #: Shape (n, d): NaN where there is none, or the parameter is no continuum.
    gradients: Floats
    pending: Mask
    #: Trials that have a result and some derivative, shape (n,).
    known: Mask
    #: For each trial that is a step, the trial it began at.
    base: dict[int, int]

    @classmethod
    def of(cls, space: Space, history: History) -> _Slopes:
        points = history.memo("gradient: points", lambda: Points(space))
        fixed = [column.levels is not None for column in points.columns]
        gradients = history.gradients
        gradients[:, fixed] = np.nan
        losses = np.where(history.where(State.COMPLETED), history.first_losses, np.nan)
        known = np.isfinite(losses) & np.isfinite(gradients).any(axis=1)
        pending = history.where(State.WAITING, State.RUNNING, State.PAUSED)
        base = history.memo("gradient: base", _Lineage)
        return cls(points, history.points, losses, gradients, pending, known, base.of(history))

    def children(self) -> dict[int, list[int]]:
        """For each trial, the steps that began there, oldest first."""
        by_base: dict[int, list[int]] = {}
        for step, base in sorted(self.base.items()):
            by_base.setdefault(base, []).append(step)
        return by_base


@dataclass(slots=True)
class _Lineage:
    """Which trials are steps, and from where, as far as they have been read. A why never changes."""

    read: int = 0
    base: dict[int, int] = field(default_factory=dict)

    def of(self, history: History) -> dict[int, int]:
        for number in range(self.read, len(history)):
            if match := _WHY.match(history.origin(number).why):
                self.base[number] = int(match[1])
        self.read = max(self.read, len(history))
        return {step: base for step, base in self.base.items() if step < len(history)}


@dataclass(frozen=True, slots=True)
class _Refinement:
    """The steps from one start: the chain of those that went down enough, and the tries from its end."""

    chain: list[int]
    tries: list[int]

    @classmethod
    def of(cls, start: int, slopes: _Slopes, children: dict[int, list[int]]) -> _Refinement:
        chain = [start]
        while True:
            tries = children.get(chain[-1], [])
            better = [c for c in tries if _went_down(slopes, chain[-1], c)]
            if not better:
                return cls(chain, tries)
            chain.append(min(better, key=lambda c: (slopes.losses[c], c)))

    @property
    def end(self) -> int:
        return self.chain[-1]

    def next(self, slopes: _Slopes, history: History) -> Suggestion | None:
        """The next step; None if it waits for one, or has converged."""
        if slopes.pending[self.tries].any() or len(self.tries) >= MOST_TRIES:
            return None
        begin, g = slopes.at[self.end], slopes.gradients[self.end]
        free = np.isfinite(g) & ~((begin <= 0.0) & (g >= 0.0)) & ~((begin >= 1.0) & (g <= 0.0))
        if not (free & (g != 0.0)).any():
            return None
        down, pairs = self._direction(slopes, g, free)
        longest = float(np.abs(down).max())
        if not _LEAST <= longest < np.inf:
            return None
        if pairs and self._converged(slopes, -0.5 * float(g[free] @ down[free])):
            return None
        why = f"gradient step {len(self.chain)} from trial {self.end}, |g| {np.abs(g[free]).max():.2g}"
        if self.tries:
            why += f", shorter: try {len(self.tries) + 1}"
        length = self._length(slopes, longest, pairs)
        while length * longest >= SHORTEST:
            to = begin.copy()
            to[free] = np.clip(begin[free] + length * down[free], 0.0, 1.0)
            if _allowed(slopes.points, begin, to, history):
                return Suggestion(slopes.points.config(to), why)
            length *= 0.5
        return None

    def _length(self, slopes: _Slopes, longest: float, pairs: int) -> float:
        """How far to go along a direction whose longest coordinate is `longest`, after the tries that were."""
        if pairs:
            length = min(1.0, LONGEST / longest)
        elif len(self.chain) > 1:
            length = min(LONGEST, 2.0 * float(np.nanmax(np.abs(self._moves(slopes)[-1])))) / longest
        else:
            length = FIRST / longest
        g = slopes.gradients[self.end]
        known = np.isfinite(g)
        for t in self.tries:
            slope = float(g[known] @ (slopes.at[t] - slopes.at[self.end])[known])
            length *= shorter(slopes.losses[self.end], slopes.losses[t], slope)
        return length

    def _moves(self, slopes: _Slopes) -> list[Floats]:
        return list(np.diff(slopes.at[self.chain], axis=0))

    def _direction(self, slopes: _Slopes, g: Floats, free: Mask) -> tuple[Floats, int]:
        """Which way to go, 0 where not `free`; and how many steps' curvature it knows."""
        changes = list(np.diff(slopes.gradients[self.chain], axis=0))
        pairs = [
            (s[free], y[free])
            for s, y in zip(self._moves(slopes), changes, strict=True)
            if np.isfinite(y[free]).all() and curved(s[free], y[free])
        ][-REMEMBERED:]
        down = np.zeros_like(g)
        down[free] = direction(g[free], [s for s, _ in pairs], [y for _, y in pairs])
        return down, len(pairs)

    def _converged(self, slopes: _Slopes, promised: float) -> bool:
        """Whether neither the next step promises nor the last one brought much of what has been gained."""
        losses = slopes.losses[self.chain]
        gained = float(losses[0] - losses[-1])
        last = float(losses[-2] - losses[-1])
        return max(promised, 0.25 * last) < max(ENOUGH * gained, 1e-12 * abs(float(losses[-1])))


def _steps(slopes: _Slopes, history: History, n: int) -> list[Suggestion]:
    """Up to `n` steps: refinements that are under way first, the best first; then new ones."""
    children = slopes.children()
    others = [int(t) for t in np.flatnonzero(slopes.known) if int(t) not in slopes.base]
    others.sort(key=lambda t: (slopes.losses[t], t))
    begun = [_Refinement.of(t, slopes, children) for t in others if t in children]
    begun.sort(key=lambda r: (slopes.losses[r.end], r.end))
    members: list[int] = []
    made: list[Suggestion] = []
    for refinement in begun:
        step = refinement.next(slopes, history) if len(made) < n else None
        if step is not None and not _leads_nowhere_new(slopes, refinement.end, members):
            made.append(step)
        members += refinement.chain
    for t in others[: min(-(-len(others) // ONE_IN), MOST_STARTS)]:
        if len(made) >= n:
            break
        if t in children or _leads_nowhere_new(slopes, t, members):
            continue
        if (step := _Refinement([t], []).next(slopes, history)) is not None:
            made.append(step)
            members.append(t)
    return made


def _went_down(slopes: _Slopes, base: int, to: int) -> bool:
    """Whether a step went down as far as its slope promised (Armijo's condition), and can be gone on from."""
    g = slopes.gradients[base]
    moved = np.isfinite(g)
    if not slopes.known[to] or not np.isfinite(slopes.gradients[to][moved]).all():
        return False
    promised = float(g[moved] @ (slopes.at[to] - slopes.at[base])[moved])
    least = slopes.losses[base] + PROMISED * min(promised, 0.0)
    return bool(slopes.losses[to] <= least and slopes.losses[to] < slopes.losses[base])


def _leads_nowhere_new(slopes: _Slopes, start: int, members: list[int]) -> bool:
    """Whether a refinement has been near `start` (the same choices, NEAR in the rest) and lower there."""
    lower = [t for t in members if slopes.losses[t] <= slopes.losses[start]]
    if not lower:
        return False
    movable = np.isfinite(slopes.gradients[start])
    apart = np.abs(slopes.at[lower] - slopes.at[start])
    same = np.isclose(slopes.at[lower], slopes.at[start], equal_nan=True) | movable
    return bool((same.all(axis=1) & (apart[:, movable] < NEAR).all(axis=1)).any())


def _allowed(points: Points, begin: Floats, to: Floats, history: History) -> bool:
    """Whether `to` has the same active parameters as `begin`, keeps the relations, and is new."""
    snapped = points.snap(to[None])
    same = (points.active(snapped)[0] != np.isnan(begin)).all()
    if not same or not points.satisfies(snapped)[0]:
        return False
    return history.find(points.config(snapped[0])) is None


SEARCHER = Gradient
