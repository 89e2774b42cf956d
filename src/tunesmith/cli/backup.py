"""`tunesmith backup`: a copy of a file with studies, while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def backup(
    target: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there yet.")
    ],
    storage: Storage = None,
) -> None:
    """Copy a file with studies as it is at this moment, while others write into it (a service, tunesmith run)."""
    from tunesmith.cli.arguments import locate
    from tunesmith.core.errors import StoreError
    from tunesmith.core.quantity import count
    from tunesmith.store import file_of, open_store
    from tunesmith.store.backup import backup
    from tunesmith.store.location import Database

    _, location = locate(None, storage)
    if (path := file_of(location)) is None:
        what = (
            "pg_dump copies a database"
            if isinstance(location, Database)
            else "run it where the service runs"
        )
        raise StoreError(f"{location}: a file is copied by tunesmith backup; {what}")
    backup(path, target)
    store = open_store(target)
    names = store.names()
    wrong = [f"{name}: {problem}" for name in names if (problem := store.verify(name)) is not None]
    store.close()
    if wrong:
        raise StoreError(f"{target}: the copy is not what was written ({'; '.join(wrong)})")
    typer.echo(f"{count(len(names), 'study')} copied to {target}, every event checked", err=True)
