"""Text files whose lines are rows: what parts their fields, and what is in them.

Everything is read as it is written. A column becomes numbers or truth values here only where no value of it can mean
anything else; see `columns` for the rest.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular import numbers
from tunesmith.recipes.tabular.formats import TRUTHS

#: What separates the fields of a text file, tried in this order.
SEPARATORS: Final = (",", ";", "\t", "|")
#: Words that stand for a missing value, as pandas has them, and what is common beside.
NOTHING: Final = frozenset({
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BLANK: Final = re.compile(r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)(?=[\s\S]*\S)")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x1f]")
_SEP: Final = re.compile(r"\s*\"?sep=(?P<separator>.)\"?[,;\t ]*(?:\r\n|\r|\n|$)", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"-?\d*[.,]\d+|-\d+")
#: A longer line does not help to find the separator; `csv` refuses fields of more than 131,072 characters.
LINE: Final = 120_000
#: Longer texts are worth being read as numbers at once, where the first rows look like them.
LARGE: Final = 1_000_000
SAMPLE: Final = 1_000


@dataclass(frozen=True)
class Table:
    """A DataFrame, what parted its fields, and what has to be said."""

    frame: Any
    separator: str
    notices: tuple[str, ...]


def decode(raw: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """A file's text: UTF-8, UTF-16 with its mark, else latin-1 with a notice."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16"), ()
        except UnicodeDecodeError as error:
            raise JobError(f"{path} begins as UTF-16 and is none: {error}") from None
    start = raw[:100_000]
    if b"\0" in start or len(_CONTROL.findall(start)) > 0.01 * len(start):
        raise JobError(
            f"{path} is no text (it has bytes that no text has); a table in another format has to "
            "be called so: .parquet, .feather, .xlsx, .csv.gz"
        )
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        notice = (
            f"this is not UTF-8 (byte 0x{raw[error.start]:02x} in line {line}): read as latin-1; if "
            "letters look wrong, save the file as UTF-8"
        )
        return raw.decode("latin-1"), (notice,)


def parse(
    text: str,
    path: Path,
    target: str | None = None,
    columns: Mapping[str, frozenset[str]] | None = None,
) -> Table:
    """The table in a text.

    `target` is the column to predict, in which ``None`` may be a class. `columns`, if they are known, are left as they
    are written; each has words that are values in it, whatever they look like. Raises JobError.
    """
    import pandas as pd

    announced = _SEP.match(text)
    above = text[: announced.end()].count("\n") if announced else 0
    if announced:  # Excel's first line
        text = text[announced.end() :]
    lines = _first_lines(text, 20)
    if not lines:
        raise JobError(f"{path} is empty")
    try:
        separator = announced["separator"] if announced else _separator(lines)
        header = [name.strip() for name in next(csv.reader(lines, delimiter=separator))]
    except csv.Error as error:
        raise JobError(f"{path} cannot be read as a table: {error}") from None
    twice = [name for name, n in Counter(header).items() if n > 1 and name]
    if twice:
        raise JobError(
            f"{path}: the column {twice[0]!r} is there twice in the header; rename one of them"
        )
    width = len(header)
    text = text.lstrip("\r\n") if width == 1 else text
    options: dict[str, Any] = {
        "sep": separator, "skipinitialspace": True, "low_memory": False, "index_col": False, "dtype": str,
        "keep_default_na": False, "na_values": [""], "skip_blank_lines": width > 1,
    }  # fmt: skip
    plain: set[str] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if (
                width > 1
                and columns is None
                and text.find("\n", 0, LARGE) > 0
                and len(text) > LARGE
            ):
                frame, plain = _fast(text, options)
            else:
                frame = pd.read_csv(io.StringIO(text), **options)
    except pd.errors.ParserWarning:  # every line has more fields than the header
        line, fields = _first_beyond(text, separator, width)
        raise JobError(f"{path}: {_too_many(line + above, fields, width)}") from None
    except pd.errors.ParserError as error:
        raise JobError(f"{path}: {_parser_message(error, above)}") from None
    except ValueError as error:
        raise JobError(f"{path} cannot be read as a table: {error}") from None
    notices = _about_lines(frame, text, separator, width, above)
    notices += _about_header(frame, columns)
    words: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    read: dict[str, Any] = {}
    for name in frame.columns:
        if name in plain:
            read[name] = frame[name]
            continue
        known = (columns or {}).get(name.strip())
        read[name], nothing = _column(frame[name], name.strip() == target, known)
        for word, count in nothing.items():
            words[word] += count
            places.setdefault(word, []).append(name.strip())
    notices += _about_words(words, places, target)
    return Table(pd.DataFrame(read, columns=frame.columns), separator, tuple(notices))


