"""Which columns a table has, what each holds, and the matrix that the algorithms get.

Numbers are as they are, truth values 0 and 1; a category is the index of its text among those that were known
when the columns were examined; a date is several numbers. What is missing, infinite or an unknown category is
NaN.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean, shown
from tunesmith.recipes.tabular import dates, numbers
from tunesmith.recipes.tabular import texts as texts_of
from tunesmith.recipes.tabular.labels import row_label, unnamed
from tunesmith.recipes.tabular.numbers import PLAIN, Format

Floats = NDArray[np.float64]
Kind = Literal["number", "category", "date", "text"]
#: What a column can be said to be: a kind, or nothing that is learned from.
WISHES: Final = ("category", "number", "date", "text", "ignore")
#: How numbers and dates can be said to be written; a date also as a format such as %d/%m/%Y.
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("decimal-point", "decimal-comma", "h:mm", "m:ss"),
    "date": dates.ORDERS,
}
#: Nothing was said of any column.
NO_WISHES: Final[Mapping[str, str]] = MappingProxyType({})

#: A text column with more different values than this is a category only if each has so many rows on average.
FEW: Final = 30
REPEATED: Final = 4
#: .. and no category has more than so many.
MOST: Final = 1000
#: Larger numbers are as large as this: algorithms square them, and some count in single precision.
LARGEST: Final = 1e30
#: What an earlier version kept of how a column's numbers are written: nothing.
UNKNOWN: Final = "?"
_WHOLE: Final = re.compile(r"(?<=\d)\.0+$")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `known`: a category's texts in order; `written`: the format of its dates, or of its
    numbers (empty: plain); `parts`: those of a date that differ; `missing`: whether any value was missing; `odd`: the
    commonest texts among numbers or dates, which count as missing; `zoned`: whether its times have zones (None: some,
    or that is not known)."""

    name: str
    kind: Kind
    known: tuple[str, ...] = ()
    written: str = ""
    parts: tuple[str, ...] = ()
    missing: bool = False
    odd: tuple[str, ...] = ()
    zoned: bool | None = None
    #: Of a text: how many places its words have in the matrix, and its characters.
    size: int = 0

    @property
    def width(self) -> int:
        """How many columns of the matrix it is."""
        if self.kind == "text":
            return 2 * self.size
        return len(self.parts) if self.kind == "date" else 1

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name, "kind": self.kind}
        for key in ("known", "parts", "odd"):
            if getattr(self, key):
                out[key] = list(getattr(self, key))
        if self.written:
            out["written"] = self.written
        if self.missing:
            out["missing"] = True
        if self.zoned is not None:
            out["zoned"] = self.zoned
        if self.size:
            out["size"] = self.size
        return out

    @classmethod
    def from_dict(cls, spec: dict[str, Any]) -> Column:
        return cls(
            spec["name"],
            spec["kind"],
            tuple(spec.get("known", ())),
            spec.get("written", ""),
            tuple(spec.get("parts", ())),
            spec.get("missing", False),
            tuple(spec.get("odd", ())),
            spec.get("zoned"),
            spec.get("size", 0),
        )


