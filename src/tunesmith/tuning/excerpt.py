"""Some trials of a study, made from their own events alone: what a screen shows needs no other ones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import State
from tunesmith.store import Store
from tunesmith.store.base import Tabular
from tunesmith.tuning.table import Columns

#: More trials than this are made faster from the whole history.
MOST = 1000


class Excerpt:
    """A ledger of some trials: its row i is trial `numbers[i]`. Parents are left out."""

    def __init__(self, store: Tabular, name: str, numbers: Sequence[int]) -> None:
        #: In the order in which the trials are to be shown.
        self.order = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
        self.numbers = sorted(numbers)
        self.ledger = Ledger(store.load(name))
        place = {number: i for i, number in enumerate(self.numbers)}
        for event in store.part(name, self.numbers):
            number = getattr(event, "trial", None)
            if number is not None:
                event = msgspec.structs.replace(event, trial=place[number])
            if isinstance(event, events.Enqueued):
                event = msgspec.structs.replace(event, parent=None)
            self.ledger.apply(event)


def excerpt(
    store: Store, name: str, *, sort: str | None, states: Sequence[State], limit: int, last: bool
) -> tuple[Excerpt, int] | None:
    """The trials that `table.select` would give (the `last` ones instead of the first), and how many fit in all;
    None where that takes the whole history.
    """
    if not isinstance(store, Tabular) or limit > MOST or sort not in (None, "value", "-value"):
        return None
    heads = [head for head in store.heads(name) if not states or head.state in states]
    sign = store.load(name).objective.sign
    if sort is not None:
        way = -sign if sort == "-value" else sign
        heads.sort(key=lambda head: (head.value is None, way * (head.value or 0.0)))
    numbers = [head.number for head in (heads[-limit:] if last and limit else heads[:limit])]
    part = Excerpt(store, name, numbers)
    if sort is not None and Columns.of(part.ledger).means_another(part.ledger, "value"):
        return None
    return part, len(heads)
