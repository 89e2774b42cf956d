"""Metric extraction from files that a program writes: JSON, JSON lines, CSV, TensorBoard's event files, MLflow's folders."""

from __future__ import annotations

import codecs
import csv
import glob
import io
import json
import math
import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.outcome import finite, number, whole
from tunesmith.run.event_file import read_scalars
from tunesmith.run.output import ScannedReport
from tunesmith.run.pattern import reading

#: A source by its kind: what names the value in it.
KINDS: Final = {"json": "key", "csv": "column", "tensorboard": "tag", "mlflow": "name"}
#: The kinds that are folders, whose files have steps of their own.
_FOLDERS: Final = ("tensorboard", "mlflow")
_STEP: Final = "step"
#: How often a file is looked at while the program runs, and how much longer than the last look took (s).
_LOOK_S: Final = 0.5
_PAUSE: Final = 20


class _Point(NamedTuple):
    step: int | None
    value: float


class _Unusable(Exception):
    """What is wrong with a file."""


class _NoNumber(_Unusable):
    """A value that is none, in a file that can be read."""


@dataclass(frozen=True, slots=True)
class MetricFile:
    """Where a metric stands in a file, as a job file has it: ``{csv: log.csv, column: val_loss, step: epoch}``."""

    metric: str
    kind: str
    path: str
    name: str
    step: str = ""

    @classmethod
    def of(cls, metric: str, described: Mapping[str, str]) -> MetricFile:
        """Read and check what a job file says. Raises JobError."""
        kinds = [kind for kind in KINDS if kind in described]
        if len(kinds) != 1:
            raise JobError(
                f"metrics: {metric}: name one file, such as {{json: metrics.json, key: {metric}}}, "
                f"{{csv: log.csv, column: {metric}}}, {{tensorboard: runs, tag: {metric}}} or "
                f"{{mlflow: mlruns, name: {metric}}}"
            )
        kind = kinds[0]
        known = [kind, KINDS[kind]] + [_STEP] * (kind not in _FOLDERS)
        for key in described:
            if key not in known:
                raise JobError(f"metrics: {metric}: there is no {key!r}{did_you_mean(key, known)}")
        return cls(
            metric,
            kind,
            described[kind],
            described.get(KINDS[kind], metric),
            described.get(_STEP, ""),
        )

    def resolved(self, cwd: Path, built_in: Mapping[str, Any]) -> Path:
        """The file of one trial."""
        path = self.path
        for name, value in built_in.items():
            path = path.replace(f"{{{name}}}", str(value))
        return cwd / Path(path).expanduser()


def steps_beside(files: Sequence[MetricFile], steps: MetricFile) -> list[MetricFile]:
    """The files, those that are the one in which `steps` stands with its key or column for their steps. Raises JobError."""
    beside = [(file.kind, file.path) == (steps.kind, steps.path) for file in files]
    if steps.kind in _FOLDERS:
        raise JobError(f"metrics: step: {steps.kind} has steps of its own; leave it out")
    if steps.step or not any(beside):
        raise JobError(
            f"metrics: step: it stands for the steps of the metrics in the same file, and none is read from "
            f"{steps.path}; write {{{steps.kind}: {steps.path}, {KINDS[steps.kind]}: loss, step: {steps.name}}} for a metric in it"
        )
    return [
        replace(file, step=file.step or steps.name) if same else file
        for file, same in zip(files, beside, strict=True)
    ]


