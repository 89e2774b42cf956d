"""`tunesmith best`: print the best config."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import Json, Storage, StudyName


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

    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import config_block, print_json
    from tunesmith.core.errors import NothingCompleted
    from tunesmith.core.quantity import show_number
    from tunesmith.core.text import arguments

    with open_study(study, storage) as opened:
        try:
            trial = opened.best
        except NothingCompleted as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(errors.FAILED) from None
        if json:
            print_json({"study": opened.name, **trial.to_dict()})
        elif args:
            typer.echo(shlex.join(arguments(trial.config)))
        else:
            metric = opened.objective.metric
            value = show_number(trial.value, 7)
            typer.echo(f"{opened.name}: {metric} {value} (trial {trial.number})")
            typer.echo(config_block(trial.config), nl=False)
