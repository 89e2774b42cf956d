"""Events as JSON, and back.

The text of an event never changes once it is written: readers must understand every version ever
written. Fields with defaults may be added; nothing is renamed or removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from tunesmith.core.errors import StoreError, TunesmithError, shorten
from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.core.text import read_json
from tunesmith.core.trial import Cost

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Event)
_many: Final = msgspec.json.Decoder(list[Event])


class _Ending(msgspec.Struct, gc=False):
    cost: Cost = Cost()


_endings: Final = msgspec.json.Decoder(list[_Ending])


def encode(event: Event) -> str:
    """The event as compact JSON; its class is under "kind"."""
    return _encoder.encode(event).decode()


def decode(text: str) -> Event:
    """The inverse of `encode`. Raises StoreError for what is no event this version knows."""
    try:
        event: Event = _decoder.decode(text)
        return event
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise StoreError(f"an event cannot be read ({error}): {text[:200]}") from None


def decode_many(texts: Iterable[str]) -> list[Event]:
    """Several events at once, several times faster than one by one."""
    listed = list(texts)
    try:
        return _many.decode(f"[{','.join(listed)}]")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return [decode(text) for text in listed]  # says which


def decode_costs(texts: Iterable[str]) -> list[Cost]:
    """What attempts took, from the events that end them; nothing else of these is read."""
    listed = list(texts)
    return [ending.cost for ending in _endings.decode(f"[{','.join(listed)}]")]


def decode_spec(text: str) -> StudySpec:
    """The study that is stored as `text`. Raises StoreError for what is none this version knows."""
    try:
        return StudySpec.from_dict(read_json(text))
    except (TunesmithError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the study cannot be read ({error!r}): {shorten(text)}") from None


def kind_of(event: Event) -> str:
    """The event's class as it is stored."""
    tag = type(event).__struct_config__.tag
    return str(tag)
