"""A study's trials as a flat table: one row each, a column for each metric and each parameter; filter, sort, cut.

A metric or parameter has its own name for its column, unless that is taken: ``metric.state`` is the metric that is
called like the column `state`, ``config.loss`` the parameter that is called like the metric `loss`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.curves import NOT_FINITE
from tunesmith.core.errors import ExpressionError, StudyError, did_you_mean
from tunesmith.core.incumbent import front_first
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.expression import Expression
from tunesmith.core.trial import CODES, STATES, State

Row = dict[str, Any]
Ints = NDArray[np.int64]

FIRST: Final = ("number", "state")
LAST: Final = (
    "wall_s",
    "cpu_s",
    "memory_bytes",
    "money",
    "attempt",
    "searcher",
    "why",
    "reason",
    "retracted",
    "outside",
    "version",
)
#: Rows made at a time.
_PAGE: Final = 1000


class Listed(Protocol):
    """A study, or some trials of it."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def numbers(self) -> Sequence[int]:
        """The trial that each row of the ledger is."""
        ...


@dataclass(frozen=True)
class Columns:
    """The column of each metric and of each parameter; `names` are all columns in their order."""

    metrics: Mapping[str, str]
    parameters: Mapping[str, str]
    names: tuple[str, ...]

    @classmethod
    def of(cls, ledger: Ledger) -> Columns:
        objectives = [o.metric for o in ledger.spec.objectives]
        metrics = dict.fromkeys([*objectives, *ledger.metrics])
        last = (*LAST, *(["broken"] if ledger.spec.constraints else []))
        taken = {*FIRST, *last}
        by_metric = _distinct(metrics, "metric.", taken)
        by_parameter = _distinct(ledger.names, "config.", taken)
        names = (*FIRST, *by_metric.values(), *by_parameter.values(), *last)
        return cls(by_metric, by_parameter, names)

    def known(self, name: str, what: str) -> str:
        """`name` if it is a column. Raises StudyError."""
        if name not in self.names:
            raise StudyError(f"{what}there is no column {name!r}{did_you_mean(name, self.names)}")
        return name

    def means_another(self, ledger: Ledger, name: str) -> bool:
        """Whether the column of this name, if there is one, is another than the first objective's."""
        return name in self.names and self.metrics[ledger.spec.first_objective.metric] != name

    def chosen(self, text: str | None) -> list[str]:
        """The columns named in `text`, separated by commas; all of them if it is empty. Raises StudyError."""
        if not text:
            return list(self.names)
        return [self.known(name.strip(), "") for name in text.split(",") if name.strip()]


def _distinct(names: Iterable[str], prefix: str, taken: set[str]) -> dict[str, str]:
    """A column for each name, with as many prefixes as it needs to be none of those `taken`; adds to these."""
    names = list(names)
    free = [name for name in names if name not in taken]
    taken.update(free)
    columns = dict(zip(free, free, strict=True))
    for name in names:
        if name not in columns:
            column = name
            while column in taken:
                column = prefix + column
            taken.add(column)
            columns[name] = column
    return {name: columns[name] for name in names}


def curve_columns(ledger: Ledger) -> list[str]:
    """The columns of learning curves."""
    return [*_CURVE, *_reported(ledger).values()]


def curve_rows(ledger: Ledger) -> Iterator[Row]:
    """A row for each report, trial by trial; a metric that it does not have is no cell."""
    columns = _reported(ledger)
    created = ledger.column("created_at")
    for number in range(ledger.size):
        for report in ledger.curves.of(number):
            since = report.at - float(created[number])
            cells = {columns[name]: value for name, value in report.metrics.items()}
            yield {"trial": number, "step": report.step, "since_s": since, **cells}


def _reported(ledger: Ledger) -> dict[str, str]:
    """The column of each metric that trials report."""
    objectives = [o.metric for o in ledger.spec.objectives]
    return _distinct(dict.fromkeys([*objectives, *ledger.curves.metrics]), "metric.", set(_CURVE))


_CURVE: Final = ("trial", "step", "since_s")


def rows(
    listed: Listed, chosen: Ints | None = None, columns: Columns | None = None
) -> Iterator[Row]:
    """The rows of the trials (those at `chosen` only) in their order. A trial has no cell for the metrics that it
    has not, nor for parameters that are not active."""
    ledger = listed.ledger
    columns = columns or Columns.of(ledger)
    every = np.arange(ledger.size) if chosen is None else chosen
    for begin in range(0, len(every), _PAGE):
        yield from _page(listed, every[begin : begin + _PAGE], columns)


def _page(listed: Listed, part: Ints, columns: Columns) -> Iterator[Row]:
    ledger, table, numbers = listed.ledger, listed.ledger.table, listed.numbers
    states, retracted, outside, attempt, version = (
        table.column(name)[part].tolist()
        for name in ("state", "retracted", "outside", "attempt", "version")
    )
    costs = [table.column(name)[part].tolist() for name in ("wall_s", "cpu_s", "money")]
    memory = table.column("memory_bytes")[part].tolist()
    judged = None  # what has a whole result, where there are constraints
    if ledger.spec.constraints:
        judged = ledger.where_completed[part].tolist()
    metrics = [
        (columns.metrics[name], _padded(values, ledger.size)[part].tolist())
        for name, values in table.metrics.items()
    ]
    for k, i in enumerate(part.tolist()):
        row: Row = {"number": numbers[i], "state": _STATE_TEXTS[states[k]]}
        for name, cells in metrics:
            if (value := cells[k]) == value:
                row[name] = math.nan if value == NOT_FINITE else value
        for name, value in table.config(i).items():
            row[columns.parameters[name]] = value
        wall_s, cpu_s, money = (None if c[k] != c[k] else c[k] for c in costs)
        reason, origin = ledger.reason(i), ledger.origin(i)
        row["wall_s"] = wall_s
        row["cpu_s"] = cpu_s
        row["memory_bytes"] = None if memory[k] != memory[k] else int(memory[k])
        row["money"] = money
        row["attempt"] = attempt[k]
        row["searcher"] = origin.searcher
        row["why"] = origin.why
        row["reason"] = None if reason is None else str(reason)
        row["retracted"] = retracted[k]
        row["outside"] = outside[k]
        row["version"] = version[k] or None
        if judged is not None:
            row["broken"] = "; ".join(ledger.broken(i)) if judged[k] else None
        yield row


