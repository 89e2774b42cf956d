"""`tunesmith import`: take a study over from another tool."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="OPTUNA",
            help="Optuna's storage: a SQLite file, a journal file (.log), or a database's URL.",
        ),
    ],
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="Not needed where there is only one study."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Copy one of Optuna's studies, with all of its trials, into a storage of tunesmith's."""
    from tunesmith.cli.arguments import needing_optuna
    from tunesmith.core.quantity import count
    from tunesmith.store.location import default_storage

    with needing_optuna():
        from tunesmith.integrations.optuna import import_study
    where = default_storage() if storage is None else storage
    with import_study(source, study, storage=where) as made:
        typer.echo(f"study {made.name!r} with {count(len(made.trials), 'trial')} copied to {where}")
