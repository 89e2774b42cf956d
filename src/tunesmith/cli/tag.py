"""`tunesmith tag`: tags of a study."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def tag(
    study: Annotated[str, typer.Argument(help="A study's name or a job file.")],
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="A tag to take away; may be repeated.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Add tags to a study, or take them away; without any, show those it has. `tunesmith ls --tag TAG` finds it by them."""
    from tunesmith.cli.arguments import open_study

    with open_study(study, storage) as opened:
        if tags or remove:
            opened.tag(*(tags or []), remove=remove or [])
        now = opened.spec.tags
        typer.echo(f"{opened.name}: {', '.join(now) if now else 'no tags'}")
