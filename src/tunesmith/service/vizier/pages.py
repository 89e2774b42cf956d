"""Pages of lists."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, TypeVar

from tunesmith.service.page_tokens import decode, encode
from tunesmith.service.vizier.names import invalid

T = TypeVar("T")
K = TypeVar("K", int, str)


def page(items: list[T], key: Callable[[T], K], request: Any) -> tuple[list[T], str]:
    """A page of a list that is in order of its keys, and the token of the next one: the last key, so that what is deleted
    meanwhile moves nobody. All of it without a page_size: OSS Vizier's client asks for no second. Raises Problem."""
    if request.page_size < 0:
        raise invalid("page_size is not negative")
    if request.page_token:
        last = _key(request.page_token, type(key(items[0])) if items else int | str)
        items = items[bisect_right(items, last, key=key) :] if items else items
    end = request.page_size or len(items)
    return items[:end], encode(key(items[end - 1])) if end < len(items) else ""


def _key(token: str, kind: Any) -> Any:
    try:
        return decode(token, kind)
    except ValueError:
        raise invalid("this page_token was not given out here") from None
