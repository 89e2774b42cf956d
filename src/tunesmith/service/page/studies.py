"""The list of studies: each at a glance, those in which something happened last first."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from tunesmith.core.errors import StudyError, StudyNotFound
from tunesmith.core.trial import State
from tunesmith.service.labelled import Labelled, activity_of
from tunesmith.store.base import Activity, Store, Summary, Tabular
from tunesmith.tuning.excerpt import state_now
from tunesmith.tuning.session import brief

#: Studies given at a time, and points of a line of the best value so far.
MOST: Final = 50
POINTS: Final = 40
#: Of a study with more trials no such line is drawn in the list.
LARGE: Final = 20_000
#: So often (s) it is looked whether those who run trials are still there.
AGAIN_S: Final = 10.0
#: So many summaries are kept.
_KEPT: Final = 20_000
#: Of so many trials that ended, this share failed: it needs somebody to look.
_FAILING: Final = 0.5
_SORTS: Final = ("last", "name", "created", "events")

Sees: TypeAlias = Callable[[str], bool]


def _all(_: str) -> bool:
    return True


class Overviews:
    """Summaries of studies, read again only where something has happened."""

    def __init__(self, store: Store, labelled: Labelled) -> None:
        self._store, self._labelled = store, labelled
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, float], tuple[int, float, dict[str, Any]]] = {}
        self._lines: dict[tuple[str, float], tuple[int, list[float] | None]] = {}

    def page(
        self,
        search: str = "",
        sort: str = "last",
        begin: int = 0,
        sees: Sees = _all,
        tag: str = "",
        owner: str = "",
    ) -> dict[str, Any]:
        """Studies whose names have `search` in them, with this `tag` and of this `owner`; `sees` says of a name whether it may
        be shown. Raises StudyError."""
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if name not in _SORTS:
            raise StudyError(f"studies are sorted by {', '.join(_SORTS)}, not by {name!r}")
        every = self._every(sees)
        wanted = search.strip().lower()
        fitting = [one for one in every if wanted in one.name.lower()]
        fitting = self._labelled.fitting(fitting, tag, owner)
        # the newest first, names from A on
        key = {
            "last": lambda one: (-one.last_at, one.name),
            "name": lambda one: (one.name.lower(), one.name),
            "created": lambda one: (-one.created_at, one.name),
            "events": lambda one: (-one.cursor, one.name),
        }[name]
        fitting.sort(key=key, reverse=descending)
        rows = []
        for one in fitting[begin : begin + MOST]:
            try:
                rows.append(self._row(one))
            except StudyNotFound:  # deleted meanwhile
                continue
        return {"studies": rows, "total": len(fitting), "every": len(every), "begin": begin}

    def labels(self, sees: Sees = _all) -> dict[str, Any]:
        """The tags and owners of all studies that may be shown, and of how many each is."""
        return self._labelled.counted(self._every(sees))

    def _every(self, sees: Sees) -> list[Activity]:
        return [one for one in activity_of(self._store) if sees(one.name)]

    def lines(self, names: list[str]) -> dict[str, list[float] | None]:
        """For each study the best value after so many trials, evenly taken; None where there is no such line."""
        activity = {one.name: one for one in activity_of(self._store)}
        return {name: self._line(activity[name]) for name in names[:MOST] if name in activity}

    def _row(self, one: Activity) -> dict[str, Any]:
        key = (one.name, one.created_at)
        with self._lock:
            known = self._rows.get(key)
        if known is not None and known[0] == one.cursor and time.monotonic() < known[1]:
            return known[2]
        summary, who, until = self._store.summary(one.name), "", math.inf
        if summary.counts[State.RUNNING] and sum(summary.counts.values()) <= LARGE:
            # whoever ran them may be gone without a word
            counts, sessions = state_now(self._store, summary)
            summary, who = replace(summary, counts=counts), brief(sessions)
            until = time.monotonic() + AGAIN_S
        row = {**row_of(summary), "last_at": one.last_at, "who": who}
        with self._lock:
            if len(self._rows) >= _KEPT:
                self._rows.clear()
            self._rows[key] = (one.cursor, until, row)
        return row

    def _line(self, one: Activity) -> list[float] | None:
        key = (one.name, one.created_at)
        with self._lock:
            known = self._lines.get(key)
        if known is None or known[0] != one.cursor:
            known = (one.cursor, _best_so_far(self._store, one.name))
            with self._lock:
                if len(self._lines) >= _KEPT:
                    self._lines.clear()
                self._lines[key] = known
        return known[1]


def row_of(summary: Summary) -> dict[str, Any]:
    """A study at a glance, in JSON's types."""
    spec, counts = summary.spec, summary.counts
    ended = counts[State.COMPLETED] + counts[State.STOPPED] + counts[State.FAILED]
    failing = ended >= 4 and counts[State.FAILED] > _FAILING * ended
    begun = sum(counts.values()) - counts[State.WAITING] - counts[State.CANCELLED]
    return {
        "name": summary.name,
        "created_at": summary.created_at,
        "cursor": summary.cursor,
        "objectives": [{"metric": o.metric, "goal": o.goal} for o in spec.objectives],
        "counts": {str(state): n for state, n in counts.items() if n},
        "trials": spec.limits.trials,
        "begun": begun,
        "best": summary.best,
        "best_value": summary.best_value,
        "searcher": spec.searcher.name,
        "tags": list(spec.tags),
        "owner": spec.owner,
        "attention": f"{counts[State.FAILED]} of {ended} trials failed" if failing else "",
    }


def _best_so_far(store: Store, name: str) -> list[float] | None:
    summary = store.summary(name)
    if not isinstance(store, Tabular) or sum(summary.counts.values()) > LARGE:
        return None
    sign = summary.spec.first_objective.sign
    values = [
        sign * head.value
        for head in store.heads(name)
        if head.state is State.COMPLETED and head.value is not None
    ]
    if len(values) < 2 or len(summary.spec.objectives) > 1:
        return None
    best = np.minimum.accumulate(np.array(values))
    places = np.linspace(0, len(best) - 1, min(POINTS, len(best))).astype(int)
    return [float(v) for v in sign * best[places]]
