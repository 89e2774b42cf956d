"""tunesmith export"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage, StudyName


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    SCHEDULE = "schedule"


def export(
    study: StudyName = None,
    storage: Storage = None,
    form: Annotated[
        Format | None, typer.Option("--format", "-f", help="By default by the file's ending.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write (default: stdout).")
    ] = None,
) -> None:
    """Write a study with all of its trials as CSV (a table) or JSON (everything); or the best trial's schedule,
    which values it had from which step on, as JSON for the scheduler `scripted`."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.files import write_text

    if form is None:
        form = Format.JSON if output is not None and output.suffix == ".json" else Format.CSV
    with open_study(study, storage) as opened:
        result = opened.result()
        if form is Format.SCHEDULE:
            what = f"the schedule of trial {result.best.number}"
            text = json.dumps(result.schedule(), ensure_ascii=False) + "\n"
        else:
            what = f"{len(result.trials)} trials"
            text = result.to_csv() if form is Format.CSV else result.to_json() + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
        typer.echo(f"{what} written to {output}", err=True)
