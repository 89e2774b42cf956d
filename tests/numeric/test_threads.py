"""One BLAS thread, for as long as anybody is within."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tunesmith.numeric import threads
from tunesmith.numeric.threads import one_thread


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread counts of two libraries, as they are now."""
    now = [4, 2]
    controls = tuple(
        ((lambda k=k: now[k]), (lambda count, k=k: now.__setitem__(k, count))) for k in range(2)
    )
    monkeypatch.setattr(threads, "_controls", lambda: controls)
    return now


def test_within_there_is_one_and_afterwards_as_many_as_before(counts: list[int]) -> None:
    with suppress(ZeroDivisionError), one_thread():
        assert counts == [1, 1]
        raise ZeroDivisionError
    assert counts == [4, 2]


def test_who_overlap_leave_as_many_as_the_first_one_found(counts: list[int]) -> None:
    """As two threads of a program do that tune two studies at a time."""
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert counts == [1, 1], "the second one is still within"
    second.__exit__(None, None, None)
    assert counts == [4, 2]
