"""What a model scores on new rows: its score by cross-validation without what choosing flatters it, and an interval.

Whoever takes the best of many configs by the same held-out rows takes lucky ones. How lucky is what choosing on drawn
rows loses on the others: Tsamardinos, Greasidou & Borboudakis, "Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation" (Machine Learning 2018). All on predictions for held-out rows: nothing is
fitted anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tunesmith.core.rng import stream
from tunesmith.numeric import resampling
from tunesmith.recipes.tabular import ensemble as blending
from tunesmith.recipes.tabular.metrics import Metric
from tunesmith.recipes.tabular.roles import Bonds

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: The share of intervals that hold what is true.
SHARE: Final = 0.9
#: How much wider intervals are than rows and choosing make them: folds learn from the same rows, and what was given up
#: before its last fold is not chosen from again. Measured: docs/decisions/0029.
WIDER: Final = 1.25
#: Rows that an interval, and a correction, are from at most; with more they become narrower, and smaller, by the root.
INTERVAL_ROWS: Final = 10_000
CORRECTION_ROWS: Final = 2_000
#: Trials that are chosen from at most: the best of them.
TRIALS: Final = 200
#: Draws for a correction at most and at least, and predictions that are judged in all of them (rows x outputs).
DRAWS: Final = (40, 15)
JUDGED: Final = 100_000_000


@dataclass(frozen=True)
class Optimism:
    """How much better a metric is for what was chosen by it than on other rows, `by` 0 or more, and the standard
    deviation of that."""

    by: float
    spread: float


@dataclass(frozen=True, eq=False)
class Checked:
    """Rows that were checked, shape (rows,); `cluster`: those of one are not independent."""

    y: Floats
    weight: Floats | None
    cluster: Places

    def take(self, places: Places) -> Checked:
        weight = None if self.weight is None else self.weight[places]
        return Checked(self.y[places], weight, numbered(self.cluster[places]))

    @property
    def clusters(self) -> int:
        return int(self.cluster.max()) + 1

    def weighed(self, by: NDArray[Any]) -> Floats:
        weighed: Floats = np.asarray(by, dtype=np.float64)
        return weighed if self.weight is None else weighed * self.weight


@dataclass(frozen=True, eq=False)
class Tried:
    """What was chosen from: each pipeline's algorithm and its predictions, shape (rows, outputs); and how many might
    be blended."""

    algorithms: Sequence[str]
    predictions: Sequence[Floats]
    most: int

    def best(self, metric: Metric, rows: Checked, drawn: NDArray[Any]) -> Floats:
        """What is chosen by rows that are weighed by how often they were `drawn`, and what it predicts for all."""
        inside = np.flatnonzero(drawn)
        y, weight = rows.y[inside], rows.weighed(drawn)[inside]
        held_out = [p[inside] for p in self.predictions]
        worth = [metric.sign * metric.of(y, judged(metric, p), weight) for p in held_out]
        order = np.argsort(worth, kind="stable")
        if self.most == 1:
            return self.predictions[int(order[0])]
        places = order[blending.candidates([self.algorithms[k] for k in order])]
        weights = blending.choose(
            y, [held_out[k] for k in places], metric, self.most, weight=weight, patience=3
        )
        blended = [w * self.predictions[places[k]] for k, w in weights.items()]
        return np.asarray(np.sum(blended, axis=0), dtype=np.float64)


def numbered(cluster: NDArray[Any]) -> Places:
    """Clusters numbered from 0 on."""
    return np.asarray(np.unique(cluster, return_inverse=True)[1], dtype=np.intp)


def judged(metric: Metric, predicted: Floats) -> Floats:
    """Predictions, shape (rows, outputs), as a metric takes them."""
    values: Floats = predicted[:, 0]
    return values if metric.regression else predicted


def clusters_of(bonds: Bonds, rows: int) -> list[Places]:
    """Which rows are not independent, shape (rows,): of one group, or near in time; by either, where there are both."""
    of = []
    if bonds.group is not None:
        of.append(numbered(bonds.group))
    if bonds.time is not None:
        of.append(resampling.blocks(bonds.time))
    return of or [np.arange(rows)]


def spread(
    metric: Metric, rows: Checked, predicted: Floats, seed: int, share: float = SHARE
) -> tuple[float, float]:
    """The interval of the metric of some predictions, shape (rows, outputs).

    Of what has bounds, one more row is imagined, whose prediction is another row's: none of 40 being wrong does not mean
    that none ever will be. For two classes, accuracy's is then near Jeffreys' interval.
    """
    rng = stream(seed, 0, "interval")
    places = resampling.some(rows.cluster, INTERVAL_ROWS, rng)
    part = rows.take(places)
    y, p = part.y, judged(metric, predicted[places])
    ones = part.weighed(np.ones(len(y)))
    one = float(ones.sum()) / part.clusters

    def of(weights: Floats) -> float:
        weights = part.weighed(weights)
        if not metric.bounded or (weights == ones).all():
            return metric.of(y, p, weights)
        mine, other = rng.integers(len(y), size=2)
        return metric.of(
            np.append(y, y[mine]),
            np.concatenate([p, p[other : other + 1]]),
            np.append(weights, one * rng.exponential()),
        )

    return resampling.interval(of, part.cluster, rng, share=share, of=rows.clusters)


def optimism(
    metric: Metric,
    metrics: Mapping[str, Metric],
    rows: Checked,
    tried_on: Callable[[Places], Tried],
    seed: int,
) -> dict[str, Optimism]:
    """Of each metric, for what was chosen by `metric`.

    `tried_on`: what was chosen from, with its predictions for some of the rows.
    """
    rng = stream(seed, 0, "correction")
    places = resampling.some(rows.cluster, CORRECTION_ROWS, rng)
    part, tried = rows.take(places), tried_on(places)
    if len(tried.predictions) < 2:
        return dict.fromkeys(metrics, Optimism(0.0, 0.0))
    chosen = tried.best(metric, part, np.ones(len(places)))
    losses: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(_draws(tried)):
        drawn = resampling.bootstrap(part.cluster, rng)
        inside, outside = drawn > 0, drawn == 0
        if not _can_judge(metric, part.y[inside]) or not _can_judge(metric, part.y[outside]):
            continue
        again = tried.best(metric, part, drawn)
        others = part.take(np.flatnonzero(outside))
        for name, each in metrics.items():
            there, here = (
                each.of(others.y, judged(each, p[outside]), others.weight) for p in (again, chosen)
            )
            losses[name].append(each.sign * (there - here))
    smaller = np.sqrt(part.clusters / rows.clusters)
    return {
        name: Optimism(
            max(0.0, float(np.mean(each)) * smaller), float(np.std(each)) * float(smaller)
        )
        if each
        else Optimism(0.0, 0.0)
        for name, each in losses.items()
    }


def corrected(metric: Metric, value: float, by: float) -> float:
    """A value that is so much worse, and is still one of the metric."""
    return float(np.clip(value + metric.sign * by, *metric.bounds))


def interval(
    metric: Metric, rows: Sequence[Checked], predicted: Floats, optimism: Optimism, seed: int
) -> tuple[float, float]:
    """(lowest, highest) of a corrected score: the widest, by the clusters of any of `rows`.

    The correction is uncertain, too, and intervals are `WIDER`.
    """
    value = metric.of(rows[0].y, judged(metric, predicted), rows[0].weight)
    each = [spread(metric, part, predicted, seed) for part in rows]
    unsure = optimism.spread * float(norm.isf((1.0 - SHARE) / 2))
    below = WIDER * float(np.hypot(value - min(low for low, _ in each), unsure))
    above = WIDER * float(np.hypot(max(high for _, high in each) - value, unsure))
    score = corrected(metric, value, optimism.by)
    low, high = np.clip((score - below, score + above), *metric.bounds)
    return float(low), float(high)


def _can_judge(metric: Metric, y: Floats) -> bool:
    return bool(len(y)) and (metric.regression or bool(np.ptp(y)))


def _draws(tried: Tried) -> int:
    """As many draws as there is time for."""
    most, fewest = DRAWS
    each = len(tried.predictions) * tried.predictions[0].size
    if tried.most > 1:
        each *= 8
    return int(np.clip(JUDGED // max(1, each), fewest, most))
