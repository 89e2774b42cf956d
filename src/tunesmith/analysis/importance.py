"""Parameter importance: the share of the metric's variance, over the whole space, that each parameter explains.

The functional analysis of variance of Hutter, Hoos & Leyton-Brown, "An efficient approach for assessing
hyperparameter importance" (ICML 2014), on a Gaussian process in place of a random forest: it needs fewer trials,
and knows what it does not know. A parameter alone explains S_j, with all of its interactions T_j (Saltelli et al.,
"Variance based sensitivity analysis of model output", 2010, table 2: the estimators of Jansen). Its share is their mean,
which splits an interaction of two evenly between them: the Shapley effect where no three interact (Owen, "Sobol'
indices and Shapley value", 2014). Shares add up to 1, so those of a group are the sum of its members'.

Intervals are those of functions drawn from the posterior, of several kernels where results are few, each looked at in a bootstrap sample of the places where
functions are evaluated (Marrel, Iooss, Laurent & Roustant, "Calculations of Sobol indices for the Gaussian process
metamodel", 2009, section 4; Le Gratiet, Cannamela & Iooss, 2014, adds the bootstrap). Draws are by Matheron's rule (Wilson et al., "Efficiently
sampling functions from Gaussian process posteriors", 2020, eq. 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.analysis.kernels import kernels
from tunesmith.analysis.style import NO_GROUP
from tunesmith.core.history import History
from tunesmith.core.rng import stream
from tunesmith.core.space.points import Points
from tunesmith.core.trial import State
from tunesmith.numeric import gp
from tunesmith.numeric.design import latin
from tunesmith.numeric.features import Features
from tunesmith.numeric.threads import one_thread
from tunesmith.numeric.warp import OutputWarp
from tunesmith.strategy.evidence import Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Results needed to say anything.
LEAST: Final = 4
#: The model sees at most so many results: a part spread over the space, a part at random.
MOST_POINTS: Final = 160
#: ... that are chosen among so many.
POOL: Final = 2000
#: Functions drawn from the posterior, and the random features of which they are made.
DRAWS: Final = 48
WAVES: Final = 256
#: Kernels among which they are, where there are few results: of many, one stands out.
KERNELS: Final = 8
FEW: Final = 160
#: Evaluations of each function, all parameters together.
EVALUATIONS: Final = 9000
#: The interval holds this share of the draws.
COVERED: Final = (0.05, 0.95)


@dataclass(frozen=True)
class Share:
    """What a parameter, or a group of them, explains of the variance: from 0 to 1; between `low` and `high` with a
    probability of 90 %. `usual`: at least half of the results use it (conditions)."""

    name: str
    group: str
    value: float
    low: float
    high: float
    usual: bool = True


@dataclass(frozen=True)
class Importance:
    """Shares of all parameters and of the groups, the largest first; from so many `results`.

    `explained` is the share of the results' variance that the model predicts for results it has not seen
    (leave-one-out, 0 to 1): where it is low, noise or too few trials are most of what there is, and the shares
    are of the little that is explained.
    """

    parameters: tuple[Share, ...]
    groups: tuple[Share, ...]
    results: int
    explained: float

    def _repr_html_(self) -> str:
        from tunesmith.analysis.fragment import drawing, fragment
        from tunesmith.analysis.parameters import importance_bars

        return fragment([drawing(importance_bars(self))])


def importance(history: History, objective: int = 0) -> Importance | None:
    """What matters for an objective; None with fewer than `LEAST` results, or if all are equal.

    Failures are left out; what was stopped counts with what it would have come to (first objective). The scale is
    the one the default searcher learns on: linear among the better half of the results, logarithmic in a long tail
    of bad ones. O(trials), and at most some 0.5 s for the model.
    """
    space = history.space
    rows, losses = _results(history, objective)
    if len(rows) < LEAST or not len(space) or float(np.ptp(losses)) == 0.0:
        return None
    rng = stream(history.seed, len(rows), "importance")
    cube = Points(space)
    subset = _spread(np.nan_to_num(history.points[rows], nan=0.5), rng)
    z = OutputWarp.of(losses)(losses[subset])
    features = Features(cube.choices)
    with one_thread(), np.errstate(all="ignore"):
        known = features(history.points[rows[subset]])
        count = KERNELS if len(rows) <= FEW else 1
        thetas = kernels(known, features.owner, z, count, rng)
        drawn, explained = _shares(cube, features, known, z, thetas, rng)
    if drawn is None:
        return None
    used = np.isfinite(history.points[rows]).mean(axis=0)
    groups = [getattr(p, "group", None) or NO_GROUP for p in space.tunables.values()]
    names = sorted(set(groups), key=lambda g: (g == NO_GROUP, groups.index(g)))
    summed = np.column_stack([drawn[:, [g == name for g in groups]].sum(axis=1) for name in names])
    return Importance(
        _ranked(list(space.tunables), groups, drawn, used >= 0.5),
        _ranked(names, names, summed, np.ones(len(names), dtype=np.bool_)),
        len(rows),
        explained,
    )


def _results(history: History, objective: int) -> tuple[Ints, Floats]:
    """The trials to go by, and their losses."""
    if objective == 0:
        evidence = Evidence.of(history)
        finite = np.isfinite(evidence.losses)
        return evidence.rows[finite], evidence.losses[finite]
    losses = history.losses[:, objective]
    rows = np.flatnonzero(history.where(State.COMPLETED) & np.isfinite(losses))
    return rows, losses[rows]


def _spread(points: Floats, rng: Generator) -> Ints:
    """At most MOST_POINTS rows of `points`, (n, d), in order: half at random, half each the farthest from those before
    (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985)."""
    n = len(points)
    if n <= MOST_POINTS:
        return np.arange(n)
    pool = rng.permutation(n)[:POOL]
    chosen = pool[: MOST_POINTS // 2].tolist()
    away = np.full(len(pool), np.inf)
    for row in chosen:
        away = np.minimum(away, ((points[pool] - points[row]) ** 2).sum(axis=1))
    while len(chosen) < MOST_POINTS:
        farthest = int(pool[int(away.argmax())])
        chosen.append(farthest)
        away = np.minimum(away, ((points[pool] - points[farthest]) ** 2).sum(axis=1))
    return np.array(sorted(set(chosen)))


def _shares(
    cube: Points, features: Features, known: Floats, z: Floats, thetas: list[Floats], rng: Generator
) -> tuple[Floats | None, float]:
    """Shares by function drawn, shape (DRAWS, d), None where all are flat; and `Importance.explained`."""
    d = len(cube.columns)
    n = max(EVALUATIONS // (d + 2), 64)
    one, other = latin(n, d, rng), latin(n, d, rng)
    places = [one, other]
    for j in range(d):
        mixed = one.copy()
        mixed[:, j] = other[:, j]
        places.append(mixed)
    sights = features(cube.snap(np.vstack(places)))
    posteriors = [gp.GP.condition(known, features.owner, z, theta) for theta in thetas]
    each = DRAWS // len(thetas)
    values = np.vstack([_functions(p, known, z, sights, each, rng) for p in posteriors])
    values = values.reshape(DRAWS, d + 2, n)
    weights = rng.multinomial(n, np.full(n, 1.0 / n), DRAWS) / n
    base, fresh, mixed = values[:, 0][:, None], values[:, 1][:, None], values[:, 2:]
    mean = np.einsum("bkn,bn->bk", values[:, :2], weights).mean(axis=1)[:, None]
    square = np.einsum("bkn,bn->bk", (values[:, :2] - mean[:, :, None]) ** 2, weights)
    variance = square.mean(axis=1)[:, None]
    with_others = np.einsum("bkn,bn->bk", (base - mixed) ** 2, weights) / 2
    # S_j: what is left when only j agrees; noise of the estimate may take it out of its bounds
    alone = variance - np.einsum("bkn,bn->bk", (fresh - mixed) ** 2, weights) / 2
    both = (np.clip(alone, 0.0, with_others) + with_others) / 2
    total = both.sum(axis=1, keepdims=True)
    if not float(total.min()) > 1e-12:
        return None, 0.0
    shares: Floats = both / total
    return shares, _explained(posteriors[0], z)


def _functions(
    posterior: gp.GP, known: Floats, z: Floats, sights: Floats, count: int, rng: Generator
) -> Floats:
    """`count` functions of the posterior at `sights`, (m, p): shape (count, m).

    A draw of the prior, as a sum of waves with the frequencies of the Matern-5/2 kernel (a Student t with 5 degrees of
    freedom), moved to where the data are.
    """
    from scipy.linalg.lapack import dpotrs

    waves = max(64, WAVES * count // DRAWS)  # other functions have other waves
    query = sights * posterior.weights
    frequency = rng.standard_normal((known.shape[1], waves))
    frequency /= np.sqrt(rng.chisquare(5.0, waves) / 5.0)
    phase = rng.uniform(0.0, 2.0 * np.pi, waves)
    height = rng.standard_normal((waves, count)) * np.sqrt(2.0 * posterior.signal / waves)
    prior_known = np.cos(posterior.scaled @ frequency + phase) @ height
    noise = rng.standard_normal((len(z), count)) * np.sqrt(posterior.noise)
    pull = dpotrs(posterior.lower, z[:, None] - posterior.mean - prior_known - noise, lower=1)[0]
    out = np.empty((count, len(query)))
    for first in range(0, len(query), 1024):
        part = slice(first, first + 1024)
        cross = gp.matern(gp.squared_distances(query[part], posterior.scaled))
        out[:, part] = (posterior.signal * (cross @ pull)).T
        out[:, part] += (np.cos(query[part] @ frequency + phase) @ height).T
    return out


def _explained(posterior: gp.GP, z: Floats) -> float:
    """Of the variance of `z`, what the others' results predict of each (Rasmussen & Williams eq. 5.12)."""
    from scipy.linalg.lapack import dpotri

    inverse = np.diag(dpotri(posterior.lower, lower=1)[0])
    left = float(np.mean((posterior.alpha / inverse) ** 2))
    return float(np.clip(1.0 - left / max(float(z.var()), 1e-300), 0.0, 1.0))


def _ranked(
    names: list[str], groups: list[str], drawn: Floats, usual: NDArray[np.bool_]
) -> tuple[Share, ...]:
    """The shares by column of `drawn`, the largest first."""
    low, high = np.quantile(drawn, COVERED, axis=0)
    mean = drawn.mean(axis=0)
    shares = [
        Share(name, group, float(mean[j]), float(low[j]), float(high[j]), bool(usual[j]))
        for j, (name, group) in enumerate(zip(names, groups, strict=True))
    ]
    return tuple(sorted(shares, key=lambda share: -share.value))