def _fast(text: str, options: dict[str, Any]) -> tuple[Any, set[str]]:
    """The table of a large text, and which of its columns are plain numbers, read as such at once: those that `_column`
    makes of the same texts. All others are texts."""
    import pandas as pd

    head = text[: text.rfind("\n", 0, LARGE) + 1]
    sample = pd.read_csv(io.StringIO(head), **options, nrows=SAMPLE)
    likely = [
        name for name in sample.columns if _column(sample[name], False, None)[0].dtype.kind in "iuf"
    ]
    kinds = {name: str for name in sample.columns if name not in likely}
    nothing = {name: NOTHING if name in likely else frozenset({""}) for name in sample.columns}
    raw = text.encode()
    frame = pd.read_csv(io.BytesIO(raw), **(options | {"dtype": kinds, "na_values": nothing}))
    plain = {name for name in likely if _is_surely_plain(frame[name])}
    padded = _padded(raw, options["sep"]) if plain else 0
    if padded and padded > sum(_padded_among(frame[name], options["sep"]) for name in kinds):
        plain = set()
    again = [k for k, name in enumerate(frame.columns) if name in likely and name not in plain]
    if again:
        texts = pd.read_csv(io.BytesIO(raw), **options, usecols=again)
        for k, name in zip(again, texts.columns, strict=True):
            frame[frame.columns[k]] = texts[name]
    return frame, plain


def _is_surely_plain(series: Any) -> bool:
    """Whether the numbers that a column of texts, none of which begins with 00 or 01, was read as tell that these cannot be
    meant otherwise: see `numbers.is_plain`."""
    if series.dtype.kind not in "iuf":
        return False
    there = series.to_numpy(np.float64)
    there = there[~np.isnan(there)]
    return bool(len(there)) and numbers.is_plain(there, None)


def _padded(raw: bytes, separator: str) -> int:
    """How many fields begin with a zero and another digit, at most."""
    array = np.frombuffer(raw, dtype=np.uint8)
    edge, inner, digit = np.zeros((3, 256), dtype=bool)
    edge[[*b"\r\n", separator.encode()[-1]]] = True
    inner[list(b' "')] = True
    digit[list(b"0123456789")] = True
    at = np.flatnonzero(array[:-1] == ord("0"))
    at = at[digit[array[at + 1]]]
    before, earlier = (array[np.maximum(at - k, 0)] for k in (1, 2))
    return int((edge[before] | (inner[before] & (edge | inner)[earlier]) | (at < 2)).sum())


def _padded_among(series: Any, separator: str) -> int:
    """How many of these are in a column of texts, at least."""
    inside = series.str.count(rf"[\r\n{re.escape(separator)}] *0[0-9]")
    return int(series.str.match("0[0-9]").sum() + inside.sum())


def _column(
    series: Any, is_target: bool, known: frozenset[str] | None
) -> tuple[Any, dict[str, int]]:
    """A column of texts, without those that stand for nothing, as numbers if it can be nothing else; and which words, of
    a column of texts, stand for nothing, and how often."""
    import pandas as pd

    series = series.fillna("").str.strip()
    nothing = series.isin(NOTHING - (known or frozenset()))
    there = series[~nothing]
    if known is None and len(there):
        texts = there.to_numpy(dtype=object)  # going through arrow's own strings is slow
        if not np.isnan(_as_numbers(texts[:SAMPLE])).any():
            values = pd.Series(pd.to_numeric(texts, errors="coerce"), there.index)
            numeric = values.to_numpy(np.float64)
            if not np.isnan(numeric).any() and numbers.is_plain(numeric, texts):
                if values.dtype.kind in "iu" and (np.abs(numeric) > numbers.EXACT).any():
                    values = values.astype("Int64" if values.dtype.kind == "i" else "UInt64")
                return values.reindex(series.index), {}
        different = {texts[0]}
        if texts[0].lower() in TRUTHS:
            different = set(texts.tolist())
        if {text.lower() for text in different} <= set(TRUTHS) and len(different) < 7:
            truths = there.str.lower() == "true"
            return (
                truths if not nothing.any() else truths.astype(object).reindex(series.index)
            ), {}
    if is_target and len(there):  # among names of classes it may be one
        nothing &= series != "None"
    counts = {
        str(w): int(n) for w, n in series[nothing].value_counts().items() if w not in ("", "?")
    }
    return series.mask(nothing, None), counts if len(there) and known is None else {}


