"""Saving a study whose store was lost: what this process has read and decided, as a file beside the store."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import msgspec

from tunesmith.core.errors import StoreLost
from tunesmith.core.ledger import Ledger
from tunesmith.files import write_text

#: Of the files that this process saves; other processes have other names already (`lost.beside`).
_NUMBERS: Final = itertools.count(1)


class Rescue:
    """Where one holder of a study saves what it knows of it: a file of its own, however many hold the study."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def place(self, beside: Path, name: str) -> Path:
        """The file for study `name`, which nobody else writes; the same one each time."""
        if self._path is None:
            number = next(_NUMBERS)
            mark = f"-{number}" if number > 1 else ""
            self._path = beside.with_name(f"{beside.name}.{name}{mark}.json")
        return self._path


def rescued(lost: StoreLost, ledger: Ledger | None, rescue: Rescue) -> StoreLost:
    """The error to raise: with the place where the study is saved, where the store has saved nothing itself.

    The file is what ``tunesmith export --format json`` writes: the study and all of its trials.
    """
    if lost.beside is None or ledger is None:
        return lost
    name = ledger.spec.name
    document = {
        **ledger.head(),
        "trials": [ledger.trial(number).to_dict() for number in range(ledger.size)],
    }
    path = rescue.place(lost.beside, name)
    try:
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
        write_text(path, text + "\n")
    except OSError as error:
        return StoreLost(f"{lost}, and study {name!r} as this process knows it neither: {error}")
    return StoreLost(f"{lost}; study {name!r} as this process knows it is saved in {path}")
