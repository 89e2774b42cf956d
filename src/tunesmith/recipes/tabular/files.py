"""Tables from files: CSV, Parquet, Arrow, sparse svmlight; or a DataFrame as it is."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, did_you_mean

#: What separates the fields of a text file, tried in this order.
SEPARATORS: Final = (",", ";", "\t", "|")
_DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?\d+(,\d+)?\s*")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x1f]")
#: A longer line does not help to find the separator; `csv` refuses fields of more than 131,072 characters.
LINE: Final = 120_000
TEXTS: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
SPARSE: Final = (".svm", ".svmlight", ".libsvm")
ARROWS: Final = (".feather", ".arrow", ".ipc")
KINDS: Final = (*TEXTS, ".parquet", ".pq", *ARROWS, *SPARSE)


@dataclass(frozen=True)
class Source:
    """A table as it was found, and what has to be said about it.

    `frame` is a DataFrame; a sparse file has `sparse`, a CSR matrix (rows, features), its target, and `base`, the
    number of its first feature.
    """

    name: str
    frame: Any = None
    sparse: Any = None
    target: Any = None
    base: int | None = None
    notices: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Known:
    """What is known of a file before it is read: the column to predict; or, of what a model was trained with, the
    columns that hold texts and the `base` of sparse features."""

    target: str | None = None
    texts: Collection[str] = ()
    base: int | None = None


def need(*modules: str) -> None:
    """Raise JobError, naming the extra, unless all of `modules` can be imported."""
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise JobError(
            f"tables need {', '.join(missing)}; install it with: pip install 'tunesmith[tabular]'"
        )


def read(data: Any, known: Known = Known()) -> Source:
    """The table in a file or a DataFrame. Raises JobError, saying what is wrong and where."""
    need("pandas", "sklearn")
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        source = Source("the table", data)
    elif isinstance(data, (str, Path)):
        source = _read_file(Path(data).expanduser(), known)
    else:
        raise JobError(
            f"the data is a file ({', '.join(KINDS)}) or a pandas DataFrame, not "
            f"{type(data).__name__}"
        )
    if source.frame is None:
        return source
    frame = source.frame
    names = [str(c).strip() for c in frame.columns]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise JobError(
            f"{source.name}: the column {twice[0]!r} is there twice; rename one of them"
            + (f" (also twice: {', '.join(twice[1:6])})" if twice[1:] else "")
        )
    frame = frame.set_axis(names, axis=1)
    if not len(frame) or not len(frame.columns):
        raise JobError(f"{source.name} has no rows; it has to have a header line and rows below it")
    return Source(source.name, frame, notices=source.notices)


def _read_file(path: Path, known: Known) -> Source:
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise JobError(f"there is no file {path}{did_you_mean(path.name, near) if near else ''}")
    if path.is_dir():
        raise JobError(
            f"{path} is a folder; a table is one file ({', '.join(KINDS)}), and for a folder of images "
            "write --recipe images"
        )
    if path.stat().st_size == 0:
        raise JobError(f"{path} is empty")
    name = path.name.lower()
    for suffixes, reader in _READERS:
        if name.endswith(suffixes):
            try:
                return reader(path, known)
            except OSError as error:
                raise JobError(f"{path} cannot be read: {error.strerror or error}") from None
    raise JobError(
        f"{path}: I cannot tell what kind of file this is; its name has to end in one of "
        f"{', '.join(KINDS)}"
    )


# -- text ---------------------------------------------------------------------------------------


def _read_text(path: Path, known: Known) -> Source:
    import pandas as pd

    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise JobError(f"{path} is no gzip file, or broken: {error}") from None
    text, notices = _decode(raw, path)
    lines = _first_lines(text, 20)
    if not lines:
        raise JobError(f"{path} is empty")
    try:
        separator = _separator(lines)
        header = [name.strip() for name in next(csv.reader(lines, delimiter=separator))]
    except csv.Error as error:
        raise JobError(f"{path} cannot be read as a table: {error}") from None
    twice = [name for name, n in Counter(header).items() if n > 1 and name]
    if twice:
        raise JobError(
            f"{path}: the column {twice[0]!r} is there twice in the header; rename one of them"
        )
    options: dict[str, Any] = {
        "sep": separator, "skipinitialspace": True, "low_memory": False, "na_values": ["?"],
        "index_col": False,
    }  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            names = pd.read_csv(io.StringIO(text), nrows=0, **options).columns
            options["dtype"] = {name: str for name in names if name.strip() in known.texts}
            frame = pd.read_csv(io.StringIO(text), **options)
            if separator != "," and _has_decimal_commas(frame):
                frame = pd.read_csv(io.StringIO(text), decimal=",", **options)
                notices = (*notices, "numbers are written with decimal commas (3,14)")
            for name in names:
                if name.strip() == known.target:
                    notices += _fill_gaps(frame, name, text, options)
    except pd.errors.ParserWarning:  # every line has more fields than the header
        width, line, fields = len(header), *_first_beyond(text, separator, len(header))
        raise JobError(f"{path}: {_too_many(line, fields, width)}") from None
    except pd.errors.ParserError as error:
        raise JobError(f"{path}: {_parser_message(error)}") from None
    except ValueError as error:
        raise JobError(f"{path} cannot be read as a table: {error}") from None
    return Source(str(path), frame, notices=notices)


def _fill_gaps(frame: Any, name: str, text: str, options: dict[str, Any]) -> tuple[str, ...]:
    """Take ``None`` for a class in a column of texts; a notice of other words there that count as missing."""
    import pandas as pd
    from pandas.api import types

    missing = frame[name].isna()
    if not missing.any() or types.infer_dtype(frame[name], skipna=True) != "string":
        return ()
    as_written = {"usecols": [name], "dtype": str, "na_values": [], "keep_default_na": False}
    words = pd.read_csv(io.StringIO(text), **(options | as_written))[name]
    frame[name] = frame[name].mask(missing & (words == "None"), "None")
    others = sorted(set(words[missing].unique()) - {"", "?", "None"})
    return tuple(
        f"{word!r} in {name.strip()!r} counts as missing; if it is a class, give it another name"
        for word in others
    )


def _decode(raw: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """A file's text: UTF-8, UTF-16 with its mark, else latin-1 with a notice."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16"), ()
        except UnicodeDecodeError as error:
            raise JobError(f"{path} begins as UTF-16 and is none: {error}") from None
    start = raw[:100_000]
    if b"\0" in start or len(_CONTROL.findall(start)) > 0.01 * len(start):
        raise JobError(
            f"{path} is no text (it has bytes that no text has); a table in another format has to end "
            f"in one of {', '.join(KINDS)}"
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


def _has_decimal_commas(frame: Any) -> bool:
    for name in frame.columns:
        matches = [
            _DECIMAL_COMMA.fullmatch(v) if isinstance(v, str) else None
            for v in frame[name].dropna().head(50)
        ]
        if all(matches) and any(match and match[1] for match in matches):
            return True
    return False


def _first_beyond(text: str, separator: str, width: int) -> tuple[int, int]:
    """The first line that has more fields than `width`, and how many."""
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    return next(((rows.line_num, len(row)) for row in rows if len(row) > width), (2, width + 1))


def _too_many(line: object, fields: object, width: object) -> str:
    return (
        f"line {line} has {fields} fields, not {width} as the lines before it; is there a text with a "
        "separator in it that wants quotes?"
    )


def _parser_message(error: Exception) -> str:
    """pandas's complaint about a line, in words."""
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if match:
        return _too_many(match[2], match[3], match[1])
    match = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if match:
        return f"the quote that begins in row {match[1]} (the header is row 0) does not end"
    return f"this is no table: {error}"


# -- binary -------------------------------------------------------------------------------------


def _read_parquet(path: Path, _: Known) -> Source:
    need("pyarrow")
    import pandas as pd

    try:
        return Source(str(path), pd.read_parquet(path))
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(f"{path} cannot be read as Parquet: {_short(error)}") from None


def _read_arrow(path: Path, _: Known) -> Source:
    need("pyarrow")
    from pyarrow import feather, ipc

    try:
        try:
            return Source(str(path), feather.read_feather(str(path)))
        except Exception:  # noqa: BLE001 (not a file: a stream)
            with path.open("rb") as stream:
                return Source(str(path), ipc.open_stream(stream).read_all().to_pandas())
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(f"{path} cannot be read as Arrow: {_short(error)}") from None


def _read_sparse(path: Path, known: Known) -> Source:
    from sklearn.datasets import load_svmlight_file

    try:
        matrix, target = load_svmlight_file(str(path), zero_based=True)
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(
            f"{path} cannot be read as svmlight (lines such as '1 3:0.5 7:2'): {_short(error)}"
        ) from None
    first = int(matrix.indices.min()) if matrix.nnz else known.base
    base = min(first or 0, 1) if known.base is None else known.base
    if base and not first:
        raise JobError(f"{path} has a feature 0, and the model was trained with features from 1")
    return Source(str(path), sparse=matrix[:, base:], target=target, base=base)


def _short(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0][:200] if text else type(error).__name__


_READERS: Final[tuple[tuple[tuple[str, ...], Callable[[Path, Known], Source]], ...]] = (
    (TEXTS, _read_text),
    ((".parquet", ".pq"), _read_parquet),
    (ARROWS, _read_arrow),
    (SPARSE, _read_sparse),
)
