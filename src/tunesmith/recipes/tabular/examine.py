"""What each column of a table is: a number, a category, a date, a text, or nothing that is learned from."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.recipes.tabular import dates, numbers
from tunesmith.recipes.tabular import texts as texts_of
from tunesmith.recipes.tabular.columns import NO_WISHES, Column, Examined, flag, left_out, named
from tunesmith.recipes.tabular.compounds import why_unread
from tunesmith.recipes.tabular.date_columns import date_column, written_date
from tunesmith.recipes.tabular.formats import PLAIN, Format
from tunesmith.recipes.tabular.habits import NO_HABITS, Habits
from tunesmith.recipes.tabular.labels import unnamed
from tunesmith.recipes.tabular.number_columns import (
    beyond_exact,
    inexact,
    may_be_dates,
    number_column,
    said_number,
    written_number,
)
from tunesmith.recipes.tabular.values import (
    FEW,
    alike,
    as_floats,
    as_text,
    as_texts,
    categorical,
    distinct,
    holds_durations,
    holds_numbers,
)

#: A text column with more different values than `FEW` is a category only if each has so many rows on average
REPEATED: Final = 4
#: 2024-W05, 2024Q1, Q1 2024, 2024-H2.
_PERIOD: Final = re.compile(r"\d{4}[- ]?(?:W\d{1,2}|[QH]\d)|(?:W\d{1,2}|[QH]\d)[-/ ]\d{4}")
#: .. and no category has more than so many.
MOST: Final = 1000


def examine(
    frame: Any,
    without: Sequence[str],
    wishes: Mapping[str, str] = NO_WISHES,
    table: Habits = NO_HABITS,
) -> tuple[tuple[Column, ...], list[str]]:
    """The columns of a DataFrame but those named, and what has to be said about them.

    - All missing, or always the same: left out.
    - Numbers, and text of which nine tenths read as numbers in one format, or as durations: a number (the rest is
      missing then). See `numbers`.
    - Dates, and text that reads as dates in one order: year, month, day, weekday, hour, and days since 1970. See `dates`.
    - Other text, mixed types, and whole numbers with leading zeros: a category, if there are at most 30 different
      values, or each has 4 rows on average (and 1,000 in any case). What is a category by its type stays one.
    - Several words each, many of which come back: a text, see `texts`. What is left is left out.
    - Whole numbers that only label the rows: left out, see `labels`.

    `wishes` says otherwise: see `WISHES`. Raises JobError for a column that is not there, or cannot be that.
    """
    columns: list[Column] = []
    notices: list[str] = []
    for name in wishes:
        if name not in frame.columns:
            raise JobError(
                f"there is no column {name!r} that could be {wishes[name]!r}"
                f"{did_you_mean(name, map(str, frame.columns))}"
            )
    for name in frame.columns:
        if name in without:
            continue
        column, column_notices = _examine(frame[name], name, wishes.get(name, ""), table)
        notices += column_notices
        if column is not None:
            columns.append(column)
    if not any(column.width for column in columns):
        raise JobError(
            "no column is left to learn from: "
            + ("; ".join(notices[:5]) or "there is only the target")
        )
    return tuple(columns), notices


def _examine(series: Any, name: str, wish: str, table: Habits) -> Examined:
    """A column, or None, and what has to be said; `wish` is what it is said to be, or empty."""
    from pandas.api import types

    wish, _, how = wish.partition(":")
    present = series.dropna()
    missing = len(present) < len(series)
    if wish == "ignore":
        return None, [f"{name!r} is left out, as you said"]
    if not len(present):
        return left_out(name, "it has no values at all")
    first = present.iloc[0]
    if isinstance(first, (list, dict, set, np.ndarray)):
        return left_out(name, f"it holds {type(first).__name__}s, not single values")
    if wish == "text":
        return _text_column(name, as_texts(present), len(series), missing)
    if wish == "category" or (not wish and isinstance(series.dtype, categorical())):
        return _category(series, name, missing, declared=True)
    if holds_numbers(series) and wish != "date":
        column, notice = number_column(as_floats(series), name, wished=wish == "number")
        if column is not None and holds_durations(series):
            column = replace(column, written=str(Format(duration="any")))
            notice = notice or f"{name!r} holds durations: they count in seconds"
        elif column is not None and beyond_exact(present):
            notice = inexact(name)
        elif column is not None and not wish:
            notice = notice or may_be_dates(name, as_floats(present))
        return column, [notice] if notice else []
    if types.is_datetime64_any_dtype(series):
        if wish == "number":
            raise JobError(f"{name!r} is said to be a number, and it holds dates")
        return date_column(name, dates.of_type(series), "", series, "")
    return _examine_texts(series, name, wish, how, table)


def _examine_texts(series: Any, name: str, wish: str, how: str, table: Habits) -> Examined:
    texts = as_texts(series.dropna())
    missing = len(texts) < len(series)
    values, counts, _ = distinct(texts)
    number = numbers.Finding(None)
    if wish != "date":
        number = numbers.find(values, counts, how)
        if number.format is not None:
            pick, doubt = numbers.settled(number, table.decimal, table.separator)
            assert pick is not None
            doubts = [named(d, name) for d in (doubt, number.notice) if d]
            return written_number(texts, series, name, pick, doubts, wished=bool(wish))
        if wish == "number":
            return said_number(texts, series, name, number, how, table)
        if number.codes:
            return _category(series, name, missing, codes=True)
    if wish == "date" and not how and all(re.fullmatch(r"\d{8}", text) for text in values):
        how = "%Y%m%d"
    order = dates.find(values, counts, how, forced=wish == "date")
    if order is not None and order.written:
        return written_date(texts, series, name, order, table, how)
    if wish == "date":
        counted = holds_numbers(series) or bool(np.isfinite(PLAIN.read(values)).all())
        way = (
            f"say what its numbers count: {flag(name, 'date:excel')}, date:unix or date:unix-ms"
            if counted
            else f"name the format: {flag(name, 'date:%Y-%m-%d')}"
        )
        raise JobError(
            f"{name!r} is said to be a date, and it holds values such as {texts.iloc[0]!r}; {way}"
        )
    why = number.why or (order.why if order is not None else "")
    return _category(series, name, missing, why=why, mixed=True)


def _category(
    series: Any,
    name: str,
    missing: bool,
    *,
    declared: bool = False,
    codes: bool = False,
    why: str = "",
    mixed: bool = False,
) -> Examined:
    """A category, or why it is none: `declared` as one, `codes` with leading zeros, `why` it is no number or date;
    `mixed`: some may be numbers."""
    texts, rows = as_texts(series.dropna()), len(series)
    known = sorted(texts.unique())
    if len(known) == 1 and not missing:
        return left_out(name, f"it is {known[0]!r} in every row")
    if declared and getattr(series.dtype, "ordered", False):
        ranked = [as_text(value) for value in series.dtype.categories]
        known = [text for text in ranked if text in set(known)]
    too_many = len(known) > min(max(FEW, rows // REPEATED), MOST)
    if not declared and (too_many or (len(known) > 2 and len(known) > 0.5 * rows)):
        if not codes and not unnamed(name) and texts_of.are_texts(known):
            return _text_column(name, texts, rows, missing)
        return left_out(name, _why_not(name, known, rows, codes, why))
    notices = []
    if mixed and np.isfinite(PLAIN.read(known)).any():
        notices.append(
            f"{name!r} mixes numbers and texts: taken as a category of {len(known)} values"
        )
    elif codes:
        sample = next(text for text in known if len(text) > 1 and text[0] == "0")
        notices.append(
            f"{name!r} is taken as a category: whole numbers with leading zeros, such as {sample!r}, are names "
            f"({flag(name, 'number')} if they are amounts)"
        )
    if same := alike(known):
        notices.append(f"{name!r} has {same}, which count as different")
    return Column(name, "category", tuple(known), missing=missing), notices


def _text_column(name: str, texts: Any, rows: int, missing: bool) -> Examined:
    words, pieces = texts_of.vocabulary(texts.tolist(), texts_of.size_for(rows))
    if not pieces:
        return left_out(name, "no piece of its texts is in two of them")
    column = Column(name, "text", missing=missing, grams=(*words, *pieces), size=len(words))
    leave = shlex.quote(f"{name}=ignore")
    return column, [
        f"{name!r} holds texts: words and characters are learned from (--column {leave} leaves it out)"
    ]


def _why_not(name: str, known: Sequence[str], rows: int, codes: bool, why: str) -> str:
    """Why a column of many different texts is left out."""
    sample, different = known[0], len(known)
    if codes:
        return (
            f"its whole numbers with leading zeros are names, and {different:,} different ones in {rows:,} rows are "
            f"too many for a category ({flag(name, 'number')} if they are amounts, or =category)"
        )
    if _PERIOD.fullmatch(sample):
        return f"weeks and quarters such as {sample!r} are not read as dates; write the day that each begins with"
    if why:
        return f"{why} ({flag(name, 'number')}, =date or =category says what it is)"
    if unread := why_unread(known):
        return f"{unread} ({flag(name, 'category')} takes them as names)"
    return (
        f"{different:,} different texts in {rows:,} rows are an identifier, or free text ({flag(name, 'text')} or "
        "=category learns from it all the same)"
    )
