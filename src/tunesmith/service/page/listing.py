"""The table of a study's trials: a part of them in some order, of those that fit a filter."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import ExpressionError
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.expression import Expression, dotted_name
from tunesmith.core.space.parameter import Choice
from tunesmith.service.page.cells import Cells
from tunesmith.service.page.readings import Reading
from tunesmith.tuning.result import Result
from tunesmith.tuning.table import by_value, cell, json_safe, rows, to_csv

Ints = NDArray[np.int64]

#: Rows given at a time.
MOST: Final = 200
#: Quoted texts, which stay as they are, and a single "=", which people write for "==".
_EQUALS: Final = re.compile(r"(\"[^\"]*\"|'[^']*')|(?<![<>=!])=(?!=)")
_WAYS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Order:
    """Trials as they stood in a table: the same for as long as somebody scrolls through it."""

    numbers: Ints
    #: After so many events.
    cursor: int
    #: How many trials there were in all.
    size: int


def expression(where: str) -> Expression:
    """A filter as people write it. Raises ExpressionError, saying what to write."""
    text = _EQUALS.sub(lambda match: match[1] or "==", where)
    try:
        made = Expression(text)
    except ExpressionError as error:
        raise ExpressionError(
            f'filter: {error}; write for example: loss < 0.1 and optimizer = "adam"'
        ) from None
    if not made.compares:
        raise ExpressionError(
            f"filter: {where!r} says nothing that a trial could fit or not; compare it with something, as in loss < 0.1"
        )
    return made


def fitting(ledger: Ledger, where: str) -> Ints:
    """The trials that fit; one that lacks a value that the filter names does not. O(trials). Raises ExpressionError,
    StudyError."""
    numbers = np.arange(ledger.size)
    if not where.strip():
        return numbers
    test, cells = expression(where), Cells(ledger)
    names = sorted(test.names)
    for name in names:
        cells.columns.known(name, "filter: ")
    mask, exact = _quick(test, cells)
    numbers = numbers[mask]
    if exact:
        return numbers
    columns = [cells.values(name) for name in names]
    chosen = []
    for i in numbers.tolist():
        row = {name: column[i] for name, column in zip(names, columns, strict=True)}
        if None not in row.values() and test.holds(row):
            chosen.append(i)
    return np.array(chosen, dtype=np.int64)


def _quick(test: Expression, cells: Cells) -> tuple[NDArray[np.bool_], bool]:
    """Which trials may fit, by those parts of it that compare a column with a value, at once for all; and whether it has no
    other parts."""
    tree = ast.parse(test.text.strip(), mode="eval").body
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    may = np.ones(cells.ledger.size, dtype=np.bool_)
    exact = True
    for part in parts:
        match part:
            case ast.Compare(left=left, ops=[way], comparators=[ast.Constant(value=value)]):
                known = _compared(cells, dotted_name(left), type(way), value)
            case _:
                known = None
        if known is None:
            exact = False
        else:
            may &= known
    return may, exact


def _compared(
    cells: Cells, name: str | None, way: type[ast.cmpop], value: Any
) -> NDArray[np.bool_] | None:
    """Where a column has a value that compares so; None where that is not known at once."""
    if name is None or way not in _WAYS:
        return None
    column: NDArray[Any] | None = None
    if type(value) in (int, float):
        column = cells.numbers(name)
    elif isinstance(value, str) and way in (ast.Eq, ast.NotEq):
        column, value = cells.codes(name, value)
    if column is None:
        return None
    fits: NDArray[np.bool_] = _WAYS[way](column, value) & ~np.isnan(column)
    return fits


def order_of(result: Result, sort: str, where: str) -> Order:
    """Raises StudyError, ExpressionError."""
    ledger = result.ledger
    chosen = fitting(ledger, where)
    descending = sort.startswith("-")
    name = sort.removeprefix("-")
    if name == "value" and not Cells(ledger).columns.means_another(ledger, "value"):
        chosen = by_value(ledger, chosen, descending=descending)
    elif name == "number":
        chosen = chosen[::-1] if descending else chosen
    else:
        chosen = chosen[_sorted(Cells(ledger), name, chosen, descending=descending)]
    return Order(chosen, ledger.cursor, ledger.size)


def _sorted(cells: Cells, name: str, chosen: Ints, *, descending: bool) -> Ints:
    """The places of `chosen` by a column; what has no value at the end."""
    cells.columns.known(name, "sort: ")
    numbers = cells.numbers(name)
    if numbers is None:
        texts = [None if v is None else str(v) for v in cells.values(name)]
        known = sorted({t for t in texts if t is not None})
        rank = {text: float(k) for k, text in enumerate(known)}
        numbers = np.array([np.nan if t is None else rank[t] for t in texts])
    key = numbers[chosen]
    order: Ints = np.lexsort((-key if descending else key, np.isnan(key)))
    return order


@dataclass(frozen=True)
class Part:
    """Which rows of the table: `count` from place `begin` on."""

    sort: str = "-number"
    where: str = ""
    begin: int = 0
    count: int = 100
    #: The cursor of an earlier answer, in whose order the rows are to be, as far as that is still known.
    seen: int | None = None


def page_of(reading: Reading, part: Part, names: Sequence[str] = ()) -> dict[str, Any]:
    """A part of the table with the columns `names`. Raises StudyError, ExpressionError."""
    key = ("order", part.sort, part.where)
    with reading.result() as result:
        ledger = result.ledger
        known = reading.last(key)
        if known is not None and part.seen is not None and known[1].cursor == part.seen:
            order = known[1]
        else:
            order = reading.made(key, ledger, lambda: order_of(result, part.sort, part.where))
        columns = Cells(ledger).columns
        shown = [name for name in names if name in columns.names] or default_columns(result)
        numbers = order.numbers[part.begin : part.begin + min(part.count, MOST)]
        made = list(rows(result, numbers, columns))
        return {
            "columns": [_column(ledger, columns, name) for name in shown],
            "every": list(columns.names),
            "rows": [[json_safe(cell(row.get(name))) for name in shown] for row in made],
            "numbers": numbers.tolist(),
            "begin": part.begin,
            "total": len(order.numbers),
            "size": order.size,
            "cursor": order.cursor,
            "best": ledger.incumbent,
        }


def csv_of(reading: Reading, where: str = "") -> str:
    """All trials that fit, as CSV; no text in it is a formula. Raises StudyError, ExpressionError."""
    with reading.result() as result:
        columns = Cells(result.ledger).columns
        return to_csv(rows(result, fitting(result.ledger, where), columns), columns.names)


def default_columns(result: Result, most: int = 12) -> list[str]:
    """What a table shows of itself: the objectives, the parameters, how long it took."""
    ledger = result.ledger
    columns = Cells(ledger).columns
    objectives = [columns.metrics[o.metric] for o in ledger.spec.objectives]
    tunables = [columns.parameters[name] for name in ledger.spec.space.tunables]
    return ["number", "state", *objectives, *tunables[: max(1, most - len(objectives))], "wall_s"]


def _column(ledger: Ledger, columns: Any, name: str) -> dict[str, Any]:
    """What a heading says of its column, and on which side its cells stand."""
    by_column = {column: parameter for parameter, column in columns.parameters.items()}
    parameter = ledger.spec.space.parameters.get(by_column.get(name, ""))
    words = name in ("state", "searcher", "why", "reason", "broken", "retracted", "outside")
    if isinstance(parameter, Choice):
        words = not all(type(v) in (int, float) for v in parameter.values)
    metrics = {columns.metrics[o.metric] for o in ledger.spec.objectives}
    kind = "objective" if name in metrics else "parameter" if name in by_column else "other"
    return {"name": name, "kind": kind, "group": getattr(parameter, "group", None), "text": words}