_STATE_TEXTS: Final = [str(state) for state in STATES]


def _padded(column: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """A metric's column, as long as there are trials."""
    short = size - len(column)
    return column if short <= 0 else np.concatenate([column, np.full(short, np.nan)])


# -- looking for trials -----------------------------------------------------------------------


def select(
    listed: Listed,
    *,
    sort: str | None = None,
    states: Sequence[str] = (),
    where: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """The rows of the trials that fit. Raises StudyError, ExpressionError.

    `sort` is a column, with '-' before it for descending; "value" is the best first, of several objectives the front,
    each part by the first of them, then what breaks a constraint. `where` is an expression over the columns; a trial without one of them does not fit.
    O(trials), and O(trials log trials) to sort.
    """
    ledger, columns = listed.ledger, Columns.of(listed.ledger)
    chosen = np.arange(ledger.size)
    if states:
        codes = [CODES[state] for state in map(state_of, states)]
        chosen = chosen[np.isin(ledger.column("state"), codes)]
    ranked = sort in ("value", "-value") and not columns.means_another(ledger, "value")
    if ranked and where is None:
        chosen = by_value(ledger, chosen, descending=sort == "-value")
        return list(rows(listed, chosen[:limit], columns))
    if sort is None and where is None:
        return list(rows(listed, chosen[:limit], columns))
    if ranked:
        chosen = by_value(ledger, chosen, descending=sort == "-value")
    made = list(rows(listed, chosen, columns))
    if where is not None:
        test = _condition(where)
        for name in sorted(test.names):
            columns.known(name, "where: ")
        made = [row for row in made if _fits(test, row)]
    if sort is not None and not ranked:
        made = _sorted(made, columns, sort)
    return made[:limit]


def state_of(text: str) -> State:
    """Raises StudyError."""
    if text not in _STATE_TEXTS:
        raise StudyError(f"there is no state {text!r}{did_you_mean(text, _STATE_TEXTS)}")
    return State(text)


def by_value(ledger: Ledger, chosen: Ints, *, descending: bool) -> Ints:
    """The best first (or last), with several objectives those that no other beats, each part by the first of them; behind
    them those that break a constraint, and those without a value at the end."""
    losses, broken = ledger.column("losses")[chosen], ledger.column("broken")[chosen]
    members = np.flatnonzero(~broken)
    if len(ledger.spec.objectives) > 1:
        members = np.flatnonzero(np.isin(chosen, ledger.front()))
    order = front_first(losses, members, descending=descending)
    if broken.any():  # whose order among themselves is by value
        last = (-1 if descending else 1) * broken[order]
        order = order[np.lexsort((last, np.isnan(losses[order, 0])))]
    ranked: Ints = chosen[order]
    return ranked


def _condition(where: str) -> Expression:
    try:
        return Expression(where)
    except ExpressionError as error:
        raise ExpressionError(f"where: {error}; write for example 'loss < 0.1'") from None


def _fits(test: Expression, row: Mapping[str, Any]) -> bool:
    return all(row.get(name) is not None for name in test.names) and test.holds(row)


def _sorted(made: list[Row], columns: Columns, sort: str) -> list[Row]:
    descending = sort not in columns.names and sort.startswith("-")
    column = columns.known(sort.removeprefix("-") if descending else sort, "sort: ")
    present = [row for row in made if not _absent(row.get(column))]
    absent = [row for row in made if _absent(row.get(column))]
    texts = any(isinstance(row[column], (str, list, dict)) for row in present)
    present.sort(key=lambda row: str(row[column]) if texts else row[column], reverse=descending)
    return [*present, *absent]


def _absent(value: Any) -> bool:
    return value is None or value != value


# -- as text ----------------------------------------------------------------------------------


def write_csv(out: TextIO, made: Iterable[Row], names: Sequence[str]) -> None:
    """Write rows as CSV, one after the other; lists and mappings are written as JSON. A text that a spreadsheet would run
    as a formula begins with ' there; JSON lines and Parquet have all texts as they are."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_harmless(name) for name in names])
    writer.writerows([_harmless(cell(row.get(name))) for name in names] for row in made)


#: What a spreadsheet takes for a formula. Behind + and - a plain word (``-O2``, ``--fast``) can do nothing: it calls nothing, and
#: is of no other file.
_FORMULA: Final = re.compile(r"[=@\t\r\n\uff1d\uff20]|[-+\uff0b\uff0d](?![\w.+-]*\Z)")


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace(
        "\r", "\n"
    )  # which would end the row for some readers
    return f"'{text}" if _FORMULA.match(text) else text


def to_csv(made: Iterable[Row], names: Sequence[str]) -> str:
    """See `write_csv`."""
    out = io.StringIO()
    write_csv(out, made, names)
    return out.getvalue()


def cell(value: Any) -> Any:
    """A value as it stands in a table's cell: lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def json_safe(value: Any) -> Any:
    """`value` with None for what JSON cannot say (NaN, infinities)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: json_safe(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(v) for v in value]
    return value
