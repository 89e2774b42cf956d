"""The matrix that the algorithms get: the rows of a table as doubles.

Numbers are as they are, truth values 0 and 1; a category is the index of its text among those that were known
when the columns were examined; a date is several numbers. What is missing, infinite or an unknown category is
NaN.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean, shown
from tunesmith.recipes.tabular import dates, numbers
from tunesmith.recipes.tabular import texts as texts_of
from tunesmith.recipes.tabular.columns import UNKNOWN, Column
from tunesmith.recipes.tabular.date_columns import at_midnight
from tunesmith.recipes.tabular.formats import PLAIN, Format
from tunesmith.recipes.tabular.values import (
    as_floats,
    as_texts,
    distinct,
    holds_durations,
    holds_numbers,
    parts_of,
)

Floats = NDArray[np.float64]
#: Larger numbers are as large as this: algorithms square them, and some count in single precision.
LARGEST: Final = 1e30
_WHOLE: Final = re.compile(r"(?<=\d)\.0+$")


def names(columns: Sequence[Column]) -> list[str]:
    """The names of the matrix's columns: ``sold.year`` for a part of a date."""
    out: list[str] = []
    for c in columns:
        out += [f"{c.name}.{part}" for part in c.parts] if c.kind == "date" else [c.name] * c.width
    return out


def places(columns: Sequence[Column]) -> Iterator[tuple[int, Column]]:
    """Each column, and where it begins in the matrix."""
    at = 0
    for column in columns:
        yield at, column
        at += column.width


@dataclass(frozen=True, slots=True)
class Unread:
    """Values of a column that are not what it held in training: how many, and the first."""

    column: Column
    count: int
    row: int
    text: str
    #: What makes it unreadable, if that is not its form.
    why: str = ""

    def __str__(self) -> str:
        one = self.count == 1
        number = self.column.kind == "number"
        kind = ("a number" if number else "a date") if one else ("numbers" if number else "dates")
        because = f", which {self.why}" if self.why else ""
        return (
            f"{self.count:,} value{'' if one else 's'} of {self.column.name!r} cannot be read as {kind} such as "
            f"{self.like}: {shown(self.text)} in row {self.row + 1:,}{because}"
        )

    @property
    def like(self) -> str:
        """How the column's values were written in training."""
        if self.column.kind == "date":
            return dates.example(self.column.written or dates.ISO)
        return (PLAIN if self.column.written == UNKNOWN else Format.of(self.column.written)).example


@dataclass(frozen=True, slots=True)
class Rows:
    """The matrix of rows, shape (rows, width), what in them could not be read, and what has to be said."""

    x: Floats
    unread: tuple[Unread, ...] = ()
    notices: tuple[str, ...] = ()


def matrix(frame: Any, columns: Sequence[Column], name: str = "the table") -> Floats:
    """The rows of a DataFrame as doubles, shape (rows, width); single values that cannot be read are missing.

    Raises JobError if a column is missing, or holds something else than it did.
    """
    rows = read_rows(frame, columns, name)
    for unread in rows.unread:
        there = int(frame[unread.column.name].notna().sum())
        if (
            unread.count == there
            or not np.isfinite(rows.x[:, _place(columns, unread.column)]).any()
        ):
            held = "numbers" if unread.column.kind == "number" else "dates"
            raise JobError(
                f"{name}: {unread.column.name!r} held {held} such as {unread.like} when the model was trained, and here "
                f"it holds values such as {shown(unread.text)}"
            )
    return rows.x


def _place(columns: Sequence[Column], wanted: Column) -> int:
    return next(at for at, column in places(columns) if column is wanted)


def read_rows(
    frame: Any, columns: Sequence[Column], name: str = "the table", separator: str = ""
) -> Rows:
    """The rows of a DataFrame as what they were in training. Raises JobError if a column is missing."""
    gone = [c.name for c in columns if c.name not in frame.columns]
    if gone:
        more = f" (and {len(gone) - 1} more: {', '.join(gone[1:4])})" if gone[1:] else ""
        raise JobError(
            f"{name} has no column {gone[0]!r}{more}, which the model was trained with"
            f"{did_you_mean(gone[0], map(str, frame.columns))}"
        )
    out = np.full((len(frame), sum(c.width for c in columns)), np.nan)
    unread: list[Unread] = []
    notices: list[str] = []
    for at, column in places(columns):
        if column.width:
            place = out[:, at : at + column.width]
            problem, column_notices = _fill(place, frame[column.name], column, separator)
            unread += problem
            notices += column_notices
    return Rows(out, tuple(unread), tuple(notices))


def _fill(
    out: Floats, series: Any, column: Column, separator: str
) -> tuple[list[Unread], list[str]]:
    """Write one column of the table into its places, shape (rows, width); what was in the way, and is to be said."""
    present = series.notna().to_numpy()
    if column.kind == "text":
        out[:] = 0.0
    if not present.any():
        return [], []
    if column.kind == "text":
        values, _, codes = distinct(as_texts(series[present]))
        out[present] = _counts(values, column)[codes]
        return [], []
    fill = {"date": _fill_dates, "category": _fill_category, "number": _fill_numbers}[column.kind]
    return fill(out, series[present], present, column, separator)