def wishes(spec: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """What columns are said to be: ``{"zip": "category"}``, or texts such as ``"zip=category"``. Raises JobError."""
    if spec is None:
        return {}
    if isinstance(spec, str) or not isinstance(spec, (Mapping, Sequence)):
        raise JobError(f"columns is a dict such as {{'zip': 'category'}}, not {spec!r}")
    pairs: list[tuple[Any, Any]] = []
    if isinstance(spec, Mapping):
        pairs = list(spec.items())
    else:
        for text in spec:
            name, equals, kind = str(text).rpartition("=")
            if not equals:
                raise JobError(
                    f"--column {text}: write NAME=KIND, where KIND is one of {', '.join(WISHES)}"
                )
            pairs.append((name, kind))
    out: dict[str, str] = {}
    for name, wish in pairs:
        name, wish = str(name).strip(), str(wish).strip()
        _check_wish(name, wish)
        if out.get(name, wish) != wish:
            raise JobError(f"{name!r} is said to be {out[name]!r} and {wish!r}; leave one out")
        out[name] = wish
    return out


def _check_wish(name: str, wish: str) -> None:
    kind, colon, how = wish.partition(":")
    if kind not in WISHES:
        raise JobError(
            f"a column is one of {', '.join(WISHES)}, and {name!r} is said to be {kind!r}"
            f"{did_you_mean(kind, WISHES)}"
        )
    ways = WAYS.get(kind, ())
    if colon and how not in ways and not (kind == "date" and "%" in how):
        known = f": write {', '.join(f'{kind}:{way}' for way in ways)}" if ways else ""
        like = ", or date:%d/%m/%Y with a format of your own" * (kind == "date")
        raise JobError(f"{name!r} is said to be {wish!r}, and there is no such {kind}{known}{like}")


def flag(name: str, wish: str) -> str:
    """How a column is said to be something on the command line."""
    return f"--column {shlex.quote(f'{name}={wish}')}"


def _named(doubt: str, name: str) -> str:
    """A doubt of `numbers`, which does not know the column."""
    return re.sub(r"--column NAME=(\S+)", lambda match: flag(name, match[1]), doubt)


def check_dates(order: str | None) -> str | None:
    """The order of day and month where a table leaves it open. Raises JobError."""
    if order is not None and order not in dates.ORDERS:
        raise JobError(f"dates is {' or '.join(dates.ORDERS)}, not {shown(order)}")
    return order


# -- what the whole table says --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habits:
    """How a table writes what one column may leave open: `separator` parts a text file's fields (empty: no such file),
    `decimal` is the decimal mark, `day_first` the order of dates; empty or None where the table does not say it, or
    says both. `said`: whether a person said the order."""

    separator: str = ""
    decimal: str = ""
    day_first: bool | None = None
    said: bool = False


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
        if _holds_numbers(series):
            if separator and types.is_float_dtype(series) and _has_fractions(_floats(series)):
                marks.add(".")
            continue
        if isinstance(series.dtype, _categorical()):
            continue
        sample = series.dropna()
        sample = sample.iloc[:: max(1, len(sample) // 5000)]
        if not len(sample) or isinstance(sample.iloc[0], (list, dict, set, np.ndarray)):
            continue
        values, counts, _ = _different(_texts(sample))
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
        return Habits(separator, decimal, order == "day-first", said=True)
    return Habits(separator, decimal, orders.pop() if len(orders) == 1 else None)


def _has_fractions(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite != np.round(finite)).any())


def _categorical() -> Any:
    import pandas as pd

    return pd.CategoricalDtype


# -- one column -----------------------------------------------------------------------------------


def examine(
    frame: Any,
    without: Sequence[str],
    wishes: Mapping[str, str] = NO_WISHES,
    table: Habits = Habits(),
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


Examined = tuple[Column | None, list[str]]


def _left_out(name: str, why: str) -> Examined:
    return None, [f"{name!r} is left out: {why}"]


def _examine(series: Any, name: str, wish: str, table: Habits) -> Examined:
    """A column, or None, and what has to be said; `wish` is what it is said to be, or empty."""
    from pandas.api import types

    wish, _, how = wish.partition(":")
    present = series.dropna()
    missing = len(present) < len(series)
    if wish == "ignore":
        return None, [f"{name!r} is left out, as you said"]
    if not len(present):
        return _left_out(name, "it has no values at all")
    first = present.iloc[0]
    if isinstance(first, (list, dict, set, np.ndarray)):
        return _left_out(name, f"it holds {type(first).__name__}s, not single values")
    if wish == "text":
        return _text_column(name, len(series), missing)
    if wish == "category" or (not wish and isinstance(series.dtype, _categorical())):
        return _category(series, name, missing, declared=True)
    if _holds_numbers(series) and wish != "date":
        column, notice = _number(_floats(series), name, wished=wish == "number")
        if column is not None and holds_durations(series):
            column = replace(column, written=str(Format(duration="any")))
            notice = notice or f"{name!r} holds durations: they count in seconds"
        elif column is not None and _beyond_exact(present):
            notice = _inexact(name)
        return column, [notice] if notice else []
    if types.is_datetime64_any_dtype(series):
        if wish == "number":
            raise JobError(f"{name!r} is said to be a number, and it holds dates")
        return _date(name, dates.of_type(series), "", series, "")
    return _examine_texts(series, name, wish, how, table)


def _examine_texts(series: Any, name: str, wish: str, how: str, table: Habits) -> Examined:
    texts = _texts(series.dropna())
    missing = len(texts) < len(series)
    values, counts, _ = _different(texts)
    number = numbers.Finding(None)
    if wish != "date":
        number = numbers.find(values, counts, how)
        if number.format is not None:
            pick, doubt = numbers.settled(number, table.decimal, table.separator)
            assert pick is not None
            doubts = [_named(d, name) for d in (doubt, number.notice) if d]
            return _written_number(texts, series, name, pick, doubts, wished=bool(wish))
        if wish == "number":
            return _said_number(texts, series, name, number, how, table)
        if number.codes:
            return _category(series, name, missing, codes=True)
    if wish == "date" and not how and all(re.fullmatch(r"\d{8}", text) for text in values):
        how = "%Y%m%d"
    order = dates.find(values, counts, how, forced=wish == "date")
    if order is not None and order.written:
        return _written_date(texts, series, name, order, table, how)
    if wish == "date":
        raise JobError(
            f"{name!r} is said to be a date, and it holds values such as {texts.iloc[0]!r}; name the format: "
            f"{flag(name, 'date:%Y-%m-%d')}"
        )
    why = number.why or (order.why if order is not None else "")
    plain = PLAIN.read(values)
    return _category(series, name, missing, why=why, numbers=bool(np.isfinite(plain).any()))


def _said_number(
    texts: Any, series: Any, name: str, number: numbers.Finding, how: str, table: Habits
) -> Examined:
    """Numbers that are said to be some: codes with leading zeros, or those among many texts."""
    values, counts, _ = _different(texts)
    decimal = table.decimal or ("," if table.separator == ";" else ".")
    decimal = {"decimal-comma": ",", "decimal-point": "."}.get(how, decimal)
    options = [PLAIN, *(f for f in numbers.FORMATS if f.decimal == decimal)]
    weights = [counts[np.isfinite(f.read(values))].sum() for f in options]
    best = int(np.argmax(weights))
    if not weights[best]:
        because = f": {number.why}" if number.why else ""
        raise JobError(
            f"{name!r} is said to be a number, and it holds values such as {texts.iloc[0]!r}{because}"
        )
    return _written_number(texts, series, name, options[best], [], wished=True)


def _written_number(
    texts: Any,
    series: Any,
    name: str,
    written: Format,
    doubts: list[str],
    *,
    wished: bool = False,
) -> Examined:
    """Numbers in texts of one format; those that are none in it count as missing."""
    values, _, codes = _different(texts)
    read = written.read(values)[codes]
    every = np.full(len(series), np.nan)
    every[series.notna().to_numpy()] = read
    column, notice = _number(every, name, wished=wished)
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
        column = replace(column, odd=_commonest(odd))
        notices.append(
            f"{name!r} is taken as numbers: {len(odd):,} values that are none, such as {shown(odd.iloc[0])}, count as "
            "missing"
        )
    bare = _without_unit(values, written)[codes]
    if bare.any():
        notices.append(
            f"{name!r} has {int(bare.sum()):,} numbers without {written.unit}, such as "
            f"{texts[bare].iloc[0]!r}: they count like the others"
        )
    if (np.abs(read[np.isfinite(read)]) > numbers.EXACT).any() and written == PLAIN:
        notices.append(_inexact(name))
    return replace(column, written=str(written)), notices


def _without_unit(values: Sequence[str], written: Format) -> NDArray[np.bool_]:
    if not written.unit or written.duration:
        return np.zeros(len(values), dtype=bool)
    return np.array(
        [written.unit not in v.replace(" ", "") and v.strip("-+0.,") != "" for v in values],
        dtype=bool,
    ) & np.isfinite(written.read(values))


def _beyond_exact(present: Any) -> bool:
    """Whether whole numbers of an integer type are larger than all whole doubles are exact."""
    from pandas.api import types

    whole = types.is_integer_dtype(present)
    return bool(whole and (np.abs(_floats(present)) > numbers.EXACT).any())


def _inexact(name: str) -> str:
    return (
        f"{name!r} has whole numbers of more than 15 digits, which count only nearly; if they are names, say "
        f"{flag(name, 'category')}"
    )


def _number(values: Floats, name: str, *, wished: bool = False) -> tuple[Column | None, str]:
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


def _written_date(
    texts: Any, series: Any, name: str, order: dates.Order, table: Habits, how: str
) -> Examined:
    """Dates in texts of one order."""
    said = {"day-first": True, "month-first": False}.get(how, table.day_first)
    written = dates.settled(order, said)
    values, _, codes = _different(texts)
    points = dates.read(values, written)
    doubt = ""
    if order.rivals and not how:
        doubt = _which_order(name, texts.iloc[0], written, order, table)
    return _date(name, points.take(codes), written, texts, doubt, series)


def _which_order(name: str, text: str, written: str, order: dates.Order, table: Habits) -> str:
    """What has to be said where dates fit more than one order; nothing where a person said which."""
    first = dates.is_day_first(written)
    rival = next((w for w in (order.written, *order.rivals) if w != written), "")
    if first is not None and dates.is_day_first(rival) is (not first):
        if table.said:
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


def _date(
    name: str, points: dates.Points, written: str, values: Any, doubt: str, series: Any = None
) -> Examined:
    """A column of points of time; `values` are those that `points` were read from."""
    parts = _parts(points.at)
    differ = tuple(
        part for part, numbers in parts.items() if len(np.unique(numbers[np.isfinite(numbers)])) > 1
    )
    if not points.there.any():
        raise JobError(
            f"{name!r} is said to be a date written as {written}, and it holds values such as "
            f"{shown(values.iloc[0])}"
        )
    if not differ:
        return _left_out(name, "it is the same date in every row")
    unread = ~points.there
    missing = bool(unread.any()) or (series is not None and len(series) > len(values))
    odd = _commonest(values[unread]) if written else ()
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
        out.append(_midnight(name, untimed))
    return out


def _midnight(name: str, count: int) -> str:
    dates_have = (
        "dates have no time of day, and count"
        if count > 1
        else "date has no time of day, and counts"
    )
    return f"{name!r}: {count:,} {dates_have} as midnight"


def _category(
    series: Any,
    name: str,
    missing: bool,
    *,
    declared: bool = False,
    codes: bool = False,
    why: str = "",
    numbers: bool = False,
) -> Examined:
    """A category, or why it is none: `declared` as one, `codes` with leading zeros, `why` it is no number or date."""
    texts, rows = _texts(series.dropna()), len(series)
    known = sorted(texts.unique())
    if len(known) == 1 and not missing:
        return _left_out(name, f"it is {known[0]!r} in every row")
    if declared and getattr(series.dtype, "ordered", False):
        ranked = [_text(value) for value in series.dtype.categories]
        known = [text for text in ranked if text in set(known)]
    too_many = len(known) > min(max(FEW, rows // REPEATED), MOST)
    if not declared and (too_many or (len(known) > 2 and len(known) > 0.5 * rows)):
        if not codes and not unnamed(name) and texts_of.are_texts(known):
            return _text_column(name, rows, missing)
        return _left_out(name, _why_not(name, len(known), rows, codes, why))
    notices = []
    if numbers:
        notices.append(
            f"{name!r} mixes numbers and texts: taken as a category of {len(known)} values"
        )
    elif codes:
        sample = next(text for text in known if len(text) > 1 and text[0] == "0")
        notices.append(
            f"{name!r} is taken as a category: whole numbers with leading zeros, such as {sample!r}, are names "
            f"({flag(name, 'number')} if they are amounts)"
        )
    return Column(name, "category", tuple(known), missing=missing), notices


def _text_column(name: str, rows: int, missing: bool) -> Examined:
    column = Column(name, "text", missing=missing, size=texts_of.size_for(rows))
    leave = shlex.quote(f"{name}=ignore")
    return column, [
        f"{name!r} holds texts: words and characters are learned from (--column {leave} leaves it out)"
    ]


def _why_not(name: str, different: int, rows: int, codes: bool, why: str) -> str:
    """Why a column of many different texts is left out."""
    if codes:
        return (
            f"its whole numbers with leading zeros are names, and {different:,} different ones in {rows:,} rows are "
            f"too many for a category ({flag(name, 'number')} if they are amounts, or =category)"
        )
    if why:
        return f"{why} ({flag(name, 'number')}, =date or =category says what it is)"
    return f"{different:,} different texts in {rows:,} rows are an identifier, or free text"


def _commonest(texts: Any) -> tuple[str, ...]:
    return tuple(sorted(texts.value_counts().index[:FEW]))


def _texts(present: Any) -> Any:
    """Values as texts: 3 and 3.0 are the same, and blanks around a text do not count."""
    import pandas as pd
    from pandas.api import types

    if types.infer_dtype(present) != "string":  # of other types, different values can be equal
        return present.astype(object).map(_text).astype(object)
    codes, different = pd.factorize(present)
    texts = np.array([_text(value) for value in different], dtype=object)
    return pd.Series(texts[codes], present.index, dtype=object)


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _different(texts: Any) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """The different texts of a column, how often each is there, and which each row has."""
    import pandas as pd

    codes, different = pd.factorize(texts)
    return (
        np.asarray(different, dtype=object).tolist(),
        np.bincount(codes, minlength=len(different)),
        codes,
    )


def _read_numbers(texts: Any) -> Floats:
    """Texts as plain numbers, shape (rows,); what is none is NaN."""
    values, _, codes = _different(texts)
    out: Floats = PLAIN.read(values)[codes]
    return out


@dataclass(frozen=True, slots=True)
class Amounts:
    """A column's texts as numbers: shape (rows,), NaN for what is missing or `odd`, texts that are none."""

    values: Floats
    written: Format
    odd: Any
    notices: tuple[str, ...] = ()


def amounts(series: Any, table: Habits = Habits(), how: str = "") -> Amounts | None:
    """The numbers or durations in a column of texts; None if these are something else."""
    there = series.notna().to_numpy()
    texts = _texts(series[there])
    values, counts, codes = _different(texts)
    if any(value.lower() in numbers.TRUTHS for value in values):
        return None
    number = numbers.find(values, counts, how)
    pick, doubt = numbers.settled(number, table.decimal, table.separator)
    if pick is None:
        return None
    out = np.full(len(series), np.nan)
    out[there] = read = pick.read(values)[codes]
    name = str(series.name)
    notices = [f"{name!r}: {_named(d, name)}" for d in (doubt, number.notice) if d]
    return Amounts(out, pick, texts[~np.isfinite(read)], tuple(notices))


def _holds_numbers(series: Any) -> bool:
    """Whether a column's type is one of numbers, truth values or durations."""
    from pandas.api import types

    return bool(
        types.is_numeric_dtype(series) or types.is_bool_dtype(series) or holds_durations(series)
    )


def holds_durations(series: Any) -> bool:
    """Whether a column's type, of NumPy or of arrow, is one of durations."""
    return getattr(series.dtype, "kind", "") == "m"


def _floats(series: Any) -> Floats:
    """A column of numbers (or durations, in seconds) as doubles; what is missing is NaN."""
    from pandas.api import types

    if holds_durations(series):
        series = series.dt.total_seconds()
    if types.is_complex_dtype(series):
        raise JobError(
            f"{series.name!r} holds complex numbers; give real and imaginary parts apart"
        )
    values: Floats = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _written(texts: Any) -> str:
    """How the dates in a column of texts are written; empty if these are no dates."""
    values, counts, _ = _different(texts)
    order = dates.find(values, counts)
    return "" if order is None else order.written


def _date_parts(series: Any, written: str) -> dict[str, Floats]:
    """The parts of a date, each of shape (rows,); `written` is empty where the series holds dates already."""
    if not written:
        return _parts(dates.of_type(series).at)
    values, _, codes = _different(series)
    return _parts(dates.read(values, written).at[codes])


def _parts(at: NDArray[np.datetime64]) -> dict[str, Floats]:
    import pandas as pd

    read = pd.Series(at)
    days = (read - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = {
        "days": days, "year": read.dt.year, "month": read.dt.month, "day": read.dt.day,
        "weekday": read.dt.day_of_week, "hour": read.dt.hour,
    }  # fmt: skip
    return {p: v.to_numpy(dtype=np.float64, na_value=np.nan) for p, v in parts.items()}


def ordered(series: Any, table: Habits, wish: str = "") -> Floats:
    """A column as numbers that have its order, shape (rows,): its numbers, or days since 1970; NaN where there is
    neither. `wish` as for `examine`."""
    from pandas.api import types

    kind, _, how = wish.partition(":")
    out = np.full(len(series), np.nan)
    there = series.notna().to_numpy()
    if _holds_numbers(series):
        return _floats(series)
    if types.is_datetime64_any_dtype(series):
        return _parts(dates.of_type(series).at)["days"]
    if not there.any():
        return out
    values, counts, codes = _different(_texts(series[there]))
    if kind != "date":
        number = numbers.find(values, counts, how if kind == "number" else "")
        pick, _ = numbers.settled(number, table.decimal, table.separator)
        if number.codes and pick is None:
            pick = PLAIN
        if pick is not None:
            out[there] = pick.read(values)[codes]
            return out
    order = dates.find(values, counts, how if kind == "date" else "", forced=kind == "date")
    if kind != "number" and order is not None and order.written:
        said = {"day-first": True, "month-first": False}.get(how, table.day_first)
        points = dates.read(values, dates.settled(order, said)).take(codes)
        out[there] = _parts(points.at)["days"]
    return out


# -- the matrix ---------------------------------------------------------------------------------


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
        values, _, codes = _different(_texts(series[present]))
        out[present] = texts_of.counts(values, column.size)[codes]
        return [], []
    fill = {"date": _fill_dates, "category": _fill_category, "number": _fill_numbers}[column.kind]
    return fill(out, series[present], present, column, separator)


def _fill_dates(
    out: Floats, series: Any, present: NDArray[np.bool_], column: Column, _: str
) -> tuple[list[Unread], list[str]]:
    from pandas.api import types

    if types.is_datetime64_any_dtype(series):
        points, texts = dates.of_type(series), series.astype(str)
    else:
        texts = _texts(series)
        values, _counts, codes = _different(texts)
        points = dates.read(values, column.written or dates.ISO).take(codes)
    at, why = points.at, ""
    if column.zoned is not None:
        strange = points.there & (points.zoned != column.zoned)
        if strange.any():
            at = at.copy()
            at[strange] = np.datetime64("NaT")
            why = f"has {'no' if column.zoned else 'a'} time zone, unlike those that the model was trained with"
    parts = _parts(at)
    out[present] = np.column_stack([parts[part] for part in column.parts])
    unread = np.isnat(at) & ~texts.isin(column.odd).to_numpy()
    only_zone = why and (unread == (points.there & np.isnat(at))).all()
    midnight = []
    untimed = int((points.there & ~points.timed).sum())
    if "hour" in column.parts and untimed and points.timed is not None and column.written:
        midnight = [_midnight(column.name, untimed)]
    return _unread(unread, texts, present, column, why if only_zone else ""), midnight


def _fill_category(
    out: Floats, series: Any, present: NDArray[np.bool_], column: Column, _: str
) -> tuple[list[Unread], list[str]]:
    index = {text: float(k) for k, text in enumerate(column.known)}
    values, _counts, codes = _different(_texts(series))
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
    if _holds_numbers(series) and (durations == duration or column.written == UNKNOWN):
        values = _floats(series)
    elif durations:
        values, texts = np.full(len(series), np.nan), series.astype(str)
    else:
        texts = _texts(series)
        different, counts, codes = _different(texts)
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
