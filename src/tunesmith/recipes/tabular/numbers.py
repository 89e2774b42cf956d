"""How numbers and durations are written in a column of texts, and what they are.

A column has one format, which is decided on all of its values: ``1,234`` may be 1234 or 1.234, and no value says
so alone. Signs may be ``-``, U+2212, behind the number, or parentheses; groups of digits may be parted by any kind
of space.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The share of a column's values that one format has to read.
NEARLY_ALL: Final = 0.9
#: What only another format reads is no slip of the pen where it is so much, relative to what only the best reads.
CONFLICT: Final = 0.1
TRUTHS: Final = {"true": 1.0, "false": 0.0}
#: Larger whole numbers may differ though their doubles are equal.
EXACT: Final = 2.0**53

_SAME: Final = str.maketrans({
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\u2008": " ", "\u200a": " ", "\u205f": " ",
    "\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\u2019": "'", "\u02bc": "'", "\uff07": "'",
    "\uff05": "%", "\ufe6a": "%", "\uff04": "$", "\u200e": None, "\u200f": None,
})  # fmt: skip
_CODES: Final = "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|AUD|CAD|NZD|SGD|HKD|BRL|MXN|ZAR|TRY|RUB|KRW|ILS"
_CURRENCY: Final = (
    rf"(?:US|R|A|C|AU|CA|NZ|HK|S|Mex)?\$|[€£¥₹₽₩₺₫₪₴₦₱฿₿]|Fr\.|Rs\.?|kr\.?|zł|Kč|{_CODES}"
)
_MONEY: Final = re.compile(rf"(?:{_CURRENCY})")
_NUMBER: Final = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_CURRENCY})?\s*(?P<inner>[-+])?\s*"
    r"(?P<core>\d(?:[\d.,' ]*\d)?[.,]?|[.,]\d+)(?P<power>[eE][-+]?\d+)?"
    r"\s*(?P<scale>(?:[kKMBG]|bn|mn|Mio\.?|Mrd\.?)(?![^\W\d_]))?"
    rf"\s*(?P<after>{_CURRENCY}|[%‰]|°\s?[CFK]?|[^\W\d_][^\W\d_./²³]{{0,11}}(?:/[^\W\d_]{{1,4}})?[²³]?)?\s*(?P<close>\))?(?P<behind>-)?"
)
_SCALES: Final = {
    "k": 1e3, "K": 1e3, "M": 1e6, "mn": 1e6, "Mio": 1e6, "B": 1e9, "G": 1e9, "bn": 1e9, "Mrd": 1e9,
}  # fmt: skip
_CLOCK: Final = re.compile(
    r"(?P<sign>[-+])?(?:(?P<days>\d+) ?d(?:ays?)?,? (?P<ahead>[-+])?)?(?P<first>\d{1,5}):(?P<second>[0-5]\d)"
    r"(?::(?P<third>[0-5]\d(?:[.,]\d+)?))?(?P<half> ?[AaPp]\.?[Mm]\.?)?"
)
_PART: Final = re.compile(
    r"(?P<count>\d+(?:[.,]\d+)?) ?(?P<unit>weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|millis(?:econds)?|ms)"
    r"(?![^\W\d_])\.?,?\s*(?:and )?",
    re.IGNORECASE,
)
_ISO: Final = re.compile(
    r"(?P<sign>[-+])?P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)
_SECONDS: Final = {
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "mi": 60.0,
}
_CODE: Final = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Format:
    """How a column's numbers are written; `duration` is "h:mm" or "m:ss" (how two parts are meant), or "any" where no
    value has two. Durations are read as seconds."""

    decimal: str = "."
    group: str = ""
    unit: str = ""
    #: Whether k, M and B behind a number are its thousands, millions and billions.
    scaled: bool = False
    duration: str = ""

    def __str__(self) -> str:
        """What a model keeps: ``1,234.5 $``; empty for plain numbers."""
        if self.duration:
            return f"duration {self.duration}"
        if self == PLAIN:
            return ""
        scale = "kMB" if self.scaled else ""
        return f"1{self.group}234{self.decimal}5{scale} {self.unit}".rstrip()

    @classmethod
    def of(cls, written: str) -> Format:
        """What `str` wrote. Raises ValueError for another text."""
        if not written:
            return PLAIN
        if written.startswith("duration "):
            return cls(duration=written.removeprefix("duration "))
        match = re.fullmatch(r"1([,.' ]?)234([.,])5(kMB)?(?: (.+))?", written)
        if match is None:
            raise ValueError(f"no format of numbers: {written!r}")
        return cls(match[2], match[1], match[4] or "", bool(match[3]))

    @property
    def example(self) -> str:
        """A number as this format has it."""
        if self.duration:
            return {"h:mm": "1:30 (hours and minutes)", "m:ss": "1:30 (minutes and seconds)"}.get(
                self.duration, "1:30:00"
            )
        return str(self) or "1234.5"

    def read(self, texts: Sequence[str]) -> Floats:
        """What texts are in this format, shape (texts,); NaN for what is none."""
        import pandas as pd

        if self.duration:
            return np.array([_duration(text, self.duration) for text in texts])
        if self == PLAIN:
            as_objects = pd.Series(list(texts), dtype=object)
            out: Floats = pd.to_numeric(as_objects, errors="coerce").to_numpy(np.float64, copy=True)
            for k in np.flatnonzero(np.isnan(out)).tolist():
                out[k] = _plain(texts[k])
            return out
        pattern = _core(self.decimal, self.group)
        unit = re.escape(self.unit)
        usual = re.compile(
            rf"(-?)(?:{unit}({pattern.pattern})|({pattern.pattern}) ?{unit})", re.ASCII
        )
        out = np.full(len(texts), np.nan)
        for at, text in enumerate(texts):
            match = usual.fullmatch(text)
            if match is None:
                out[at] = self.value(_token(text), pattern)
                continue
            digits = match[2] or match[3]
            value = float(digits.replace(self.group, "").replace(self.decimal, "."))
            out[at] = -value if match[1] else value
        return out

    def value(self, token: Token | None, pattern: re.Pattern[str]) -> float:
        if token is None or not self._same_unit(token) or (token.scale and not self.scaled):
            return math.nan
        value = token.value(pattern, self.decimal)
        return value * _SCALES[token.scale] if token.scale else value

    def _same_unit(self, token: Token) -> bool:
        """A number without its currency is one; of others only zero means the same without a unit."""
        if token.unit == self.unit:
            return True
        return not token.unit and (bool(_MONEY.fullmatch(self.unit)) or not token.core.strip("0.,"))


PLAIN: Final = Format()
#: The simpler ones first; of those that read the same, the first.
FORMATS: Final = tuple(
    Format(decimal, group)
    for decimal, group in (
        (".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A text taken apart: the digits and what is between them, and what stands around."""

    core: str
    power: str
    negative: bool
    unit: str
    scale: str
    brackets: bool

    @property
    def is_number(self) -> bool:
        """Whether any format reads it: 17.05.2024 is none."""
        return any(_core(f.decimal, f.group).fullmatch(self.core) for f in FORMATS)

    def value(self, pattern: re.Pattern[str], decimal: str) -> float:
        if not pattern.fullmatch(self.core):
            return math.nan
        whole, _, fraction = self.core.partition(decimal)
        digits = re.sub(r"\D", "", whole) or "0"
        value = float(f"{digits}.{fraction or 0}{self.power}")
        return -value if self.negative else value