class MetricFileReader:
    """Reads a metric of one attempt from its file, again whenever that has changed. Made before the program starts, it
    passes over what was there already."""

    def __init__(self, source: MetricFile, path: Path) -> None:
        self._source = source
        self._path = path
        self._before = {file: _signature(file) for file in self._files()}
        self._content = b"" if source.kind in _FOLDERS else _bytes(path)
        self._seen = dict(self._before)
        self._last: list[_Point] = []
        self._count = 0
        self._look_at = 0.0
        self.drained = False
        #: Why it has given no value; "" once it has.
        self.problem = ""

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def last(self) -> float:
        """The last value that was read."""
        return self._last[-1].value if self._last else math.nan

    def read(self, deadline: float, *, last: bool) -> Iterator[ScannedReport]:
        """The reports that have come since the last call; `last` says that the program has ended."""
        now = time.monotonic()
        if self.drained or (not last and now < self._look_at):
            return
        seen = {file: _signature(file) for file in self._files()}
        points = self._last
        if seen != self._seen or (last and seen and seen != self._before):
            try:
                points = [_with_one_nan(point) for point in self._points(last=last)]
                self.problem = ""
                self._seen = seen
            except _NoNumber as error:
                self.problem = str(error)
                if last and points:  # the number before is not what it says now
                    points = [*points, _Point(points[-1].step, math.nan)]
            except RecursionError:
                self.problem = f"{self._path} has too many lists and objects inside one another"
            except (_Unusable, OSError, ValueError, csv.Error, struct.error) as error:
                self.problem = str(error)  # while it runs, it may be half written
        grown = points[: len(self._last)] == self._last
        if last and not points:
            self.problem = self.problem or self._untouched()
        fresh, self._last = points[len(self._last) if grown else 0 :], points
        for point in fresh:
            self._count += 1
            step = self._count if point.step is None else point.step
            yield ScannedReport(step, finite({self._source.metric: point.value}))
        self.drained = last
        took_s = time.monotonic() - now
        self._look_at = now + max(_LOOK_S, _PAUSE * took_s)

    def _files(self) -> list[Path]:
        if self._source.kind not in _FOLDERS:
            return [self._path] if self._path.is_file() else []
        if not self._path.is_dir():
            return []
        if self._source.kind == "tensorboard":
            return sorted(self._path.rglob("*tfevents*"))
        name = Path("metrics", *self._source.name.split("/"))  # below experiment and run
        return sorted(
            path for path in self._path.glob(f"*/*/{glob.escape(str(name))}") if path.is_file()
        )

    def _untouched(self) -> str:
        if self._source.kind == "mlflow":
            return ""  # it may be reported otherwise
        if not self._before:
            return f"there is no file {self._path}"
        return f"{self._path} is older than the trial, which has not written to it"

    def _points(self, *, last: bool) -> list[_Point]:
        source = self._source
        if source.kind in _FOLDERS:
            files = [file for file in self._files() if self._before.get(file) != _signature(file)]
            return (
                _from_events(files, source.name) if source.kind == "tensorboard" else _logged(files)
            )
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            raise _Unusable(f"there is no file {self._path}") from None
        header = b""
        if (
            self._content
            and content.startswith(self._content)
            and len(content) > len(self._content)
        ):
            header = self._content.splitlines(keepends=True)[0] if source.kind == "csv" else b""
            content = content[len(self._content) :]
        text = _text(header + content)
        if not text.strip():
            raise _Unusable(f"{self._path} is empty")
        if source.kind == "csv":
            return _from_csv(text, source, self._path, last=last)
        return _from_json(text, source, self._path)


