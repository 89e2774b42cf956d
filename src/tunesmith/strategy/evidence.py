"""A searcher's training data as arrays (results, failures, pending trials), and the proposals it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.history import History
from tunesmith.core.space.points import Points
from tunesmith.core.space.space import Config
from tunesmith.core.strategy import Suggestion
from tunesmith.core.trial import Origin, State
from tunesmith.strategy.extrapolation import Extrapolation
from tunesmith.strategy.standing import Standing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """rows, shape (n,): the trials with a result or a failure, in order; losses, shape (n,), NaN for
    failures; pending: the trials that wait or run; deviations, shape (n,): those of the losses, 0 for what has ended.

    The loss of a trial that was stopped or pauses is what it would have come to (see `Extrapolation`), which changes
    a little as the others report; its deviation is that of the forecast, and never 0.
    """

    rows: NDArray[np.int64]
    losses: Floats
    pending: NDArray[np.int64]
    deviations: Floats

    @classmethod
    def of(cls, history: History) -> Evidence:
        """O(trials), in a few passes of NumPy's."""
        losses = history.first_losses
        deviations = np.zeros(len(losses))
        early = np.flatnonzero(history.where(State.STOPPED, State.PAUSED))
        if len(early):
            losses = losses.copy()
            losses[early], spread = Extrapolation.of(history).ends(history, early)
            deviations[early] = np.maximum(spread, np.finfo(np.float64).tiny)
        known = history.where(State.COMPLETED, State.STOPPED, State.PAUSED) & np.isfinite(losses)
        failed = history.where(State.FAILED) & (history.blamed > 0)
        rows = np.flatnonzero(known | failed)
        losses = np.where(failed, np.nan, losses)[rows]
        return cls(rows, losses, _pending(history), deviations[rows])

    @classmethod
    def ranked(cls, history: History) -> Evidence:
        """For searchers that go by the order of results alone: with several objectives, or constraints, the losses are
        ranks (see `tunesmith.strategy.standing`), of what is known in every objective, forecasts included."""
        if len(history.objectives) == 1 and not history.constraints:
            return cls.of(history)
        standing = Standing.of(history)
        standing = standing.only(standing.whole | standing.failed)
        ranks = np.where(standing.failed, np.nan, standing.order.astype(np.float64))
        return cls(standing.rows, ranks, _pending(history), np.zeros(len(ranks)))

    @classmethod
    def completed(cls, history: History) -> Evidence:
        """The completed trials alone: no forecasts, no failures, nothing pending."""
        losses = history.first_losses
        rows = np.flatnonzero(history.where(State.COMPLETED) & np.isfinite(losses))
        return cls(rows, losses[rows], rows[:0], np.zeros(len(rows)))

    @property
    def results(self) -> int:
        """How many of them have a result."""
        return int(np.isfinite(self.losses).sum())


def _key(point: Floats) -> bytes:
    """Equal for equal points, which are NaN where inactive."""
    return np.where(np.isnan(point), -1.0, point + 0.0).tobytes()


def _pending(history: History) -> NDArray[np.int64]:
    return np.flatnonzero(history.where(State.WAITING, State.RUNNING))


class _Suggested:
    """Trials of one kind of origin, and how many trials have been looked at for them."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.looked = 0


def suggested(history: History, by: str, is_own: Callable[[Origin], bool]) -> list[int]:
    """The trials that were suggested `by` one way of many, which `is_own` knows by their origins, in order. O(new
    trials)."""
    fold: _Suggested = history.memo(("suggested", by), _Suggested)
    new = range(fold.looked, len(history))
    fold.numbers += [number for number in new if is_own(history.origin(number))]
    fold.looked = len(history)
    return fold.numbers


class Proposals:
    """Suggestions as they are collected: none of them run before, none twice, all relations kept."""

    def __init__(self, points: Points, history: History) -> None:
        self._points = points
        self._history = history
        #: Whether a config that has been run may be proposed.
        self.repeats = False
        self.taken: list[Floats] = []
        self.made: list[Suggestion] = []
        self._keys: set[bytes] = set()
        self._last: tuple[bytes, Config] | None = None

    def __len__(self) -> int:
        return len(self.made)

    def fresh(self, point: Floats) -> bool:
        """Whether a snapped point satisfies the relations, and nobody has run it or is about to."""
        if _key(point) in self._keys:
            return False
        if not self._points.satisfies(point[None])[0]:
            return False
        if self.repeats:
            return True
        config = self._config(point)
        if self._history.find(config) is not None:
            return False
        if not self._points.rounded:
            return True
        # users' own values need not be on the grid that suggestions are rounded to
        return self._history.find(config | self._points.exact(point)) is None

    def add(self, point: Floats, why: str) -> None:
        self.taken.append(point)
        self._keys.add(_key(point))
        self.made.append(Suggestion(self._config(point), why))

    def _config(self, point: Floats) -> Config:
        """Its config; that of the point asked for last is remembered."""
        key = _key(point)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._points.config(point))
        return self._last[1]

    def first_fresh(self, pool: Floats, order: Sequence[int] | NDArray[np.int64]) -> Floats | None:
        """The first of `pool`'s rows, in `order`, that is fresh."""
        return next((pool[j] for j in order if self.fresh(pool[j])), None)

    def fill(self, n: int, rng: Generator) -> None:
        """Add random configs up to `n`, run before or not: the engine drops what has been run, and
        knows how to find the last config of a space."""
        space = self._points.space
        more = space.samples(n - len(self), rng) if len(self) < n else []
        self.made += [Suggestion(c, "random: what was better has been run") for c in more]

    def open(self, design: Floats, until: int, n: int) -> None:
        """Add up to `n` first configs, for trials before `until`: the defaults (or where the priors
        are highest, or the middle of every range), then the rows of `design`, which may be more than `until`."""
        space = self._points.space
        first = self._history.own + len(self)
        for k in range(first, min(first + n - len(self), until)):
            if k == 0:
                parameters = space.tunables.values()
                what = "the middle"
                if any(p.has_default for p in parameters):
                    what = "the defaults"
                elif any(p.prior is not None for p in parameters):
                    what = "the priors' centres"
                config = space.corner(0.5) if what == "the middle" else space.default()
                if space.satisfies(config):
                    self.add(space.encode(config), f"initial design: {what}")
                    continue
            begin = min(max(0, k - 1), len(design))  # the first trial is none of the design
            point = self.first_fresh(design, [*range(begin, len(design)), *range(begin)])
            if point is None:
                return
            self.add(point, "initial design")
