"""Studies as they are, kept in memory from one look of the page to the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from tunesmith.core.ledger import Ledger
from tunesmith.store.base import Listing, Store
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import Study

T = TypeVar("T")

#: Of so many trials the histories are kept: some 3 KB each.
TRIALS: Final = 300_000
#: What was made of a study is kept so many times.
_MADE: Final = 24


class Reading:
    """One study: its history, and what was made of it."""

    def __init__(self, store: Store, name: str, born: float = 0.0) -> None:
        self.store = store
        self.name = name
        #: When the study was created.
        self.born = born
        self._study = Study(store, name)
        self._lock = threading.RLock()
        #: Held while a model is fitted, for which others who want it wait.
        self.fitting = threading.Lock()
        self._made: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self.size = 0

    @contextmanager
    def result(self) -> Iterator[Result]:
        """The study as it is now; nobody else reads or extends it while the block runs."""
        with self._lock:
            result = self._study.result()
            self.size = result.ledger.size
            yield result

    def made(self, key: Hashable, ledger: Ledger, make: Callable[[], T]) -> T:
        """What `make` makes of the history as it is, remembered for as long as nothing happens. Within `result`."""
        known = self._made.get(key)
        if known is None or known[0] != ledger.cursor:
            known = self._made[key] = (ledger.cursor, make())
        self._made.move_to_end(key)
        while len(self._made) > _MADE:
            self._made.popitem(last=False)
        fresh: T = known[1]
        return fresh

    def last(self, key: Hashable) -> tuple[int, Any] | None:
        """What `made` made last under this key, and after how many events."""
        return self._made.get(key)

    def keep(self, key: Hashable, cursor: int, value: Any) -> None:
        """Remember what was made of the history after `cursor` events."""
        self._made[key] = (cursor, value)

    def forget(self, key: Hashable) -> None:
        self._made.pop(key, None)


class Readings:
    """The studies that were looked at last."""

    def __init__(self, store: Store, trials: int = TRIALS) -> None:
        self.store = store
        self._trials = trials
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Reading] = OrderedDict()

    def may_keep(self, trials: int) -> bool:
        return trials <= self._trials

    def of(self, name: str) -> Reading:
        """Raises StudyNotFound."""
        born = _born(self.store, name)  # a later one of its name is another one
        with self._lock:
            reading = self._open.get(name)
            if reading is None or reading.born != born:
                reading = self._open[name] = Reading(self.store, name, born)
            self._open.move_to_end(name)
            while len(self._open) > 1 and sum(r.size for r in self._open.values()) > self._trials:
                self._open.popitem(last=False)
        return reading


def _born(store: Store, name: str) -> float:
    return store.born(name) if isinstance(store, Listing) else store.summary(name).created_at
