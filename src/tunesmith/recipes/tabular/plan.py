"""How a table is searched: on which rows, with how many folds, for how long; kept in OUTPUT/fit.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tunesmith.core.quantity import count
from tunesmith.recipes import output
from tunesmith.recipes.output import Settled
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.metrics import Metric
from tunesmith.recipes.tabular.splits import assumption, most_folds
from tunesmith.tuning.versions import OnChange

RECIPE: Final = "tabular"
#: Rows that a search is on at most: what is best on these is best on more.
MOST_ROWS: Final = 200_000
#: .. and at least, if there are so many.
LEAST_ROWS: Final = 5_000
#: Numbers in the table for each second of the search, so that some dozens of pipelines can be tried.
NUMBERS_PER_S: Final = 20_000
#: The share of the time that is for the search; the rest is for reading, the final fits and the report.
SEARCH_SHARE: Final = 0.88
#: Without a limit of time, as if it were so long (s).
UNLIMITED_S: Final = 3600.0
#: With fewer rows every fold counts twice: cross-validation is repeated with other folds.
REPEAT_BELOW: Final = 1_000


@dataclass(frozen=True)
class TablePlan:
    """`rows`: how many rows the search is on; `digest`: of the whole table."""

    digest: str
    metric: str
    rows: int
    folds: int
    repeats: int
    seed: int
    #: What binds rows together and what predictions are for, by option: as said when the search began.
    options: dict[str, Any] = field(default_factory=dict)
    #: What is predicted; None in plans of earlier versions.
    target: str | None = None
    #: What each part of the table was, and how long was searched before it changed (s): see `output.Plan`.
    parts: dict[str, str] = field(default_factory=dict)
    spent_s: float = 0.0

    def training_limit_s(self, time_s: float | None) -> float:
        """How long one trial may take."""
        return min(600.0, max(10.0, (time_s or UNLIMITED_S) / 8))


def make(data: Data, metric: Metric, time_s: float | None, seed: int | None) -> TablePlan:
    """How to search `data` in `time_s` seconds."""
    by_time = int(NUMBERS_PER_S * (time_s or UNLIMITED_S) / max(1, data.width))
    rows = min(data.rows, MOST_ROWS, max(LEAST_ROWS, by_time))
    folds = 5 if rows <= 20_000 else 3
    repeats = 2 if rows < REPEAT_BELOW else 1
    folds, repeats = most_folds(data, folds, repeats)
    return TablePlan(
        data.digest(),
        metric.name,
        rows,
        folds,
        repeats,
        0 if seed is None else seed,
        options_of(data),
        data.target,
        data.parts(),
    )


def options_of(data: Data) -> dict[str, Any]:
    """The options that say what binds rows together and what predictions are for, but those left out; as JSON has
    them."""
    options: dict[str, Any] = dict(data.roles.to_dict())
    if data.aim.quantile is not None:
        options["quantile"] = data.aim.quantile
    if data.aim.costs:
        options["costs"] = [list(row) for row in data.aim.costs]
    return options


def settle(
    folder: Path,
    wanted: TablePlan,
    seed: int | None,
    on_change: OnChange,
    say: Callable[[str], None],
) -> Settled[TablePlan]:
    """The plan of the search in `folder`: the one that it began with, or `wanted`.

    Raises JobError if the folder is about something else.
    """
    same = {
        "target": "target ({!r})",
        "options": "setting of groups, time, weights, quantile or costs ({})",
        "digest": "table",
        "metric": "metric ({})",
    }
    if seed is not None:
        same["seed"] = "seed ({})"
    return output.settle(folder, RECIPE, wanted, same, on_change, say)


def summary(plan: TablePlan, data: Data, metric: Metric) -> list[str]:
    """What was found and what will be done, in lines."""
    kinds: list[str] = [c.kind for c in data.columns]
    plural = {"number": "numbers", "category": "categories", "date": "dates", "text": "texts"}
    holds = ", ".join(
        f"{n} {plural[kind] if n > 1 else kind}" for kind in plural if (n := kinds.count(kind))
    )
    columns = count(len(kinds), "column")
    what = "numbers" if data.task == "regression" else f"{len(data.classes)} classes"
    lines = [
        f"{data.name}: {data.rows:,} rows, {columns} to learn from ({holds})",
        f"to predict: {data.target!r}, {what} ({data.task}: {data.why})",
    ]
    lines += [f"note: {notice}" for notice in data.notices]
    if plan.rows < data.rows:
        lines.append(
            f"note: {data.rows:,} rows are many: the search is on a stratified sample of {plan.rows:,}, the "
            "final fit on all"
        )
    lines.append(f"judged by: {_judged(metric, data)} ({metric.goal}), {_folds(plan, data)}")
    lines.append(f"the score {assumption(data.roles.to_dict())}")
    return lines


def _judged(metric: Metric, data: Data) -> str:
    at = "" if data.aim.quantile is None else f" at quantile {data.aim.quantile:g}"
    by = "" if data.roles.weight is None else f", weighted by {data.roles.weight!r}"
    return f"{metric.name}{at}{by}"


def _folds(plan: TablePlan, data: Data) -> str:
    times = " twice" if plan.repeats == 2 else ""
    by = data.roles
    how = f" of whole groups ({by.group!r})" if by.group is not None else ""
    if by.time is not None:
        how += f" in the order of {by.time!r}, each after what it learns from"
    return f"{plan.folds} folds{times}{how}"


def versions() -> dict[str, Any]:
    """Of what a model file depends on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    out = {"python": platform.python_version()}
    for name in (
        "tunesmith",
        "scikit-learn",
        "numpy",
        "lightgbm",
        "xgboost",
        "xgboost-cpu",
        "skops",
    ):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out
