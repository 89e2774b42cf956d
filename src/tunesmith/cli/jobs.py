"""`tunesmith jobs`: list the jobs of a service."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Service


def jobs(
    to: Service = None,
    json: Json = False,
    delete: Annotated[
        str | None,
        typer.Option(
            "--delete", metavar="JOB", help="Remove a job that is over, and all it has left."
        ),
    ] = None,
) -> None:
    """List the jobs that were handed over to a service, or delete one."""
    from tunesmith.cli.tables import print_json, print_table
    from tunesmith.tuning.handover import Handover

    if delete is not None:
        gone = Handover(to).delete(delete)
        typer.echo(f"job {gone['id']} is deleted; its study {gone['study']} stays", err=True)
        return
    there = Handover(to).all()
    if json:
        print_json(there)
        return
    if not there:
        typer.echo("no jobs yet; tunesmith submit JOB hands one over", err=True)
        return
    rows = [
        (
            job["id"],
            job["study"],
            job["state"],
            job["by"],
            time.strftime("%Y-%m-%d %H:%M", time.localtime(job["submitted_at"])),
            job["why"],
        )
        for job in there
    ]
    print_table(
        ("job", "study", "state", "by", "submitted", "why"),
        rows,
        whole=("job", "state"),
        last=("submitted",),
        loose="why",
    )
