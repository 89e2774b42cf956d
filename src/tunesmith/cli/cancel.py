"""`tunesmith cancel`: end a job of a service."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import JobName, Service


def cancel(
    job: JobName,
    to: Service = None,
    why: Annotated[str, typer.Option("--why", help="What the job's list says.")] = "",
) -> None:
    """End a job, or do not begin it. Its study stays: handed over again, it goes on."""
    from tunesmith.tuning.handover import Handover

    described = Handover(to).cancel(job, why)
    typer.echo(f"job {described['id']} {described['state']}: {described['why']}", err=True)