def _with_one_nan(point: _Point) -> _Point:
    """The point, with the NaN that equals itself in comparisons of tuples."""
    return point if point.value == point.value else point._replace(value=math.nan)


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _text(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a mark at its start, as PowerShell writes it."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def _value(value: Any) -> float | None:
    """A value of a file as a number, NaN for what stands for none; None for what is no number at all."""
    if value is None:
        return math.nan
    if not isinstance(value, str):
        return number(value)
    as_read = reading(value)
    return as_read.number


# -- JSON -------------------------------------------------------------------------------------


def _from_json(text: str, source: MetricFile, path: Path) -> list[_Point]:
    """The values under a key: one, a list of them, or one in each of a list of objects (or of lines)."""
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        data = _json_lines(text)
        if data is None:
            raise _Unusable(f"{path} is neither JSON nor JSON lines: {error}") from None
    values = [*_walk(data, source.name.split("."))]
    steps = [whole(step) for step in _walk(data, source.step.split("."))] if source.step else []
    if not values:
        raise _Unusable(f"{path} has no {source.name!r}{_instead(data, source.name)}")
    points = []
    for place, value in enumerate(values):
        as_number = _value(value)
        if as_number is None:
            raise _NoNumber(
                f"{source.name!r} in {path} is {json.dumps(value)[:100]}, which is no number"
            )
        points.append(_Point(steps[place] if len(steps) == len(values) else None, as_number))
    return points


def _json_lines(text: str) -> list[Any] | None:
    """The data of JSON lines; None for another text. A last line that is cut off is passed over."""
    lines = text.replace("\0", "").split("\n")
    data = []
    for place, line in enumerate(lines, start=1):
        try:
            if line.strip():
                data.append(json.loads(line))
        except ValueError:
            if place < len(lines) or not data:
                return None
    return data


def _instead(data: Any, name: str) -> str:
    """What to write for a key that is not there."""
    names = _names(data)
    nested = [known for known in names if known.endswith(f".{name}")]
    if nested:
        return f"; write key: {nested[0]}"
    if name in names:
        return " with a value in it"
    listed = ", ".join(map(repr, names[:10])) or "no objects with names"
    return f"{did_you_mean(name, names, listed=False)}; it has {listed}"


def _names(data: Any, before: str = "") -> list[str]:
    """The dotted names in nested objects, of a list those of its last one."""
    if isinstance(data, list) and data:
        return _names(data[-1], before)
    if not isinstance(data, dict):
        return []
    names = []
    for key, value in data.items():
        names += [f"{before}{key}", *_names(value, f"{before}{key}.")]
    return names


def _walk(data: Any, keys: list[str]) -> Iterator[Any]:
    """What stands under nested keys; a list is gone through, unless the key is a place in it."""
    if not keys:
        yield from _flat(data)
    elif isinstance(data, list):
        if keys[0].removeprefix("-").isdigit():
            place = int(keys[0])
            if -len(data) <= place < len(data):
                yield from _walk(data[place], keys[1:])
        else:
            for item in data:
                yield from _walk(item, keys)
    elif isinstance(data, dict):
        for end in range(len(keys), 0, -1):  # a key may have dots of its own
            if ".".join(keys[:end]) in data:
                yield from _walk(data[".".join(keys[:end])], keys[end:])
                return


def _flat(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        yield from data
    else:
        yield data


# -- CSV --------------------------------------------------------------------------------------


def _csv_table(
    text: str, name: str, path: Path, *, last: bool
) -> tuple[str, list[str], list[list[str]]]:
    """The separator, the header and the rows, as wide as it. Comments before the header are passed over and, unless it is
    the `last` time, a row without its line end."""
    lines = list(io.StringIO(text, newline=""))  # no other line ends than these
    while len(lines) > 1 and lines[0].lstrip().startswith("#") and name not in lines[0]:
        del lines[0]
    if len(lines) > 1 and not last and not lines[-1].endswith(("\n", "\r")):
        del lines[-1]
    lines[0] = lines[0].lstrip(" #")
    separator = max(",;\t|", key=lines[0].count)
    if separator not in lines[0]:
        separator = " "
        lines = [line.strip(" \t") for line in lines]
    read = csv.reader(
        (line.replace("\0", "") for line in lines), delimiter=separator, skipinitialspace=True
    )
    columns = [column.strip() for column in next(read, ())]
    width, rows = len(columns), []
    for row in read:
        cells = [cell.strip() for cell in row]
        if any(cells[width:]):
            raise _Unusable(
                f"line {read.line_num} of {path} has {len(cells)} cells, and the header {width} (a comma in a "
                "number, or row names without a heading?)"
            )
        rows.append([*cells[:width], *[""] * (width - len(cells))])
    return separator, columns, rows


def _from_csv(text: str, source: MetricFile, path: Path, *, last: bool) -> list[_Point]:
    """The values of a column, row by row; empty cells are passed over, and a header that comes again.

    Between semicolons a comma is a number's point, as far as that is certain.
    """
    separator, columns, rows = _csv_table(text, source.name, path, last=last)
    for column in (source.name, source.step):
        if column and columns.count(column) != 1:
            listed = ", ".join(columns) or "nothing"
            raise _Unusable(
                f"{path} has {columns.count(column)} columns {column!r}; it has {listed}"
                if column in columns
                else f"{path} has no column {column!r}{did_you_mean(column, columns, listed=False)}; it has {listed}"
            )
    place = columns.index(source.name)
    step_place = columns.index(source.step) if source.step else None
    comma = separator == ";" and any(_with_comma(row[place]) for row in rows)
    points: list[_Point] = []
    for cells in rows:
        cell = cells[place]
        if not cell or cell == source.name:
            continue
        if comma and cell.rfind(",") > cell.rfind("."):
            cell = cell.replace(".", "").replace(",", ".")
        as_number = _value(cell)
        if as_number is None:
            if not points:
                raise _Unusable(
                    f"{path} has {cell[:100]!r} in column {source.name!r}, which is no number"
                    f"{'; write numbers with a point, and without commas' if ',' in cell else ''}"
                )
            as_number = math.nan
        step = None if step_place is None else _value(cells[step_place])
        points.append(_Point(whole(step), as_number))
    if not points:
        raise _Unusable(f"{path} has no row with a value in column {source.name!r}")
    return points


def _with_comma(cell: str) -> bool:
    """Whether a comma in a number can only be its point: it has not just three digits behind it."""
    return bool(re.fullmatch(r"[-+]?(?:0,\d+|\d+,(?!\d{3}(?!\d))\d+)(?:[eE][-+]?\d+)?", cell))


# -- folders ----------------------------------------------------------------------------------


def _from_events(files: list[Path], tag: str) -> list[_Point]:
    """The scalars of a tag in TensorBoard's files, by step as they were written."""
    tags = read_scalars(files)
    if tag not in tags:
        listed = ", ".join(list(tags)[:10]) or "nothing"
        raise _Unusable(
            f"the event files have no tag {tag!r}{did_you_mean(tag, tags, listed=False)}; they have {listed}"
        )
    return [_Point(*scalar) for scalar in tags[tag]]


def _logged(files: list[Path]) -> list[_Point]:
    """A metric in files of MLflow's, lines of time, value and step, of all runs as they were written. Who logs without
    steps has 0 in each line: a step that does not rise is the next one."""
    lines = [
        line.split()
        for file in files
        for line in file.read_text(errors="replace").splitlines(keepends=True)
        if line.endswith("\n")
    ]
    points: list[_Point] = []
    for _, value, step in sorted((line[:3] for line in lines), key=lambda line: int(line[0])):
        least = points[-1].step + 1 if points and points[-1].step is not None else None
        own = int(step)
        points.append(_Point(own if least is None else max(own, least), float(value)))
    return points
