"""Ranks against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunesmith.numeric.ranks import correlation, ranks


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_ranks(values: list[int]) -> None:
    assert (
        ranks(np.array(values, dtype=np.float64)).tolist() == (stats.rankdata(values) - 1).tolist()
    )


def test_correlation() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40).astype(float), rng.random(40)
    assert correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert correlation(a, a) == pytest.approx(1.0)
    assert correlation(a, np.zeros(40)) == 0.0
