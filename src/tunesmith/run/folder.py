"""Directory layout of the trials' files of a study: configs, output, metrics, checkpoints.

study.trials/digits/000012/config.json
                           output.log
                           metrics.jsonl
                           checkpoint/step-9/..
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunesmith.core.errors import ExecutorError

CONFIG: Final = "config.json"
OUTPUT: Final = "output.log"
METRICS: Final = "metrics.jsonl"
CHECKPOINT: Final = "checkpoint"
STOP: Final = "stop"
#: In the study's folder while there is no room for checkpoints; it says why.
FULL: Final = "checkpoints-full"


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one study. Nothing is made before it is needed."""

    path: Path
    #: Whether it goes when the study's process is done (a study in memory).
    temporary: bool = False
    #: The URL to which checkpoints are copied (see `run.remote`), where other hosts do not see `path`.
    url: str | None = None
    #: What tells the study from others of its name; "" where nobody has asked (see `run.claim`).
    identity: str = ""
    #: Where the study is kept, if studies that are kept elsewhere may have this folder, too (``?trials=FOLDER``).
    kept_in: str = ""

    @classmethod
    def beside(cls, storage: Path | None, study: str) -> Folder:
        """``study.trials/NAME`` for ``study.db``; a temporary folder for a study in memory.

        Other files keep their whole name (``study.sqlite-trials``), so that no two share a folder.
        """
        if storage is None:
            return cls(Path(tempfile.mkdtemp(prefix="tunesmith-")), temporary=True)
        name = storage.name
        own = f"{name[:-3]}.trials" if name.endswith(".db") else f"{name}-trials"
        return cls(storage.expanduser().absolute().with_name(own) / study)

    def trial(self, number: int) -> Path:
        """The folder of a trial (which may not be there yet)."""
        return self.path / f"{number:06d}"

    def make(self, number: int) -> Path:
        """The folder of a trial, made if need be. Raises ExecutorError, or OSError (see `made`)."""
        return made(self.trial(number))

    def close(self) -> None:
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)


#: What is wrong with a machine, whatever a trial does.
_MACHINE: Final = frozenset(
    getattr(errno, name)
    for name in [
        "ENOSPC",
        "EDQUOT",
        "EROFS",
        "EIO",
        "EMFILE",
        "ENFILE",
        "ENOMEM",
        "EAGAIN",
        "ESTALE",
        "ENODEV",
    ]
)


def made(path: Path) -> Path:
    """The folder at `path`, made if it is not there; for errors see `fault_of`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fault_of(error, path) from error
    return path


def fault_of(error: OSError, path: Path, *, unused: bool = False) -> OSError | ExecutorError:
    """Whose fault it is that a trial cannot have its files in `path`: ExecutorError for the machine's or
    the tuner's; `error` itself for what the trial may have done to its folder, unless that is `unused`."""
    machine = error.errno in _MACHINE or any(os.strerror(n) in str(error) for n in _MACHINE)
    if not machine and not unused and os.path.lexists(path):
        return error
    return ExecutorError(
        f"trials cannot be run here: {error} (their files are in {path.parent}); once that is mended, run "
        "the study again: it goes on where it was"
    )
