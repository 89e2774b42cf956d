"""`tunesmith fit`: tune and fit a built-in recipe on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli import errors

if TYPE_CHECKING:
    from tunesmith.recipes import Model

#: Parameters that the live table shows: of a table's study, and of a network's.
_SHOWN = ("algorithm", "depth", "filters", "optimizer", "batch_size")


def fit(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A table (CSV, Excel, Parquet, Arrow, svmlight), or a folder of images.",
        ),
    ],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The column to predict.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="tabular or images (default: by what the data is).")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="regression, binary or multiclass (default: by the target's values)."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME=KIND",
            help="What a column is: category, number, date, text or ignore. May be repeated.",
        ),
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option(
            metavar="day-first|month-first",
            help="Which comes first in dates such as 01/02/2024, where the column does not tell.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            "-m",
            help="log_loss, roc_auc, accuracy, balanced_accuracy, f1, cost; rmse, mae, r2, pinball; for images "
            "accuracy, balanced_accuracy, loss.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="A column: rows with the same value are never both learned from and checked."
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(help="A column of times: rows are checked with what earlier ones teach."),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="A column that says how much each row counts.")
    ] = None,
    quantile: Annotated[
        float | None,
        typer.Option(help="Predict this quantile of a number: 0.9 for what nine of ten are below."),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(
            help="What mistaken classes cost: 'yes=10,no=1', or 'yes:no=10' for yes taken for no."
        ),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(help="Which sheet of a workbook (default: the first that is not empty)."),
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Time for everything: 90s, 10m, 2h (default: 10m).")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Pipelines or networks to try.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write (default: NAME-model)."),
    ] = None,
    algorithms: Annotated[
        str | None, typer.Option(help="Only these, for tables: lightgbm,linear,random_forest.")
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(help="Pipelines that may be blended (default: 10; 1: the best alone)."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Another than the recipe's; none trains everything to its end."),
    ] = None,
    on_change: Annotated[
        str | None,
        typer.Option(
            metavar="refuse|continue|new",
            help="If the data have changed since the search began: refuse (the default), go on with its best configs, or "
            "search anew in NAME-2.",
        ),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", "-p", help="Trials at a time (default: the cores).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the study repeatable.")] = None,
    plain: Annotated[bool, typer.Option(help="One line per trial, no live table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Find the best model for a table or for images, and fit it: several algorithms, and what is done to the data, in one study.

    The same call goes on where it stopped. Ctrl-C once makes a model of what was found so far.
    """
    from tunesmith.cli.watch import mode_of, watcher_for
    from tunesmith.core.errors import NothingCompleted
    from tunesmith.recipes import fit as fit_model

    arguments = {
        "target": target,
        "task": task,
        "columns": columns or None,
        "dates": dates,
        "metric": metric,
        "group": group,
        "time_column": time_column,
        "weight": weight,
        "quantile": quantile,
        "costs": costs,
        "sheet": sheet,
        "time": time,
        "trials": trials,
        "output": output,
        "algorithms": None if algorithms is None else [a.strip() for a in algorithms.split(",")],
        "ensemble": ensemble,
        "scheduler": scheduler,
        "on_change": on_change,
        "parallel": parallel,
        "seed": seed,
    }
    options: dict[str, Any] = {
        name: value for name, value in arguments.items() if value is not None
    }
    mode = mode_of(json=json, quiet=quiet, plain=plain)
    with watcher_for(mode, _SHOWN) as watcher:
        try:
            model = fit_model(
                data,
                recipe=recipe,
                watcher=watcher.watch,
                say=_silent if quiet or json else watcher.say,
                progress=False,
                **options,
            )
        except NothingCompleted as error:
            errors.explain(error)
            raise typer.Exit(errors.FAILED) from None
    if json:
        _print_json(model)
    else:
        _print(model)
    if model.result is not None and model.result.ended_by == "interrupted":
        raise typer.Exit(errors.INTERRUPTED)


def _silent(message: str) -> None:
    pass


def _print(model: Model) -> None:
    from tunesmith.cli.tables import print_table
    from tunesmith.core.quantity import show_number

    typer.echo(model.summary())
    board = model.about.get("leaderboard")
    if board:
        rows = [
            (
                row["algorithm"],
                fate(row) if row["value"] is None else show_number(row["value"]),
                str(row["trials"]),
            )
            for row in board
        ]
        typer.echo()
        print_table(("algorithm", model.about["metric"], "trials"), rows, right=("trials",))
        typer.echo()
    typer.echo(f"report:  {model.path / 'report.html'}")
    typer.echo(f"predict: tunesmith predict {model.path} NEW_DATA")


def fate(row: dict[str, Any]) -> str:
    """What became of an algorithm that no trial completed with."""
    if not row["failed"]:
        return "stopped early"
    return "failed" if row["failed"] == row["trials"] else "stopped or failed"


def _print_json(model: Model) -> None:
    import json
    import sys

    from tunesmith.tuning.table import json_safe

    event = {"event": "model", "path": str(model.path), **model.about}
    sys.stdout.write(json.dumps(json_safe(event), ensure_ascii=False) + "\n")
