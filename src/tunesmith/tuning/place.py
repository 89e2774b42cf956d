"""Where a study's trials keep their files, by where the study itself is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from tunesmith.core.errors import StoreError, StudyNotFound
from tunesmith.run.folder import Folder
from tunesmith.store import File, Location, Store, file_of, location_of
from tunesmith.store.network import network_of

_INSTEAD: Final = (
    "keep the study in PostgreSQL (storage='postgresql://user@host/database'), or let one service have the file "
    "(tunesmith serve, storage='http://host:8765')"
)


def folder_of(storage: str | Location | Store | None, study: str) -> Folder:
    """Beside its file, or the folder that its URL names; for a database or a service else one of its own in the current one.
    For a study in memory, and where a store is passed, a temporary one."""
    location = location_of(storage)
    if location is None or isinstance(location, Path):
        return Folder.beside(location, study)
    url = None if location.trials_url is None else f"{location.trials_url}/{study}"
    if location.trials is None:
        assert isinstance(location, File)
        return replace(Folder.beside(location.path, study), url=url)
    kept_in = ""
    if location.names_trials:
        path = file_of(location)
        kept_in = str(location if path is None else path.resolve())
    return Folder(location.trials / study, url=url, kept_in=kept_in)


def state_of(location: Location) -> Path:
    """The folder of a service's own files: beside the file with the studies; for a database in the user's folder for such
    things, wherever the service is started."""
    if (path := file_of(location)) is not None:
        return path.absolute().with_suffix(".service")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    which = blake2b(str(location).encode(), digest_size=8).hexdigest()
    return state / "tunesmith" / f"{which}.service"


def network_hint(storage: str | Location | Store | None) -> str:
    """What has to be known of a file that is on a network file system; "" for one that is on none."""
    path = file_of(storage)
    if path is None or (kind := network_of(path)) is None:
        return ""
    return (
        f"{path} is on a network file system ({kind}), where a study is safe in the hands of one host only; for several, "
        f"{_INSTEAD}"
    )


def refuse_network(storage: str | Location | Store | None, why: str) -> None:
    """Raise StoreError for a file on a network file system that several hosts may write."""
    path = file_of(storage)
    if path is not None and (kind := network_of(path)) is not None:
        raise StoreError(
            f"{why}: {path} is on a network file system ({kind}), where SQLite's locks do not reliably keep the processes "
            f"of several hosts apart, and results may be lost; {_INSTEAD}"
        )


def check_there(location: Location | None, remedy: str) -> None:
    """Raise StudyNotFound for a file that is not there, with the `remedy`."""
    path = file_of(location)
    if path is not None and not path.exists():
        raise StudyNotFound(f"there is no file {path}; {remedy}")
