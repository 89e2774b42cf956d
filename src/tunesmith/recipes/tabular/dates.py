"""How dates are written in a column of texts, and which points of time they are.

A column has one order of day, month and year, which is decided on all of its values; behind the day may be a time and
a zone. Points of time have no zone: those that had one are in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.tabular.numbers import CONFLICT, NEARLY_ALL

#: What can be said of the order in dates such as 01/02/2024.
ORDERS: Final = ("day-first", "month-first")
ISO: Final = "ISO8601"
#: Numbers that can be said to be dates: days since the last days of 1899 as in Excel, or seconds or milliseconds since 1970.
SERIALS: Final[Mapping[str, tuple[str, str]]] = {
    "excel": ("1899-12-30", "D"), "unix": ("1970-01-01", "s"), "unix-ms": ("1970-01-01", "ms"),
}  # fmt: skip
#: How days are written; of what fits as well the first. ISO8601 is 2024-05-17 with or without a time.
_NUMERIC: Final = (
    "%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%m/%d/%y", "%d/%m/%y", "%y/%m/%d", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d",
    "%Y-%m", "%Y/%m", "%m/%Y",
)  # fmt: skip
_WORDY: Final = ("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y", "%b %d %y", "%b %Y", "%Y %b")
_DAY: Final = (
    r"\d{1,2}[-./]\d{4}|\d{1,4}(?P<mark>[-./])\d{1,2}(?:(?P=mark)\d{1,4})?"
    r"|\d{1,4}(?:st|nd|rd|th)?[.,]?[ \-/]?(?:de )?[^\W\d_]{3,10}\.?,?(?:[ \-/]?(?:de )?\d{1,4}(?:st|nd|rd|th)?)?"
    r"|[^\W\d_]{3,10}\.?[ \-/]\d{1,4}(?:st|nd|rd|th)?(?:,? ?[ \-/]\d{2,4}|, ?\d{2,4})?"
)
_TIME: Final = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE: Final = (
    r"(?P<zone>[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2}|[A-Z]{3,5}|[A-Z][A-Za-z]+/[A-Z][A-Za-z_/]+)"
)
_POINT: Final = re.compile(
    rf"(?:[A-Za-z]{{3,9}}\.?,? (?=.*\d.*\d))?(?P<day>{_DAY})(?:(?:T|,? (?:at )?){_TIME}(?:\s?{_ZONE})?(?:\s?\[.*\])?)?"
)
_ISO_TEXT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
#: As C and Twitter write them, with the year at the end: Mon Apr 06 22:19:45 +0000 2009.
_YEAR_LAST: Final = re.compile(
    r"(?P<day>[A-Za-z]{3,9},? [A-Za-z]{3,9} \d{1,2}) (?P<time>\d{1,2}:\d{2}.*) (?P<year>\d{4})"
)
_CHARACTERS: Final = re.compile(r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]")
_MONTHS: Final[Mapping[str, str]] = {
    name: month
    for month, names in {
        "Jan": "january januar jänner janvier janv enero ene gennaio gen janeiro januari",
        "Feb": "february februar février févr fév fevrier febrero febbraio fevereiro fev februari",
        "Mar": "march märz mrz maerz mars marzo março marco maart mär",
        "Apr": "april avril avr abril abr aprile",
        "May": "mai mayo maggio mag maio mei",
        "Jun": "june juni juin junio giugno giu junho",
        "Jul": "july juli juillet juil julio luglio lug julho",
        "Aug": "august août aout agosto ago augustus",
        "Sep": "september sept septembre septiembre settembre set setembro",
        "Oct": "october oktober okt octobre octubre ottobre ott outubro out",
        "Nov": "november novembre noviembre novembro",
        "Dec": "december dezember dez décembre déc decembre diciembre dic dicembre dezembro",
    }.items()
    for name in (month.lower(), *names.split())
}
#: Hours from UTC: those of RFC 5322, section 4.3, and others that mean one place only.
_ABBREVIATIONS: Final[Mapping[str, float]] = {
    "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
}  # fmt: skip
_SAMPLE: Final = "2024-12-31"
_DIGITS: Final = str.maketrans("123456789", "000000000")


@dataclass(frozen=True, slots=True)
class Points:
    """Points of time, shape (texts,): datetime64, NaT for what is no date. `timed`, `zoned`: which have a time of day,
    a time zone."""

    at: NDArray[np.datetime64]
    timed: NDArray[np.bool_]
    zoned: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Points:
        return Points(self.at[rows], self.timed[rows], self.zoned[rows])

    @property
    def there(self) -> NDArray[np.bool_]:
        return ~np.isnat(self.at)


@dataclass(frozen=True, slots=True)
class Order:
    """How a column's days are written; `rivals` read as many of them, and mean other days."""

    written: str
    rivals: tuple[str, ...] = ()
    why: str = ""


