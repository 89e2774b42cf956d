"""RecordIO of protobuf records, as SageMaker's SDK writes arrays for its built-in algorithms.

A record is the magic number, its length (both uint32, little-endian), a message ``Record`` and zeros up to a multiple of four:

    Record  {map<string, Value> features = 1; map<string, Value> label = 2;}     both under the key "values"
    Value   {Float32Tensor = 2; Float64Tensor = 3; Int32Tensor = 7;}
    Tensor  {repeated values = 1; repeated uint64 keys = 2; repeated uint64 shape = 3;}     sparse where there are keys

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.run.protobuf import fields, varint

Floats = NDArray[np.float64]
MAGIC: Final = struct.pack("<I", 0xCED7230A)
#: By a value's field: how the numbers of its tensor are written; those of None are varints.
_TENSORS: Final = {2: "<f4", 3: "<f8", 7: None}
#: The widest row: a sparse one says its width in a few bytes.
WIDEST: Final = 1_000_000


def table(data: bytes) -> Floats:
    """Rows with their label first, shape (n, d + 1). Raises ValueError."""
    rows = [_row(record) for record in _records(data)]
    width = max((len(row) for row in rows), default=0)
    if any(len(row) != width for row in rows):
        raise ValueError("its rows have different numbers of columns")
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def _records(data: bytes) -> Iterator[memoryview]:
    at, view = 0, memoryview(data)
    while at < len(data):
        if data[at : at + 4] != MAGIC or at + 8 > len(data):
            raise ValueError(f"at byte {at} there is no record")
        (length,) = struct.unpack_from("<I", data, at + 4)
        if length >> 29:
            raise ValueError(f"the record at byte {at} has several parts, which is not read here")
        if at + 8 + length > len(data):
            raise ValueError(f"it ends in the middle of the record at byte {at}")
        yield view[at + 8 : at + 8 + length]
        at += 8 + length + -length % 4


def _row(record: memoryview) -> Floats:
    parts: dict[int, Floats] = {}
    for field, entry in fields(record):
        if field in (1, 2) and isinstance(entry, memoryview):
            called, value = b"", memoryview(b"")
            for part, content in fields(entry):  # of the map
                if isinstance(content, memoryview):
                    called, value = (bytes(content), value) if part == 1 else (called, content)
            if called == b"values":
                parts[field] = _numbers(value)
    if 1 not in parts or 2 not in parts:
        raise ValueError("a record has features and a label, both called values")
    if len(parts[2]) != 1:
        raise ValueError(f"a label is one number, not {len(parts[2])}")
    return np.concatenate([parts[2], parts[1]])


def _numbers(value: memoryview) -> Floats:
    """The tensor of a value, dense."""
    for field, tensor in fields(value):
        if field not in _TENSORS or isinstance(tensor, int):
            raise ValueError(f"a value of kind {field} is no tensor of numbers")
        kind, found = _TENSORS[field], []
        keys: list[int] = []
        shape: list[int] = []
        for part, content in fields(tensor):
            if part == 1:
                found.append(_values(content, kind))
            elif part in (2, 3):
                (keys if part == 2 else shape).extend(_varints(content))
        dense = np.concatenate(found) if found else np.zeros(0)
        if not keys and not (shape and shape[-1] != len(dense)):
            return dense
        width = shape[-1] if shape else 0
        if len(keys) != len(dense) or not 0 < width <= WIDEST or max(keys, default=0) >= width:
            raise ValueError("a sparse row has a key below its width for each value")
        row = np.zeros(width)
        row[keys] = dense
        return row
    return np.zeros(0)


def _values(content: memoryview | int, kind: str | None) -> Floats:
    if kind is None:
        signed = [(one ^ 1 << 63) - (1 << 63) for one in _varints(content)]
        return np.array(signed, dtype=np.float64)
    if isinstance(content, int) or len(content) % int(kind[2:]):
        raise ValueError("a tensor is cut off")
    return np.frombuffer(content, dtype=kind).astype(np.float64)


def _varints(content: memoryview | int) -> list[int]:
    if isinstance(content, int):
        return [content]
    found, at = [], 0
    while at < len(content):
        number, at = varint(content, at)
        found.append(number)
    return found
