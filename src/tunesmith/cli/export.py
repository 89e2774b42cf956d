"""`tunesmith export`: write a study as CSV or JSON, or the best trial's schedule; or copy it to Optuna."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from tunesmith.cli.arguments import Storage, StudyName
from tunesmith.core.errors import StudyError

if TYPE_CHECKING:
    from tunesmith.tuning.result import Result


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
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
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="OPTUNA",
            help="Copy it to Optuna: a SQLite file, a journal file (.log), or a database's URL.",
        ),
    ] = None,
) -> None:
    """Write a study with all of its trials as CSV, Parquet or JSON lines (a table) or JSON (everything); or the best
    trial's schedule, which values it had from which step on, as JSON for the scheduler `scripted`.

    In CSV, texts that a spreadsheet would run as formulas (=...) begin with '; JSON lines and Parquet have them as they are.
    """
    if to is not None:
        if form is not None or output is not None:
            raise StudyError(
                "--to copies the study to Optuna, and --format and --output write a file: give one or the other"
            )
        _to_optuna(study, storage, to)
        return
    import gc

    gc.disable()  # as for `report`
    from tunesmith.cli.arguments import open_study
    from tunesmith.core.quantity import count
    from tunesmith.files import writing

    form = form or _form_of(output)
    if form is Format.PARQUET and output is None:
        raise StudyError("Parquet goes into a file: name it with --output trials.parquet")
    with open_study(study, storage) as opened:
        result = opened.result()
        what = count(len(result.trials), "trial")
        if form is Format.SCHEDULE:
            what = f"the schedule of trial {result.best.number}"
        if form is Format.PARQUET and output is not None:
            result.write_parquet(output)
            typer.echo(f"{what} written to {output}", err=True)
        elif output is None:
            _write(result, form, sys.stdout)
        else:
            with writing(output) as file:
                _write(result, form, file)
            typer.echo(f"{what} written to {output}", err=True)


def _to_optuna(study: str | None, storage: Any, url: str) -> None:
    """Raises StudyError."""
    from tunesmith.cli.arguments import needing_optuna, open_study
    from tunesmith.core.quantity import count

    with needing_optuna():
        from tunesmith.integrations.optuna import export_study
    with open_study(study, storage) as opened:
        made = export_study(opened, url)
    typer.echo(
        f"{count(len(made.trials), 'trial')} copied to study {made.study_name!r} in {url}", err=True
    )


def _form_of(output: Path | None) -> Format:
    """The format that a file's ending stands for. Raises StudyError."""
    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    endings = {"": "csv", "txt": "csv", "ndjson": "jsonl", "pq": "parquet"}
    ending = endings.get(ending, ending)
    if ending not in set(Format) - {"schedule"}:
        raise StudyError(
            f"{output}: no format ends in .{ending}; write .csv, .json, .jsonl or .parquet, or say which with --format"
        )
    return Format(ending)


def _write(result: Result, form: Format, out: TextIO) -> None:
    if form is Format.SCHEDULE:
        out.write(json.dumps(result.schedule(), ensure_ascii=False) + "\n")
    elif form is Format.CSV:
        result.write_csv(out)
    elif form is Format.JSONL:
        result.write_json_lines(out)
    else:
        result.write_json(out)
        out.write("\n")