def _counts(values: Any, column: Column) -> Floats:
    if not column.grams:  # a model of an earlier version
        return texts_of.hashed_counts(values, column.size)
    return texts_of.counts_of(values, column.grams[: column.size], column.grams[column.size :])


def _fill_dates(
    out: Floats, series: Any, present: NDArray[np.bool_], column: Column, _: str
) -> tuple[list[Unread], list[str]]:
    import pandas as pd
    from pandas.api import types

    if types.infer_dtype(series) == "date":  # those of a sheet, or of Arrow, leave no order open
        series = pd.to_datetime(series, errors="coerce")
    if types.is_datetime64_any_dtype(series):
        points, texts = dates.of_type(series), series.astype(str)
    else:
        texts = as_texts(series)
        values, _counts, codes = distinct(texts)
        points = dates.read(values, column.written or dates.ISO).take(codes)
    at, why = points.at, ""
    if column.zoned is not None:
        strange = points.there & (points.zoned != column.zoned)
        if strange.any():
            at = at.copy()
            at[strange] = np.datetime64("NaT")
            why = f"has {'no' if column.zoned else 'a'} time zone, unlike those that the model was trained with"
    parts = parts_of(at)
    out[present] = np.column_stack([parts[part] for part in column.parts])
    unread = np.isnat(at) & ~texts.isin(column.odd).to_numpy()
    only_zone = why and (unread == (points.there & np.isnat(at))).all()
    midnight = []
    untimed = int((points.there & ~points.timed).sum())
    if "hour" in column.parts and untimed and points.timed is not None and column.written:
        midnight = [at_midnight(column.name, untimed)]
    return _unread(unread, texts, present, column, why if only_zone else ""), midnight


def _fill_category(
    out: Floats, series: Any, present: NDArray[np.bool_], column: Column, _: str
) -> tuple[list[Unread], list[str]]:
    index = {text: float(k) for k, text in enumerate(column.known)}
    values, _counts, codes = distinct(as_texts(series))
    places = [index.get(t, index.get(_WHOLE.sub("", t), np.nan)) for t in values]
    known = np.array(places, dtype=np.float64)[codes]
    out[present, 0] = known
    new = np.isnan(known)
    if not new.any():
        return [], []
    first = int(np.flatnonzero(new)[0])
    row = int(np.flatnonzero(present)[first])
    count = int(new.sum())
    many = count > 1
    notice = (
        f"{count:,} value{'s' if many else ''} of {column.name!r} {'were' if many else 'was'} not there in training, and "
        f"count{'' if many else 's'} as unknown, such as {shown(values[codes[first]])} in row {row + 1:,}"
    )
    return [], [notice]


def _fill_numbers(
    out: Floats, series: Any, present: NDArray[np.bool_], column: Column, separator: str
) -> tuple[list[Unread], list[str]]:

    duration = column.written.startswith("duration")
    durations = bool(holds_durations(series))
    texts = None
    notices: list[str] = []
    if holds_numbers(series) and (durations == duration or column.written == UNKNOWN):
        values = as_floats(series)
    elif durations:
        values, texts = np.full(len(series), np.nan), series.astype(str)
    else:
        texts = as_texts(series)
        different, counts, codes = distinct(texts)
        written, notices = _format_of(column, different, counts, separator)
        values = written.read(different)[codes]
        if doubt := numbers.doubtful(different, written, separator):
            notices.append(f"{column.name!r}: {doubt}")
    finite = np.where(np.isfinite(values), values, np.nan)
    out[present, 0] = np.clip(finite, -LARGEST, LARGEST)
    infinite = int(np.isinf(values).sum())
    if infinite:
        are = (
            "s of {!r} are infinite, and count"
            if infinite > 1
            else " of {!r} is infinite, and counts"
        )
        notices.append(f"{infinite:,} value{are.format(column.name)} as missing")
    if texts is None:
        return [], notices
    unread = np.isnan(values) & ~texts.isin(column.odd).to_numpy()
    return _unread(unread, texts, present, column, ""), notices


def _format_of(
    column: Column, different: Sequence[str], counts: NDArray[np.intp], separator: str
) -> tuple[Format, list[str]]:
    """How a column's numbers are written, and what has to be said of it."""
    if column.written != UNKNOWN:
        return Format.of(column.written), []
    number = numbers.find(different, counts)
    written = numbers.settled(number, "", separator)[0] or PLAIN
    if written == PLAIN:
        return PLAIN, []
    notice = (
        f"{column.name!r} is read as numbers that are written as {written}; the model, of an earlier version, does not "
        "say how they were"
    )
    return written, [notice]


def _unread(
    unread: NDArray[np.bool_], texts: Any, present: NDArray[np.bool_], column: Column, why: str
) -> list[Unread]:
    if not unread.any():
        return []
    first = int(np.flatnonzero(unread)[0])
    row = int(np.flatnonzero(present)[first])
    return [Unread(column, int(unread.sum()), row, str(texts.iloc[first]), why)]
