"""`tunesmith doctor`: check the environment and a job file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import AllowImport, Json, Storage, allow_imports

_MARKS = {"ok": "ok     ", "hint": "hint   ", "warning": "warning", "error": "ERROR  "}


def doctor(
    job: Annotated[
        Path | None, typer.Argument(metavar="[JOB]", help="A job file to check.")
    ] = None,
    storage: Storage = None,
    try_time: Annotated[
        str, typer.Option("--try", help="How long the program may run with its default config.")
    ] = "30s",
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not run the program.")] = False,
    json: Json = False,
    allow_import: AllowImport = None,
) -> None:
    """Look for mistakes: in the environment, and in a job file if one is given.

    With a job file, its program is run once with the default config, to see that its metrics arrive.
    """
    from tunesmith.cli.tables import print_json
    from tunesmith.core.errors import without_passwords
    from tunesmith.core.quantity import seconds
    from tunesmith.store.location import default_storage
    from tunesmith.tuning.doctor import check_environment, check_job

    allow_imports(allow_import)
    if job is None:
        checks = check_environment(storage or default_storage())
    else:
        try_s = 0.0 if no_run else seconds(try_time, "--try")
        checks = check_job(job, storage=storage, try_s=try_s)
    findings = []
    for finding in checks:
        text = without_passwords(finding.text)
        findings.append(finding)
        if not json:
            typer.echo(f"{_MARKS[finding.level]}  {text}")
    if json:
        print_json([{"level": f.level, "text": without_passwords(f.text)} for f in findings])
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(errors.FAILED)
