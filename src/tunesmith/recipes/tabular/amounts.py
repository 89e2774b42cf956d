"""A column of texts as numbers: its amounts, or what puts its rows in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular import date_columns, dates, numbers
from tunesmith.recipes.tabular.columns import named
from tunesmith.recipes.tabular.formats import PLAIN, TRUTHS, Format
from tunesmith.recipes.tabular.habits import NO_HABITS, Habits
from tunesmith.recipes.tabular.values import as_floats, as_texts, distinct, holds_numbers, parts_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Amounts:
    """A column's texts as numbers: shape (rows,), NaN for what is missing or `odd`, texts that are none."""

    values: Floats
    written: Format
    odd: Any
    notices: tuple[str, ...] = ()


def amounts_of(series: Any, table: Habits = NO_HABITS, how: str = "") -> Amounts | None:
    """The numbers or durations in a column of texts; None if these are something else."""
    there = series.notna().to_numpy()
    texts = as_texts(series[there])
    values, counts, codes = distinct(texts)
    if any(value.lower() in TRUTHS for value in values):
        return None
    number = numbers.find(values, counts, how)
    pick, doubt = numbers.settled(number, table.decimal, table.separator)
    if pick is None:
        return None
    out = np.full(len(series), np.nan)
    out[there] = read = pick.read(values)[codes]
    return Amounts(out, pick, texts[~np.isfinite(read)], tuple(_doubts(series, doubt, number)))


def _doubts(series: Any, doubt: str, number: numbers.Finding) -> list[str]:
    name = str(series.name)
    return [f"{name!r}: {named(d, name)}" for d in (doubt, number.notice) if d]


def ordered(series: Any, table: Habits, wish: str = "") -> tuple[Floats, list[str]]:
    """A column as numbers that have its order, shape (rows,): its numbers, or days since 1970; NaN where there is
    neither. Also the doubts that have to be said. `wish` as for `examine`."""
    from pandas.api import types

    kind, _, how = wish.partition(":")
    out = np.full(len(series), np.nan)
    there = series.notna().to_numpy()
    if holds_numbers(series):
        return as_floats(series), []
    if types.is_datetime64_any_dtype(series):
        return parts_of(dates.of_type(series).at)["days"], []
    if not there.any():
        return out, []
    values, counts, codes = distinct(as_texts(series[there]))
    if kind != "date":
        number = numbers.find(values, counts, how if kind == "number" else "")
        pick, doubt = numbers.settled(number, table.decimal, table.separator)
        if number.codes and pick is None:
            pick = PLAIN
        if pick is not None:
            out[there] = pick.read(values)[codes]
            return out, _doubts(series, doubt, number)
    order = dates.find(values, counts, how if kind == "date" else "", forced=kind == "date")
    if kind != "number" and order is not None and order.written:
        written, doubt = date_columns.settled(str(series.name), values[0], order, table, how)
        out[there] = parts_of(dates.read(values, written).take(codes).at)["days"]
        return out, [doubt] if doubt else []
    return out, []
