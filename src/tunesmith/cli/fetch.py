"""`tunesmith fetch`: what a job has left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import JobName, Service


def fetch(
    job: JobName,
    to: Service = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The folder to write (default: named after the study)."
        ),
    ] = None,
) -> None:
    """Get what a job has left, once it is over: the model of a table, or the files of its trials."""
    from tunesmith.tuning.handover import Handover

    folder, count = Handover(to).fetch(job, output)
    typer.echo(f"{count} files in {folder}", err=True)
