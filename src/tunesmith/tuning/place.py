"""Where a study's trials keep their files, by where the study itself is kept."""

from __future__ import annotations

from pathlib import Path

from tunesmith.core.errors import StudyNotFound
from tunesmith.run.folder import Folder
from tunesmith.store import Location, Store, location_of


def folder_of(storage: str | Location | Store | None, study: str) -> Folder:
    """Beside its file; for a database or a service the folder that its URL names, or one of its own in the current one. For a study in
    memory, and where a store is passed, a temporary one."""
    location = location_of(storage)
    if location is not None and not isinstance(location, Path):
        return Folder(location.trials / study)
    return Folder.beside(location, study)


def state_of(location: Location) -> Path:
    """The folder of a service's own files: beside the file with the studies, or where a database's trials have theirs."""
    beside = location.absolute() if isinstance(location, Path) else location.trials
    return beside.with_suffix(".service")


def check_there(location: Location | None, remedy: str) -> None:
    """Raise StudyNotFound for a file that is not there, with the `remedy`."""
    if isinstance(location, Path) and not location.exists():
        raise StudyNotFound(f"there is no file {location}; {remedy}")
