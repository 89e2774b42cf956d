"""`tunesmith submit`: hand a job over to a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Service


def submit(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (YAML or JSON).")],
    to: Service = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name, instead of the job's.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python", metavar="PATH", help="The Python of its programs, where the service runs."
        ),
    ] = None,
    requirements: Annotated[
        str | None,
        typer.Option(
            "--requirements",
            metavar="FILE",
            help="Make a virtual environment for the job, and install these in it.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show its output until it is over.")
    ] = False,
    json: Json = False,
) -> None:
    """Hand a job over to a service: its folder is sent, without what .gitignore names, and it runs there.

    The service has to allow it (tunesmith serve --jobs N), and the token in $TUNESMITH_TOKEN (scope submit).
    """
    from tunesmith.cli.logs import show
    from tunesmith.cli.tables import print_json
    from tunesmith.tuning.handover import Handover

    service = Handover(to)
    taken = service.submit(
        job,
        name=name,
        python=python,
        requirements=requirements,
        say=lambda line: typer.echo(line, err=True),
    )
    if json:
        print_json(taken)
    else:
        typer.echo(taken["id"])
        typer.echo(
            f"study {taken['study']}; tunesmith logs -f {taken['id']} shows its output", err=True
        )
    if follow:
        show(service, taken["id"], follow=True)
