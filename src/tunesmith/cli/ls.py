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
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    json: Json = False,
) -> None:
    """List the studies in a store."""
    from tunesmith.cli.arguments import is_job, locate
    from tunesmith.cli.tables import print_json, print_table
    from tunesmith.core.errors import StudyError
    from tunesmith.core.quantity import show_number
    from tunesmith.core.trial import State
    from tunesmith.store import open_store
    from tunesmith.tuning.excerpt import state_now
    from tunesmith.tuning.place import check_there
    from tunesmith.tuning.session import brief

    if job is not None and not is_job(job):
        raise StudyError(
            f"{job!r} is no job file; all studies are listed: ls -s FILE, and show STUDY is about one"
        )
    _, path = locate(job, storage)
    check_there(path, "`tunesmith run JOB` makes one, or use --storage")
    store = open_store(path)
    summaries = [
        one
        for one in map(store.summary, store.names())
        if (tag is None or tag in one.spec.tags) and (owner is None or owner == one.spec.owner)
    ]
    at_work = []
    for i, summary in enumerate(summaries):
        counts, sessions = state_now(store, summary)
        summaries[i] = replace(summary, counts=counts)
        at_work.append(sessions)
    store.close()
    if json:
        print_json(
            [
                {
                    "name": s.name,
                    "created_at": s.created_at,
                    "owner": s.spec.owner,
                    "tags": s.spec.tags,
                    "objectives": s.spec.to_dict()["objectives"],
                    "counts": {str(state): n for state, n in s.counts.items() if n},
                    "best": s.best,
                    "best_value": s.best_value,
                    "run_by": [{"host": w.host, "pid": w.pid, "task": w.task} for w in sessions],
                }
                for s, sessions in zip(summaries, at_work, strict=True)
            ]
        )
        return
    rows: list[tuple[str, ...]] = [
        (
            s.name,
            " ".join(str(o) for o in s.spec.objectives),
            str(s.counts[State.COMPLETED]),
            str(s.counts[State.FAILED] or ""),
            str(s.counts[State.RUNNING] or ""),
            show_number(s.best_value, 6),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(s.created_at)),
            ", ".join(s.spec.tags),
            brief(sessions),
        )
        for s, sessions in zip(summaries, at_work, strict=True)
    ]
    columns = (
        "study", "objective", "completed", "failed", "running", "best", "created", "tags", "run by",
    )  # fmt: skip
    right = ("completed", "failed", "running", "best")
    empty = {"tags": not any(s.spec.tags for s in summaries), "run by": not any(at_work)}
    shown = [k for k, column in enumerate(columns) if not empty.get(column)]
    print_table(
        [columns[k] for k in shown],
        [[row[k] for k in shown] for row in rows],
        right=right,
        whole=("study", "best"),
        last=("created",),
    )