def _as_numbers(texts: Any) -> Any:
    import pandas as pd

    return np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)


def _about_header(frame: Any, columns: Any) -> list[str]:
    """What has to be said of names that look like a row of values: decimals, or texts that their own columns hold."""
    if columns is not None:
        return []
    like = []
    for name in map(str, frame.columns):
        held = frame[name].dtype.kind not in "iufb" and bool((frame[name] == name).any())
        if held or _DECIMAL.fullmatch(name.strip()):
            like.append(name)
    if 2 * len(like) <= len(frame.columns):
        return []
    listed = ", ".join(map(repr, like[:3]))
    text = f"the first line is taken for the names of columns ({listed}), and looks like a row: if it is one, put a line of names above it"
    return [text]


def _about_words(
    words: Counter[str], places: Mapping[str, list[str]], target: str | None
) -> list[str]:
    out = []
    for word in sorted(words):
        names = places[word]
        if target in names:
            out.append(
                f"{word!r} in {target!r} counts as missing; if it is a class, give it another name"
            )
            names = [name for name in names if name != target]
        if names:
            more = f", and {len(names) - 3} columns more" if len(names) > 3 else ""
            out.append(f"{word!r} counts as missing in {', '.join(map(repr, names[:3]))}{more}")
    return out


def _about_lines(frame: Any, text: str, separator: str, width: int, above: int) -> list[str]:
    """What has to be said of lines that are empty or short."""
    if width == 1:
        empty = int((frame[frame.columns[0]].fillna("").str.strip() == "").sum())
        if not empty:
            return []
        return [
            f"{empty:,} empty line{'s count as rows' if empty > 1 else ' counts as a row'} without a value"
        ]
    out: list[str] = []
    whole = text.rstrip()
    blank = whole.count("\n") != len(frame) and _BLANK.search(whole)
    maybe_short = len(frame) and frame[frame.columns[-1]].isna().any()
    if not blank and not maybe_short:
        return out
    rows = csv.reader(io.StringIO(whole), delimiter=separator)
    empty_lines, short_lines = [], []
    seen = False
    try:
        for row in rows:
            if not row or (len(row) == 1 and not row[0].strip()):
                if seen:
                    empty_lines.append(rows.line_num)
                continue
            if seen and len(row) < width:
                short_lines.append(rows.line_num)
            seen = True
    except csv.Error:
        return out
    if empty_lines:
        many = len(empty_lines) > 1
        out.append(
            f"{len(empty_lines):,} empty line{'s' if many else ''} (the first is line {empty_lines[0] + above:,}) "
            f"{'are no rows' if many else 'is no row'}"
        )
    if short_lines:
        many = len(short_lines) > 1
        out.append(
            f"{len(short_lines):,} line{'s have' if many else ' has'} fewer fields than the header (the first is line "
            f"{short_lines[0] + above:,}): what is not there counts as missing"
        )
    return out


def _first_lines(text: str, most: int) -> list[str]:
    """The header and what follows, without what is too long or cut off."""
    lines = _LINE_END.split(text[:1_000_000])
    if len(text) > 1_000_000 and len(lines) > 1:
        del lines[-1]
    filled = [line for line in lines if line.strip()]
    return [line for k, line in enumerate(filled) if k == 0 or len(line) < LINE][:most]


def _separator(lines: list[str]) -> str:
    """What makes most fields of the header, and as many of the line below it."""

    def fields(separator: str) -> tuple[bool, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        return all(width == widths[0] for width in widths), widths[0]

    scores = {s: fields(s) for s in SEPARATORS}
    best = max(SEPARATORS, key=lambda s: (scores[s][1] > 1 and scores[s][0], scores[s][1]))
    return best if scores[best][1] > 1 else ","


def _first_beyond(text: str, separator: str, width: int) -> tuple[int, int]:
    """The first line that has more fields than `width`, and how many."""
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    return next(((rows.line_num, len(row)) for row in rows if len(row) > width), (2, width + 1))


def _too_many(line: object, fields: object, width: object) -> str:
    return (
        f"line {line} has {fields} fields, not {width} as the lines before it; is there a text with a "
        "separator in it that wants quotes?"
    )


def _parser_message(error: Exception, above: int) -> str:
    """pandas's complaint about a line, in words."""
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if match:
        return _too_many(int(match[2]) + above, match[3], match[1])
    match = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if match:
        return f"the quote that begins in row {match[1]} (the header is row 0) does not end"
    return f"this is no table: {error}"
