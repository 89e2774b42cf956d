"""`tunesmith ls`: list studies."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Storage


def ls(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]", help="A job file: the studies in its storage.", show_default=False
        ),
    ] = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """List the studies in a store."""
    from tunesmith.cli.arguments import is_job, locate
    from tunesmith.cli.tables import print_json, print_table
    from tunesmith.core.errors import StudyError
    from tunesmith.core.quantity import show_number
    from tunesmith.core.trial import State
    from tunesmith.store import open_store
    from tunesmith.tuning.excerpt import counts_now
    from tunesmith.tuning.place import check_there

    if job is not None and not is_job(job):
        raise StudyError(
            f"{job!r} is no job file; all studies are listed: ls -s FILE, and show STUDY is about one"
        )
    _, path = locate(job, storage)
    check_there(path, "`tunesmith run JOB` makes one, or use --storage")
    store = open_store(path)
    summaries = [store.summary(name) for name in store.names()]
    summaries = [replace(s, counts=counts_now(store, s)) for s in summaries]
    store.close()
    if json:
        print_json(
            [
                {
                    "name": s.name,
                    "created_at": s.created_at,
                    "objectives": s.spec.to_dict()["objectives"],
                    "counts": {str(state): n for state, n in s.counts.items() if n},
                    "best": s.best,
                    "best_value": s.best_value,
                }
                for s in summaries
            ]
        )
        return
    rows = [
        (
            s.name,
            " ".join(str(o) for o in s.spec.objectives),
            str(s.counts[State.COMPLETED]),
            str(s.counts[State.FAILED] or ""),
            str(s.counts[State.RUNNING] or ""),
            show_number(s.best_value, 6),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(s.created_at)),
        )
        for s in summaries
    ]
    columns = ("study", "objective", "completed", "failed", "running", "best", "created")
    right = ("completed", "failed", "running", "best")
    print_table(columns, rows, right=right, whole=("study", "best"), last=("created",))
