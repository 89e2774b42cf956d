"""Ranks, and the rank correlation of Spearman."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ranks(values: Floats) -> Floats:
    """0 for the least; ties share their mean. O(n log n)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    out: Floats = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return out


def correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation, from -1 to 1; 0 where one of them does not vary."""
    one, other = ranks(a), ranks(b)
    scale = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / scale if scale else 0.0
