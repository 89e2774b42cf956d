"""How trainings stand, by what their processes have written down; read on from where it was read last."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from tunesmith.service.sagemaker.plan import Move

_DECODER = msgspec.json.Decoder(Move)


class Moves:
    """The moves of one job's trainings, by trial."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._at = 0
        self._by_trial: dict[int, list[Move]] = {}
        #: The last end of each trial's latest attempt.
        self.ends: dict[int, str] = {}

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
                self.ends.pop(move.trial, None)
                if move.end:
                    self.ends[move.trial] = move.end
            self._at += whole
        return self

    def of(self, trial: int) -> list[Move]:
        return list(self._by_trial.get(trial, ()))
