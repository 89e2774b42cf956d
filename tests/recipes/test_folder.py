"""What the output folders of all recipes share."""

from __future__ import annotations

import pytest

from tunesmith.recipes.folder import search_s


@pytest.mark.parametrize(
    ("limit_s", "spent_s", "left_s"),
    [
        (120.0, 0.0, 105.0),
        (120.0, 3.5, 102.0),
        (20.0, 0.0, 15.0),  # 12 % would not do for the final fits
        (4.0, 0.0, 1.0),
        (10.0, 30.0, 1.0),
    ],
)
def test_how_long_a_search_may_take(limit_s: float, spent_s: float, left_s: float) -> None:
    assert search_s(limit_s, 0.88, spent_s) == left_s
