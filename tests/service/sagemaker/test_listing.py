"""Pages of a list: together they are the whole list, in its order, whatever is equal in it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.service.sagemaker.listing import page, page_of_numbers
from tunesmith.service.sagemaker.protocol import Fault


@given(
    keys=st.lists(st.sampled_from([-1.5, 0.0, 2.0, 7e9])), descending=st.booleans(), limit=st.integers(1, 4)
)  # fmt: skip
def test_pages_of_numbers_are_those_of_places(
    keys: list[float], descending: bool, limit: int
) -> None:
    places = [(key, number) for number, key in enumerate(keys)]
    after = other = None
    for _ in range(len(keys) // limit + 1):
        part, after = page(places, lambda one: one, descending=descending, after=after, limit=limit)
        shown, other = page_of_numbers(
            np.array(keys), np.arange(len(keys)), descending=descending, after=other, limit=limit
        )
        assert shown == [number for _, number in part]
        assert (after is None) == (other is None)


@pytest.mark.parametrize("token", ["x", "[1]", "[1,2,3]", '["a",1]', "[1e999,1]", "[null,1]"])
def test_tokens_that_are_none(token: str) -> None:
    given = base64.urlsafe_b64encode(token.encode()).decode() if token != "x" else token
    with pytest.raises(Fault, match="NextToken"):
        page_of_numbers(np.zeros(3), np.arange(3), descending=False, after=given, limit=1)
    huge = base64.urlsafe_b64encode(b"[1" + b"0" * 30 + b",1]").decode()
    page_of_numbers(np.zeros(3), np.arange(3), descending=False, after=huge, limit=1)
