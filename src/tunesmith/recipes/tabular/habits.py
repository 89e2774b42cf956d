"""The habits of a table: the decimal mark and the order of dates that its columns tell of one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular import dates, numbers
from tunesmith.recipes.tabular.columns import NO_WISHES
from tunesmith.recipes.tabular.values import (
    as_floats,
    as_texts,
    categorical,
    distinct,
    holds_numbers,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Habits:
    """How a table writes what one column may leave open: `separator` parts a text file's fields (empty: no such file),
    `decimal` is the decimal mark, `day_first` the order of dates; empty or None where the table does not say it, or
    says both. `said`: whether a person said the order."""

    separator: str = ""
    decimal: str = ""
    day_first: bool | None = None
    by_hand: bool = False


#: A table that leaves everything open.
NO_HABITS: Final = Habits()


def habits(
    frame: Any, separator: str = "", order: str | None = None, wishes: Mapping[str, str] = NO_WISHES
) -> Habits:
    """What the columns of a table tell of one another; `order` is what was said of its dates."""
    from pandas.api import types

    marks: set[str] = set()
    orders: set[bool] = set()
    for name in frame.columns:
        series = frame[name]
        wish, _, how = wishes.get(name, "").partition(":")
        if wish in ("ignore", "category", "text") or types.is_datetime64_any_dtype(series):
            continue
        if holds_numbers(series):
            if separator and types.is_float_dtype(series) and _has_fractions(as_floats(series)):
                marks.add(".")
            continue
        if isinstance(series.dtype, categorical()):
            continue
        sample = series.dropna()
        sample = sample.iloc[:: max(1, len(sample) // 5000)]
        if not len(sample) or isinstance(sample.iloc[0], (list, dict, set, np.ndarray)):
            continue
        values, counts, _ = distinct(as_texts(sample))
        number = numbers.find(values, counts, how if wish == "number" else "")
        if number.format is not None:
            marks.add({"decimal-comma": ",", "decimal-point": "."}.get(how, number.decimal))
            continue
        dated = dates.find(values, counts, how if wish == "date" else "")
        if dated is not None and not dated.rivals:
            first = dates.is_day_first(dated.written)
            if first is not None:
                orders.add(first)
    marks.discard("")
    decimal = marks.pop() if len(marks) == 1 else ""
    if order is not None:
        return Habits(separator, decimal, order == "day-first", by_hand=True)
    return Habits(separator, decimal, orders.pop() if len(orders) == 1 else None)


def _has_fractions(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite != np.round(finite)).any())
