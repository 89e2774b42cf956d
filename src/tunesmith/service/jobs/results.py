"""What a job has left: the model of a recipe, or the folders of trials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tunesmith.core.errors import JobError
from tunesmith.tuning.parcel import check_path

#: So many files are listed at most.
MOST: Final = 10_000


def files(root: Path) -> list[tuple[str, int]]:
    """The paths and sizes of the files below `root`; links are none of them."""
    found: list[tuple[str, int]] = []
    for path in _walk(root):
        found.append((path.relative_to(root).as_posix(), path.stat(follow_symlinks=False).st_size))
        if len(found) >= MOST:
            break
    return found


def file(root: Path, path: str) -> Path:
    """The file at `path` below `root`. Raises JobError for what is none, and for what links lead to."""
    check_path(path)
    place = root / path
    if not place.is_file() or place.resolve() != root.resolve() / path:
        raise JobError("there is no such file")
    return place


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
