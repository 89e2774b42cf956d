"""`tunesmith stop`: ask a running study to stop."""

from __future__ import annotations

import typer

from tunesmith.cli.arguments import Storage, StudyName


def stop(study: StudyName = None, storage: Storage = None) -> None:
    """Ask whoever runs a study to stop: no new trials, running ones get their grace."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.tuning.session import describe_all, present

    with open_study(study, storage) as opened:
        there = present(opened.result().ledger)
        if not there:
            typer.echo(f"nobody runs {opened.name} at the moment")
            return
        opened.stop()
        typer.echo(f"asked {describe_all(there)} to stop {opened.name}")
