"""tunesmith trials"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.arguments import Json, Storage, StudyName

if TYPE_CHECKING:
    from tunesmith.tuning.result import Result


def trials(
    study: StudyName = None,
    storage: Storage = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="A column to sort by, '-' before it for the largest first; 'value' is the "
            "best first."
        ),
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only trials in this state.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only trials for which this holds: 'learning_rate < 0.01'.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="At most this many.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Only these columns, separated by commas.")
    ] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the trials of a study."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import print_json, print_table, show_value
    from tunesmith.tuning import table

    with open_study(study, storage) as opened:
        result = opened.result()
        rows = table.select(result, sort=sort, states=state or [], where=where, limit=limit)
        names = table.columns_of(rows, columns) if columns else _columns(result, rows)
    if json:
        print_json([{name: row.get(name) for name in names} if columns else row for row in rows])
    elif csv:
        sys.stdout.write(table.to_csv(rows, table.columns_of(rows, columns)))
    else:
        numeric = [n for n in names if any(isinstance(row.get(n), (int, float)) for row in rows)]
        cells = ([show_value(row.get(name)) for name in names] for row in rows)
        print_table(names, cells, right=numeric)


def _columns(result: Result, rows: list[dict[str, Any]]) -> list[str]:
    """What a person wants to see: metrics (derivatives are for searchers), parameters, time; reasons and marks
    only where there are."""
    from tunesmith.core.history import derivative

    found = dict.fromkeys(name for trial in result.trials[:50] for name in trial.metrics)
    slopes = {
        derivative(objective.metric, name)
        for objective in result.spec.objectives
        for name in result.spec.space.tunables
    }
    metrics = [name for name in found if name not in slopes]
    names = ["number", "state", *metrics, *result.spec.space.tunables, "wall_s"]
    marks = ("reason", "retracted", "outside")
    return [*names, *(name for name in marks if any(row[name] for row in rows))]
