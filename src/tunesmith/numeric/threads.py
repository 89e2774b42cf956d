"""Limits BLAS to one thread: small matrices are faster so, and sums come out the same on any machine's cores."""

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
    """The kind of processor that NumPy's OpenBLAS computes for (``SkylakeX``): results differ between kinds
    by rounding. Empty for other libraries."""
    function = _of_numpy()
    if function is None:
        return ""
    name = function("get_corename")
    name.restype = ctypes.c_char_p
    return str(name().decode())


def thread_count() -> int | None:
    """How many threads NumPy's OpenBLAS has; None for other libraries."""
    function = _of_numpy()
    return None if function is None else int(function("get_num_threads")())


def _of_numpy() -> Callable[[str], Any] | None:
    import numpy.linalg._umath_linalg as of_numpy  # SciPy takes a tenth of a second to import

    return _functions(str(of_numpy.__file__))


@cache
def _libraries() -> tuple[Callable[[str], Any], ...]:
    """For each OpenBLAS that NumPy and SciPy load: its functions by their plain names."""
    import numpy.linalg._umath_linalg as of_numpy
    import scipy.linalg._flapack as of_scipy

    by_address: dict[int, Callable[[str], Any]] = {}
    for module in (of_numpy, of_scipy):
        function = _functions(str(module.__file__))
        if function is not None:
            address = ctypes.cast(function("set_num_threads"), ctypes.c_void_p).value or 0
            by_address[address] = function
    return tuple(by_address.values())


def _functions(file: str) -> Callable[[str], Any] | None:
    """OpenBLAS's functions by their plain names, as a compiled module links to them; None if it does not."""
    library = ctypes.CDLL(file)  # its symbols include those of what it links to
    for prefix, suffix in _SPELLINGS:
        if getattr(library, f"{prefix}set_num_threads{suffix}", None) is not None:
            return partial(_function, library, prefix, suffix)
    return None


def _function(library: ctypes.CDLL, prefix: str, suffix: str, name: str) -> Any:
    return getattr(library, f"{prefix}{name}{suffix}")
