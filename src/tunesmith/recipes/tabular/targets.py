"""The column to predict: numbers or classes, and which rows have it."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import are, count
from tunesmith.recipes.tabular.amounts import amounts_of
from tunesmith.recipes.tabular.formats import PLAIN
from tunesmith.recipes.tabular.habits import Habits
from tunesmith.recipes.tabular.matrix import LARGEST
from tunesmith.recipes.tabular.values import alike, as_texts, dates_written, holds_durations

Task = Literal["regression", "binary", "multiclass"]
TASKS: Final = get_args(Task)
#: Whole numbers with more different values than this are amounts, not classes.
CLASSES: Final = 10
#: The fewest rows that anything can be learned and checked with.
FEWEST: Final = 10


def numbers_to_predict(
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
            f"{count(len(amounts.odd), 'value')} of {name!r}, such as {str(amounts.odd.iloc[0])!r}, {are(len(amounts.odd))} no {'number' if len(amounts.odd) == 1 else 'numbers'}"
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


def target_of(
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


def still_there(
    y: NDArray[np.float64], classes: tuple[Any, ...]
) -> tuple[NDArray[np.float64], tuple[Any, ...]]:
    """Indices of the classes that rows are left of, and those classes; values as they are."""
    if not classes or not len(y):
        return y, classes
    left, again = np.unique(y.astype(int), return_inverse=True)
    return again.astype(np.float64), tuple(classes[k] for k in left)


def check(
    y: NDArray[np.float64], task: Task, classes: tuple[Any, ...], target: str, table: str
) -> None:
    """Raise JobError for what nothing can be learned from."""
    if len(y) < FEWEST:
        raise JobError(
            f"{table} has {count(len(y), 'row')} with a value of {target!r}; at least "
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


def singles(y: NDArray[np.float64], classes: tuple[Any, ...], target: str) -> list[str]:
    """Notices for the classes that have one row, and for those that may be one."""
    same = alike(classes)
    doubts = (
        [f"{target!r} has the classes {same}; if they are one, write them alike"] if same else []
    )
    counts = np.bincount(y.astype(int)) if classes else np.array([], dtype=int)
    alone = [repr(classes[k]) for k in np.flatnonzero(counts == 1)]
    if not alone:
        return doubts
    more = f" and {len(alone) - 3:,} more" if len(alone) > 3 else ""
    text = f"a single row of {target!r} is {', '.join(alone[:3])}{more}"
    return [*doubts, f"{text}: what is learned from one row cannot be checked"]
