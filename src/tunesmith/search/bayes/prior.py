"""The user's prior over good configs: it shapes the initial design and is a bonus on the acquisition function.

The bonus fades as results come in: piBO, Hvarfner et al., "Augmenting acquisition functions with user
beliefs" (ICLR 2022, eq. 6): log a(x) + (beta / n) log pi(x). Ours fades at once if the results
contradict it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.space.parameter import Choice
from tunesmith.core.space.points import Points

Floats = NDArray[np.float64]

#: After so many results the bonus is log pi itself.
BETA: Final = 10.0
#: The share of the prior that is spread evenly: how wrong a prior may be before it is ignored.
DOUBT: Final = 0.05


class Prior:
    """The prior over points of one space, shape (n, d); inactive parameters (NaN) don't count."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._numbers: list[tuple[int, float, float]] = []
        self._choices: list[tuple[int, Floats]] = []
        for j, column in enumerate(points.columns):
            parameter = column.parameter
            if parameter.prior is None:
                continue
            if isinstance(parameter, Choice):
                self._choices.append((j, np.array(parameter.prior)))
            else:
                self._numbers.append((j, *parameter.prior.place(parameter.axis)))

    def __bool__(self) -> bool:
        return bool(self._numbers or self._choices)

    def log_density(self, points: Floats) -> Floats:
        """Relative to the highest: 0 where the prior is highest, shape (n,)."""
        out = np.zeros(len(points))
        for j, mean, deviation in self._numbers:
            z = (points[:, j] - mean) / deviation
            out += np.nan_to_num(np.log(DOUBT + (1.0 - DOUBT) * np.exp(-0.5 * z * z)))
        for j, weights in self._choices:
            known = ~np.isnan(points[:, j])
            share = weights[self._points.columns[j].index(points[known, j])] / weights.max()
            out[known] += np.log(DOUBT + (1.0 - DOUBT) * share)
        return out

    def slopes(self, points: Floats) -> Floats:
        """The gradient of `log_density`, shape (n, d)."""
        out = np.zeros_like(points)
        for j, mean, deviation in self._numbers:
            z = (points[:, j] - mean) / deviation
            density = (1.0 - DOUBT) * np.exp(-0.5 * z * z)
            out[:, j] = np.nan_to_num(-z / deviation * density / (DOUBT + density))
        return out

    def weight(self, points: Floats, z: Floats, results: int) -> float:
        """The bonus's factor after so many `results`, of which `z` (smaller is better) at `points` stand for all.

        beta / results, times the confidence that better points are where the prior is higher: Phi of
        Spearman's rank correlation over its standard error (n - 1)^(-1/2).
        """
        from scipy.special import ndtr

        n = len(z)
        prior_ranks = _ranks(self.log_density(points))
        good = _ranks(-z)
        scale = float(prior_ranks.std() * good.std())
        rho = (
            float(((prior_ranks - prior_ranks.mean()) * (good - good.mean())).mean()) / scale
            if scale
            else 0.0
        )
        return BETA / results * float(ndtr(rho * np.sqrt(n - 1.0)))

    def bend(self, design: Floats) -> Floats:
        """`design`, uniform points, with every second one distributed as the prior."""
        from scipy.special import ndtr, ndtri

        out = np.array(design)
        for j, mean, deviation in self._numbers:
            low, high = ndtr((0.0 - mean) / deviation), ndtr((1.0 - mean) / deviation)
            bent = mean + deviation * ndtri(low + design[::2, j] * (high - low))
            out[::2, j] = np.clip(bent, 0.0, 1.0)
        for j, weights in self._choices:
            shares = np.cumsum(weights) / weights.sum()
            index = np.minimum(np.searchsorted(shares, design[::2, j]), len(weights) - 1)
            out[::2, j] = (index + 0.5) / len(weights)
        return out


def _ranks(values: Floats) -> Floats:
    """0 for the least; ties share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return ranks
