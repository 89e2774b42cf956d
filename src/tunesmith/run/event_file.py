"""TensorBoard's event files: the scalars in them, without TensorBoard.

A file is a chain of records: length (8 bytes), its checksum (4), an Event message, its checksum (4). The fields used
here are those of tensorflow/core/util/event.proto, summary.proto and tensor.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from tunesmith.run.protobuf import fields

#: By their tags, steps and values as they were written.
Scalars: TypeAlias = dict[str, list[tuple[int, float]]]


def read_scalars(files: Iterable[Path]) -> Scalars:
    """The scalars of all `files`. Raises ValueError, or struct.error, for what is damaged; a file may be half written."""
    scalars: Scalars = {}
    for file in files:
        for event in _records(file):
            try:
                _read_event(event, scalars)
            except ValueError:
                raise ValueError("an event file cannot be read: it is damaged") from None
    return scalars


def _records(path: Path) -> Iterator[bytes]:
    """The records of a file, as far as they are complete."""
    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:
            (size,) = struct.unpack("<Q", head[:8])
            record = file.read(size + 4)
            if len(record) < size + 4:
                return
            yield record[:-4]


def _read_event(event: bytes, scalars: Scalars) -> None:
    step = 0
    values: list[bytes] = []
    for field, content in fields(event):
        if field == 2 and isinstance(content, int):
            step = content
        elif field == 5:
            values += [_bytes(value) for place, value in fields(_bytes(content)) if place == 1]
    for value in values:
        parts = dict(fields(value))
        scalar = parts.get(2)
        if scalar is not None:
            as_number = struct.unpack("<f", _bytes(scalar))[0]
        elif 8 in parts:
            as_number = _scalar(_bytes(parts[8]))
        else:
            continue
        if as_number is not None:
            tag = _bytes(parts.get(1, b"")).decode(errors="replace")
            scalars.setdefault(tag, []).append((step, as_number))


def _scalar(tensor: bytes) -> float | None:
    """A tensor of one float or double; None for any other."""
    parts = dict(fields(tensor))
    form, own = {1: ("<f", 5), 2: ("<d", 6)}.get(int(parts.get(1, 0)), ("", 0))
    content = _bytes(parts.get(4) or parts.get(own) or b"")
    if not form or len(content) != struct.calcsize(form):
        return None
    value: float = struct.unpack(form, content)[0]
    return value


def _bytes(content: bytes | int) -> bytes:
    if isinstance(content, int):
        raise ValueError("a number, where there is none")
    return content
