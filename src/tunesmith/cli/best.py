"""`tunesmith best`: print the best config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import errors
from tunesmith.cli.arguments import Json, Storage, StudyName

if TYPE_CHECKING:
    from tunesmith.tuning.study import Study


def best(
    study: StudyName = None,
    storage: Storage = None,
    json: Json = False,
    args: Annotated[
        bool,
        typer.Option(
            "--args",
            help="Print only the job's command with these values put in (as --name value for a study of no command).",
        ),
    ] = False,
) -> None:
    """Show the best trial: its value and its config; of several objectives, the trials that no other beats, or the one
    of them that the rule (prefer) chooses."""
    import shlex

    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import config_block, print_json
    from tunesmith.core.errors import NothingCompleted
    from tunesmith.run.arguments import arguments
    from tunesmith.tuning.standing import luck, reached

    with open_study(study, storage) as opened:
        if len(opened.spec.objectives) > 1 and opened.spec.prefer is None:
            _front(opened, as_json=json, args=args)
            return
        try:
            trial = opened.best
        except NothingCompleted as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(errors.FAILED) from None
        if json:
            print_json({"study": opened.name, **trial.to_dict()})
        elif args:
            typer.echo(opened.command(trial) or shlex.join(arguments(trial.config)))
        else:
            metrics = [objective.metric for objective in opened.spec.objectives]
            typer.echo(f"{opened.name}: {reached(metrics, trial)}")
            lucky = None if trial.expected is None else luck(opened.result(), trial)
            if lucky is not None:
                typer.echo(f"  {lucky}")
            typer.echo(config_block(trial.config), nl=False)
            if (command := opened.command(trial)) is not None:
                typer.echo(f"command: {command}")


def _front(study: Study, *, as_json: bool, args: bool) -> None:
    """The trials that no other beats, of a study with several objectives."""
    from tunesmith.cli.lines import print_result
    from tunesmith.cli.tables import print_json

    result = study.result()
    front = result.front
    if not front:
        typer.echo(result.nothing, err=True)
        raise typer.Exit(errors.FAILED)
    if as_json:
        print_json({"study": study.name, "front": [trial.to_dict() for trial in front]})
        return
    if args:
        metrics = ", ".join(objective.metric for objective in study.spec.objectives)
        numbers = ", ".join(str(trial.number) for trial in front)
        typer.echo(
            f"with several objectives ({metrics}) no one trial is best; choose one of {numbers} and see "
            f"`tunesmith show {study.name} --trial {front[0].number}`, which has its command",
            err=True,
        )
        raise typer.Exit(errors.FAILED)
    print_result(result)
