"""Columns of numbers: what is learned from one, and what has to be said about it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, shown
from tunesmith.recipes.tabular import dates, numbers
from tunesmith.recipes.tabular.columns import Column, Examined, flag
from tunesmith.recipes.tabular.formats import FORMATS, PLAIN, Format
from tunesmith.recipes.tabular.habits import Habits
from tunesmith.recipes.tabular.labels import row_label
from tunesmith.recipes.tabular.values import as_floats, commonest, distinct

Floats = NDArray[np.float64]

_TIMED: Final = re.compile(
    r"(?i:date|datum|fecha|time|zeit|stamp|epoch)|(?:^|[_ .-])(?:at|on|ts|day|when)$|[a-z](?:At|On)$"
)
#: Numbers between are dates of 1973 to 2064, or of 2001 to 2064.
_SERIAL_RANGES: Final = {"excel": (2.7e4, 6e4), "unix": (1e9, 3e9), "unix-ms": (1e12, 3e12)}


def said_number(
    texts: Any, series: Any, name: str, number: numbers.Finding, how: str, table: Habits
) -> Examined:
    """Numbers that are said to be some: codes with leading zeros, or those among many texts."""
    values, counts, _ = distinct(texts)
    decimal = table.decimal or ("," if table.separator == ";" else ".")
    decimal = {"decimal-comma": ",", "decimal-point": "."}.get(how, decimal)
    options = [PLAIN, *(f for f in FORMATS if f.decimal == decimal)]
    weights = [counts[np.isfinite(f.read(values))].sum() for f in options]
    best = int(np.argmax(weights))
    if not weights[best]:
        because = f": {number.why}" if number.why else ""
        raise JobError(
            f"{name!r} is said to be a number, and it holds values such as {texts.iloc[0]!r}{because}"
        )
    return written_number(texts, series, name, options[best], [], wished=True)


def written_number(
    texts: Any,
    series: Any,
    name: str,
    written: Format,
    doubts: list[str],
    *,
    wished: bool = False,
) -> Examined:
    """Numbers in texts of one format; those that are none in it count as missing."""
    values, _, codes = distinct(texts)
    written_values = written.read(values)
    read = written_values[codes]
    every = np.full(len(series), np.nan)
    every[series.notna().to_numpy()] = read
    column, notice = number_column(every, name, wished=wished)
    if column is None:
        return None, [notice]
    notices = [notice] if notice else []
    if written.duration:
        notices.append(f"{name!r} holds durations or times of day: they count in seconds")
    elif written != PLAIN:
        notices.append(f"{name!r} holds numbers that are written as {written}")
    notices += [f"{name!r}: {doubt}" for doubt in doubts]
    odd = texts[np.isnan(read)]
    if len(odd):
        column = replace(column, odd=commonest(odd))
        notices.append(
            f"{name!r} is taken as numbers: {len(odd):,} values that are none, such as {shown(odd.iloc[0])}, count as "
            "missing"
        )
    bare = (_without_unit(values, written) & np.isfinite(written_values))[codes]
    if bare.any():
        notices.append(
            f"{name!r} has {int(bare.sum()):,} numbers without {written.unit}, such as "
            f"{texts[bare].iloc[0]!r}: they count like the others"
        )
    if (np.abs(read[np.isfinite(read)]) > numbers.EXACT).any() and written == PLAIN:
        notices.append(inexact(name))
    return replace(column, written=str(written)), notices


def number_column(values: Floats, name: str, *, wished: bool = False) -> tuple[Column | None, str]:
    finite = np.isfinite(values)
    infinite = int(np.isinf(values).sum())
    known = values[finite]
    if not len(known):
        return None, f"{name!r} is left out: it has no finite values"
    if known.min() == known.max() and finite.all():
        return None, f"{name!r} is left out: it is {known[0]:g} in every row"
    if not wished and (why := row_label(name, known)):
        return (
            None,
            f"{name!r} is left out: {why}; --column {shlex.quote(f'{name}=number')} keeps it",
        )
    notice = (
        f"{name!r} has {infinite:,} infinite values, which count as missing" if infinite else ""
    )
    return Column(name, "number", missing=not bool(finite.all())), notice


def _without_unit(values: Sequence[str], written: Format) -> NDArray[np.bool_]:
    if not written.unit or written.duration:
        return np.zeros(len(values), dtype=bool)
    return np.array(
        [written.unit not in v.replace(" ", "") and v.strip("-+0.,") != "" for v in values],
        dtype=bool,
    )


def beyond_exact(present: Any) -> bool:
    """Whether whole numbers of an integer type are larger than all whole doubles are exact."""
    from pandas.api import types

    whole = types.is_integer_dtype(present)
    return bool(whole and (np.abs(as_floats(present)) > numbers.EXACT).any())


def may_be_dates(name: str, values: Floats) -> str:
    """What has to be said of numbers that may count days or seconds: the column's name and all values say so."""
    known = values[np.isfinite(values)]
    if not len(known) or not _TIMED.search(name):
        return ""
    for way, (least, most) in _SERIAL_RANGES.items():
        if least <= known.min() and known.max() <= most:
            text = f"{known[0]:.15g}"
            day = dates.read([text], way).at[0].astype("datetime64[D]")
            return (
                f"{name!r} counts as numbers; if those are dates, so that {text} is {day}, say so: "
                f"{flag(name, f'date:{way}')}"
            )
    return ""


def inexact(name: str) -> str:
    return (
        f"{name!r} has whole numbers of more than 15 digits, which count only nearly; if they are names, say "
        f"{flag(name, 'category')}"
    )
