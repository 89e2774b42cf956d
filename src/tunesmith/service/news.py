"""Waiting for what happens to studies, whoever writes it: this service, or others in the same store."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from tunesmith.service.streams import Streams
from tunesmith.service.studies import Studies

#: How often the store is asked for what others wrote (s), for each study that somebody waits for.
LOOK_S: Final = 0.4


class News:
    """The last event of each study that somebody looks at. For the event loop."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._cursors: dict[str, tuple[int, float]] = {}
        self._rings: dict[str, asyncio.Event] = {}
        #: Who is told as it happens.
        self.streams = Streams()

    def tell(self, study: str, cursor: int) -> None:
        """The study has events up to `cursor`."""
        self._cursors[study] = (cursor, time.monotonic())
        if (ring := self._rings.pop(study, None)) is not None:
            ring.set()

    async def wait(self, study: str, cursor: int, wait_s: float) -> bool:
        """Whether the study has events behind `cursor`, once it has, or after so long (s). Raises StudyNotFound."""
        deadline = time.monotonic() + wait_s
        while True:
            known, seen_at = self._cursors.get(study, (-1, 0.0))
            now = time.monotonic()
            if now - seen_at >= LOOK_S or known < cursor:
                self._cursors[study] = (known, now)  # nobody else needs to look meanwhile
                known = await self._studies.quick(self._studies.store.cursor, study)
                if known != self._cursors[study][0]:
                    self.tell(study, known)
            if known > cursor:
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._studies.ending:
                return False
            ring = self._rings.setdefault(study, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(ring.wait(), min(left_s, LOOK_S))
