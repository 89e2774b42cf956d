"""`tunesmith correct`: correct the result of a trial."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def correct(
    study: Annotated[str, typer.Argument(help="A study's name or a job file.")],
    trial: Annotated[int, typer.Argument(help="The trial's number.")],
    values: Annotated[
        list[str], typer.Argument(metavar="METRIC=VALUE...", help="The right values.")
    ],
    why: Annotated[str, typer.Option(help="Why; kept in the trial's log.", prompt=True)],
    storage: Storage = None,
) -> None:
    """Mend the result of a trial that has ended; the old value stays in its log."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.core.errors import StudyError

    metrics = {}
    for assignment in values:
        name, _, text = assignment.partition("=")
        try:
            metrics[name] = float(text)
        except ValueError:
            raise StudyError(f"{assignment!r}: write METRIC=NUMBER, e.g. accuracy=0.93") from None
    with open_study(study, storage) as opened:
        before = opened.trials[trial].value
        changed = opened.correct(trial, metrics, why=why)
    typer.echo(f"trial {changed.number}: {before} -> {changed.value}")
