"""A recipe as a job: `tunesmith fit` on a table or images that were sent, with options of its own and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from tunesmith.core.errors import JobError, did_you_mean
from tunesmith.tuning.parcel import check_name

Options: TypeAlias = Mapping[str, str | int | float | list[str]]

#: The options of `tunesmith fit` that say nothing of the host's files or of the screen.
OPTIONS: Final = (
    "target", "recipe", "task", "column", "dates", "metric", "group", "time_column", "weight", "quantile", "costs", "sheet", "time",
    "trials", "algorithms", "ensemble", "scheduler", "on_change", "parallel", "seed",
)  # fmt: skip


def check(name: str, options: Options) -> None:
    """Raise JobError for options that are none, and for a name that cannot be a folder's."""
    check_name(name)
    words(options)


def words(options: Options) -> list[str]:
    """The options as words of a command; a list is an option that is repeated. Raises JobError."""
    written: list[str] = []
    for name, value in options.items():
        if name not in OPTIONS:
            raise JobError(
                f"tunesmith fit has no option {name!r} for jobs{did_you_mean(name, OPTIONS)}"
            )
        for one in value if isinstance(value, list) else [value]:
            if "\0" in (text := str(one)):
                raise JobError(f"{name}: {text!r} has a NUL character")
            written.append(f"--{name.replace('_', '-')}={text}")
    return written
