"""Maximisation of the acquisition function: random candidates, multi-start gradient ascent, local search."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.numeric import gp
from tunesmith.numeric.ascent import climb
from tunesmith.numeric.candidates import mutants, neighbours, other_choices
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.failing import Risky
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.priced import Priced
from tunesmith.search.bayes.region import EVERY, QUADRATIC_EVERY, Region
from tunesmith.search.bayes.surrogate import Model, Scores
from tunesmith.strategy.evidence import Proposals

Floats = NDArray[np.float64]

#: Mutants of the best trials, among the candidates.
MUTANTS: Final = 192
PARENTS: Final = 5
#: ... of which so many are moved to where the relations hold, if few do.
MENDED: Final = 48
#: Points from which the acquisition is climbed.
STARTS: Final = 4
CLIMB_STEPS: Final = 20
#: Neighbours of the best trial, of which the neighbours are looked at.
BESIDE: Final = 6
#: Of a batch of more than `MANY`, the first `THOROUGH` points are looked for all over, as all of a smaller one are, and all where
#: there are choices alone. After them, that is done once in `ROUND`; the others are taken from a pool.
MANY: Final = 16
THOROUGH: Final = 8
ROUND: Final = 32
#: Once in `RENEWED` points of a pool, so many of it are climbed from, in so many steps, and where they arrive has mutants;
#: the best one has neighbours.
RENEWED: Final = 8
LATE_STARTS: Final = 8
LATE_STEPS: Final = 8
BRED: Final = 64
#: Every so many of the points of a pool are tried within another choice.
SPARSE: Final = 8
#: How many deviations below its mean a choice is hoped to be.
HOPE: Final = 2.0


class Maximiser:
    """Looks for fresh points with a high score: all over, near the best, uphill, next door."""

    def __init__(
        self,
        domain: Domain,
        model: Model | Joint | Priced | Risky,
        proposals: Proposals,
        rng: Generator,
        region: Region | None = None,
    ) -> None:
        self._domain = domain
        self.model = model
        self._proposals = proposals
        self._rng = rng
        self._region = region
        #: The points that `best` looked at last; the pools made of them, with scores that follow what is believed; how many
        #: more are to be taken from those.
        self._looked: Floats | None = None
        self._pools: list[tuple[Floats, Scores]] = []
        self._left = 0
        self._running: list[Floats] = []

    def believe(self, point: Floats) -> None:
        """A point is about to run. The model hears of it before it is asked next, of several in one go."""
        self._running.append(point)

    def _informed(self) -> Model | Joint | Priced | Risky:
        if self._running:
            self.model.believe(np.array(self._running))
            self._running = []
        return self.model

    def further(self) -> tuple[Floats, str] | None:
        """As `best`, for a late point of a batch: now and then it is looked for anew, else it is the best of a pool of what was
        looked at then, which is renewed uphill.

        With n points that are known or believed, and m in the pool, O(n m) for each, where `best` takes O(n^2 m) for the
        scores of its candidates, and as much again for its climbs.
        """
        looked, self._left = self._looked, self._left - 1
        if looked is None or self._left < 0:
            return self.best()
        model = self._informed()
        self._pools = self._pools or [(looked, model.watch(looked))]
        pool, scores = self._scored()
        if self._left % RENEWED == 0 and self._domain.everything is None:
            ends = self._climbed(self._starts(pool, scores, LATE_STARTS), steps=LATE_STEPS)
            near = self._neighbours(pool[np.argmax(scores)])
            new = self._placed(np.vstack([ends, near, self._mutants(ends, BRED)]))
            new = new[self._domain.points.satisfies(new)]
            self._pools[1:] = [(new, model.watch(new))]
            pool, scores = self._scored()
        return self._first_fresh(pool, scores) or self.best()

    def _scored(self) -> tuple[Floats, Floats]:
        parts = [(points, scores()) for points, scores in self._pools]
        return np.vstack([p for p, _ in parts]), np.concatenate([s for _, s in parts])

    def best(self) -> tuple[Floats, str] | None:
        """The best fresh point; None if none was found."""
        self._informed()
        if self._domain.everything is not None:
            self._looked, self._left = self._domain.everything, len(self._domain.everything)
            return self._first_fresh(self._looked)
        pool = self._candidates()
        scores = self.model.score(pool)
        ends = self._climbed(self._starts(pool, scores, STARTS))
        end_scores = self.model.score(ends)
        for _ in range(2):
            near = self._neighbours(ends[np.argmax(end_scores)])
            if not len(near):
                break
            near_scores = self.model.score(near)
            j = int(np.argmax(near_scores))
            if near_scores[j] <= end_scores.max():
                break
            better = self._climbed(near[j : j + 1])
            ends = np.vstack([ends, near[j : j + 1], better])
            end_scores = np.concatenate(
                [end_scores, near_scores[j : j + 1], self.model.score(better)]
            )
        self._looked, self._pools, self._left = np.vstack([ends, pool]), [], ROUND
        return self._first_fresh(self._looked, np.concatenate([end_scores, scores]))

    def inside(self, number: int, *, late: bool) -> tuple[Floats, str] | None:
        """The best fresh point of the trust region; now and then the minimum of a quadratic function there. `late`: in a
        batch."""
        region = self._region
        assert region is not None
        if number // EVERY % QUADRATIC_EVERY == 0:
            proposal = region.lowest
            if proposal is not None:
                point, why = self._domain.points.snap(proposal[0][None])[0], proposal[1]
                if self._domain.points.whole(point[None])[0] and self._proposals.fresh(point):
                    return point, region.why + why
        best = self.further() if late else self.best()
        return None if best is None else (best[0], region.why)

    def beside(self) -> tuple[Floats, str] | None:
        """The best point that differs from the best trial in one or two choices, by the neighbours that score best."""
        model = self._informed()
        one = self._neighbours(model.known[int(np.argmin(model.at_known))])
        if not len(one):
            return None
        best = np.argsort(-model.score(one), kind="stable")[:BESIDE]
        pool = np.vstack([one, *(self._neighbours(point) for point in one[best])])
        fresh = self._first_fresh(pool)
        return None if fresh is None else (fresh[0], "beside the best: ")

    def leave(self, *, late: bool) -> tuple[Floats, str] | None:
        """The best point with another choice than the best trial's, judged within that choice.

        Expected improvement is short-sighted: a branch that takes ten trials to tune looks worthless
        beside one that is tuned already. So choices take turns, by how good they may turn out to be,
        and each is improved on its own best trial. `late`: in a batch, among fewer points.
        """
        model, domain = self._informed(), self._domain
        top = model.known[int(np.argmin(model.at_known))]
        choices = domain.unordered
        choices = choices[~np.isnan(top[choices])]
        apart = 1.0 - gp.matern(model.lengths[choices] ** -2.0)  # how much its values differ
        if not apart.sum() > 0.0:
            return None
        j = int(self._rng.choice(choices, p=apart / apart.sum()))
        column = domain.points.columns[j]
        assert column.levels is not None
        looked = self._looked if late else None
        spread = self._candidates() if looked is None else looked[::SPARSE]
        here = int(column.index(top[j : j + 1])[0])
        k = self._most_hopeful(other_choices(here, column.choices, self._rng), spread, top, j)
        if k is None:
            return None
        inside = model.known[:, j] == column.levels[k]
        goal = model.best
        if inside.any():
            goal = max(goal, float(model.at_known[inside].min()))
        pool = self._within(spread, top, j, k)
        if not late:
            starts = pool[np.argsort(-model.score(pool, goal), kind="stable")[:STARTS]]
            pool = np.vstack([self._climbed(starts, goal), pool])
        fresh = self._first_fresh(pool, model.score(pool, goal))
        if fresh is None:
            return None
        name, point = list(domain.space.tunables)[j], fresh[0]
        now, then = column.parameter.decode(float(top[j])), column.parameter.decode(float(point[j]))
        return point, f"leaving {name}={now} for {then}: "

    def _most_hopeful(self, levels: list[int], spread: Floats, top: Floats, j: int) -> int | None:
        """The level of column `j` with the lowest optimistic prediction, by a few points each."""
        hopes: list[tuple[float, int]] = []
        for k in levels:
            pool = self._within(spread[:: max(1, len(spread) // 64)], top, j, k)
            if len(pool):
                hopes.append((float(self.model.hope(pool, HOPE).min()), k))
        return min(hopes)[1] if hopes else None

    def _within(self, spread: Floats, top: Floats, j: int, k: int) -> Floats:
        """Points with level `k` in column `j`: spread, `top` with it, and the best known ones."""
        column = self._domain.points.columns[j]
        assert column.levels is not None
        level = column.levels[k]
        inside = np.flatnonzero(self.model.known[:, j] == level)
        inside = inside[np.argsort(self.model.at_known[inside], kind="stable")][:PARENTS]
        pool = np.vstack([spread, top, self.model.known[inside]])
        pool[:, j] = level
        pool = np.where(np.isnan(pool), self._rng.random(pool.shape), pool)
        pool = self._domain.points.snap(pool)
        return pool[~np.isnan(pool[:, j]) & self._domain.points.satisfies(pool)]

    def _first_fresh(self, pool: Floats, scores: Floats | None = None) -> tuple[Floats, str] | None:
        scores = self.model.score(pool) if scores is None else scores
        point = self._proposals.first_fresh(pool, np.argsort(-scores, kind="stable"))
        return None if point is None else (point, "")

    def _candidates(self) -> Floats:
        """Points all over the space, and mutants of the best known ones; relations hold."""
        domain, model, rng, region = self._domain, self.model, self._rng, self._region
        spread = (domain.spread + rng.random(domain.d)) % 1.0
        parents = model.known[np.argsort(model.at_known, kind="stable")[:PARENTS]]
        if region is not None:
            spread = region.low + spread * (region.high - region.low)
            parents = region.centre[None]
        pool = self._placed(np.vstack([spread, self._mutants(parents, MUTANTS)]))
        if domain.space.relations:
            broken = pool[~domain.points.satisfies(pool)]
            pool = pool[domain.points.satisfies(pool)]
            if len(pool) < 64:
                mended = domain.points.mended(broken[-MENDED:], rng)  # mutants of the best ones
                more = [domain.space.encode(c) for c in domain.space.samples(32, rng)]
                pool = np.vstack([pool, mended, more])
        return pool

    def _mutants(self, parents: Floats, count: int) -> Floats:
        domain, region = self._domain, self._region
        bred = mutants(parents, count, domain.least, domain.choices, self._rng)
        return bred if region is None else np.clip(bred, region.low, region.high)

    def _placed(self, pool: Floats) -> Floats:
        """On the grid; those that are no points of the trust region are left out."""
        points = self._domain.points
        pool = points.snap(pool)
        return pool if self._region is None else pool[points.whole(pool)]

    def _starts(self, pool: Floats, scores: Floats, count: int) -> Floats:
        """The best of a pool, and others by how good they are."""
        heat = scores + self._rng.gumbel(size=len(scores))
        heat[np.argmax(scores)] = np.inf
        return pool[np.argpartition(-heat, count)[:count]] if len(pool) > count else pool

    def _climbed(
        self, starts: Floats, best: float | None = None, steps: int = CLIMB_STEPS
    ) -> Floats:
        movable = ~np.isnan(starts) & self._domain.climbable
        scale = np.minimum(self.model.lengths, 10.0)
        slopes = self.model.slopes(starts, best)
        points = self._domain.points
        low, high = (0.0, 1.0) if self._region is None else (self._region.low, self._region.high)
        steep = self.model.steep
        arrived = climb(slopes, starts, movable, scale, steps, low, high, steep=steep)
        ends = points.snap(arrived)
        valid = points.whole(ends) & points.satisfies(ends)
        return np.where(valid[:, None], ends, starts)

    def _neighbours(self, point: Floats) -> Floats:
        levels = self._domain.levels
        if self._region is not None:
            levels = [None if c else v for v, c in zip(levels, self._domain.choices, strict=True)]
        near = neighbours(point, levels, self._domain.choices, self._rng)
        near = self._domain.points.snap(near)
        return near[self._domain.points.satisfies(near)]
