"""Tables from files: CSV, Excel, Parquet, Arrow, sparse svmlight, also packed; or a DataFrame as it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Final

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.recipes.tabular.delimited import decode, parse

TEXTS: Final = (".csv", ".tsv", ".txt")
SPARSE: Final = (".svm", ".svmlight", ".libsvm")
ARROWS: Final = (".feather", ".arrow", ".ipc")
SHEETS: Final = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
PARQUETS: Final = (".parquet", ".pq")
PACKED: Final = (".gz", ".bz2", ".xz", ".zip")
KINDS: Final = (*TEXTS, *PARQUETS, *ARROWS, *SHEETS, *SPARSE)
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?P<rest>[^/\\].*)")
#: What other programs call an index that pandas has stored, and that has no name.
_INDEX: Final = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Source:
    """A table as it was found, and what has to be said about it.

    `frame` is a DataFrame; a sparse file has `sparse`, a CSR matrix (rows, features), its target, and `base`, the
    number of its first feature.
    """

    name: str
    frame: Any = None
    #: What parts the fields of a text file; else empty.
    separator: str = ""
    sparse: Any = None
    target: Any = None
    base: int | None = None
    notices: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Known:
    """What is known of a file before it is read: the column to predict; or, of what a model was trained with, its
    `columns`, each with the texts that are values in it though they may stand for nothing, and the `base` of sparse
    features. What is in these columns is read as it stands."""

    target: str | None = None
    columns: Mapping[str, frozenset[str]] | None = None
    base: int | None = None
    #: Which sheet of a workbook is meant; else the first that holds something.
    sheet: str | None = None


@dataclass(frozen=True)
class _Content:
    """A file's bytes, unpacked; `name` says what they are."""

    path: Path
    name: str
    raw: bytes
    notices: tuple[str, ...] = ()


def need(*modules: str, extra: str = "tabular") -> None:
    """Raise JobError, naming the extra, unless all of `modules` can be imported."""
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise JobError(
            f"tables need {', '.join(missing)}; install it with: pip install 'tunesmith[{extra}]'"
        )


def read(data: Any, known: Known = Known()) -> Source:
    """The table in a file or a DataFrame. Raises JobError, saying what is wrong and where."""
    need("pandas", "sklearn")
    import pandas as pd

    if known.sheet is not None and not _may_have_sheets(data):
        raise JobError(
            f"a sheet is one of a workbook ({', '.join(SHEETS)}), and this is none; leave --sheet out"
        )
    if isinstance(data, pd.DataFrame):
        source = _with_index(Source("the table", data), stored=False)
    elif hasattr(data, "to_pandas") and hasattr(data, "columns"):  # Polars, Arrow, ..
        source = _with_index(Source("the table", data.to_pandas()), stored=True)
    elif isinstance(data, (str, Path)):
        source = _read_file(Path(data).expanduser(), known)
    else:
        raise JobError(
            f"the data is a file ({', '.join(KINDS)}) or a DataFrame, not {type(data).__name__}"
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
    return replace(source, frame=frame)


def _may_have_sheets(data: Any) -> bool:
    name = str(data).lower() if isinstance(data, (str, Path)) else ""
    inner = name.removesuffix(_packing(name)) if _packing(name) else name
    return inner.endswith((*SHEETS, ".zip"))


def _read_file(path: Path, known: Known) -> Source:
    url = _URL.fullmatch(str(path))
    if url and not path.exists():
        if url["scheme"].lower() == "file":
            raise JobError(f"{path} is a URL; name the file itself: /{url['rest'].lstrip('/')}")
        place = url["rest"].partition("?")[0].rpartition("@")[2]
        raise JobError(
            f"{url['scheme']}://{place} is a URL, and a table is read from a file; download it, and name the file"
        )
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
    if not name.endswith((*KINDS, ".zip")) and not _packing(name):
        raise JobError(
            f"{path}: I cannot tell what kind of file this is; its name has to end in one of "
            f"{', '.join(KINDS)}, or in one of these and {', '.join(PACKED)}"
        )
    try:
        content = _unpacked(path, path.read_bytes())
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror or error}") from None
    if not content.raw:
        raise JobError(f"{path} is empty")
    reader = next(reader for suffixes, reader in _READERS if content.name.endswith(suffixes))
    source = reader(content, known)
    return replace(source, notices=(*content.notices, *source.notices))


# -- packed files -------------------------------------------------------------------------------


