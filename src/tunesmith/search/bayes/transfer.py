"""Transfer from prior studies: their trials, in this study's coordinates, as further tasks of the model.

They enter the same Gaussian process as this study's trials, told apart by one more feature, which study
a trial is of. Its lengthscale is learned like any other: long where the studies are alike, short where
they are not (the intrinsic coregionalisation model with equal correlations: Bonilla, Chai & Williams,
"Multi-task Gaussian process prediction", 2007, eq. 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.prior_study import PriorStudy, ranked
from tunesmith.core.space.points import Points
from tunesmith.numeric.warp import OutputWarp

Floats = NDArray[np.float64]

#: All earlier studies together give the model at most this many trials, ...
MOST: Final = 100
#: ... and none when this one has so many results of its own.
UNTIL: Final = 150
#: The first trials are some of the earlier studies' best: so many, ...
TRIED: Final = 3
#: Studies share one scale if their results at the same configs are apart by at most this part of the interquartile range.
SAME: Final = 0.25
#: ... no two of them nearer than this in every number.
APART: Final = 0.05


class Transfer:
    """points, shape (m, d); losses, shape (m, objectives), NaN where a study lacks one; targets, of the same shape: the
    losses, standardised within each study; study, shape (m,), counted from 1. `tried` are the points to try first, with their studies' names: of `earlier_versions` of
    this very study, which come last, the best are run again anyway."""

    def __init__(
        self,
        points: Points,
        prior_studies: Sequence[PriorStudy],
        earlier_versions: Sequence[PriorStudy] = (),
        objectives: int = 1,
    ) -> None:
        d, first_version = len(points.columns), len(prior_studies) + 1
        prior_studies = [*prior_studies, *earlier_versions]
        self.studies = len(prior_studies)
        per_study: list[tuple[Floats, Floats, Floats, Floats]] = []
        best: list[tuple[int, int, Floats, str]] = []
        for k, earlier in enumerate(prior_studies, 1):
            rows: list[Floats] = []
            losses: list[Floats] = []
            feasible: list[bool] = []
            for place, (config, loss) in enumerate(
                zip(earlier.configs, earlier.values, strict=True)
            ):
                here = points.space.adopt(config)
                if here is not None:
                    rows.append(points.space.encode(here))
                    losses.append(loss)
                    feasible.append(place not in earlier.broken)
            if not rows:
                continue
            values = np.full((len(rows), objectives), np.nan)
            known = min(objectives, len(losses[0]))
            values[:, :known] = np.array(losses)[:, :known]
            order = ranked(values[:, ~np.isnan(values).all(axis=0)])
            if k < first_version:
                best += [
                    (place, k, rows[j], earlier.study)
                    for place, j in enumerate(order)
                    if feasible[j]
                ]
            subset = np.sort(_some(order, max(1, MOST // len(prior_studies))))
            z = np.full_like(values, np.nan)
            for column, targets in zip(values.T, z.T, strict=True):
                there = np.isfinite(column)
                if there.any():
                    targets[there] = OutputWarp.of(column[there])(column[there])
            which = np.full(len(subset), float(k))
            per_study.append((np.array(rows)[subset], z[subset], which, values[subset]))
        self.points = np.vstack([np.empty((0, d)), *(f[0] for f in per_study)])
        self.targets = np.vstack([np.empty((0, objectives)), *(f[1] for f in per_study)])
        self.study = np.concatenate([np.empty(0), *(f[2] for f in per_study)])
        self.losses = np.vstack([np.empty((0, objectives)), *(f[3] for f in per_study)])
        self.tried: list[tuple[Floats, str]] = []
        for _, _, row, name in sorted(best, key=lambda b: b[:2]):
            if len(self.tried) == TRIED:
                break
            if points.satisfies(row[None])[0] and all(_apart(row, o) for o, _ in self.tried):
                self.tried.append((row, name))

    def __len__(self) -> int:
        return len(self.targets)

    def of(self, objective: int) -> Lessons:
        """What the earlier studies say of one objective."""
        rows = np.isfinite(self.losses[:, objective])
        losses, targets = self.losses[rows, objective], self.targets[rows, objective]
        return Lessons(self.points[rows], losses, targets, self.study[rows])

    def combined(self, combine: Callable[[Floats], Floats]) -> Lessons:
        """What they say of what `combine` makes of all objectives, of losses of shape (n, objectives) one of shape (n,):
        each study's by itself."""
        rows = np.isfinite(self.losses).all(axis=1)
        losses, targets = np.zeros(len(self.losses)), np.zeros(len(self.losses))
        for k in np.unique(self.study[rows]):
            mine = rows & (self.study == k)
            losses[mine] = combine(self.losses[mine])
            targets[mine] = OutputWarp.of(losses[mine])(losses[mine])
        return Lessons(self.points[rows], losses[rows], targets[rows], self.study[rows])


class Lessons(NamedTuple):
    """Trials of earlier studies by one objective: points, shape (m, d); losses, targets and study, shape (m,)."""

    points: Floats
    losses: Floats
    targets: Floats
    study: Floats

    def alike(self, points: Floats, losses: Floats) -> bool:
        """Whether results of this study are on the scale of the earlier ones: at configs that both have tried, of which
        there are some at the beginning, they are less than `SAME` of the earlier losses' spread apart.

        Then all are standardised together. A study that begins with the old best would else take it for its average.
        """
        pairs = [
            (here, j)
            for point, here in zip(points, losses, strict=True)
            for j in np.flatnonzero(np.isclose(self.points, point, equal_nan=True).all(axis=1))
        ]
        if len(pairs) < 2 or not len(self.losses):
            return False
        apart = [abs(here - self.losses[j]) for here, j in pairs]
        low, high = np.quantile(self.losses, (0.25, 0.75))
        return bool(np.median(apart) <= SAME * (high - low))


def _some(order: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The first half of `most`, and an even selection of the others."""
    if len(order) <= most:
        return order
    rest = order[most // 2 :]
    even = np.linspace(0, len(rest) - 1, most - most // 2).astype(np.int64)
    return np.concatenate([order[: most // 2], rest[even]])


def _apart(a: Floats, b: Floats) -> bool:
    apart = np.abs(np.nan_to_num(a, nan=-1.0) - np.nan_to_num(b, nan=-1.0))
    return bool((apart > APART).any())
