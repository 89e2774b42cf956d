"""A study's trials as data frames: column by column, types kept.

An int is an int, a choice a category (of texts; of numbers or truth values these), a moment a time in UTC, and what a trial
has not (an inactive parameter, a metric) is null; a metric that was not finite is NaN. O(trials * columns), a million cells in well under a second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import MISSING, Choice, Fixed, Float, Int
from tunesmith.core.trial import STATES
from tunesmith.tuning.table import Columns, Listed

#: The libraries that have a frame for a table.
Frame: TypeAlias = Literal["pandas", "polars", "arrow"]
#: Times of a trial, in UTC; after the columns of `table`.
TIMES: Final = ("created_at", "started_at", "ended_at")
_PACKAGES: Final[Mapping[str, str]] = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True)
class Column:
    """One column: numpy values, and where there are none. A category's values are places in `texts`; times are
    microseconds since the epoch."""

    kind: Literal["int", "float", "bool", "text", "category", "time"]
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    texts: Sequence[str] = ()


def frame(listed: Listed, kind: Frame) -> Any:
    """The table as a frame of a library. Raises StudyError where that is not installed."""
    if kind not in get_args(Frame):
        raise StudyError(
            f"a table is for {', '.join(get_args(Frame))}, not {kind!r}{did_you_mean(str(kind), _PACKAGES)}"
        )
    try:
        return _MAKERS[kind](columns(listed))
    except ImportError as error:
        package = _PACKAGES[kind]
        if (error.name or "").partition(".")[0] not in ("", package, "pyarrow"):
            raise
        missing = (error.name or package).partition(".")[0]
        raise StudyError(
            f"a table for {kind} needs the package {missing}: pip install {missing}"
        ) from None


def columns(listed: Listed) -> dict[str, Column]:
    """Every column by its name, in the order of `Columns`, then the times."""
    ledger, n = listed.ledger, listed.ledger.size
    table, names = ledger.table, Columns.of(ledger)
    made: dict[str, Column] = {
        "number": _whole(np.asarray(listed.numbers, dtype=np.int64)),
        "state": _category(table.column("state").astype(np.int32), [*map(str, STATES)]),
    }
    for metric, column in names.metrics.items():
        made[column] = _metric(table.metrics.get(metric, np.empty(0)), n)
    for name, column in names.parameters.items():
        made[column] = _parameter(ledger, name)
    made["wall_s"], made["cpu_s"], made["money"] = (
        _float(table.column(name)) for name in ("wall_s", "cpu_s", "money")
    )
    memory = table.column("memory_bytes")
    made["memory_bytes"] = _whole(memory, np.isnan(memory))
    made["attempt"] = _whole(table.column("attempt"))
    origins = [table.origin(i) for i in range(n)]
    made["searcher"] = _of_texts([origin.searcher for origin in origins])
    made["why"] = _texts([origin.why for origin in origins])
    reasons = [ledger.reason(i) for i in range(n)]
    made["reason"] = _texts([None if reason is None else str(reason) for reason in reasons])
    made["retracted"], made["outside"] = (
        Column("bool", table.column(name).astype(bool), np.zeros(n, dtype=bool))
        for name in ("retracted", "outside")
    )
    version = table.column("version")
    made["version"] = _whole(version, version == 0)
    if "broken" in names.names:
        judged = ledger.where_completed
        broken = ["; ".join(ledger.broken(i)) if judged[i] else None for i in range(n)]
        made["broken"] = _texts(broken)
    ordered = {name: made[name] for name in names.names}
    for name in TIMES:
        if name not in ordered:
            at = table.column(name)
            there = ~np.isnan(at)
            micro = np.where(there, np.nan_to_num(at) * _MICROSECONDS, 0).round().astype(np.int64)
            ordered[name] = Column("time", micro, ~there)
    return ordered


# -- columns ----------------------------------------------------------------------------------


def _float(values: NDArray[Any]) -> Column:
    return Column("float", values.astype(np.float64), np.isnan(values))


def _metric(column: NDArray[np.float64], n: int) -> Column:
    values = np.full(n, np.nan)
    values[: min(n, len(column))] = column[:n]
    missing = np.isnan(values)
    values[values == NOT_FINITE] = math.nan
    return Column("float", values, missing)


def _whole(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> Column:
    missing = np.zeros(len(values), dtype=bool) if missing is None else missing
    return Column("int", np.where(missing, 0, values).astype(np.int64), missing)


def _category(codes: NDArray[Any], texts: Sequence[str]) -> Column:
    return Column("category", np.maximum(codes, 0).astype(np.int32), codes < 0, texts)


def _texts(values: Sequence[str | None]) -> Column:
    missing = np.array([value is None for value in values], dtype=bool)
    return Column("text", np.array(values, dtype=object), missing)


def _of_texts(values: Sequence[str | None]) -> Column:
    """A category of the texts that there are."""
    places: dict[str, int] = {}
    codes = [-1 if v is None else places.setdefault(v, len(places)) for v in values]
    return _category(np.array(codes, dtype=np.int32), [*places])


def _parameter(ledger: Ledger, name: str) -> Column:
    """A parameter's values: from the numbers that searchers see, where these say all."""
    space, table = ledger.spec.space, ledger.table
    parameter = space.parameters.get(name)
    if parameter is None or isinstance(parameter, Fixed) or table.column("outside").any():
        return _mixed([table.config(i).get(name, MISSING) for i in range(table.size)])
    numbers = table.column("numbers")[:, list(space.tunables).index(name)]
    if isinstance(parameter, Float):
        return _float(numbers)
    missing = np.isnan(numbers)
    codes = np.where(missing, -1, numbers).astype(np.int64)
    if isinstance(parameter, Int):
        return _whole(codes, missing)
    assert isinstance(parameter, Choice)
    values = parameter.values
    kinds = {type(value) for value in values}
    if kinds in ({int}, {bool}, {float}):
        found = np.asarray(values)[np.maximum(codes, 0)]
        return Column(_KINDS[kinds.pop()], found, missing)
    texts = [_text(value) for value in values]
    if len(set(texts)) < len(texts):  # 1 and "1"
        return _of_texts([None if code < 0 else texts[code] for code in codes.tolist()])
    return _category(codes, texts)