def _packing(name: str) -> str:
    """How a file of this name is packed, if what is in it can be read; else empty."""
    inner, dot, packed = name.rpartition(".")
    readable = inner.endswith(KINDS) or (inner and "." not in inner)  # without an ending: a text
    return dot + packed if dot + packed in PACKED and readable else ""


def _unpacked(path: Path, raw: bytes) -> _Content:
    name = path.name.lower()
    if name.endswith(".zip"):
        return _unzipped(path, raw)
    packing = _packing(name)
    if not packing:
        return _Content(path, name, raw)
    unpack, called = {
        ".gz": (gzip.decompress, "gzip"), ".bz2": (bz2.decompress, "bzip2"), ".xz": (lzma.decompress, "xz"),
    }[packing]  # fmt: skip
    try:
        return _Content(path, _as_text(name.removesuffix(packing)), unpack(raw))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise JobError(f"{path} is no {called} file, or broken: {error}") from None


def _unzipped(path: Path, raw: bytes) -> _Content:
    """The one table in an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            tables = _tables(files)
            if len(tables) != 1:
                holds = ", ".join(info.filename for info in (tables or files)[:5]) or "nothing"
                raise JobError(
                    f"{path} holds {len(tables) or 'no'} table{'s' * (len(tables) != 1)} ({holds}); it has to be one: "
                    "unpack it, and name the file"
                )
            if tables[0].flag_bits & 1:
                raise JobError(f"{path} is locked with a password; unpack it, and name the file")
            name = _as_text(PurePath(tables[0].filename.lower()).name)
            content = _unpacked_again(path, name, archive.read(tables[0]))
            if any(_is_table(info.filename) for info in files if info is not tables[0]):
                notice = f"{tables[0].filename!r} is read, of the files in {path.name}"
                return replace(content, notices=(notice,))
            return content
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise JobError(f"{path} is no zip file, or broken: {error}") from None


def _tables(files: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The tables among an archive's files: a text beside one table explains it, and a single file without an ending is
    what pandas makes of a table."""
    tables = [info for info in files if _is_table(info.filename)]
    others = [info for info in tables if not info.filename.lower().endswith(".txt")]
    if len(others) == 1:
        return others
    plain = [info for info in files if not _is_hidden(info.filename)]
    if not tables and len(plain) == 1 and "." not in PurePath(plain[0].filename).name:
        return plain
    return tables


def _is_table(name: str) -> bool:
    last = PurePath(name.lower()).name
    return not _is_hidden(name) and (last.endswith(KINDS) or _packing(last) not in ("", ".zip"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__macosx" for part in PurePath(name.lower()).parts)


def _as_text(name: str) -> str:
    """A name whose ending says that a file is a text, if it has none."""
    return name if "." in name else f"{name}.csv"


def _unpacked_again(path: Path, name: str, raw: bytes) -> _Content:
    return (
        replace(_unpacked(Path(name), raw), path=path)
        if _packing(name)
        else _Content(path, name, raw)
    )


# -- text ---------------------------------------------------------------------------------------


def _read_text(content: _Content, known: Known) -> Source:
    text, notices = decode(content.raw, content.path)
    table = parse(text, content.path, known.target, known.columns)
    return Source(
        str(content.path), table.frame, table.separator, notices=(*notices, *table.notices)
    )


# -- sheets -------------------------------------------------------------------------------------


def _read_sheet(content: _Content, known: Known) -> Source:
    """A sheet of a workbook, the first that holds something if none is named: a line of names, and rows below it."""
    need("python_calamine", extra="excel")
    import pandas as pd
    from python_calamine import CalamineWorkbook

    path = content.path
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content.raw))
        names = list(book.sheet_names)
        wanted = names if known.sheet is None else [n for n in names if n == known.sheet]
        sheets = ((name, book.get_sheet_by_name(name).to_python()) for name in wanted)
        name, rows = next(((n, r) for n, r in sheets if any(map(_filled, r))), ("", []))
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(
            f"{path} cannot be read as a sheet: {_short(error)}; open it in a spreadsheet, and save it again, or as CSV"
        ) from None
    if known.sheet is not None and not wanted:
        raise JobError(
            f"{path} has no sheet {known.sheet!r}; it has {', '.join(map(repr, names[:10]))}"
            f"{did_you_mean(known.sheet, names)}"
        )
    if not rows:
        sheet = "" if known.sheet is None else f": the sheet {known.sheet!r}"
        raise JobError(f"{path}{sheet} is empty")
    notices = []
    if len(names) > 1 and known.sheet is None:
        notices.append(
            f"the sheet {name!r} is read, which is one of {len(names)} ({', '.join(names[:5])}); --sheet NAME reads another"
        )
    first = next(k for k, row in enumerate(rows) if _filled(row))
    header, below = rows[first], [_cells(row) for row in rows[first + 1 :]]
    while below and not any(cell is not None for cell in below[-1]):
        below.pop()
    empty = [k for k, row in enumerate(below) if not any(cell is not None for cell in row)]
    if empty and len(header) > 1:
        notices.append(
            f"{len(empty):,} empty lines (the first is line {first + 2 + empty[0]:,}) are no rows"
        )
        below = [row for k, row in enumerate(below) if k not in set(empty)]
    titles = [str(cell).strip() or f"Unnamed: {k}" for k, cell in enumerate(header)]
    frame = pd.DataFrame(below, columns=titles, dtype=object).infer_objects()
    return Source(str(path), frame, notices=tuple(notices))


