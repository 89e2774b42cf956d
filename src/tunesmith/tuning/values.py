"""Constants that a program reads, as texts or digests that two processes agree on."""

from __future__ import annotations

import enum
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from tunesmith.core.program import digest

#: Of larger values only the type and the size count.
_MOST_VALUES: Final = 10_000
_MOST_BYTES: Final = 256 << 20
#: A number such as ``time.time()`` gave it, not long ago, is no constant (s).
_RECENT_S: Final = 30 * 86_400
Piece: TypeAlias = str | bytes | memoryview


def is_clock(value: Any) -> bool:
    return isinstance(value, float) and -86_400 < time.time() - value < _RECENT_S


def is_plain(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ in ("builtins", "numpy", "collections", "argparse", "types") or (
        kind.__module__.startswith(("numpy.", "pandas.", "pathlib", "torch"))
    )


def value_text(value: Any) -> str | None:
    """What a constant is, for comparison: short numbers as they are, all else as a digest; None where two processes
    could not agree on it."""
    if value is None or isinstance(value, (bool, int, float)):
        text = repr(value)
        return text if len(text) <= 40 else f"digest {digest(text)}"
    try:
        pieces = list(_pieces(value, [_MOST_VALUES]))
    except (_Opaque, RecursionError):
        return None
    return f"digest {digest(*pieces)} {_described(value)}"


class _Opaque(Exception):
    """Nothing can be said of a value that would hold in another process."""


def _pieces(value: Any, left: list[int]) -> Iterator[Piece]:
    """A value as texts in order; `left` is how many values more are looked at."""
    left[0] -= 1
    if left[0] < 0:
        raise _Opaque
    if isinstance(value, enum.Enum):
        yield f"{type(value).__qualname__}.{value.name}"
    elif isinstance(value, (str, Path)):
        if str(value).startswith(tempfile.gettempdir()):
            raise _Opaque
        yield f"text {value}"
    elif value is None or isinstance(value, (bool, int, float, complex, bytes, range)):
        yield repr(value)
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} {len(value)}"
        for part in value:
            yield from _pieces(part, left)
    elif isinstance(value, (set, frozenset)):
        parts = sorted("\0".join(map(repr, _pieces(part, left))) for part in value)
        yield f"set {parts}"
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}"
        for key, part in value.items():
            yield from _pieces(key, left)
            yield from _pieces(part, left)
    elif type(value).__module__ in ("argparse", "types") and hasattr(value, "__dict__"):
        yield from _pieces(vars(value), left)
    else:
        yield from _array(value)


def _array(value: Any) -> Iterator[Piece]:
    """The bytes of a numpy array, or what pandas makes of a table."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        array = numpy.asarray(value)
        if array.dtype.hasobject:
            raise _Opaque
        yield f"array {array.dtype} {array.shape}"
        if array.nbytes <= _MOST_BYTES:
            yield numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8).data
    elif pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index)):
        try:
            yield f"table {getattr(value, 'columns', value.name if hasattr(value, 'name') else '')!r}"
            yield pandas.util.hash_pandas_object(value).to_numpy().tobytes()
        except (TypeError, ValueError):
            raise _Opaque from None
    else:
        raise _Opaque


def _described(value: Any) -> str:
    """What a value is, in a few words that give nothing of it away."""
    shape = getattr(value, "shape", None)
    if shape:
        return f"{type(value).__name__} of {' x '.join(map(str, shape))}"
    if isinstance(value, (str, Path)):
        return "text"
    length = len(value) if hasattr(value, "__len__") else None
    return type(value).__name__ + ("" if length is None else f" of {length}")