_KINDS: Final[Mapping[type, Literal["int", "float", "bool"]]] = {
    int: "int",
    float: "float",
    bool: "bool",
}


def _mixed(values: Sequence[Any]) -> Column:
    """A column of values of which only they themselves say what they are."""
    missing = np.array([value is MISSING for value in values], dtype=bool)
    kinds = {type(value) for value in values if value is not MISSING}
    if kinds == {int, float}:
        kinds = {float}
    if len(kinds) == 1 and (kind := kinds.copy().pop()) in _KINDS:
        fits = kind is not int or all(-(2**63) <= v < 2**63 for v in values if v is not MISSING)
        if fits:
            found = np.array([kind() if v is MISSING else kind(v) for v in values])
            return Column(_KINDS[kind], found, missing)
    return _of_texts([None if value is MISSING else _text(value) for value in values])


def _text(value: Any) -> str:
    """A choice's value as a text: one that is none as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value)


# -- frames -----------------------------------------------------------------------------------


def _arrow(made: Mapping[str, Column]) -> Any:
    import pyarrow as pa

    def array(column: Column) -> Any:
        if column.kind == "category":
            places = pa.array(column.values, pa.int32(), mask=column.missing)
            return pa.DictionaryArray.from_arrays(places, pa.array(column.texts, pa.string()))
        kind = {
            "int": pa.int64(),
            "float": pa.float64(),
            "bool": pa.bool_(),
            "text": pa.string(),
            "time": pa.timestamp("us", tz="UTC"),
        }[column.kind]
        if column.kind == "time":
            return pa.array(column.values, pa.int64(), mask=column.missing).cast(kind)
        return pa.array(column.values, kind, mask=column.missing)

    return pa.table({name: array(column) for name, column in made.items()})


def _polars(made: Mapping[str, Column]) -> Any:
    import polars as pl

    return pl.from_arrow(_arrow(made))


def _pandas(made: Mapping[str, Column]) -> Any:
    """Nothing but pandas is needed: ints that are missing somewhere are `Int64`, truth values `boolean`."""
    import pandas as pd

    def array(column: Column) -> Any:
        values, missing = column.values, column.missing
        match column.kind:
            case "category":
                codes: Any = np.where(missing, -1, values)
                return pd.Categorical.from_codes(codes, pd.Index([*column.texts]))
            case "int" if missing.any():
                return pd.arrays.IntegerArray(values, missing)
            case "bool" if missing.any():
                return pd.arrays.BooleanArray(values, missing)
            case "float":
                return np.where(missing, np.nan, values)
            case "text":
                return values
            case "time":
                return pd.to_datetime(pd.arrays.IntegerArray(values, missing), unit="us", utc=True)
        return values

    return pd.DataFrame({name: array(column) for name, column in made.items()}).set_index("number")


_MAKERS: Final[Mapping[str, Any]] = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}
