"""Tokens of lists' pages: the place at which the next one goes on, as clients of several doors hand it back."""

from __future__ import annotations

import base64
from typing import Any

import msgspec


def encode(place: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def decode(token: str, kind: Any) -> Any:
    """The place, of a type that msgspec knows. Raises ValueError for what was not given out."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
