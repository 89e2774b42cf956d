"""`tunesmith logs`: what a job has printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import JobName, Service

if TYPE_CHECKING:
    from tunesmith.tuning.handover import Handover


def logs(
    job: JobName,
    to: Service = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what comes, until the job is over.")
    ] = False,
) -> None:
    """Show what a job of a service has printed."""
    from tunesmith.tuning.handover import Handover

    show(Handover(to), job, follow=follow)


def show(service: Handover, job: str, *, follow: bool) -> None:
    """Print the log; to its end, the exit code says whether the job ended well."""
    import codecs

    from tunesmith.core.text import without_codes

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for part in service.log(job, follow=follow):
        typer.echo(without_codes(decoder.decode(part)), nl=False)
    if follow:
        described = service.get(job)
        typer.echo(f"job {described['id']} {described['state']}: {described['why']}", err=True)
        if described["state"] != "ended":
            raise typer.Exit(errors.FAILED)
