"""From a table to what is learned: the features, the target, the task, and the folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.recipes.tabular import leaks
from tunesmith.recipes.tabular import roles as bonding
from tunesmith.recipes.tabular.amounts import amounts_of
from tunesmith.recipes.tabular.columns import Column, check_dates, wishes
from tunesmith.recipes.tabular.examine import examine
from tunesmith.recipes.tabular.files import Known, Source, read
from tunesmith.recipes.tabular.habits import Habits, habits
from tunesmith.recipes.tabular.matrix import LARGEST, matrix, places
from tunesmith.recipes.tabular.metrics import NO_AIM, Aim
from tunesmith.recipes.tabular.numbers import PLAIN
from tunesmith.recipes.tabular.roles import FREE, NO_ROLES, Bonds, Roles
from tunesmith.recipes.tabular.values import as_texts, dates_written, holds_durations

Task = Literal["regression", "binary", "multiclass"]
TASKS: Final = get_args(Task)
#: Whole numbers with more different values than this are amounts, not classes.
CLASSES: Final = 10
#: The fewest rows that anything can be learned and checked with.
FEWEST: Final = 10
#: Sparse tables of up to so many numbers are made dense.
DENSE: Final = 20_000_000
#: Of a class a sample has at least so many rows, if there are.
RARE: Final = 10
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
        arrays = (self.x.data, self.x.indices, self.x.indptr) if self.sparse else (self.x,)
        for array in (*arrays, self.y, *self.bonds.arrays().values()):
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()[:16]

    def take(self, rows: NDArray[np.intp]) -> Data:
        return replace(self, x=self.x[rows], y=self.y[rows], bonds=self.bonds.take(rows))


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
) -> Data:
    """Read a table and find out what is to be learned. Raises JobError; nothing is written.

    The task: texts, truth values and categories are classes; so are whole numbers with at most 10
    different values if each has 5 rows on average. Two classes are "binary", more "multiclass"; the rest
    is "regression". `task` overrides, and so does a quantile (of numbers), or `costs` (of classes). `columns` says
    what columns are: ``{"zip": "category"}``; `dates` what comes first in dates that leave it open: "day-first" or
    "month-first".
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
    task = task or ("regression" if quantile else "classification" if costs is not None else None)
    target = None if target is None else str(target).strip()
    wished = wishes(columns)
    check_dates(dates)
    source = read(data, Known(target=target))
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
        return _aimed(_sparse(source, target, task), quantile, costs)
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
    return _aimed(data, quantile, costs)


def _aimed(data: Data, quantile: float | None, costs: Any) -> Data:
    return replace(data, aim=bonding.aim_of(quantile, costs, data.classes))


def _dense(
    source: Source,
    target: str,
    task: str | None,
    wished: Mapping[str, str],
    table: Habits,
    roles: Roles,
) -> Data:
    frame, notices = source.frame, list(source.notices)
    series, task, target_notices = _numbers_to_predict(
        frame[target], task, source.name, wished.get(target, ""), table
    )
    y, wanted, classes, why, has_target = _target(series, target, task, source.name)
    notices += target_notices
    if not has_target.all():
        notices.append(
            f"{int((~has_target).sum()):,} rows without a value of {target!r} are left out"
        )
        frame = frame[has_target]
    bonds, usable, bond_notices = bonding.read(roles, frame, source.name, table, wished)
    if not usable.all():
        frame, y = frame[usable], y[usable]
        y, classes = _still_there(y, classes)
        wanted = "binary" if wanted == "multiclass" and len(classes) == 2 else wanted
    notices += bond_notices
    _check(y, wanted, classes, target, source.name)
    columns, found_notices = examine(frame, (target, *roles.unlearned), wished, table)
    notices += _singles(y, classes, target)
    x = matrix(frame, columns, source.name)
    data = Data(
        source.name, x, y, wanted, target, columns, classes, (*notices, *found_notices), why,
        tuple(frame.columns), roles=roles, bonds=bonds,
    )  # fmt: skip
    return replace(data, warnings=leaks.warnings(data, frame))


