"""How trainings stand, by what their processes have written down; read on from where it was read last."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from tunesmith.service.sagemaker.plan import Move

ENDS: Final = ("Completed", "Failed", "Stopped")
_DECODER: Final = msgspec.json.Decoder(Move)


class Moves:
    """The moves of one job's trainings, by trial."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._at = 0
        self._by_trial: dict[int, list[Move]] = {}
        #: By trial: how its latest attempt has ended, as a place in ENDS; -1 where it has not. There may be room for more.
        self.ends = np.full(64, -1, dtype=np.int8)

    def refresh(self) -> Moves:
        """Take in what has been written meanwhile."""
        with self._lock:
            try:
                size = self._path.stat().st_size
            except FileNotFoundError:
                return self
            if size == self._at:
                return self
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
            whole = data.rfind(b"\n") + 1
            for line in data[:whole].splitlines():
                try:
                    move = _DECODER.decode(line)
                except msgspec.DecodeError:  # the disk was full in the middle of one
                    continue
                self._by_trial.setdefault(move.trial, []).append(move)
                if move.trial >= len(self.ends):
                    more = np.full(move.trial + 1, -1, dtype=np.int8)
                    self.ends = np.concatenate([self.ends, more])
                self.ends[move.trial] = ENDS.index(move.end) if move.end in ENDS else -1
            self._at += whole
        return self

    def of(self, trial: int) -> list[Move]:
        return list(self._by_trial.get(trial, ()))
