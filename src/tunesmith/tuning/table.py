"""Looking for trials: filter, sort, cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import StudyError, did_you_mean
from tunesmith.core.space.expression import Expression
from tunesmith.core.trial import State, Trial
from tunesmith.tuning.result import Result, cell, columns, flat

Row = dict[str, Any]


def select(
    result: Result,
    *,
    sort: str | None = None,
    states: Sequence[str] = (),
    where: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """The rows (see `flat`) of the trials that fit. Raises StudyError, ExpressionError.

    `sort` is a column, with '-' before it for descending; "value" is the first objective, best
    first. `where` is an expression over the columns; a trial without one of them does not fit.
    O(trials), and O(trials log trials) to sort.
    """
    for state in states:
        if state not in {str(s) for s in State}:
            raise StudyError(f"there is no state {state!r}{did_you_mean(state, map(str, State))}")
    test = None if where is None else Expression(where)
    trials = [t for t in result.trials if not states or str(t.state) in states]
    rows = [flat(trial) for trial in trials]
    if test is not None:
        known = dict.fromkeys(name for row in rows for name in row)
        for name in test.names:
            if rows and name not in known:
                raise StudyError(f"where: there is no column {name!r}{did_you_mean(name, known)}")
        kept = [i for i, row in enumerate(rows) if _fits(test, row)]
        trials, rows = [trials[i] for i in kept], [rows[i] for i in kept]
    if sort is not None:
        rows = _sorted(result, trials, rows, sort)
    return rows if limit is None else rows[:limit]


def _fits(test: Expression, row: Mapping[str, Any]) -> bool:
    return all(row.get(name) is not None for name in test.names) and test.holds(row)


def _sorted(result: Result, trials: list[Trial], rows: list[Row], sort: str) -> list[Row]:
    descending = sort.startswith("-")
    column = sort.removeprefix("-")
    keys: list[Any]
    if column == "value" and not any("value" in row for row in rows):
        sign = result.spec.objective.sign
        keys = [None if trial.value is None else trial.value * sign for trial in trials]
    else:
        known = dict.fromkeys(name for row in rows for name in row)
        if rows and column not in known:
            raise StudyError(f"sort: there is no column {column!r}{did_you_mean(column, known)}")
        keys = [row.get(column) for row in rows]
    texts = any(isinstance(key, (str, list, dict)) for key in keys)
    if texts:
        keys = [None if key is None else str(key) for key in keys]
    present = [i for i, key in enumerate(keys) if key is not None]
    absent = [i for i, key in enumerate(keys) if key is None]
    present.sort(key=lambda i: keys[i], reverse=descending)
    return [rows[i] for i in (*present, *absent)]


def columns_of(rows: Sequence[Row], wanted: str | None) -> list[str]:
    """The columns named in `wanted`, separated by commas; all of them if it is empty."""
    known = columns(rows)
    if not wanted:
        return known
    chosen = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in chosen:
        if rows and name not in known:
            raise StudyError(f"there is no column {name!r}{did_you_mean(name, known)}")
    return chosen


def to_csv(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The rows as CSV; lists and mappings are written as JSON."""
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()
