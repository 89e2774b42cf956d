"""What the built-in algorithms are given: hyperparameters, and tables in channels, the first column of which is the label."""

from __future__ import annotations

import csv
import json
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from tunesmith.service.sagemaker.algorithms import recordio

Floats = NDArray[np.float64]
_CSV: Final = ("text/csv", "csv")
_LIBSVM: Final = ("text/libsvm", "text/x-libsvm", "libsvm")
_RECORDS: Final = ("application/x-recordio-protobuf", "x-recordio-protobuf")
#: Of a table's cells: what is no number to `float`.
_WORDS: Final = {"": np.nan, "true": 1.0, "false": 0.0}


class Rows(NamedTuple):
    """Labels, shape (n,), and features, shape (n, d)."""

    labels: Floats
    features: Floats
    weights: Floats | None = None


class Inputs:
    """A training's hyperparameters and channels, below ``$SAGEMAKER_BASE_DIR``."""

    def __init__(self) -> None:
        self.base = Path(os.environ["SAGEMAKER_BASE_DIR"])
        config = self.base / "input" / "config"
        texts: dict[str, str] = json.loads((config / "hyperparameters.json").read_text())
        self.values: dict[str, Any] = {name: value_of(text) for name, text in texts.items()}
        self._channels = json.loads((config / "inputdataconfig.json").read_text())

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def wanted(self) -> str:
        """The metric that counts; "" for none."""
        return str(self.values.get("_tuning_objective_metric", ""))

    def take(self, name: str, default: Any = None) -> Any:
        """A hyperparameter that is not the library's; it is there no more."""
        return self.values.pop(name, default)

    def say_unused(self, names: Iterable[str]) -> None:
        """Say which hyperparameters change nothing here."""
        if given := [name for name in names if name in self.values]:
            say(f"without effect here: {', '.join(given)}")

    def number(self, name: str, default: float, *, least: float = -np.inf) -> float:
        value = self.take(name, default)
        if value in ("auto", "None", None):
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
            fail(
                f"the hyperparameter {name} is a number{'' if least == -np.inf else f' of at least {least:g}'}, not {value!r}"
            )
        return float(value)

    def has(self, channel: str) -> bool:
        return channel in self._channels

    def rows(self, channel: str, *, weighted: bool = False, missing: bool = True) -> Rows:
        """A channel's table; without `missing`, one that has no empty cells."""
        folder = self.base / "input" / "data" / channel
        files = sorted(
            file for file in folder.rglob("*") if file.is_file() and file.name[0] not in "._"
        )
        if not files:
            fail(f"the channel {channel} has no files")
        kind = str(self._channels[channel].get("ContentType", "")).partition(";")[0].strip().lower()
        if kind not in ("", *_CSV, *_LIBSVM, *_RECORDS):
            fail(
                f"the channel {channel} has {kind}; text/csv, text/libsvm and application/x-recordio-protobuf can be read here"
            )
        read = _libsvm if kind in _LIBSVM else _records if kind in _RECORDS else _csv
        tables = [
            # without a kind, as the SDK sends arrays
            _records(file) if not kind and _has_records(file) else read(file)
            for file in files
        ]
        width = max(table.shape[1] for table in tables)
        if any(table.shape[1] < width for table in tables):
            if kind not in _LIBSVM:
                fail(f"the files of the channel {channel} have different numbers of columns")
            tables = [np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in tables]
        table = np.vstack(tables)
        if np.isnan(table[:, 0]).any():
            fail(
                f"the channel {channel} has a label that is no number; its first column is the label, and it has no header"
            )
        if not missing and not np.isfinite(table[:, 1:]).all():
            fail(
                f"the channel {channel} has empty cells, or values that are not finite, from which this algorithm cannot learn; "
                "fill them in, or leave those rows out"
            )
        if weighted:
            return Rows(table[:, 0], table[:, 2:], table[:, 1])
        return Rows(table[:, 0], table[:, 1:])


def _csv(file: Path) -> Floats:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is nothing in it, is said below
            table = np.loadtxt(file, delimiter=",", ndmin=2, comments=None, quotechar='"')
    except ValueError:
        table = _cells(file)  # slower; and what is no number is either known, or said
    if not table.size:
        fail(f"{file.name} is empty")
    return table


def _cells(file: Path) -> Floats:
    rows: list[list[float]] = []
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as text:
        for number, cells in enumerate(csv.reader(text), 1):
            if not cells:
                continue
            if rows and len(cells) != len(rows[0]):
                fail(f"{file.name}:{number}: {len(cells)} columns, and {len(rows[0])} before")
            row = []
            for column, cell in enumerate(cells, 1):
                value = _cell(cell)
                if value is None:
                    fail(
                        f"{file.name}:{number}: column {column} has {cell[:80]!r}, which is no number; a table has no header, "
                        "and categories as numbers"
                    )
                row.append(value)
            rows.append(row)
    return np.array(rows, dtype=np.float64)


def _cell(text: str) -> float | None:
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return _WORDS.get(text.strip().lower())


def _has_records(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == recordio.MAGIC


def _records(file: Path) -> Floats:
    try:
        table = recordio.table(file.read_bytes())
    except ValueError as error:
        fail(f"{file.name} is no RecordIO of labelled rows: {error}")
    return table


def _libsvm(file: Path) -> Floats:
    rows: list[tuple[float, dict[int, float]]] = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            parts = [word.split(":") for word in words[1:]]
            rows.append((float(words[0]), {int(index): float(value) for index, value in parts}))
        except ValueError:
            fail(f"{file.name}:{number}: {line[:80]!r} is no line of libsvm")
    if not rows:
        fail(f"{file.name} is empty")
    width = max((max(pairs, default=0) for _, pairs in rows), default=0) + 1
    table = np.zeros((len(rows), width + 1))
    for i, (label, pairs) in enumerate(rows):
        table[i, 0] = label
        for index, value in pairs.items():
            table[i, index + 1] = value
    return table


def fit_width(rows: Rows, width: int) -> Rows:
    """The features cut, or filled up with zeros, as libsvm leaves zeros at a line's end out."""
    features = rows.features[:, :width]
    return rows._replace(features=np.pad(features, ((0, 0), (0, width - features.shape[1]))))


def value_of(text: str) -> Any:
    """A hyperparameter's value: a number, a truth value, or a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)
    return value_of(value) if isinstance(value, str) and value != text else value


def fail(why: str) -> NoReturn:
    """End, and say why, as SageMaker's algorithms do."""
    folder = Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure").write_text(why)
    print(why, file=sys.stderr)  # noqa: T201
    sys.exit(1)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
