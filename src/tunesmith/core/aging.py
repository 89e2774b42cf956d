"""Versions of what a study's trials run (program and data), and which trials are of one that is not the current one.

The current version is that of the session that opened last and says what it runs. With "discount" or "drop", results of
others do not compare: none of them is best once there are newer ones, and searchers learn from them as from an earlier
study ("discount") or not at all ("drop"). All of it is a function of the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import StudyError
from tunesmith.core.events import Opened
from tunesmith.core.program import digest

#: What becomes of trials that ran another version.
Changed: TypeAlias = Literal["discount", "keep", "drop"]
CHANGED: Final = ("discount", "keep", "drop")
DISCOUNT: Final = "discount"
#: All results together: also what sessions of earlier tunesmiths meant, which did not say.
KEEP: Final = "keep"
#: The part of a version that the user names by hand.
DATA: Final = "data_version"
#: A longer name of a version of the data is kept as its digest.
_LONGEST: Final = 100


def data_part(version: Any) -> dict[str, str]:
    """The part of a program that is its data, by the name that the user gives their version. Raises StudyError."""
    if version is None:
        return {}
    text = "" if isinstance(version, bool) else " ".join(str(version).split())
    if not text or isinstance(version, (Mapping, list, tuple, set)):
        raise StudyError(
            f"data_version is a word or a number that changes with the data, like '2026-11' or 3, not {version!r}"
        )
    return {DATA: text if len(text) <= _LONGEST else digest(text)}


class Worth(NamedTuple):
    """What results of an earlier version of the program are worth to a study.

    `correlation` with the current version's, as the model has learned it (1: they go up and down together), and the rank
    correlation of the new results with what the old ones alone predict; None where that is not known.
    """

    version: int
    trials: int
    changed: str
    correlation: float | None = None
    agreement: float | None = None

    def __str__(self) -> str:
        if self.changed != DISCOUNT:
            return "left out"
        if self.correlation is None or self.agreement is None:
            return "an earlier study's to the search"
        worth = next(words for least, words in _WORTH if self.correlation >= least)
        return (
            f"{worth} to the search (correlation {self.correlation:.2f}); the new results come in the order that they "
            f"predict with a rank correlation of {self.agreement:.2f}"
        )


_WORTH: Final = (
    (0.8, "worth nearly as much as new ones"),
    (0.5, "worth something"),
    (0.2, "worth little"),
    (-1.0, "worth next to nothing"),
)


class Aging:
    """The versions so far, the current one, and the rule for the others."""

    def __init__(self) -> None:
        #: What each version consists of, in order; the first is number 1. An empty one is that of the trials from before
        #: anybody named the data.
        self.versions: list[Mapping[str, str]] = []
        #: The current version; 0 while nobody has said what trials run.
        self.current = 0
        self.changed = KEEP
        #: Goes up with every change of which trials are old, or of what the old ones have come to.
        self.generation = 0
        self._of: dict[str, int] = {}

    def open(self, e: Opened) -> None:
        """A session begins that says what its trials run."""
        self._of[e.session] = self.current = self._number(e.program)
        self.changed = e.changed or KEEP

    def names_data_first(self, e: Opened) -> bool:
        """Whether this is the first session whose user names the version of the data."""
        return DATA in e.program and all(DATA not in version for version in self.versions)

    def unnamed(self) -> int:
        """The version of the trials from before the data had a name."""
        return self._number({})

    def of(self, session: str) -> int:
        """The version that a session's trials run; 0 if it does not say."""
        return self._of.get(session, 0)

    def ages(self, version: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of these versions are set aside, shape (n,): all known ones but the current, unless all count together."""
        old: NDArray[np.bool_] = (version != 0) & (version != self.current)
        return old & (self.changed != KEEP)

    def is_old(self, version: int) -> bool:
        return version not in (0, self.current) and self.changed != KEEP

    def _number(self, program: Mapping[str, str]) -> int:
        if program not in self.versions:
            self.versions.append(program)
        return self.versions.index(program) + 1
