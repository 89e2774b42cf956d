"""`tunesmith submit`: hand a job over to a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Service


def submit(
    job: Annotated[
        Path,
        typer.Argument(
            metavar="JOB",
            help="The job file (YAML or JSON); or a table, with --target; or a folder of images.",
        ),
    ],
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
    container: Annotated[
        str | None,
        typer.Option(
            "--container",
            metavar="IMAGE",
            help="Run all of it in a container of this image, which has tunesmith.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="What the container may use at most, such as 8GiB."),
    ] = None,
    cpus: Annotated[
        float | None, typer.Option("--cpus", help="How many processors the container may use.")
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join", help="Share the study with others who run the same job file with --join."
        ),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="The column of the table that is to be predicted."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="Another option of tunesmith fit for a table or images, such as time=10m; may be repeated.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show its output until it is over.")
    ] = False,
    json: Json = False,
) -> None:
    """Hand a job over to a service: its folder is sent, without what .gitignore names, and it runs there.

    Of a table or a folder of images, many models are trained as `tunesmith fit` does; tunesmith fetch gets the best one.

    The service has to allow it (tunesmith serve --jobs N), and the token in $TUNESMITH_TOKEN (scope submit).
    """
    from tunesmith.cli.logs import show
    from tunesmith.cli.tables import print_json
    from tunesmith.core.errors import StudyError
    from tunesmith.tuning.handover import Handover, fit_options

    service = Handover(to)
    if job.is_dir():
        _check_images(job, target)
    if target is not None or job.is_dir():
        if python or requirements or container or memory or cpus or join:
            raise StudyError(
                "data needs no program; leave --python, --requirements, --container and --join out"
            )
        taken = service.fit(job, fit_options(target, option or []), name=name, say=_say)
    else:
        if option or job.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx"):
            raise StudyError(
                "of a table say which column is to be predicted: --target COLUMN; --option is for tables and images alone"
            )
        taken = service.submit(
            job,
            name=name,
            python=python,
            requirements=requirements,
            container=container,
            memory=memory,
            cpus=cpus,
            join=join,
            say=_say,
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


def _check_images(folder: Path, target: str | None) -> None:
    from tunesmith.core.errors import StudyError
    from tunesmith.recipes.images.folders import listing

    if target is not None:
        raise StudyError(
            "--target is a column of a table; what images are of is said by the folders that they are in"
        )
    if not listing(folder).images:
        raise StudyError(
            f"{folder} is a folder without images; of a job name its file, such as {folder / 'job.yaml'}"
        )


def _say(line: str) -> None:
    typer.echo(line, err=True)
