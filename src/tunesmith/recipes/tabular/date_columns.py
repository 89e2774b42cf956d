"""Columns of dates: which parts are learned from, and what has to be said about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunesmith.core.errors import JobError, shown
from tunesmith.recipes.tabular import dates
from tunesmith.recipes.tabular.columns import Column, Examined, flag, left_out
from tunesmith.recipes.tabular.habits import Habits
from tunesmith.recipes.tabular.values import commonest, distinct, parts_of


def written_date(
    texts: Any, series: Any, name: str, order: dates.Order, table: Habits, how: str
) -> Examined:
    """Dates in texts of one order."""
    written, doubt = settled(name, texts.iloc[0], order, table, how)
    values, _, codes = distinct(texts)
    points = dates.read(values, written)
    return date_column(name, points.take(codes), written, texts, doubt, series)


def settled(name: str, text: str, order: dates.Order, table: Habits, how: str) -> tuple[str, str]:
    """The format of a column of dates, such as `text`, and a doubt that has to be said, or none."""
    day_first = {"day-first": True, "month-first": False}.get(how, table.day_first)
    written = dates.settled(order, day_first)
    if how or not order.rivals:
        return written, ""
    return written, _which_order(name, text, written, order, table)


def _which_order(name: str, text: str, written: str, order: dates.Order, table: Habits) -> str:
    """What has to be said where dates fit more than one order; nothing where a person said which."""
    first = dates.is_day_first(written)
    rival = next((w for w in (order.written, *order.rivals) if w != written), "")
    if first is not None and dates.is_day_first(rival) is (not first):
        if table.by_hand:
            return ""
        other = "month-first" if first else "day-first"
        like = "" if table.day_first is None else ", as in other columns"
        return (
            f"{name!r}: the order of day and month in dates such as {text!r} cannot be told; taken with the "
            f"{'day' if first else 'month'} first{like} (--dates {other}, or {flag(name, f'date:{other}')}, takes them "
            "otherwise)"
        )
    taken, otherwise = (
        dates.read([text], w).at[0].astype("datetime64[D]") for w in (written, rival)
    )
    return f"{name!r}: {text!r} is taken as {taken}; if it is {otherwise}, say so: {flag(name, f'date:{rival}')}"


def date_column(
    name: str, points: dates.Points, written: str, values: Any, doubt: str, series: Any = None
) -> Examined:
    """A column of points of time; `values` are those that `points` were read from."""
    parts = parts_of(points.at)
    differ = tuple(
        part for part, numbers in parts.items() if len(np.unique(numbers[np.isfinite(numbers)])) > 1
    )
    if not points.there.any():
        raise JobError(
            f"{name!r} is said to be a date written as {written}, and it holds values such as "
            f"{shown(values.iloc[0])}"
        )
    unread = ~points.there
    missing = bool(unread.any()) or (series is not None and len(series) > len(values))
    if not differ and not missing:
        return left_out(name, "it is the same date in every row")
    differ = differ or ("days",)  # that there is a date may tell something
    odd = commonest(values[unread]) if written else ()
    there = points.there
    zoned = (
        None
        if points.zoned[there].any() and not points.zoned[there].all()
        else bool(points.zoned[there].all())
    )
    column = Column(
        name, "date", written=written, parts=differ, missing=missing, odd=odd, zoned=zoned
    )
    notices = [f"{name!r} holds dates: {', '.join(differ)} are learned from"]
    if doubt:
        notices.append(doubt)
    if written and unread.any():
        notices.append(
            f"{name!r}: {int(unread.sum()):,} values that are no dates as {dates.example(written)} is one, such as "
            f"{shown(values[unread].iloc[0])}, count as missing"
        )
    notices += _about_times(name, points, column)
    if "%y" in written:
        notices.append(
            f"{name!r} has years of two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068"
        )
    return column, notices


def _about_times(name: str, points: dates.Points, column: Column) -> list[str]:
    """What has to be said of times of day and zones: what has none is taken for something."""
    there = points.there
    out = []
    if points.zoned[there].any():
        text = f"{name!r} has times with a zone, which count in UTC"
        without = int((there & ~points.zoned).sum())
        out.append(f"{text}; {without:,} have none, and count as UTC" if without else text)
    untimed = int((there & ~points.timed).sum())
    if "hour" in column.parts and untimed and column.written:
        out.append(at_midnight(name, untimed))
    return out


def at_midnight(name: str, count: int) -> str:
    dates_have = (
        "dates have no time of day, and count"
        if count > 1
        else "date has no time of day, and counts"
    )
    return f"{name!r}: {count:,} {dates_have} as midnight"
