"""One BLAS thread, for as long as anybody is within."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
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


@pytest.mark.parametrize("wanted", ["Haswell", "Nehalem"])
def test_the_kernel_is_the_one_that_is_used(wanted: str) -> None:
    if not threads.kernel():
        pytest.skip("another library than OpenBLAS")
    code = "from tunesmith.numeric.threads import kernel; print(kernel())"
    environment = os.environ | {"OPENBLAS_CORETYPE": wanted}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    if platform.machine() in ("x86_64", "AMD64"):
        assert done.stdout.strip() == wanted
