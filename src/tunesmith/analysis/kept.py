"""What is large and was made of a study: kept for those that were asked for last."""

from __future__ import annotations

import threading
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from tunesmith.core.ledger import Ledger

T = TypeVar("T")

#: So many studies: a model of one may be 50 MB.
STUDIES: Final = 4


class Kept(Generic[T]):
    """By ledger, as long as that lives and is among the last `STUDIES`. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The one asked for last comes last.
        self._made: WeakKeyDictionary[Ledger, T] = WeakKeyDictionary()

    def get(self, ledger: Ledger) -> T | None:
        with self._lock:
            made = self._made.pop(ledger, None)
            if made is not None:
                self._made[ledger] = made
            return made

    def keep(self, ledger: Ledger, made: T) -> None:
        with self._lock:
            self._made.pop(ledger, None)
            self._made[ledger] = made
            while len(self._made) > STUDIES:
                del self._made[next(iter(self._made))]
