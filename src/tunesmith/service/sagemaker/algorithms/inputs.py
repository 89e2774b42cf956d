"""What the built-in algorithms are given: hyperparameters, and tables in channels, the first column of which is the label."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Whose data is in one table, without a label of its own there.
_LIBSVM: Final = ("text/libsvm", "text/x-libsvm", "libsvm")


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

    def rows(self, channel: str, *, weighted: bool = False) -> Rows:
        """A channel's table."""
        folder = self.base / "input" / "data" / channel
        files = sorted(
            file for file in folder.rglob("*") if file.is_file() and file.name[0] not in "._"
        )
        if not files:
            fail(f"the channel {channel} has no files")
        kind = str(self._channels[channel].get("ContentType", "text/csv")).partition(";")[0].strip()
        read = _libsvm if kind in _LIBSVM else _csv
        if kind not in (*_LIBSVM, "text/csv", "csv"):
            fail(f"the channel {channel} has {kind}; text/csv and text/libsvm can be read here")
        tables = [read(file) for file in files]
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
        if weighted:
            return Rows(table[:, 0], table[:, 2:], table[:, 1])
        return Rows(table[:, 0], table[:, 1:])


def _csv(file: Path) -> Floats:
    try:
        table = np.genfromtxt(file, delimiter=",", dtype=np.float64, ndmin=2, invalid_raise=True)
    except ValueError as error:
        fail(f"{file.name} is no table of numbers: {error}")
    if not table.size:
        fail(f"{file.name} is empty")
    return np.asarray(table)


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
