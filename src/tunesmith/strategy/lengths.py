"""How long trials ran: what tells how long a whole run is."""

from __future__ import annotations

from typing import Final

import numpy as np

from tunesmith.core.history import History
from tunesmith.core.trial import CODES, State

_COMPLETED: Final = CODES[State.COMPLETED]


def longest_run(history: History) -> int | None:
    """The last step of the longest completed run: O(new reports), and O(trials) in a few passes of NumPy's."""
    lengths: _Lengths = history.fold("halving: lengths", _Lengths)
    return lengths.longest(history)


class _Lengths:
    """The highest step that each trial has reported."""

    def __init__(self) -> None:
        self._read = 0
        self._steps = np.zeros(0, dtype=np.int64)

    def longest(self, history: History) -> int | None:
        new = history.reports(self._read)
        self._read = new.upto
        if len(self._steps) < len(history):
            more = np.zeros(len(history), dtype=np.int64)
            self._steps = np.concatenate([self._steps, more])
        np.maximum.at(self._steps, new.trials, new.steps)
        completed = (history.states == _COMPLETED) & history.usable
        return int(self._steps[: len(history)][completed].max(initial=0)) or None