def is_day_first(written: str) -> bool | None:
    """Whether the day comes before the month; None where that is not in doubt."""
    numeric = re.findall(r"%[dmyY]", written)
    if not {"%d", "%m"} <= set(numeric) or numeric[0] in ("%Y", "%y") or "." in written:
        return None
    return numeric.index("%d") < numeric.index("%m")


def example(written: str) -> str:
    """31 December 2024 as it is written."""
    import datetime as dt

    if written in SERIALS:
        origin, unit = SERIALS[written]
        since = np.datetime64(_SAMPLE) - np.datetime64(origin)
        return str(since.astype(f"timedelta64[{unit}]").astype(np.int64))
    day = "%Y-%m-%d" if written == ISO else written
    return dt.date.fromisoformat(_SAMPLE).strftime(day)


def find(
    texts: Sequence[str], counts: NDArray[np.intp], how: str = "", *, forced: bool = False
) -> Order | None:
    """How the days among different texts are written, each of which is there so often; None if these are no dates.

    `how` is what was said: "day-first", "month-first", or a format such as ``%d/%m/%Y``; `forced`: that they are dates.
    """
    total = counts.sum()
    if "%" in how or how in SERIALS:
        return Order(how)
    forced = forced or bool(how)
    days = _days_among(texts, forced)
    like = np.array([day is not None for day in days], dtype=bool)
    if not like.any() or (counts[like].sum() < NEARLY_ALL * total and not forced):
        return None
    weights: dict[str, int] = {}
    for day, count in zip(days, counts.tolist(), strict=True):
        if day is not None:
            weights[day] = weights.get(day, 0) + count
    unique = list(weights)
    weight = np.array([weights[day] for day in unique])
    wordy = any(c.isalpha() for c in unique[int(weight.argmax())])
    shares = {}
    reads = {}
    for written in _WORDY if wordy else _NUMERIC:
        if how in ORDERS and is_day_first(written) not in (None, how == "day-first"):
            continue
        reads[written] = ~np.isnat(_read_days(unique, written))
        shares[written] = float(weight[reads[written]].sum() / total)
    best = max(shares, key=lambda written: shares[written])
    if not shares[best] or (shares[best] < NEARLY_ALL and not forced):
        likely = unique[int(weight.argmax())]
        if not wordy and not re.search(r"\d{4}", likely):  # 1.0.2 is no date that cannot be read
            return None
        return Order(
            "", why=f"it looks like dates such as {likely!r}, but no one format reads nearly all"
        )
    for written, read in reads.items():
        only_best, only_other = reads[best] & ~read, read & ~reads[best]
        mixed = weight[only_other].sum() > CONFLICT * weight[only_best].sum()
        if not how and mixed and shares[written] > 0.5 and shares[written] != shares[best]:
            one, other = (unique[int(np.flatnonzero(each)[0])] for each in (only_best, only_other))
            return Order("", why=f"it has dates in different orders, such as {one!r} and {other!r}")
    rivals = (
        tuple(written for written in shares if shares[written] == shares[best] and written != best)
        if not how
        else ()
    )
    if best == "%Y-%m-%d" and all(
        _ISO_TEXT.fullmatch(text) for text in texts[:: max(1, len(texts) // 100)]
    ):
        best = ISO
    return Order(best, rivals)


def settled(order: Order, day_first: bool | None) -> str:
    """The format, after what is known of the order in other columns, or was said."""
    if day_first is None:
        return order.written
    both = (order.written, *order.rivals)
    return next((w for w in both if is_day_first(w) is day_first), order.written)


def read(texts: Sequence[str], written: str) -> Points:
    """The points of time in texts of one format; `written` may be that of an earlier version, with a time."""
    import pandas as pd

    if written in SERIALS:
        return _serial(texts, written)
    if written == ISO:
        matches = _each_shape(texts, _ISO_TEXT.fullmatch)
        if all(matches):
            at = pd.to_datetime(
                pd.Series(list(texts), dtype=object), format=ISO, errors="coerce", utc=True
            )
            zoned = np.array([bool(m and m["zone"]) for m in matches], dtype=bool)
            timed = np.array([len(text) > len(_SAMPLE) for text in texts], dtype=bool)
            return Points(at.dt.tz_convert(None).to_numpy(), timed, zoned)
        written = "%Y-%m-%d"
    day_format = _simplified(re.sub(r"[T ]%[HI].*", "", written))
    matches = [_POINT.fullmatch(_clean(text)) for text in texts]
    days = [_day(match["day"]) if match else "" for match in matches]
    codes, unique = pd.factorize(np.array(days, dtype=object))
    day = _read_days(list(unique), day_format)[codes].astype("datetime64[us]")
    offset = np.array([_offset(match) for match in matches], dtype="timedelta64[us]")
    zones = [match["zone"] if match else None for match in matches]
    at = day + offset
    for zone in {z for z in zones if z}:
        mine = np.array([z == zone for z in zones])
        at[mine] = _to_utc(at[mine], zone)
    unread = np.flatnonzero(np.isnat(at)).tolist()
    if unread:  # a format that was said, such as %Y%m%d
        rest = pd.Series([texts[k] for k in unread], dtype=object)
        others = pd.to_datetime(rest, format=written, errors="coerce", utc=True)
        at[unread] = others.dt.tz_convert(None).to_numpy()
    timed = np.array([bool(match and match["hour"]) for match in matches], dtype=bool)
    return Points(at, timed, np.array([z is not None for z in zones], dtype=bool))


def _serial(texts: Sequence[str], written: str) -> Points:
    """Numbers as points of time; whole days of Excel have no time of day."""
    import pandas as pd

    origin, unit = SERIALS[written]
    counts = pd.to_numeric(pd.Series(list(texts), dtype=object), errors="coerce")
    counts = counts.astype(np.float64).replace([np.inf, -np.inf], np.nan)
    at = pd.to_datetime(counts, unit=unit, origin=origin, errors="coerce")  # type: ignore[call-overload]
    if unit == "D":
        # doubles of days have no more; an hour would be a microsecond short of itself
        at = at.dt.round("ms")
    timed = np.full(len(texts), True) if unit != "D" else (counts % 1 != 0).to_numpy()
    return Points(
        np.asarray(at.to_numpy(), dtype="datetime64[us]"), timed, np.zeros(len(texts), dtype=bool)
    )


def of_type(series: Any) -> Points:
    """The points of time in a column of that type."""
    if str(series.dtype).startswith("date32"):  # arrow's days have no zone to ask for
        series = series.astype("datetime64[s]")
    zoned = series.dt.tz is not None
    at = series.dt.tz_convert(None) if zoned else series
    return Points(at.to_numpy(), np.ones(len(series), dtype=bool), np.full(len(series), zoned))


def _clean(text: str) -> str:
    text = " ".join(text.replace("\u202f", " ").replace("\u00a0", " ").split())
    if text[:1].isalpha() and text[-4:].isdigit():
        match = _YEAR_LAST.fullmatch(text)
        return f"{match['day']} {match['year']} {match['time']}" if match else text
    if not text.isascii():
        return _CHARACTERS.sub(r"\1-\2-\3", text)
    return text


def _days(texts: Sequence[str]) -> list[str | None]:
    out: list[str | None] = []
    for text, span in zip(texts, _each_shape(texts, _day_span), strict=True):
        if span is None:
            out.append(None)
            continue
        cleaned = text if span[2] else _clean(text)
        out.append(_day(cleaned[span[0] : span[1]]) or None)
    return out


def _days_among(texts: Sequence[str], forced: bool) -> list[str | None]:
    """As `_days`; none at all where less than half of a sample is one, unless that is `forced`."""
    sample = texts[:: max(1, len(texts) // 1000)]
    if not forced and sum(day is not None for day in _days(sample)) < 0.5 * len(sample):
        return [None] * len(texts)
    return _days(texts)


def _day_span(text: str) -> tuple[int, int, bool] | None:
    """Where the day is in a text, and whether the text has no blanks too many."""
    cleaned = _clean(text)
    match = _POINT.fullmatch(cleaned)
    return (*match.span("day"), cleaned == text) if match else None


def _each_shape(texts: Sequence[str], look: Callable[[str], Any]) -> list[Any]:
    """What is true of each text, if it does not depend on which digits it has."""
    shapes = [text.translate(_DIGITS) for text in texts]
    seen = {shape: look(shape) for shape in dict.fromkeys(shapes)}
    return [seen[shape] for shape in shapes]


@cache
def _day(text: str) -> str:
    """A day without the points, commas and endings that people may leave out, months in English; empty if no word
    in it is a month."""
    if not any(c.isalpha() for c in text):
        return text
    text = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|\bde\b", "", text)
    text = re.sub(r"[.,/\-]+", " ", text)
    text = re.sub(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)", " ", text)
    words = text.split()
    if not any(word.lower() in _MONTHS for word in words):
        return ""
    return " ".join(_MONTHS.get(word.lower(), word) for word in words)


def _simplified(written: str) -> str:
    """A format for what `_day` makes of texts."""
    if "%b" not in written and "%B" not in written:
        return written
    return " ".join(re.sub(r"[.,/\-]+", " ", written.replace("%B", "%b")).split())


def _read_days(days: Sequence[str], written: str) -> NDArray[np.datetime64]:
    import pandas as pd

    if not re.search(r"%d", written):  # a month: its first day
        days, written = [f"01 {day}" for day in days], f"%d {written}"
    at = pd.to_datetime(pd.Series(list(days), dtype=object), format=written, errors="coerce")
    return np.asarray(at.to_numpy(), dtype="datetime64[us]")


def _offset(match: re.Match[str] | None) -> Any:
    """The time since midnight; NaT for what is no time."""
    if match is None:
        return np.timedelta64("NaT")
    if not match["hour"]:
        return np.timedelta64(0, "us")
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return np.timedelta64("NaT")
        hour = hour % 12 + 12 * (match["half"] in "pP")
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        return np.timedelta64("NaT")
    micro = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    return np.timedelta64(((hour * 60 + minute) * 60 + second) * 1_000_000 + micro, "us")


def _to_utc(at: NDArray[np.datetime64], zone: str) -> NDArray[np.datetime64]:
    """Points of time in a zone, in UTC; NaT if there is no such zone."""
    import pandas as pd

    hours = _ABBREVIATIONS.get(zone, 0.0 if zone in "Zz" else None)
    if hours is None and zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        hours = (int(digits[:2]) + int(digits[2:]) / 60) * (-1 if zone[0] == "-" else 1)
    if hours is not None:
        return at - np.timedelta64(round(hours * 3_600_000_000), "us")
    nothing = np.full(len(at), np.datetime64("NaT"), dtype="datetime64[us]")
    if "/" not in zone:
        return nothing
    try:
        local = pd.Series(at).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    except Exception:  # noqa: BLE001 (there is no such zone: each library for zones says so differently)
        return nothing
    return np.asarray(local.dt.tz_convert(None).to_numpy(), dtype="datetime64[us]")
