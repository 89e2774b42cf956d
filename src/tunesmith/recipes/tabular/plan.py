"""How a table is searched: on which rows, with how many folds, for how long; kept in OUTPUT/fit.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tunesmith.recipes import output
from tunesmith.recipes.tabular.data import Data
from tunesmith.recipes.tabular.metrics import Metric

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

    def training_limit_s(self, time_s: float | None) -> float:
        """How long one trial may take."""
        return min(600.0, max(10.0, (time_s or UNLIMITED_S) / 8))


def make(data: Data, metric: Metric, time_s: float | None, seed: int | None) -> TablePlan:
    """How to search `data` in `time_s` seconds."""
    by_time = int(NUMBERS_PER_S * (time_s or UNLIMITED_S) / max(1, data.width))
    rows = min(data.rows, MOST_ROWS, max(LEAST_ROWS, by_time))
    folds = 5 if rows <= 20_000 else 3
    repeats = 2 if rows < REPEAT_BELOW else 1
    return TablePlan(data.digest(), metric.name, rows, folds, repeats, 0 if seed is None else seed)


def settle(
    folder: Path, wanted: TablePlan, seed: int | None, say: Callable[[str], None]
) -> TablePlan:
    """The plan of the search in `folder`: the one that it began with, or `wanted`.

    Raises JobError if the folder is about something else.
    """
    same = {"digest": "table, or another target", "metric": "metric ({})"}
    if seed is not None:
        same["seed"] = "seed ({})"
    return output.settle(folder, RECIPE, wanted, same, say)


def summary(plan: TablePlan, data: Data, metric: Metric) -> list[str]:
    """What was found and what will be done, in lines."""
    kinds: list[str] = [c.kind for c in data.columns]
    plural = {"number": "numbers", "category": "categories", "date": "dates", "text": "texts"}
    holds = ", ".join(
        f"{n} {plural[kind] if n > 1 else kind}" for kind in plural if (n := kinds.count(kind))
    )
    what = "numbers" if data.task == "regression" else f"{len(data.classes)} classes"
    lines = [
        f"{data.name}: {data.rows:,} rows, {len(data.columns)} columns to learn from ({holds})",
        f"to predict: {data.target!r}, {what} ({data.task}: {data.why})",
    ]
    lines += [f"note: {notice}" for notice in data.notices]
    if plan.rows < data.rows:
        lines.append(
            f"note: {data.rows:,} rows are many: the search is on a stratified sample of {plan.rows:,}, the "
            "final fit on all"
        )
    times = " twice" if plan.repeats == 2 else ""
    lines.append(f"judged by: {metric.name} ({metric.goal}), {plan.folds} folds{times}")
    return lines


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
