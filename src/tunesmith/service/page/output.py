"""What a trial's program printed, as far as its folder is on this machine; and which files it left."""

from __future__ import annotations

import os
from typing import Any, Final

from tunesmith.core.text import without_codes
from tunesmith.run.claim import identity_of, is_anothers
from tunesmith.run.folder import OUTPUT
from tunesmith.service.page.readings import Reading
from tunesmith.store import Location
from tunesmith.tuning.place import folder_of

#: So much of the end is shown (bytes), and so many files are named.
TAIL: Final = 64 * 1024
FILES: Final = 100


def output_of(reading: Reading, storage: Location | None, number: int) -> dict[str, Any]:
    """The end of a trial's output. Paths are made of the study's name and the trial's number alone, and no link is
    followed. Raises StudyError where there is no such trial."""
    with reading.result() as result:
        result.ledger.state(number)  # raises
    nothing = {"text": "", "size": 0, "files": []}
    if storage is None:
        return nothing
    study = folder_of(storage, reading.name)
    if is_anothers(study.path, identity_of(reading.name, reading.born)):
        return nothing
    folder = study.trial(number)
    try:
        # each step by itself: nobody's link leads out of it
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return nothing
    try:
        with os.scandir(at) as entries:
            files = sorted(
                (entry.name, entry.stat(follow_symlinks=False).st_size)
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            )
        text, size = _tail(at)
    except OSError:
        return nothing
    finally:
        os.close(at)
    shown = [{"name": name, "size": n} for name, n in files[:FILES]]
    return {"text": text, "size": size, "files": shown}


def _tail(folder: int) -> tuple[str, int]:
    try:
        log = os.open(OUTPUT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return "", 0
    with os.fdopen(log, "rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - TAIL))
        text = opened.read(TAIL).decode("utf-8", "replace")
    if size > TAIL:
        text = text.partition("\n")[2]
    return without_codes(text), size
