"""`tunesmith report`: write the HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Storage, StudyName


def report(
    study: StudyName = None,
    storage: Storage = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write (default: STUDY.html here)."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a study's report: one HTML file with what won, how sure that is, what mattered, and what to try next."""
    import gc

    gc.disable()  # a short-lived process that makes few cycles: a tenth of its time
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import print_json
    from tunesmith.core.errors import StudyError

    with open_study(study, storage) as opened:
        path = output if output is not None else Path(f"{opened.name}.html")
        if path.is_dir():
            path /= f"{opened.name}.html"
        try:
            opened.result().report(path)
        except OSError as error:
            raise StudyError(
                f"the report cannot be written to {path}: {error.strerror}; name another file with -o"
            ) from None
        if json:
            print_json(
                {"study": opened.name, "report": str(path.resolve()), "bytes": path.stat().st_size}
            )
        else:
            typer.echo(f"report of {opened.name} written to {path}")
