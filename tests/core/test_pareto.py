"""Orders of several objectives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core import pareto

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


def test_by_hand() -> None:
    losses = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [5.0, 5.0]])
    assert pareto.fronts(losses).tolist() == [0, 0, 0, 1, 2]
    assert pareto.crowding(losses[:3]).tolist() == [np.inf, 2.0, np.inf]
    assert pareto.order(losses).tolist() == [0, 2, 1, 3, 4]


def test_nothing() -> None:
    assert pareto.order(np.zeros((0, 2))).tolist() == []


@given(ROWS)
def test_who_dominates_comes_first(rows: list[tuple[int, int]]) -> None:
    losses = np.array(rows, dtype=np.float64)
    front = pareto.fronts(losses)
    assert (front >= 0).all()
    for i, one in enumerate(losses):
        above = [
            front[j]
            for j, other in enumerate(losses)
            if (other <= one).all() and (other < one).any()
        ]
        assert front[i] == (max(above) + 1 if above else 0)
    assert sorted(pareto.order(losses).tolist()) == list(range(len(rows)))
    assert (np.diff(front[pareto.order(losses)]) >= 0).all()
