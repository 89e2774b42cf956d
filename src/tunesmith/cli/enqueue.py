"""`tunesmith enqueue`: queue a config."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def enqueue(
    study: Annotated[str, typer.Argument(help="A study's name or a job file.")],
    values: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE...", help="Values; the rest take their defaults."),
    ],
    storage: Storage = None,
    why: Annotated[str, typer.Option(help="Why, in a few words; shown with the trial.")] = "",
) -> None:
    """Put a config into a study's queue, running or not: it is run before the searcher's."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import show_config
    from tunesmith.core.errors import ConfigError, TextError, shown
    from tunesmith.core.text import read_yaml

    config = {}
    for assignment in values:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{shown(assignment)}: write NAME=VALUE, e.g. learning_rate=0.01")
        try:
            config[name] = read_yaml(text)
        except TextError as error:
            raise ConfigError(f"{name}: this is no YAML: {error}") from None
    with open_study(study, storage) as opened:
        trial = opened._enqueue(config, why=why)  # noqa: SLF001
    typer.echo(f"trial {trial.number}: {show_config(trial.config)}")
    for note in trial.notes:
        typer.echo(note, err=True)