def _still_there(
    y: NDArray[np.float64], classes: tuple[Any, ...]
) -> tuple[NDArray[np.float64], tuple[Any, ...]]:
    """Indices of the classes that rows are left of, and those classes; values as they are."""
    if not classes or not len(y):
        return y, classes
    left, again = np.unique(y.astype(int), return_inverse=True)
    return again.astype(np.float64), tuple(classes[k] for k in left)


def _sparse(source: Source, target: str | None, task: str | None) -> Data:
    import pandas as pd

    series = pd.Series(source.target)
    y, wanted, classes, why, has_target = _target(
        series, target or SPARSE_TARGET, task, source.name
    )
    _check(y, wanted, classes, target or SPARSE_TARGET, source.name)
    matrix = source.sparse[has_target].tocsr()
    notices = (*source.notices, *_singles(y, classes, target or SPARSE_TARGET))
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


def _numbers_to_predict(
    series: Any, task: str | None, table: str, wish: str, habits: Habits
) -> tuple[Any, str | None, list[str]]:
    """The target as numbers, if that is what its texts are; the task; and what has to be said.

    A few different texts are names of classes, unless they have decimals.
    """
    from pandas.api import types

    name = str(series.name)
    wish, _, how = wish.partition(":")
    if wish in ("date", "text", "ignore"):
        raise JobError(f"{name!r} is to be predicted, and cannot be said to be {wish!r}")
    task = task or {"number": "regression", "category": "classification"}.get(wish)
    if holds_durations(series):
        seconds = f"{name!r} holds durations: it is learned, and predicted, in seconds"
        return series.dt.total_seconds(), task, [seconds]
    if types.is_datetime64_any_dtype(series) and task in (None, "regression"):
        raise JobError(_no_dates(table, name))
    there = series.dropna()
    if task not in (None, "regression") or not _are_texts(there):
        return series, task, []
    few = there.nunique() <= CLASSES and task is None
    amounts = amounts_of(series, habits, how)
    if amounts is None:
        if not few and dates_written(as_texts(there)):
            raise JobError(_no_dates(table, name))
        return series, task, []
    finite = amounts.values[np.isfinite(amounts.values)]
    if few and (amounts.written == PLAIN or (finite == np.round(finite)).all()):
        return series, task, []
    if task == "regression" and len(amounts.odd) and amounts.written == PLAIN and not wish:
        return series, task, []
    notices = list(amounts.notices)
    if amounts.written.duration:
        notices.append(f"{name!r} holds durations: it is learned, and predicted, in seconds")
    elif amounts.written != PLAIN:
        unit = f", and predicted in {amounts.written.unit}" * bool(amounts.written.unit)
        notices.append(f"{name!r} holds numbers that are written as {amounts.written}{unit}")
    if len(amounts.odd):
        notices.append(
            f"{len(amounts.odd):,} values of {name!r}, such as {str(amounts.odd.iloc[0])!r}, are no numbers"
        )
    import pandas as pd

    return pd.Series(amounts.values, series.index, name=name), task, notices


def _are_texts(there: Any) -> bool:
    from pandas.api import types

    texts = types.is_object_dtype(there) or types.is_string_dtype(there)
    return bool(texts and len(there)) and not isinstance(
        there.iloc[0], (list, dict, set, np.ndarray)
    )


def _no_dates(table: str, name: str) -> str:
    return (
        f"{table}: {name!r} holds dates, and a date cannot be predicted; make it a number, such as the days since a date "
        "that is known"
    )