def _filled(row: Any) -> bool:
    return any(cell not in ("", None) for cell in row)


def _cells(row: Any) -> list[Any]:
    """A row's values: what is empty or an error of a formula is missing."""
    return [
        None if cell is None or (isinstance(cell, str) and _is_nothing(cell)) else cell
        for cell in row
    ]


def _is_nothing(cell: str) -> bool:
    from tunesmith.recipes.tabular.delimited import NOTHING

    return cell.strip() in NOTHING or cell.startswith(
        ("#DIV/", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!")
    )


# -- binary -------------------------------------------------------------------------------------


def _read_parquet(content: _Content, _: Known) -> Source:
    need("pyarrow")
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content.raw))
        frame = table.to_pandas()
        for each in (table.schema.pandas_metadata or {}).get("columns", ()):
            if each["pandas_type"] == "categorical" and each["name"] in frame.columns:
                frame[each["name"]] = frame[each["name"]].astype(
                    "category"
                )  # Parquet keeps texts only
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(f"{content.path} cannot be read as Parquet: {_short(error)}") from None
    return _with_index(Source(str(content.path), frame), stored=True)


def _read_arrow(content: _Content, _: Known) -> Source:
    need("pyarrow")
    from pyarrow import feather, ipc

    try:
        try:
            frame = feather.read_feather(io.BytesIO(content.raw))
        except Exception:  # noqa: BLE001 (not a file: a stream)
            frame = ipc.open_stream(io.BytesIO(content.raw)).read_all().to_pandas()
    except Exception as error:  # noqa: BLE001 (a broken file raises anything)
        raise JobError(f"{content.path} cannot be read as Arrow: {_short(error)}") from None
    return _with_index(Source(str(content.path), frame), stored=True)


def _with_index(source: Source, *, stored: bool) -> Source:
    """With the named parts of the frame's index as columns; what has no name labels the rows, and is left out.

    Of a frame that was not `stored`, numbers without a name are what pandas leaves behind when rows are taken.
    """
    import pandas as pd
    from pandas.api import types

    frame, notices = source.frame, list(source.notices)
    labels = [name for name in frame.columns if _INDEX.fullmatch(str(name))]
    frame = frame.drop(columns=labels)
    notices += [
        f"{name!r} is left out: it is an index without a name, which labels the rows"
        for name in labels
    ]
    index = frame.index
    named = [name for name in index.names if name is not None and name not in frame.columns]
    unnamed = [k for k, name in enumerate(index.names) if name is None]
    if unnamed and not isinstance(index, pd.RangeIndex):
        values = index.get_level_values(unnamed[0])
        if len(values) and (stored or not types.is_integer_dtype(values.dtype)):
            notices.append(
                f"the index has no name, and labels such as {str(values[0])!r}: it is left out (give it a name to learn "
                "from it)"
            )
    notices += [f"the index {str(name)!r} is a column like any other" for name in named]
    columns = [pd.Series(index.get_level_values(name), name=name) for name in named]
    frame = frame.reset_index(drop=True)
    if columns:
        frame = pd.concat([*columns, frame], axis=1)
    return replace(source, frame=frame, notices=tuple(notices))


def _read_sparse(content: _Content, known: Known) -> Source:
    from sklearn.datasets import load_svmlight_file

    path = content.path
    try:
        matrix, target = load_svmlight_file(io.BytesIO(content.raw), zero_based=True)
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


_READERS: Final[tuple[tuple[tuple[str, ...], Callable[[_Content, Known], Source]], ...]] = (
    (TEXTS, _read_text),
    (PARQUETS, _read_parquet),
    (ARROWS, _read_arrow),
    (SHEETS, _read_sheet),
    (SPARSE, _read_sparse),
)
