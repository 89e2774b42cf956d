"""A copy of a file with studies, as it is at one moment, while others write into it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tunesmith.core.errors import NotAStore, StoreError, StudyNotFound


def backup(path: Path, target: Path) -> None:
    """Copy `path` to `target`, which appears once it is whole. Writers go on meanwhile. Raises StoreError."""
    if not path.exists():
        raise StudyNotFound(f"there is no file {path}")
    if target.exists():
        raise StoreError(f"{target} is there already; name another file")
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        source = f"file:{path.absolute().as_posix().replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
        with (
            closing(sqlite3.connect(f"{source}?mode=ro", uri=True, timeout=60)) as there,
            closing(sqlite3.connect(aside)) as here,
        ):
            there.backup(here)
            damage = here.execute("PRAGMA integrity_check(1)").fetchone()[0]
            here.execute("PRAGMA journal_mode = DELETE")  # one file, without another beside it
        if damage != "ok":
            raise StoreError(f"{path} is damaged ({damage}), and so is its copy")
        descriptor = os.open(aside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        aside.replace(target)
    except sqlite3.DatabaseError as error:
        kind = NotAStore if "not a database" in str(error) else StoreError
        raise kind(f"{path} cannot be copied to {target}: {error}") from None
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        aside.unlink(missing_ok=True)
