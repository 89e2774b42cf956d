"""What becomes of a study whose program has changed: `on_change`."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from tunesmith.core.errors import StudyError

#: What becomes of a study whose program has changed.
OnChange: TypeAlias = Literal["continue", "refuse", "new"]
ON_CHANGE: Final = ("continue", "new", "refuse")


def check_on_change(on_change: str) -> None:
    """Raise StudyError for what is none of ON_CHANGE."""
    if on_change not in ON_CHANGE:
        words = ", ".join(map(repr, ON_CHANGE))
        raise StudyError(f"on_change is one of {words}, not {on_change!r}")


def remedy(*, refused: bool, command_line: bool) -> str:
    """What can be done about it."""
    choose = "--on-change " if command_line else "on_change="
    word, name = ("{}", "--name") if command_line else ("'{}'", "name=")
    go_on, new, refuse = (choose + word.format(choice) for choice in ON_CHANGE)
    if refused:
        return (
            f"{go_on} takes all results together all the same, {new} begins a study of its own; or choose another "
            f"name ({name})"
        )
    return (
        f"all results count together; {new} begins a study of its own instead, {refuse} stops here"
    )
