"""Lists: filters, orders and pages. A page's token has the last entry's place in the order, so that new jobs move nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.service.page_tokens import decode, encode
from tunesmith.service.sagemaker.protocol import invalid

T = TypeVar("T")


def page(
    items: Sequence[T],
    place: Callable[[T], tuple[Any, ...]],
    *,
    descending: bool,
    after: str | None,
    limit: int,
) -> tuple[list[T], str | None]:
    """The next `limit` of `items` by their `place`, which is unique, and the token of what follows. Raises Fault."""
    ordered = sorted(items, key=place, reverse=descending)
    begin = 0
    if after is not None:
        last = tuple(_place(after, list))
        try:
            begin = sum(
                1 for one in ordered if (place(one) >= last if descending else place(one) <= last)
            )
        except TypeError:
            raise invalid("NextToken is that of another list") from None
    part = ordered[begin : begin + limit]
    more = begin + limit < len(ordered)
    return part, encode(place(part[-1])) if part and more else None


def page_of_numbers(
    keys: NDArray[np.float64],
    numbers: NDArray[np.intp],
    *,
    descending: bool,
    after: str | None,
    limit: int,
) -> tuple[list[int], str | None]:
    """`page` of trials' numbers by their keys, none of which is NaN, and where these are equal by themselves. Raises Fault."""
    sign = -1 if descending else 1
    order = np.lexsort((sign * numbers, sign * keys))
    begin = 0
    if after is not None:
        key, number = _place(after, tuple[float, float])
        before = (sign * keys < sign * key) | ((keys == key) & (sign * numbers <= sign * number))
        begin = int(before.sum())
    part = order[begin : begin + limit]
    more = len(part) and begin + limit < len(order)
    token = encode((keys.item(part[-1]), numbers.item(part[-1]))) if more else None
    return numbers[part].tolist(), token


def _place(token: str, kind: Any) -> Any:
    try:
        return decode(token, kind)
    except ValueError:
        raise invalid("NextToken is none of this list's") from None


def within(asked: Any, name: str, created_at: float, modified_at: float) -> bool:
    """Whether an entry is among those that a list is asked for, by name and times."""
    return (
        (asked.NameContains is None or asked.NameContains in name)
        and (asked.CreationTimeAfter is None or created_at > asked.CreationTimeAfter)
        and (asked.CreationTimeBefore is None or created_at < asked.CreationTimeBefore)
        and (asked.LastModifiedTimeAfter is None or modified_at > asked.LastModifiedTimeAfter)
        and (asked.LastModifiedTimeBefore is None or modified_at < asked.LastModifiedTimeBefore)
    )
