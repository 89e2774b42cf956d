"""tunesmith export"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.places import Storage, StudyName


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"


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
    """Write a study with all of its trials as CSV (a table) or JSON (everything)."""
    from tunesmith.cli.places import open_study

    if form is None:
        form = Format.JSON if output is not None and output.suffix == ".json" else Format.CSV
    with open_study(study, storage) as opened:
        result = opened.result()
        text = result.to_csv() if form is Format.CSV else result.to_json() + "\n"
        count = len(result.trials)
    if output is None:
        sys.stdout.write(text)
    else:
        draft = output.with_name(f".{output.name}.draft")
        draft.write_text(text)
        draft.replace(output)
        typer.echo(f"{count} trials written to {output}", err=True)
