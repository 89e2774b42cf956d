"""Features for a kernel: from points of the unit cube to rows whose Euclidean distances are what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROOT_HALF: Final = float(np.sqrt(0.5))


class Features:
    """The feature map of a space with `sizes`: 0 for a number, k for an unordered choice of k.

    A number is its own feature. A choice becomes k columns, sqrt(1/2) in the chosen one, so that
    two different choices are at squared distance 1 (the Hamming kernel). What is inactive (NaN)
    sits in the middle of its range, an inactive choice at the origin: its parent tells it apart.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        widths = np.where(self.sizes > 0, self.sizes, 1)
        #: The parameter that each feature belongs to, shape (p,).
        self.owner: NDArray[np.int64] = np.repeat(np.arange(len(widths)), widths)
        #: Each parameter's first feature, shape (d,).
        self.start = np.concatenate([[0], np.cumsum(widths)])[: len(widths)]
        self.numbers = np.flatnonzero(self.sizes == 0)
        self.choices = np.flatnonzero(self.sizes > 0)
        self._places = self.start[self.numbers]
        self._first, self._count = self.start[self.choices], self.sizes[self.choices]

    def __call__(self, points: Floats) -> Floats:
        """The features, shape (n, p), of `points`, shape (n, d)."""
        out = np.zeros((len(points), len(self.owner)))
        numbers = points[:, self.numbers]
        inactive = np.isnan(numbers)
        if inactive.any():
            numbers[inactive] = 0.5
        out[:, self._places] = numbers
        if len(self.choices):
            chosen = points[:, self.choices]
            inactive = np.isnan(chosen)
            if inactive.any():
                chosen[inactive] = 0.0
            index = np.minimum((chosen * self._count).astype(np.int64), self._count - 1)
            index += self._first
            out[np.arange(len(points))[:, None], index] = np.where(inactive, 0.0, _ROOT_HALF)
        return out
