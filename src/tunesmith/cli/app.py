"""The command-line application: all commands, in the order in which help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli import (
    annotate,
    backup,
    best,
    cancel,
    correct,
    doctor,
    edit,
    enqueue,
    export,
    fetch,
    fit,
    import_,
    init,
    jobs,
    logs,
    ls,
    predict,
    replay,
    report,
    resume,
    retract,
    run,
    serve,
    show,
    space,
    stop,
    submit,
    tag,
    token,
    trials,
)
from tunesmith.cli.group import Commands
from tunesmith.version import __version__

app = typer.Typer(
    cls=Commands,
    help="Find good hyperparameters for any training program.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help starts in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    run,
    fit,
    predict,
    init,
    doctor,
    ls,
    show,
    best,
    trials,
    report,
    space,
    export,
    import_,
    enqueue,
    edit,
    stop,
    tag,
    resume,
    annotate,
    correct,
    retract,
    replay,
    serve,
    token,
    submit,
    jobs,
    logs,
    fetch,
    cancel,
    backup,
):
    name = module.__name__.rpartition(".")[2]
    app.command(name.rstrip("_"))(getattr(module, name))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
