"""`tunesmith predict`: predict with a fitted model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.arguments import Json


def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The folder that tunesmith fit wrote.")
    ],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="The rows or images to predict, as for fit.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The CSV file to write (default: stdout)."),
    ] = None,
    proba: Annotated[bool, typer.Option(help="The probability of each class, too.")] = False,
    unreadable: Annotated[
        str | None,
        typer.Option(
            metavar="error|missing",
            help="What numbers and dates of a table are that cannot be read (default: an error).",
        ),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(help="Which sheet of a workbook (default: the first that is not empty)."),
    ] = None,
    json: Json = False,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle", help="Open a model that is a pickle, which can run any code."
        ),
    ] = False,
) -> None:
    """Predict with a fitted model: a line for each row of a table, or for each image."""
    import csv
    import io
    import sys
    from functools import partial

    from tunesmith.cli.tables import print_json
    from tunesmith.core.errors import JobError
    from tunesmith.files import write_text
    from tunesmith.recipes import load_model

    fitted = load_model(model, allow_pickle=allow_pickle)
    of_tables = {"unreadable": unreadable, "sheet": sheet}
    options = {name: value for name, value in of_tables.items() if value is not None}
    if options and fitted.about["recipe"] != "tabular":
        raise JobError(
            f"--{next(iter(options))} is about a table, and the model is for images; leave it out"
        )
    read: Any = fitted.rows
    rows = read(data, proba=proba, say=partial(typer.echo, err=True), **options)
    if json and output is None:
        print_json(rows)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if output is None:
        sys.stdout.write(text.getvalue())
        return
    try:
        write_text(output, text.getvalue())
    except OSError as error:
        raise JobError(
            f"the predictions cannot be written to {output} ({error.strerror}); name another file"
        ) from None
    typer.echo(f"{len(rows):,} predictions written to {output}", err=True)
