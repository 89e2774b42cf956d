"""`tunesmith edit`: edit a study by its job file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import AllowImport, Storage, allow_imports


def edit(
    job: Annotated[
        Path, typer.Argument(metavar="JOB", help="The job file as it should be from now on.")
    ],
    storage: Storage = None,
    allow_import: AllowImport = None,
) -> None:
    """Bring a study, running or not, to what its job file says now: space, limits, searcher.

    Trials that fall outside an edited space are kept and marked.
    """
    from tunesmith.core.quantity import are, count
    from tunesmith.tuning.job import load_job
    from tunesmith.tuning.launch import match
    from tunesmith.tuning.study import Study

    allow_imports(allow_import)
    loaded = load_job(job, {"storage": storage})
    with Study.open(loaded.spec.name, storage=loaded.storage) as study:
        changed = match(study, loaded.spec, loaded.model.seed)
        outside = sum(trial.outside for trial in study.trials)
    if not changed:
        typer.echo(f"{loaded.spec.name}: nothing to edit, the study is what {job} says already")
        return
    typer.echo(
        f"{loaded.spec.name}: edited ({', '.join(changed)})"
        + (f"; {count(outside, 'trial')} {are(outside)} outside the space" if outside else "")
    )
