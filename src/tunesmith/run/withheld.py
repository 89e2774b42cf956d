"""What tunesmith's own environment has for itself, and its trials' programs do not inherit: who we are at a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tunesmith.core.errors import JobError

TOKEN: Final = "TUNESMITH_TOKEN"  # noqa: S105 (its name)
STORAGE: Final = "TUNESMITH_STORAGE"
#: The value in a job file that lets a program have it all the same; the secret itself would be stored with the study.
INHERIT: Final = "inherit"


def inherited(environment: Mapping[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """`environment` without secrets, but those that a job file has `named` for its program."""
    secret = {TOKEN} | ({STORAGE} if _has_secret(environment.get(STORAGE, "")) else set())
    secret -= {name for name in secret if named.get(name) == INHERIT}
    return {name: value for name, value in environment.items() if name not in secret}


def written(named: Mapping[str, str]) -> dict[str, str]:
    """The variables whose values stand in the job file."""
    return {n: v for n, v in named.items() if not (n in (TOKEN, STORAGE) and v == INHERIT)}


def check_withheld(named: Mapping[str, str]) -> None:
    """Raise JobError for a secret in a job file, which everybody who reads the study would have."""
    if named.get(TOKEN, INHERIT) != INHERIT or _has_secret(named.get(STORAGE, "")):
        name = TOKEN if TOKEN in named else STORAGE
        raise JobError(
            f"environment: {name} would be stored with the study, for everybody to read; write {name}: {INHERIT} for "
            "the one that tunesmith itself has been given"
        )


def _has_secret(storage: str) -> bool:
    if "://" not in storage:
        return False
    try:
        parts = urlsplit(storage)
        return bool(parts.password or (parts.username and parts.scheme.startswith("http")))
    except ValueError:
        return True
