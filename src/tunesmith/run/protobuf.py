"""Messages of protobuf as they are on the wire (https://protobuf.dev/programming-guides/encoding), without its library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

Text = TypeVar("Text", bytes, memoryview)


def fields(message: Text) -> Iterator[tuple[int, Text | int]]:
    """The fields of a message, by their numbers: a varint as its number, all others as their bytes. Raises ValueError."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        kind = tag & 7
        if kind == 0:
            number, at = varint(message, at)
            yield tag >> 3, number
            continue
        if kind not in (1, 2, 5):
            raise ValueError("a record is no message of protobuf")
        length, at = varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
        if at + length > len(message):
            raise ValueError("a record is cut off")
        yield tag >> 3, message[at : at + length]
        at += length


def varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number of 64 bits, and where what follows begins. Raises ValueError."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        number, at = number | (byte & 127) << shift, at + 1
        if byte < 128:
            return number & (1 << 64) - 1, at
    raise ValueError("a record is cut off")