@dataclass(frozen=True, slots=True)
class Finding:
    """What a column's texts are as numbers. `format` is None where no format reads nearly all, and `why` then says
    what hinders; `rival`: what reads as much, and means other numbers; `decimal`: the decimal mark that is certain."""

    format: Format | None
    rival: Format | None = None
    decimal: str = ""
    #: Whether they are whole numbers with leading zeros: names, not amounts.
    codes: bool = False
    why: str = ""
    notice: str = ""
    #: Whether numbers with and without a group of three are there, and the latter are less than 1000.
    grouped: bool = False


def is_plain(numbers: Floats, texts: Sequence[str]) -> bool:
    """Whether texts that were read as these plain numbers cannot be meant otherwise."""
    if not np.isfinite(numbers).all():
        return False
    if any(text[:1] == "0" and len(text) > 1 and text.isdigit() for text in texts):
        return not _are_codes(texts)
    thousandth = 1000 * numbers  # rounded: 1000 * 4.035 is not 4035
    if not np.isclose(thousandth, np.round(thousandth), rtol=1e-12, atol=1e-6).all():
        return True
    if (numbers == np.round(numbers)).all():
        return True
    return any(_core(",", ".").fullmatch(text.strip().lstrip("+-")) is None for text in texts)


def find(values: Sequence[str], counts: NDArray[np.intp], only: str = "") -> Finding:
    """How the numbers among different texts are written, each of which is there so often.

    `only` is what was said: "decimal-comma", "decimal-point", "h:mm" or "m:ss".
    """
    if all(text.lower() in TRUTHS for text in values):
        return Finding(PLAIN)
    named = np.array([any(map(str.isalnum, text)) for text in values], dtype=bool)
    if named.any() and not named.all():  # a dash in an empty cell
        values, counts = [t for t, n in zip(values, named, strict=True) if n], counts[named]
    if only in ("h:mm", "m:ss"):
        return _durations(values, counts, only) or Finding(None, why="no durations")
    if not only:
        sample = values[:: max(1, len(values) // 1000)]
        if sum(any(map(str.isdigit, text[:24])) for text in sample) < 0.5 * len(sample):
            return Finding(None)
        if _hold_codes(values):
            return Finding(None, codes=True)
    durations = _durations(values, counts, "")
    if durations is not None:
        return durations
    if not only and sum(map(_is_number, sample)) < 0.4 * len(sample):
        return Finding(None)
    return _amounts(values, counts, only)


def _amounts(values: Sequence[str], counts: NDArray[np.intp], only: str) -> Finding:
    """The numbers among texts that are no durations."""
    total = int(counts.sum())
    values, counts, tokens = _shapes(values, counts)
    tokens = [token if token is not None and token.is_number else None for token in tokens]
    there = np.array([token is not None for token in tokens])
    if counts[there].sum() < NEARLY_ALL * total and not only:
        return Finding(None, why=_why_few(values, there, counts))
    unit, scaled, why = _unit(tokens, counts, total)
    if why:
        return Finding(None, why=why)
    candidates = [
        replace(f, unit=unit, scaled=scaled)
        for f in FORMATS
        if only not in ("decimal-comma", "decimal-point")
        or (f.decimal == ",") == (only == "decimal-comma")
    ]
    readings = [
        np.array([f.value(token, _core(f.decimal, f.group)) for token in tokens])
        for f in candidates
    ]
    weights = [int(counts[~np.isnan(reading)].sum()) for reading in readings]
    best = int(np.argmax(weights))
    if not weights[best] or (weights[best] < NEARLY_ALL * total and not only):
        return Finding(None, why=_why_none(values, readings, counts))
    if np.mean([t.brackets for t in tokens if t is not None]) > NEARLY_ALL:
        return Finding(None)
    return _judged(values, counts, candidates, readings, weights, best)


def _shapes(
    values: Sequence[str], counts: NDArray[np.intp]
) -> tuple[list[str], NDArray[np.intp], list[Token | None]]:
    """One text of each shape (where digits, marks and units stand), how often each is there, and what it is."""
    at: dict[tuple[Any, ...], int] = {}
    texts: list[str] = []
    tokens: list[Token | None] = []
    weights: list[int] = []
    for text, count in zip(values, counts.tolist(), strict=True):
        token = _token(text)
        shape: tuple[Any, ...] = (None,)
        if token is not None:
            core = _CODE.sub(lambda m: ("0" if m[0][0] == "0" else "1") * len(m[0]), token.core)
            shape = (core, token.unit, token.scale, token.brackets)
        k = at.setdefault(shape, len(texts))
        if k == len(texts):
            texts.append(text)
            tokens.append(token)
            weights.append(0)
        weights[k] += count
    return texts, np.array(weights, dtype=np.intp), tokens


def _judged(
    values: Sequence[str],
    counts: NDArray[np.intp],
    candidates: Sequence[Format],
    readings: Sequence[Floats],
    weights: Sequence[int],
    best: int,
) -> Finding:
    """The best format, and the one that reads as much otherwise."""
    rival = None
    mine = ~np.isnan(readings[best])
    for k, other in enumerate(readings):
        also = ~np.isnan(other)
        if k == best or not (readings[best] != other)[mine & also].any():
            continue
        only_other, only_best = counts[also & ~mine].sum(), counts[mine & ~also].sum()
        if weights[k] == weights[best]:
            rival = rival or candidates[k]
        elif only_other > CONFLICT * only_best:
            a, b = _first(values, mine & ~also), _first(values, also & ~mine)
            return Finding(
                None, why=f"it has numbers in different formats, such as {a!r} and {b!r}"
            )
    best_format = candidates[best]
    marks = {c for text in values for c in text if c in ".,"}
    decimal = (
        ""
        if rival
        else best_format.decimal
        if best_format.group in marks or best_format.decimal in marks
        else ""
    )
    bare = [t for t, ok in zip(values, mine, strict=True) if ok and not any(c in ".,'" for c in t)]
    less = all(len(re.sub(r"\D", "", t)) <= 3 for t in bare)
    return Finding(best_format, rival, decimal, grouped=bool(bare) and less)


def settled(finding: Finding, decimal: str, separator: str) -> tuple[Format | None, str]:
    """The format of a column, after what the rest of the table says, and a doubt that has to be said, or none.

    `decimal`: the decimal mark of other columns, if it is certain; `separator`: what parts the file's fields.
    """
    if finding.rival is None or finding.format is None:
        return finding.format, ""
    both = (finding.format, finding.rival)
    fraction = next((f for f in both if not f.group or f.group == " "), both[0])
    grouped = both[1] if fraction is both[0] else both[0]
    mark = fraction.decimal
    if decimal:
        pick = fraction if decimal == mark else grouped
        return pick, "" if pick is fraction else _doubt(pick, mark)
    if mark == ",":
        pick = fraction if separator == ";" else grouped
        return pick, _doubt(pick, mark)
    if separator in (",", ""):
        return fraction, ""
    pick = grouped if finding.grouped else fraction
    return pick, _doubt(pick, mark)


def doubtful(values: Sequence[str], written: Format, separator: str) -> str:
    """What has to be said of new numbers that are read as in training, though their file parts its fields as files do in
    which the same mark parts thousands; empty where no doubt is left."""
    if written.duration or (written.decimal, separator) not in ((".", ";"), (",", ",")):
        return ""
    other = _core("," if written.decimal == "." else ".", written.decimal)
    marked = [text for text in values if written.decimal in text]
    tokens = [_token(text) for text in marked]
    if not marked or not all(t is not None and other.fullmatch(t.core) for t in tokens):
        return ""
    value = written.read(marked[:1])[0]
    return f"{marked[0]} is read as {value:g}, as numbers were written in training"


def _doubt(pick: Format, mark: str) -> str:
    reading, other = ("1.234", "1234") if pick.decimal == mark else ("1234", "1.234")
    way = {".": "decimal-point", ",": "decimal-comma"}
    wish = way[mark] if pick.decimal != mark else way["." if mark == "," else ","]
    return f"1{mark}234 is read as {reading}; if it is {other}, say so: --column NAME=number:{wish}"


def _hold_codes(texts: Sequence[str]) -> bool:
    """Whether texts are names such as 01234, and others that are no numbers (K1A 0B1)."""
    codes = [text for text in texts if _CODE.fullmatch(text)]
    if len(codes) < 0.5 * len(texts) or not _are_codes(codes):
        return False
    return len(codes) == len(texts) or not any(
        _is_number(text) for text in texts if not _CODE.fullmatch(text)
    )


def _are_codes(texts: Sequence[str]) -> bool:
    """Whether whole numbers, some with leading zeros, are names: all are as long, or many have such zeros."""
    padded = sum(len(text) > 1 and text[0] == "0" for text in texts)
    return bool(padded) and (len({len(text) for text in texts}) == 1 or 100 * padded >= len(texts))


def _token(text: str) -> Token | None:
    match = _NUMBER.fullmatch(text.translate(_SAME).strip())
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    signs = [s for s in (match["sign"], match["inner"], match["behind"]) if s]
    if len(signs) > 1 or (signs and match["open"]) or (match["before"] and match["after"]):
        return None
    negative = bool(match["open"]) or signs == ["-"]
    unit = match["before"] or match["after"] or ""
    scale = (match["scale"] or "").rstrip(".")
    return Token(
        match["core"], match["power"] or "", negative, unit.replace(" ", ""), scale, bool(match["open"])
    )  # fmt: skip


def _is_number(text: str) -> bool:
    token = _token(text)
    return token is not None and token.is_number


def _plain(text: str) -> float:
    """A text that Python's own syntax does not know as a number, as a plain one."""
    truth = TRUTHS.get(text.lower())
    if truth is not None:
        return truth
    token = _token(text)
    if token is None or token.unit or token.scale:
        return math.nan
    return token.value(_core(".", ""), ".")


_PATTERNS: dict[tuple[str, str], re.Pattern[str]] = {}


def _core(decimal: str, group: str) -> re.Pattern[str]:
    """Digits with this decimal mark, and with this between groups of three (or two, in India, behind the last)."""
    if (decimal, group) not in _PATTERNS:
        d, g = re.escape(decimal), re.escape(group)
        whole = r"\d+"
        if group:
            whole = rf"(?:[1-9]\d{{0,2}}(?:{g}\d{{3}})+|\d+)"
        if group == ",":
            whole = rf"(?:{whole}|[1-9]\d?(?:,\d{{2}})+,\d{{3}})"
        _PATTERNS[decimal, group] = re.compile(rf"(?:{whole}(?:{d}\d*)?|{d}\d+)", re.ASCII)
    return _PATTERNS[decimal, group]


def _unit(
    tokens: Sequence[Token | None], counts: NDArray[np.intp], total: int
) -> tuple[str, bool, str]:
    """The unit of a column's numbers, whether thousands are written as k, and why there is no one unit."""
    units: Counter[str] = Counter()
    examples: dict[str, Token] = {}
    scales: Counter[str] = Counter()
    for token, count in zip(tokens, counts.tolist(), strict=True):
        if token is not None:
            units[token.unit] += count
            scales[token.scale] += count
            examples.setdefault(token.unit, token)
    scaled = any(scales[s] for s in _SCALES)
    (unit, most), *others = units.most_common() or [("", 0)]
    named = [u for u in units if u]
    if most + (others[0][1] if others else 0) < NEARLY_ALL * total:
        return "", False, ""
    if len(named) == 1 and _MONEY.fullmatch(named[0]):
        return named[0], scaled, ""
    if others and most < NEARLY_ALL * total:
        first, second = unit, others[0][0]
        words = [f"in {u!r}" if u else "without a unit" for u in (first, second)]
        return "", False, f"it has numbers {words[0]} and {words[1]}, and those do not compare"
    return unit, scaled, ""


def _why_none(values: Sequence[str], readings: Sequence[Floats], counts: NDArray[np.intp]) -> str:
    weights = [counts[~np.isnan(r)].sum() for r in readings]
    best = int(np.argmax(weights))
    mine = ~np.isnan(readings[best])
    if not mine.any() or mine.all():
        return ""
    return (
        f"it looks like numbers, but no one format reads nearly all: {_first(values, mine)!r} and "
        f"{_first(values, ~mine)!r} differ"
    )


def _why_few(values: Sequence[str], there: NDArray[np.bool_], counts: NDArray[np.intp]) -> str:
    share = counts[there].sum() / counts.sum()
    if share < 0.5:
        return ""
    return f"{share:.0%} of its values are numbers, and others, such as {_first(values, ~there)!r}, are none"


def _first(values: Sequence[str], which: NDArray[np.bool_]) -> str:
    return values[int(np.flatnonzero(which)[0])]


# -- durations ----------------------------------------------------------------------------------


def _durations(values: Sequence[str], counts: NDArray[np.intp], only: str) -> Finding | None:
    """Durations and times of day, if nearly all are; `only`: how two parts are meant, if that was said."""
    sample = values[:: max(1, len(values) // 500)]
    if not only and sum(not math.isnan(_duration(t, "m:ss")) for t in sample) < len(sample) / 2:
        return None
    read = np.array([_duration(text, "m:ss") for text in values])
    there = ~np.isnan(read)
    if not there.any() or (counts[there].sum() < NEARLY_ALL * counts.sum() and not only):
        return None
    matches = [m for text in values if (m := _CLOCK.fullmatch(text.translate(_SAME)))]
    two = [m for m in matches if not m["third"] and not m["half"] and not m["days"]]
    if not matches and not only and not _several_units(values):
        return None  # "90 min" in all rows: a number with a unit
    if only or not two:
        return Finding(Format(duration=only or "any"))
    if any(m["third"] and not m["half"] and int(m["first"]) < 24 for m in matches):
        meant, sure = "m:ss", len(two) < len(matches) and all(int(m["first"]) < 60 for m in two)
    elif all(int(m["first"]) < 24 and len(m["first"]) == 2 for m in two):
        meant, sure = "h:mm", any(int(m["first"]) == 0 for m in two)
    else:
        meant, sure = (
            ("m:ss", False) if any(int(m["first"]) >= 24 for m in two) else ("h:mm", False)
        )
    words = {"h:mm": "hours and minutes", "m:ss": "minutes and seconds"}
    other = "m:ss" if meant == "h:mm" else "h:mm"
    notice = (
        ""
        if sure
        else f"{two[0][0]} is read as {words[meant]}; if it is {words[other]}, say so: --column NAME=number:{other}"
    )
    return Finding(Format(duration=meant), notice=notice)


def _several_units(values: Sequence[str]) -> bool:
    units = set()
    for text in values:
        if _ISO.fullmatch(text):
            return True
        units |= {_unit_of(m) for m in _PART.finditer(text)}
    return len(units) > 1


def _unit_of(match: re.Match[str]) -> str:
    unit = match["unit"].lower()
    return "ms" if unit.startswith("mil") or unit == "ms" else unit[0]


def _duration(text: str, two: str) -> float:
    """Seconds; NaN for what is no duration. `two` says what two parts are; "any": no two parts are one."""
    text = text.translate(_SAME).strip()
    match = _CLOCK.fullmatch(text)
    if match is not None:
        return _clock(match, two)
    match = _ISO.fullmatch(text)
    if match is not None:
        parts = [match[k] for k in ("weeks", "days", "hours", "minutes", "seconds")]
        if not any(parts):
            return math.nan
        scale = (604_800, 86_400, 3600, 60, 1)
        value = sum(float(p.replace(",", ".")) * s for p, s in zip(parts, scale, strict=True) if p)
        return -value if match["sign"] == "-" else value
    negative = text.startswith("-")
    rest, at, total, largest = text.lstrip("+-"), 0, 0.0, math.inf
    for match in _PART.finditer(rest):
        size = _SECONDS[_unit_of(match)]
        if match.start() != at or size >= largest:
            return math.nan
        at, largest = match.end(), size
        total += float(match["count"].replace(",", ".")) * size
    if not at or at != len(rest):
        return math.nan
    return -total if negative else total


def _clock(match: re.Match[str], two: str) -> float:
    first, second = float(match["first"]), float(match["second"])
    half = (match["half"] or "").strip().lower()
    if half:
        if not 1 <= first <= 12 or match["days"] or match["sign"]:
            return math.nan
        first = first % 12 + 12 * (half[0] == "p")
    if match["third"]:
        value = 3600 * first + 60 * second + float(match["third"].replace(",", "."))
    elif half or match["days"]:
        value = 3600 * first + 60 * second
    elif two == "any":
        return math.nan
    else:
        value = 3600 * first + 60 * second if two == "h:mm" else 60 * first + second
    if match["days"]:
        days = 86_400 * float(match["days"])
        if match["ahead"]:  # pandas: -1 days +23:00:00
            ahead = -value if match["ahead"] == "-" else value
            return (-days if match["sign"] == "-" else days) + ahead
        value += days
    return -value if match["sign"] == "-" else value
