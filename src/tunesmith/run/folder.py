"""Where a study keeps its trials' files: configs, output, metrics, checkpoints.

study.trials/digits/000012/config.json
                           output.log
                           metrics.jsonl
                           checkpoint/step-9/..
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
        path = self.trial(number)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
