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

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.recipes.tabular.labels import row_label

Floats = NDArray[np.float64]
Kind = Literal["number", "category", "date", "text"]
#: What a column can be said to be: a kind, or nothing that is learned from.
WISHES: Final = ("category", "number", "date", "text", "ignore")
#: Nothing was said of any column.
NO_WISHES: Final[Mapping[str, str]] = MappingProxyType({})

#: A text column with more different values than this is a category only if each has so many rows on average.
FEW: Final = 30
REPEATED: Final = 4
#: .. and no category has more than so many.
MOST: Final = 1000
#: The share of values that have to read as a number (or date) for a text column to be one.
NEARLY_ALL: Final = 0.9
#: Larger numbers are as large as this: algorithms square them, and some count in single precision.
LARGEST: Final = 1e30
TRUTHS: Final = {"true": "1", "false": "0"}
_DAYS: Final = (
    "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y",
)  # fmt: skip
#: How dates are written; of what fits as well the first. ISO8601 is 2024-05-17 with or without a time.
DATES: Final = ("ISO8601", *(day + time for day in _DAYS for time in ("", " %H:%M", " %H:%M:%S")))
_WHOLE: Final = re.compile(r"(?<=\d)\.0+$")
_LIKE_A_DATE: Final = re.compile(
    r"\s*(\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{4}|[A-Za-z]{3,9} \d{1,2}, \d{4})([T ].*)?"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `known`: a category's texts in order; `written`: a date's format;
    `parts`: those of a date that differ; `missing`: whether any value was missing; `odd`: the commonest texts
    among numbers or dates, which count as missing."""

    name: str
    kind: Kind
    known: tuple[str, ...] = ()
    written: str = ""
    parts: tuple[str, ...] = ()
    missing: bool = False
    odd: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns of the matrix it is; what a text says is no number before a fold has seen it."""
        if self.kind == "text":
            return 0
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
    for name, kind in pairs:
        name = str(name).strip()
        if kind not in WISHES:
            raise JobError(
                f"a column is one of {', '.join(WISHES)}, and {name!r} is said to be {kind!r}"
                f"{did_you_mean(str(kind), WISHES)}"
            )
        if out.get(name, kind) != kind:
            raise JobError(f"{name!r} is said to be {out[name]!r} and {kind!r}; leave one out")
        out[name] = kind
    return out


def examine(
    frame: Any, without: Sequence[str], wishes: Mapping[str, str] = NO_WISHES
) -> tuple[tuple[Column, ...], list[str]]:
    """The columns of a DataFrame but those named, and what has to be said about them.

    - All missing, or always the same: left out.
    - Numbers, and text of which nine tenths read as numbers: a number (the rest is missing then).
    - Dates, and text that reads as dates: year, month, day, weekday, hour, and days since 1970.
    - Other text, and mixed types: a category, if there are at most 30 different values, or each has 4
      rows on average (and 1,000 in any case); else left out, as an identifier or free text.
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
        if name in without:
            raise JobError(f"{name!r} is what is to be predicted; say what it is with --task")
    for name in frame.columns:
        if name in without:
            continue
        if name in wishes:
            column, notice = _as_wished(frame[name], name, wishes[name])
        else:
            column, notice = _examine(frame[name], name)
        if notice:
            notices.append(notice)
        if column is not None:
            columns.append(column)
    if not any(column.width for column in columns):
        raise JobError(
            "no column is left to learn from: "
            + ("; ".join(notices[:5]) or "there is only the target")
        )
    return tuple(columns), notices


def _as_wished(series: Any, name: str, wish: str) -> tuple[Column | None, str]:
    """A column that is what it is said to be, and a notice, or none."""
    from pandas.api import types

    present = series.dropna()
    missing = len(present) < len(series)
    if wish == "ignore":
        return None, f"{name!r} is left out, as you said"
    if not len(present):
        return None, f"{name!r} is left out: it has no values at all"
    if wish == "category":
        known = tuple(sorted(_texts(present).unique()))
        if len(known) == 1 and not missing:
            return None, f"{name!r} is left out: it is {known[0]!r} in every row"
        return Column(name, "category", known, missing=missing), ""
    if wish == "text":
        notice = f"{name!r} is text, and no algorithm learns from texts yet"
        return Column(name, "text", missing=missing), notice
    if wish == "number":
        if _holds_numbers(series):
            return _number(_floats(series), name, wished=True)
        texts = _texts(present)
        if not np.isfinite(_read_numbers(texts)).any():
            raise JobError(
                f"{name!r} is said to be a number, and it holds values such as {texts.iloc[0]!r}"
            )
        return _texts_as_number(texts, series, name, wished=True)
    if types.is_datetime64_any_dtype(series):
        return _date(series, name, "", missing)
    texts = _texts(present)
    shares = {written: float(_read_dates(texts, written).notna().mean()) for written in DATES}
    best = max(shares, key=lambda written: shares[written])
    if not shares[best]:
        raise JobError(
            f"{name!r} is said to be a date, and it holds values such as {texts.iloc[0]!r}"
        )
    return _date(texts, name, best, missing)


def _examine(series: Any, name: str) -> tuple[Column | None, str]:
    """A column, or None, and a notice, or none."""
    from pandas.api import types

    present = series.dropna()
    missing = len(present) < len(series)
    if not len(present):
        return None, f"{name!r} is left out: it has no values at all"
    if _holds_numbers(series):
        return _number(_floats(series), name)
    if types.is_datetime64_any_dtype(series):
        return _date(series, name, "", missing)
    first = present.iloc[0]
    if isinstance(first, (list, dict, set, np.ndarray)):
        return None, f"{name!r} is left out: it holds {type(first).__name__}s, not single values"
    texts = _texts(present)
    numbers = _read_numbers(texts)
    share = float(np.isfinite(numbers).mean())
    if share >= NEARLY_ALL:
        return _texts_as_number(texts, series, name)
    written = _written(texts)
    if written:
        return _date(texts, name, written, missing)
    return _category(texts, name, len(series), missing, share)


def _texts_as_number(
    texts: Any, series: Any, name: str, *, wished: bool = False
) -> tuple[Column | None, str]:
    numbers = _read_numbers(texts)
    values = np.full(len(series), np.nan)
    values[series.notna().to_numpy()] = numbers
    column, notice = _number(values, name, wished=wished)
    odd = texts[np.isnan(numbers)]
    if column is not None and len(odd):
        column = replace(column, odd=_commonest(odd))
        notice = (
            f"{name!r} is taken as numbers: {len(odd):,} values that are none, such as "
            f"{odd.iloc[0]!r}, count as missing"
        )
    return column, notice


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


def _date(series: Any, name: str, written: str, missing: bool) -> tuple[Column | None, str]:
    parts = _date_parts(series, written)
    differ = tuple(
        part for part, values in parts.items() if len(np.unique(values[np.isfinite(values)])) > 1
    )
    if not differ:
        return None, f"{name!r} is left out: it is the same date in every row"
    unread = np.isnan(parts["days"])
    odd = _commonest(series[unread]) if written else ()
    missing = missing or bool(unread.any())
    column = Column(name, "date", written=written, parts=differ, missing=missing, odd=odd)
    return column, f"{name!r} holds dates: {', '.join(differ)} are learned from"


def _category(
    texts: Any, name: str, rows: int, missing: bool, numbers: float
) -> tuple[Column | None, str]:
    known = sorted(texts.unique())
    if len(known) == 1 and not missing:
        return None, f"{name!r} is left out: it is {known[0]!r} in every row"
    too_many = len(known) > min(max(FEW, rows // REPEATED), MOST)
    if too_many or (len(known) > 2 and len(known) > 0.5 * rows):
        return None, (
            f"{name!r} is left out: {len(known):,} different texts in {rows:,} rows are an identifier, "
            "or free text"
        )
    notice = (
        f"{name!r} mixes numbers and texts: taken as a category of {len(known)} values"
        if numbers > 0
        else ""
    )
    return Column(name, "category", tuple(known), missing=missing), notice


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


def _read_numbers(texts: Any) -> Floats:
    """Texts as numbers, shape (rows,); what is none is NaN."""
    import pandas as pd

    codes, different = pd.factorize(texts)
    plain = pd.Series([TRUTHS.get(text.lower(), text) for text in different], dtype=object)
    numbers = pd.to_numeric(plain, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    out: Floats = numbers[codes]
    return out


def as_numbers(series: Any) -> Any:
    """A column of texts that are all finite numbers, as numbers; else as it was."""
    import pandas as pd

    there = series.notna().to_numpy()
    texts = _texts(series[there])
    if texts.map(lambda text: text.lower() in TRUTHS).any():
        return series
    numbers = np.full(len(series), np.nan)
    numbers[there] = _read_numbers(texts)
    return pd.Series(numbers, series.index) if np.isfinite(numbers[there]).all() else series


def _holds_numbers(series: Any) -> bool:
    """Whether a column's type is one of numbers, truth values or durations."""
    from pandas.api import types

    return bool(
        types.is_numeric_dtype(series)
        or types.is_bool_dtype(series)
        or types.is_timedelta64_dtype(series)
    )


def _floats(series: Any) -> Floats:
    """A column of numbers (or durations, in seconds) as doubles; what is missing is NaN."""
    from pandas.api import types

    if types.is_timedelta64_dtype(series):
        series = series.dt.total_seconds()
    if types.is_complex_dtype(series):
        raise JobError(
            f"{series.name!r} holds complex numbers; give real and imaginary parts apart"
        )
    values: Floats = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _written(texts: Any) -> str:
    """How the dates in a column of texts are written; empty if these are no dates."""
    sample = texts.iloc[:: max(1, len(texts) // 500)]
    if not sample.map(lambda text: bool(_LIKE_A_DATE.fullmatch(text))).mean() >= NEARLY_ALL:
        return ""
    shares = {written: float(_read_dates(sample, written).notna().mean()) for written in DATES}
    best = max(shares, key=lambda written: shares[written])
    return best if shares[best] >= NEARLY_ALL else ""


def _read_dates(series: Any, written: str) -> Any:
    """Points of time without a zone; `written` is empty where the series holds them already."""
    import pandas as pd

    if not written:
        return series.dt.tz_convert(None) if series.dt.tz is not None else series
    read = pd.to_datetime(series, format=written, errors="coerce", utc=True)
    return read.dt.tz_convert(None)


def _date_parts(series: Any, written: str) -> dict[str, Floats]:
    import pandas as pd

    read = _read_dates(series, written)
    days = (read - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = {
        "days": days, "year": read.dt.year, "month": read.dt.month, "day": read.dt.day,
        "weekday": read.dt.day_of_week, "hour": read.dt.hour,
    }  # fmt: skip
    return {p: v.to_numpy(dtype=np.float64, na_value=np.nan) for p, v in parts.items()}


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


def matrix(frame: Any, columns: Sequence[Column], name: str = "the table") -> Floats:
    """The rows of a DataFrame as doubles, shape (rows, width).

    Raises JobError if a column is missing, or holds something else than it did.
    """
    gone = [c.name for c in columns if c.name not in frame.columns]
    if gone:
        more = f" (and {len(gone) - 1} more: {', '.join(gone[1:4])})" if gone[1:] else ""
        raise JobError(
            f"{name} has no column {gone[0]!r}{more}, which the model was trained with"
            f"{did_you_mean(gone[0], map(str, frame.columns))}"
        )
    out = np.full((len(frame), sum(c.width for c in columns)), np.nan)
    for at, column in places(columns):
        if not column.width:
            continue
        _fill(out[:, at : at + column.width], frame[column.name], column, name)
    return out


def _fill(out: Floats, series: Any, column: Column, name: str) -> None:
    """Write one column of the table into its places, shape (rows, width)."""
    import pandas as pd
    from pandas.api import types

    present = series.notna()
    if not present.any():
        return
    if column.kind == "date":
        dated = types.is_datetime64_any_dtype(series)
        source = series[present] if dated else _texts(series[present])
        parts = _date_parts(source, "" if dated else column.written or "ISO8601")
        if np.isnan(parts["days"]).all():
            _check_odd(name, column, "dates", source)
        out[present.to_numpy()] = np.column_stack([parts[part] for part in column.parts])
        return
    if column.kind == "category":
        index = {text: float(k) for k, text in enumerate(column.known)}
        codes, different = pd.factorize(_texts(series[present]))
        known = np.array([index.get(t, index.get(_WHOLE.sub("", t), np.nan)) for t in different])
        out[present.to_numpy(), 0] = known[codes]
        return
    if _holds_numbers(series):
        values = _floats(series[present])
    else:
        texts = _texts(series[present])
        values = _read_numbers(texts)
        if np.isnan(values).all():
            _check_odd(name, column, "numbers", texts)
    finite = np.where(np.isfinite(values), values, np.nan)
    out[present.to_numpy(), 0] = np.clip(finite, -LARGEST, LARGEST)


def _check_odd(table: str, column: Column, held: str, present: Any) -> None:
    """Raise JobError unless texts, none of which can be read, are all known to stand for what is missing."""
    other = present[~present.isin(column.odd)]
    if len(other):
        how = f" written as {column.written}" * bool(column.written)
        raise JobError(
            f"{table}: {column.name!r} held {held}{how} when the model was trained, and here it holds values "
            f"such as {str(other.iloc[0])!r}"
        )
