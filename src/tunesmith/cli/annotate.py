"""`tunesmith annotate`: add notes and tags to a trial."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def annotate(
    study: Annotated[str, typer.Argument(help="A study's name or a job file.")],
    trial: Annotated[int, typer.Argument(help="The trial's number.")],
    note: Annotated[str, typer.Argument(help="A note.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE; an empty value removes the tag.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Add a note or tags to a trial."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.core.errors import StudyError

    tags = dict(pair.partition("=")[::2] for pair in tag or [])
    if not note and not tags:
        raise StudyError("nothing to add: give a note, or --tag NAME=VALUE")
    with open_study(study, storage) as opened:
        changed = opened.annotate(trial, note, tags)
    typer.echo(f"trial {changed.number}: {len(changed.notes)} notes, {len(changed.tags)} tags")
