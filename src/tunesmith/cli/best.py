"""tunesmith best"""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli import errors
from tunesmith.cli.places import Json, Storage, StudyName


def best(
    study: StudyName = None,
    storage: Storage = None,
    json: Json = False,
    args: Annotated[
        bool, typer.Option("--args", help="Print only the values, as command-line arguments.")
    ] = False,
) -> None:
    """Show the best trial: its value and its config."""
    import shlex

    from tunesmith.cli.places import locate
    from tunesmith.cli.tables import config_block, print_json
    from tunesmith.core.quantity import show_number
    from tunesmith.run.template import arguments
    from tunesmith.tuning.best import best_of

    found = best_of(*locate(study, storage))
    if json:
        print_json(found.to_dict())
    elif found.config is None:
        typer.echo(f"{found.study}: no trial has completed", err=True)
    elif args:
        typer.echo(shlex.join(arguments(found.config)))
    else:
        typer.echo(
            f"{found.study}: {found.metric} {show_number(found.value, 7)} (trial {found.number})"
        )
        typer.echo(config_block(found.config), nl=False)
    if found.config is None:
        raise typer.Exit(errors.FAILED)
