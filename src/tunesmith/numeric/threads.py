"""One BLAS thread: small matrices are faster so, and sums come out the same on any machine's cores."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Final

#: OpenBLAS as NumPy's and SciPy's wheels name its functions, and as systems do.
_SPELLINGS: Final = (
    ("scipy_openblas_", "64_"),
    ("scipy_openblas_", ""),
    ("openblas_", "64_"),
    ("openblas_", ""),
)


_lock: Final = threading.Lock()
#: How many are within, and the thread counts that the first of them found.
_within = 0
_before: Final[list[int]] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Within: OpenBLAS computes on the calling thread alone. Other libraries stay as they are.

    Several threads may be within at a time: the last one to leave puts back what the first one found.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _within
    with _lock:
        if not _within:
            _before[:] = [get() for get, _ in _controls()]
            for _, put in _controls():
                put(1)
        _within += 1


def _leave() -> None:
    global _within
    with _lock:
        _within -= 1
        if not _within:
            for (_, put), count in zip(_controls(), _before, strict=True):
                put(count)


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """A getter and a setter of the thread count for each OpenBLAS that NumPy and SciPy load."""
    return tuple(
        (function("get_num_threads"), function("set_num_threads")) for function in _libraries()
    )


@cache
def kernel() -> str:
    """The kind of processor that OpenBLAS computes for (``SkylakeX``): results differ between kinds by
    rounding. Empty for other libraries."""
    for function in _libraries():
        name = function("get_corename")
        name.restype = ctypes.c_char_p
        return str(name().decode())
    return ""


@cache
def _libraries() -> tuple[Callable[[str], Any], ...]:
    """For each OpenBLAS that NumPy and SciPy load: its functions by their plain names."""
    import numpy.linalg._umath_linalg as of_numpy
    import scipy.linalg._flapack as of_scipy

    found: dict[int, Callable[[str], Any]] = {}
    for module in (of_numpy, of_scipy):
        library = ctypes.CDLL(module.__file__)  # its symbols include those of what it links to
        for prefix, suffix in _SPELLINGS:
            put = getattr(library, f"{prefix}set_num_threads{suffix}", None)
            if put is not None:
                address = ctypes.cast(put, ctypes.c_void_p).value or 0
                found[address] = partial(_function, library, prefix, suffix)
                break
    return tuple(found.values())


def _function(library: ctypes.CDLL, prefix: str, suffix: str, name: str) -> Any:
    return getattr(library, f"{prefix}{name}{suffix}")
