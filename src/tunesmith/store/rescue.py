"""Saving a study whose store was lost: what this process has read and decided, as a file beside the store."""

from __future__ import annotations

import msgspec

from tunesmith.core.errors import StoreLost
from tunesmith.core.ledger import Ledger
from tunesmith.files import write_text


def rescued(lost: StoreLost, ledger: Ledger | None) -> StoreLost:
    """The error to raise: with the place where the study is saved, where the store has saved nothing itself.

    The file is what ``tunesmith export --format json`` writes: the study and all of its trials.
    """
    if lost.beside is None or ledger is None:
        return lost
    name = ledger.spec.name
    path = lost.beside.with_name(f"{lost.beside.name}.{name}.json")
    document = {
        **ledger.head(),
        "trials": [ledger.trial(number).to_dict() for number in range(ledger.size)],
    }
    try:
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
        write_text(path, text + "\n")
    except OSError as error:
        return StoreLost(f"{lost}, and study {name!r} as this process knows it neither: {error}")
    return StoreLost(f"{lost}; study {name!r} as this process knows it is saved in {path}")
