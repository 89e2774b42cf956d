"""tunesmith edit"""

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
    from tunesmith.store import open_store
    from tunesmith.tuning.api import open_or_create
    from tunesmith.tuning.job import load_job

    allow_imports(allow_import)
    loaded = load_job(job, {"storage": None if storage is None else str(storage)})
    store = open_store(loaded.storage)
    before = store.load(loaded.spec.name)  # an unknown study is an error here
    study = open_or_create(store, loaded.spec, loaded.model.seed)
    outside = sum(trial.outside for trial in study.trials)
    store.close()
    typer.echo(
        f"{before.name}: edited" + (f"; {outside} trials are outside the space" if outside else "")
    )
