"""`tunesmith space`: the space of a study, or one for the next."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Storage, StudyName


def space(
    study: StudyName = None,
    storage: Storage = None,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest",
            help="For the next study: wider where the good trials lie at an end, narrower where they are, and why.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show the space of a study as YAML for a job file; with --suggest, what its trials say of a better one."""
    from tunesmith.cli.arguments import open_study
    from tunesmith.cli.tables import print_json
    from tunesmith.tuning.next_space import suggest as suggestion

    with open_study(study, storage) as opened:
        if suggest:
            better = suggestion(opened)
            if json:
                print_json({"space": better.space.to_dict(), "reasons": dict(better.reasons)})
            else:
                typer.echo(str(better), nl=False)
        elif json:
            print_json({"space": opened.space.to_dict()})
        else:
            typer.echo(opened.space.to_yaml().rstrip("\n"))