def _target(
    series: Any, name: str, task: str | None, table: str
) -> tuple[NDArray[np.float64], Task, tuple[Any, ...], str, NDArray[np.bool_]]:
    """The target's values or class indices, the task, the classes, why, and which rows have one."""
    from pandas.api import types

    if not series.notna().any():
        raise JobError(f"{table}: {name!r}, which is to be predicted, has no values at all")
    first = series.dropna().iloc[0]
    if isinstance(first, (list, dict, set, np.ndarray)):
        raise JobError(f"{table}: {name!r} holds {type(first).__name__}s, not single values")
    if task == "regression" and not types.is_numeric_dtype(series):
        series = series.astype(object).infer_objects()  # categories may be numbers
    has_target: NDArray[np.bool_] = series.notna().to_numpy()
    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        has_target = np.isfinite(numbers)
        distinct = np.unique(numbers[has_target])
        whole = bool((distinct == np.round(distinct)).all())
        few = len(distinct) <= CLASSES and has_target.sum() >= 5 * len(distinct)
        if task == "regression" or (task is None and not (whole and few)):
            return (
                numbers[has_target],
                "regression",
                (),
                _why(task, "its values are numbers"),
                has_target,
            )
        why = (
            f"it has {len(distinct)} different whole numbers; --task regression if they are amounts"
        )
        classes = tuple(int(v) if v == round(v) else float(v) for v in distinct)
        y = np.searchsorted(distinct, numbers[has_target]).astype(np.float64)
    else:
        labels = series[has_target].map(_label).astype(object)
        if task == "regression":
            odd = next(value for value in labels if isinstance(value, (str, bool)))
            raise JobError(
                f"{table}: {name!r} holds values such as {odd!r}, and a regression needs numbers; leave "
                "--task or --quantile out, or mend the column"
            )
        classes = tuple(sorted(set(labels), key=lambda v: (str(type(v)), v)))
        why = f"it has {len(classes)} different values"
        index = {label: float(k) for k, label in enumerate(classes)}
        y = labels.map(index).to_numpy(dtype=np.float64)
    kind: Task = "binary" if len(classes) == 2 else "multiclass"
    if task == "binary" and len(classes) > 2:
        raise JobError(f"{table}: {name!r} has {len(classes)} classes, not two; leave --task out")
    return y, kind, classes, _why(task, why), has_target


def _why(task: str | None, why: str) -> str:
    return why if task is None else "as you said"


