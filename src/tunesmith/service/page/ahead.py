"""What will be looked at first is made before anybody does: a long history, and the report of it, take seconds."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Final

from tunesmith.core.errors import TunesmithError
from tunesmith.service.page import overview
from tunesmith.service.page.readings import Readings
from tunesmith.store.base import Listing

#: A study with fewer events is read in a moment.
LONG: Final = 20_000
_TURN_S: Final = 0.02


def read_ahead(readings: Readings) -> None:
    """Read the study in which something happened last, and write its report, if that takes its time."""
    store = readings.store
    if not isinstance(store, Listing):
        return
    with suppress(TunesmithError):  # who looks at it hears of it
        last = max(store.activity(), key=lambda one: one.last_at, default=None)
        if last is None or last.cursor < LONG:
            return
        if readings.may_keep(sum(store.summary(last.name).counts.values())):
            reading = readings.of(last.name)
            for make in (overview.live, partial(overview.report, first=True), overview.report):
                make(reading)
                time.sleep(_TURN_S)  # who asks meanwhile is answered in between
