"""`tunesmith trials`: list, filter and sort trials."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.arguments import Json, Storage, StudyName

if TYPE_CHECKING:
    from tunesmith.core.ledger import Ledger
    from tunesmith.tuning.table import Columns, Row

#: Rows of a table on the screen.
SHOWN = 100


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
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=0,
            help=f"At most this many: by default {SHOWN}, the last ones of a table that is not sorted.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, as in JSON and CSV.")] = False,
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
    from tunesmith.tuning.excerpt import excerpt

    chosen = [table.state_of(text) for text in state or []]
    last = limit is None and sort is None and where is None
    most = limit if limit is not None or every or json or csv else SHOWN
    with open_study(study, storage) as opened:
        part = None
        if where is None and most is not None:
            part = excerpt(
                opened.store, opened.name, sort=sort, states=chosen, limit=most, last=last
            )
        if part is not None:
            ledger, count = part[0].ledger, part[1]
            rows = list(table.rows(part[0], part[0].order))
        else:
            result = opened.result()
            ledger = result.ledger
            rows = table.select(result, sort=sort, states=chosen, where=where)
            count = len(rows)
            if most is not None:
                rows = rows[-most:] if last and most else rows[:most]
    known = table.Columns.of(ledger)
    names = known.chosen(columns) if columns or csv else _columns(ledger, known, rows)
    if json:
        print_json([{name: row.get(name) for name in names} if columns else row for row in rows])
    elif csv:
        table.write_csv(sys.stdout, rows, names)
    else:
        numeric = [n for n in names if any(isinstance(row.get(n), (int, float)) for row in rows)]
        cells = ([show_value(row.get(name)) for name in names] for row in rows)
        spec = ledger.spec
        whole = {"number", "state", *(known.metrics[o.metric] for o in spec.objectives)}
        conditional = [known.parameters[n] for n in spec.space.tunables if spec.space.condition(n)]
        print_table(
            names,
            cells,
            right=numeric,
            whole=[name for name in names if name in whole],
            last=[name for name in conditional if name in names],
            loose="reason" if "reason" in names else None,
        )
        if limit is None and len(rows) < count:
            which = "the last" if last else "the first"
            typer.echo(
                f"{which} {len(rows)} of {count:,} trials; --all shows every one, --limit the first so many",
                err=True,
            )


def _columns(ledger: Ledger, known: Columns, rows: list[Row]) -> list[str]:
    """What a person wants to see: metrics (derivatives are for searchers), parameters, time; reasons and marks
    only where there are."""
    from tunesmith.core.history import derivative

    spec = ledger.spec
    slopes = {derivative(o.metric, name) for o in spec.objectives for name in spec.space.tunables}
    metrics = [
        column
        for name, column in known.metrics.items()
        if name not in slopes and any(column in row for row in rows)
    ]
    parameters = [known.parameters[name] for name in spec.space.tunables]
    names = ["number", "state", *metrics, *parameters, "wall_s"]
    marks = ["broken"] if spec.constraints else []
    marks += ["reason", "retracted", "outside", *["version"] * (len(ledger.versions) > 1)]
    return [*names, *(name for name in marks if any(row.get(name) for row in rows))]
