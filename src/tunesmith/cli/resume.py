"""`tunesmith resume`: let a stopped study go on."""

from __future__ import annotations

import typer

from tunesmith.cli.arguments import Storage, StudyName


def resume(study: StudyName = None, storage: Storage = None) -> None:
    """Let a study go on that was stopped, with whoever asks for a trial next; tunesmith run does so by itself."""
    from tunesmith.cli.arguments import open_study

    with open_study(study, storage) as opened:
        if opened.resume():
            typer.echo(f"{opened.name} takes trials again; start again what had run it")
        else:
            typer.echo(f"{opened.name} has not been stopped")
