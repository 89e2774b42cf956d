"""Options and arguments that several commands share: which study, in which store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from tunesmith.store.location import Location
    from tunesmith.tuning.study import Study

StudyName: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="A study's name or a job file; not needed where there is only one study.",
    ),
]


def _location(text: str) -> Any:
    """A location: a path, or a URL. Raises StoreError."""
    from tunesmith.store.location import location_of

    return location_of(text)


Storage: TypeAlias = Annotated[
    Any,  # a Location or None, whose module is not loaded for that
    typer.Option(
        "--storage",
        "-s",
        parser=_location,
        metavar="<file or URL>",
        help="What keeps studies: a file, also as sqlite:///FILE, or postgresql://USER@HOST/DATABASE (default: what the "
        "job file says, $TUNESMITH_STORAGE, tunesmith.db here).",
    ),
]
Service: TypeAlias = Annotated[
    Any,
    typer.Option(
        "--to",
        parser=_location,
        metavar="URL",
        help="The service, as http://host:8765 (default: $TUNESMITH_STORAGE).",
    ),
]
JobName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job's id, or its beginning; or a study: its newest job."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

AllowImport: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-import",
        metavar="MODULE:CLASS",
        envvar="TUNESMITH_ALLOW_IMPORT",
        help="Let the study use this searcher or scheduler of your own; may be repeated.",
    ),
]


def allow_imports(names: list[str] | None) -> None:
    """Allow strategies by import path; modules in the current folder are found too. Raises StrategyError."""
    if names:
        import sys

        from tunesmith.strategy.registry import allow_strategy

        allow_strategy(*names)
        sys.path.append(str(Path.cwd()))


@contextmanager
def needing_optuna() -> Iterator[None]:
    """Around an import: StudyError says what to install."""
    try:
        yield
    except ImportError:
        from tunesmith.core.errors import StudyError

        raise StudyError("this needs Optuna: pip install 'tunesmith[optuna]'") from None


def open_study(name: str | None, storage: Location | None) -> Study:
    """The study that a command is about. Raises StudyNotFound, StudyError, StoreError."""
    from tunesmith.tuning.study import Study

    study, path = locate(name, storage)
    return Study.open(study, storage=path)


def is_job(name: str) -> bool:
    """Whether what stands for a study is a job file."""
    return name.lower().endswith((".yaml", ".yml", ".json")) or os.sep in name


def locate(name: str | None, storage: Location | None) -> tuple[str | None, Location]:
    """A study's name and location, from what the user gave: a name, a job file, or nothing."""
    from tunesmith.store.location import default_storage

    if name is not None and is_job(name):
        from tunesmith.tuning.job import study_of_job

        return study_of_job(name, storage)
    return name, default_storage() if storage is None else storage
