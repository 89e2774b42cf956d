"""Whose turn it is to ask, among processes: what a thread that has it already takes again at once."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod


class AskingTurn(ABC):
    """Who may ask. Where the turn cannot be had, or not within its time, all go on without."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._thread = threading.RLock()
        self._depth = 0

    def __enter__(self) -> None:
        self._thread.acquire()
        self._depth += 1
        if self._depth == 1:
            try:
                self._take()
            except BaseException:  # Ctrl-C, in the middle of whatever it was
                self.__exit__()
                raise

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                self._give()
        finally:
            self._thread.release()

    @abstractmethod
    def _take(self) -> None:
        """Wait for the turn among processes, for its time at most."""

    @abstractmethod
    def _give(self) -> None:
        """Let go of what `_take` has got, if it has."""
