"""`tunesmith retract`: exclude a trial's result."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def retract(
    study: Annotated[str, typer.Argument(help="A study's name or a job file.")],
    trial: Annotated[int, typer.Argument(help="The trial's number.")],
    why: Annotated[str, typer.Option(help="Why; kept in the trial's log.", prompt=True)],
    undo: Annotated[bool, typer.Option(help="Take it back in.")] = False,
    storage: Storage = None,
) -> None:
    """Take a trial's result out of consideration: it no longer counts, and stays visible."""
    from tunesmith.cli.arguments import open_study

    with open_study(study, storage) as opened:
        changed = opened.retract(trial, why=why, undo=undo)
    typer.echo(f"trial {changed.number} {'counts again' if undo else 'no longer counts'}")
