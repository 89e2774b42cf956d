"""From a table to what is learned: the features, the target, the task, and the folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.core.program import digest
from tunesmith.core.quantity import are, count
from tunesmith.recipes.tabular import leaks, targets
from tunesmith.recipes.tabular import roles as bonding
from tunesmith.recipes.tabular.columns import Column, check_dates, wishes
from tunesmith.recipes.tabular.examine import examine
from tunesmith.recipes.tabular.files import Known, Source, read
from tunesmith.recipes.tabular.habits import Habits, habits
from tunesmith.recipes.tabular.matrix import matrix, places
from tunesmith.recipes.tabular.metrics import NO_AIM, Aim
from tunesmith.recipes.tabular.roles import FREE, NO_ROLES, Bonds, Roles
from tunesmith.recipes.tabular.targets import TASKS, Task

#: Sparse tables of up to so many numbers are made dense.
DENSE: Final = 20_000_000
#: Of more columns a change is not said column by column.
NAMED: Final = 300
#: How the target of a sparse file is called.
SPARSE_TARGET: Final = "target"


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to learn from.

    `x`: doubles, shape (rows, width), NaN where missing, or a CSR matrix; `y`: values, or indices of
    `classes`, shape (rows,).
    """

    name: str
    x: Any
    y: NDArray[np.float64]
    task: Task
    target: str
    columns: tuple[Column, ...]
    classes: tuple[Any, ...] = ()
    notices: tuple[str, ...] = ()
    #: Why this task.
    why: str = ""
    #: The names of all columns of the table.
    all_columns: tuple[str, ...] = ()
    #: Of a sparse file: the number of its first feature.
    base: int | None = None
    #: What has to be said loudly.
    warnings: tuple[str, ...] = ()
    #: The columns that bind rows together, and what they hold.
    roles: Roles = NO_ROLES
    bonds: Bonds = FREE
    #: What predictions are for.
    aim: Aim = NO_AIM

    @property
    def rows(self) -> int:
        return len(self.y)

    @property
    def width(self) -> int:
        return int(self.x.shape[1])

    @property
    def sparse(self) -> bool:
        return not isinstance(self.x, np.ndarray)

    @property
    def categories(self) -> tuple[int, ...]:
        """Which columns of `x` are categories."""
        return tuple(at for at, c in places(self.columns) if c.kind == "category")

    @property
    def texts(self) -> tuple[tuple[range, range], ...]:
        """The columns of `x` that count each text's words, and its pieces of words."""
        return tuple(
            (range(at, at + c.size), range(at + c.size, at + c.width))
            for at, c in places(self.columns)
            if c.kind == "text"
        )

    @property
    def weekdays(self) -> tuple[int, ...]:
        """Which columns of `x` are days of the week: numbers whose order means little."""
        return tuple(
            at + c.parts.index("weekday")
            for at, c in places(self.columns)
            if c.kind == "date" and "weekday" in c.parts
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Which columns of `x` are numbers, or parts of dates."""
        others = set(self.categories)
        for words, pieces in self.texts:
            others |= {*words, *pieces}
        return tuple(k for k in range(self.width) if k not in others)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns of the table that nothing is learned from."""
        known = {c.name for c in self.columns} | {self.target}
        return tuple(name for name in self.all_columns if name not in known)

    @property
    def missing(self) -> bool:
        """Whether any number is missing."""
        return not self.sparse and any(
            c.missing and c.kind in ("number", "date") for c in self.columns
        )

    def digest(self) -> str:
        """The same for the same rows, columns and task."""
        sha = hashlib.sha256(
            json.dumps([self.task, self.target, list(map(str, self.classes))]).encode()
        )
        for array in (*self._arrays, self.y, *self.bonds.arrays().values()):
            sha.update(_buffer(array))
        return sha.hexdigest()[:16]

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        """What `x` is made of."""
        return (self.x.data, self.x.indices, self.x.indptr) if self.sparse else (self.x,)

    def parts(self) -> dict[str, str]:
        """A digest of each part of the table, by which a change is named."""
        out = {"rows": f"{self.rows:,}", "task": self.task}
        classes = map(repr, self.classes)
        out["target"] = f"digest {digest(_buffer(self.y), *classes)} {self.target}"
        for name, values in self.bonds.arrays().items():
            out[f"option {name}"] = f"digest {digest(_buffer(values))}"
        if self.sparse or len(self.columns) > NAMED:
            return out | {"features": f"digest {digest(*map(_buffer, self._arrays))}"}
        for at, column in places(self.columns):
            block = _buffer(self.x[:, at : at + column.width])
            out[f"column {column.name}"] = f"digest {digest(block, *column.known)} {column.kind}"
        return out

    def take(self, rows: NDArray[np.intp]) -> Data:
        return replace(self, x=self.x[rows], y=self.y[rows], bonds=self.bonds.take(rows))


def _buffer(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).data


def load(
    data: Any,
    target: str | None,
    task: str | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    dates: str | None = None,
    *,
    roles: Roles = NO_ROLES,
    quantile: float | None = None,
    costs: Any = None,
    sheet: str | None = None,
) -> Data:
    """Read a table and find out what is to be learned. Raises JobError; nothing is written.

    The task: texts, truth values and categories are classes; so are whole numbers with at most 10
    different values if each has 5 rows on average. Two classes are "binary", more "multiclass"; the rest
    is "regression". `task` overrides, and so does a quantile (of numbers), or `costs` (of classes). `columns` says
    what columns are: ``{"zip": "category"}``; `dates` what comes first in dates that leave it open: "day-first" or
    "month-first"; `sheet` which one of a workbook is read.
    """
    known = (*TASKS, "classification")
    if task is not None and task not in known:
        raise JobError(f"there is no task {task!r}{did_you_mean(task, known)}")
    quantile = bonding.quantile_of(quantile)
    if quantile is not None and (costs is not None or task not in (None, "regression")):
        raise JobError(
            "a quantile is of numbers, and not of classes; leave quantile, or the rest, out"
        )
    if costs is not None and task == "regression":
        raise JobError(
            "costs are of mistaken classes, and not of numbers; leave costs, or the task, out"
        )
    implied = "regression" if quantile else "classification" if costs is not None else None
    why = (
        ""
        if task or not implied
        else f"as {'a quantile is of numbers' if quantile else 'costs are of classes'}"
    )
    task = task or implied
    target = None if target is None else str(target).strip()
    wished = wishes(columns)
    check_dates(dates)
    source = read(data, Known(target=target, sheet=sheet))
    if source.frame is None:
        if roles != NO_ROLES:
            raise JobError(
                f"{source.name} has numbered features and no named columns: groups, times and weights need a table "
                "(CSV, Parquet)"
            )
        if wished:
            raise JobError(
                f"{source.name} has numbered features, which are numbers; leave --column out"
            )
        return _aimed(_sparse(source, target, task), quantile, costs, why)
    if target is None:
        last = source.frame.columns[-1]
        raise JobError(
            f"say which column of {source.name} is to be predicted, with --target (target= in Python); the last "
            f"one is {last!r}"
        )
    if target not in source.frame.columns:
        raise JobError(
            f"{source.name} has no column {target!r} to predict"
            f"{did_you_mean(target, source.frame.columns)}"
        )
    bonding.check(roles, target, source.frame, source.name)
    table = habits(source.frame, source.separator, dates, wished)
    data = _dense(source, target, task, wished, table, roles)
    return _aimed(data, quantile, costs, why)


def _aimed(data: Data, quantile: float | None, costs: Any, why: str) -> Data:
    return replace(data, aim=bonding.aim_of(quantile, costs, data.classes), why=why or data.why)


def _dense(
    source: Source,
    target: str,
    task: str | None,
    wished: Mapping[str, str],
    table: Habits,
    roles: Roles,
) -> Data:
    frame, notices = source.frame, list(source.notices)
    series, task, target_notices = targets.numbers_to_predict(
        frame[target], task, source.name, wished.get(target, ""), table
    )
    y, wanted, classes, why, has_target = targets.target_of(series, target, task, source.name)
    notices += target_notices
    if not has_target.all():
        without = int((~has_target).sum())
        notices.append(
            f"{count(without, 'row')} without a value of {target!r} {are(without)} left out"
        )
        frame = frame[has_target]
    bonds, usable, bond_notices = bonding.read(roles, frame, source.name, table, wished)
    if not usable.all():
        frame, y = frame[usable], y[usable]
        y, classes = targets.still_there(y, classes)
        wanted = "binary" if wanted == "multiclass" and len(classes) == 2 else wanted
    notices += bond_notices
    try:
        targets.check(y, wanted, classes, target, source.name)
    except JobError as error:
        lost = [notice for notice in notices if "left out" in notice]
        raise JobError(f"{error} ({'; '.join(lost)})") if lost else error from None
    columns, found_notices = examine(frame, (target, *roles.unlearned), wished, table)
    notices += targets.singles(y, classes, target)
    x = matrix(frame, columns, source.name)
    data = Data(
        source.name, x, y, wanted, target, columns, classes, (*notices, *found_notices), why,
        tuple(frame.columns), roles=roles, bonds=bonds,
    )  # fmt: skip
    return replace(data, warnings=leaks.warnings(data, frame))


def _sparse(source: Source, target: str | None, task: str | None) -> Data:
    import pandas as pd

    series = pd.Series(source.target)
    y, wanted, classes, why, has_target = targets.target_of(
        series, target or SPARSE_TARGET, task, source.name
    )
    targets.check(y, wanted, classes, target or SPARSE_TARGET, source.name)
    matrix = source.sparse[has_target].tocsr()
    notices = (*source.notices, *targets.singles(y, classes, target or SPARSE_TARGET))
    if np.isnan(matrix.data).any() or np.isinf(matrix.data).any():
        raise JobError(f"{source.name} has values that are not finite; write 0, or leave them out")
    if matrix.shape[0] * matrix.shape[1] <= DENSE:
        matrix = np.asarray(matrix.toarray(), dtype=np.float64)
    else:
        notices = (
            *notices,
            f"{matrix.shape[1]:,} features, kept sparse: linear models and boosting only",
        )
    columns = tuple(Column(f"f{k + 1}", "number") for k in range(matrix.shape[1]))
    return Data(
        source.name, matrix, y, wanted, target or SPARSE_TARGET, columns, classes, notices, why,
        base=source.base,
    )  # fmt: skip
