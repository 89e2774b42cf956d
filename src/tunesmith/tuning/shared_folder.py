"""What a folder that several hosts share has to be able to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Clocks that differ by so much (s) are told of.
CLOCKS_S: Final = 2.0
_LOCK: Final = (
    "import fcntl, sys\nfcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
)


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with it: it cannot be written, files are not renamed over others, locks keep nobody out, its
    server's clock is another one."""
    try:
        with tempfile.TemporaryDirectory(prefix=".tunesmith-", dir=folder) as name:
            yield from _faults(folder, Path(name))
    except OSError as error:
        yield f"{folder} cannot be written: {error}"


def _faults(folder: Path, trial: Path) -> Iterator[str]:
    old, new = trial / "old", trial / "new"
    old.write_text("old")
    new.write_text("new")
    with old.open() as reader:
        new.replace(old)
        if old.read_text() != "new" or new.exists():
            yield f"in {folder} a file cannot be renamed over another: checkpoints may be torn"
        try:
            reader.read()
        except OSError:
            yield f"in {folder} a file that is replaced is lost to who reads it"
    if problem := _unlocked(old):
        yield f"in {folder} {problem}: several processes may damage a file that they share"
    ahead_s = _clock_s(new) - time.time()
    if abs(ahead_s) > CLOCKS_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        yield (
            f"the clock of {folder}'s server is {abs(ahead_s):.0f} s {way} this host's: times in the history will not "
            "agree; let both follow a time server (NTP)"
        )


def _unlocked(path: Path) -> str:
    """What is wrong with locks on a file; "" if another process is kept out."""
    import fcntl

    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"files cannot be locked ({error})"
        another = subprocess.run(
            [sys.executable, "-c", _LOCK, str(path)], capture_output=True, check=False
        )
        return "" if another.returncode else "a lock does not keep other processes out"


def _clock_s(path: Path) -> float:
    """The time by the clock of whoever keeps the folder's files."""
    path.write_text("now")
    os.utime(path)
    return path.stat().st_mtime
