"""Studies by their tags and owners, looked up again only where something has happened."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tunesmith.store.base import Activity, Labels, Listing, Store
from tunesmith.store.labels import of_study

#: So many are kept.
_KEPT: Final = 50_000


class Labelled:
    """The labels of a store's studies. For several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[tuple[str, float], tuple[int, Labels]] = {}

    def of(self, every: Sequence[Activity]) -> dict[str, Labels]:
        """By name, as of `every` study's cursor."""
        with self._lock:
            known = {one.name: self._known.get((one.name, one.created_at)) for one in every}
        stale = [one for one in every if (at := known[one.name]) is None or at[0] != one.cursor]
        found = _labels(self._store, [one.name for one in stale])
        with self._lock:
            if len(self._known) > _KEPT:
                self._known.clear()
            for one in stale:
                labels = found.get(one.name, Labels())  # deleted meanwhile
                self._known[one.name, one.created_at] = known[one.name] = (one.cursor, labels)
        return {name: Labels() if at is None else at[1] for name, at in known.items()}

    def fitting(self, every: Sequence[Activity], tag: str = "", owner: str = "") -> list[Activity]:
        """Those of `every` that have this tag, and this owner ("": any)."""
        if not tag and not owner:
            return list(every)
        labels = self.of(every)
        return [
            one
            for one in every
            if (not tag or tag in labels[one.name].tags)
            and (not owner or owner == labels[one.name].owner)
        ]

    def counted(self, every: Sequence[Activity]) -> dict[str, Any]:
        """The tags and owners that there are, and of how many studies each is."""
        labels = self.of(every).values()
        tags = Counter(tag for one in labels for tag in one.tags)
        owners = Counter(one.owner for one in labels if one.owner)
        return {"tags": sorted(tags.items()), "owners": sorted(owners.items())}


def activity_of(store: Store) -> list[Activity]:
    """A store's studies, oldest first."""
    if isinstance(store, Listing):
        return store.activity()
    made = []
    for name in store.names():
        summary = store.summary(name)
        last = max((event.at for event in store.changes(name)), default=summary.created_at)
        made.append(Activity(name, summary.created_at, summary.cursor, last))
    return made


def _labels(store: Store, names: Sequence[str]) -> dict[str, Labels]:
    if isinstance(store, Listing):
        return store.labels(names) if names else {}
    return {name: of_study(store.summary(name).spec) for name in names}