def _label(value: Any) -> Any:
    """A class in one of JSON's types."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else float(value)
    return str(value).strip()


def _check(
    y: NDArray[np.float64], task: Task, classes: tuple[Any, ...], target: str, table: str
) -> None:
    """Raise JobError for what nothing can be learned from."""
    if len(y) < FEWEST:
        raise JobError(
            f"{table} has {len(y)} row{'s' if len(y) != 1 else ''} with a value of {target!r}; at least "
            f"{FEWEST} are needed to learn and to check what was learned"
        )
    if task == "regression":
        if np.abs(y).max() > LARGEST:
            raise JobError(
                f"{table}: {target!r} has values as large as {np.abs(y).max():g}, whose squares cannot be "
                "added; give it in another unit, or as a logarithm"
            )
        if y.min() == y.max():
            raise JobError(
                f"{table}: {target!r} is {y[0]:g} in every row: there is nothing to predict"
            )
        return
    if len(classes) < 2:
        raise JobError(
            f"{table}: {target!r} is {classes[0]!r} in every row: one class only, so there is nothing to predict"
        )
    counts = np.bincount(y.astype(int))
    if len(classes) > 0.5 * len(y):
        raise JobError(
            f"{table}: {target!r} has {len(classes):,} classes in {len(y):,} rows; is it an identifier, or "
            "text? What is to be predicted is numbers, or a few classes"
        )
    if np.sort(counts)[-2] < 2:
        raise JobError(
            f"{table}: all classes of {target!r} but one have a single row; at least 2 rows of each are needed"
        )


def _singles(y: NDArray[np.float64], classes: tuple[Any, ...], target: str) -> list[str]:
    """A notice for the classes that have one row."""
    counts = np.bincount(y.astype(int)) if classes else np.array([], dtype=int)
    alone = [repr(classes[k]) for k in np.flatnonzero(counts == 1)]
    if not alone:
        return []
    more = f" and {len(alone) - 3:,} more" if len(alone) > 3 else ""
    text = f"a single row of {target!r} is {', '.join(alone[:3])}{more}"
    return [f"{text}: what is learned from one row cannot be checked"]


# -- folds and samples --------------------------------------------------------------------------


def folds(y: NDArray[np.float64], k: int, repeats: int, seed: int) -> NDArray[np.int8]:
    """Which fold each row is checked in, shape (repeats, rows), 0 to k - 1.

    Stratified: rows that follow each other in the order of the target go to different folds. Of each class a
    fold has as many rows as another, or one more.
    """
    rng = np.random.default_rng(seed)
    n = len(y)
    blocks = -(-n // k)
    out = np.empty((repeats, n), dtype=np.int8)
    for repeat in range(repeats):
        order = np.lexsort((rng.random(n), y))
        if _repeats(y):  # in turn, so that a class that spans two blocks is not twice in a fold
            folds_of = np.tile(rng.permutation(k), blocks)
        else:  # in turn, one fold would have the least of each k values
            folds_of = np.argsort(rng.random((blocks, k)), axis=1).ravel()
        out[repeat, order] = folds_of[:n]
    return out


def _repeats(y: NDArray[np.float64]) -> bool:
    """Whether a value of the target is there twice on average: classes, or amounts like them."""
    return 2 * len(np.unique(y)) <= len(y)


def sample(y: NDArray[np.float64], rows: int, seed: int) -> NDArray[np.intp]:
    """So many rows, stratified by the target, in their order; all or at least 10 of a rare class."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(y)), y))
    rare = np.zeros(len(y), dtype=bool)
    if _repeats(y):
        values, counts = np.unique(y[order], return_counts=True)
        least = min(RARE, rows // (2 * len(values)))
        rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
        rare = np.repeat(counts * rows < least * len(y), counts) & (rank < least)
    others = order[~rare]
    wanted = rows - int(rare.sum())
    step = len(others) / wanted
    spread = np.floor((np.arange(wanted) + rng.random()) * step).astype(int)
    return np.sort(np.concatenate([order[rare], others[np.minimum(spread, len(others) - 1)]]))


# -- for the workers ----------------------------------------------------------------------------


def save(path: Path, data: Data) -> None:
    """Write the rows for the trials' processes; as a whole or not at all. Raises JobError."""
    arrays: dict[str, Any] = (
        {
            "data": data.x.data,
            "indices": data.x.indices,
            "indptr": data.x.indptr,
            "shape": data.x.shape,
        }
        if data.sparse
        else {"x": data.x}
    )
    about = {
        "name": data.name, "task": data.task, "target": data.target, "classes": list(data.classes),
        "columns": [c.to_dict() for c in data.columns], "roles": data.roles.to_dict(),
        "aim": asdict(data.aim),
    }  # fmt: skip
    arrays |= {f"bond_{name}": values for name, values in data.bonds.arrays().items()}
    draft = path.with_name(f".{path.name}.draft.npz")
    try:
        np.savez(draft, y=data.y, about=np.array(json.dumps(about)), **arrays)
        draft.replace(path)
    except OSError as error:
        raise JobError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def restore(path: Path) -> Data:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        if "x" in file:
            x: Any = file["x"]
        else:
            from scipy.sparse import csr_matrix

            x = csr_matrix(
                (file["data"], file["indices"], file["indptr"]), shape=tuple(file["shape"])
            )
        columns = tuple(map(Column.from_dict, about["columns"]))
        bonds = Bonds(*(file.get(f"bond_{name}") for name in ("group", "time", "weight")))
        return Data(
            about["name"],
            x,
            file["y"],
            about["task"],
            about["target"],
            columns,
            tuple(about["classes"]),
            roles=Roles.from_dict(about["roles"]),
            bonds=bonds,
            aim=Aim(about["aim"]["quantile"], tuple(map(tuple, about["aim"]["costs"]))),
        )
