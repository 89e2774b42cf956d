"""Who ran what, when: a lane for each process, a bar for each attempt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from tunesmith.core import events
from tunesmith.core.events import Event
from tunesmith.core.ledger import Ledger
from tunesmith.service.page.readings import Reading
from tunesmith.tuning.session import alive

#: Bars that are given one by one; of more, the newest.
BARS: Final = 4000
#: Lanes of one process that runs several trials at a time, and lanes in all.
_DEEP: Final = 64
LANES: Final = 200


@dataclass
class Attempts:
    """The fold of a study's events into attempts: trial, session, begin, end (None: it runs), how it ended."""

    cursor: int = 0
    done: list[tuple[int, str, float, float, str]] = field(default_factory=list)
    open: dict[int, tuple[str, float]] = field(default_factory=dict)

    def extend(self, many: Any) -> None:
        for event in many:
            self.cursor += 1
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case events.Suggested() | events.Started() | events.Forked():
                self.open[event.trial] = (event.session, event.at)
            case events.Finished():
                self._end(event.trial, event.at, str(event.state))
            case events.Requeued():
                self._end(event.trial, event.at, "lost")
            case events.Paused():
                self._end(event.trial, event.at, "paused")
            case _:
                pass

    def _end(self, trial: int, at: float, how: str) -> None:
        if (begun := self.open.pop(trial, None)) is not None:
            self.done.append((trial, begun[0], begun[1], max(at, begun[1]), how))


def timeline(reading: Reading, since_s: float | None = None) -> dict[str, Any]:
    """Lanes and their bars, of the last `since_s` seconds of work only if that is given. O(new events) from the second call
    on."""
    with reading.result() as result:
        ledger = result.ledger
        known = reading.last("attempts")
        attempts = Attempts() if known is None else known[1]
        attempts.extend(reading.store.changes(reading.name, attempts.cursor))
        reading.keep("attempts", attempts.cursor, attempts)
        now = time.time() if ledger.running else ledger.last_at
        bars = [*attempts.done]
        for number, (session, at) in attempts.open.items():
            if number in ledger.running:
                bars.append((number, session, at, now, "running"))
            else:  # its process is gone, and nobody has written that down yet
                bars.append((number, session, at, max(at, ledger.worked_at), "lost"))
        if since_s is not None:
            bars = [bar for bar in bars if bar[3] >= now - since_s]
        total = len(bars)
        bars = sorted(bars, key=lambda bar: bar[2])[-BARS:]
        begin = min((bar[2] for bar in bars), default=now)
        if since_s is not None:
            begin = max(begin, now - since_s)
        lanes = _lanes(ledger, bars, begin)
        busy = sum(bar[1] - bar[0] for lane in lanes for bar in lane["bars"])
        return {
            "begin": begin,
            "end": max(now, begin + 1e-3),
            "lanes": lanes[:LANES],
            "more": max(0, len(lanes) - LANES),
            "bars": len(bars),
            "total": total,
            "busy": busy / (max(1, len(lanes)) * max(now - begin, 1e-9)),
            "cursor": ledger.cursor,
        }


def _lanes(
    ledger: Ledger, bars: list[tuple[int, str, float, float, str]], begin: float
) -> list[dict[str, Any]]:
    by_session: dict[str, list[list[list[Any]]]] = {}
    for trial, session, start, end, how in bars:
        rows = by_session.setdefault(session, [])
        bar = [max(start, begin), end, trial, how]
        for row in rows:
            if row[-1][1] <= start + 1e-6 or len(rows) >= _DEEP:
                row.append(bar)
                break
        else:
            rows.append([bar])
    lanes = []
    for session, rows in by_session.items():
        opened = ledger.sessions.get(session)
        name = session if opened is None else f"{opened.host} · {opened.pid}"
        gone = opened is not None and session in ledger.open_sessions and alive(opened) is False
        lanes += [
            {"name": name, "row": k, "rows": len(rows), "gone": gone, "bars": row}
            for k, row in enumerate(rows)
        ]
    return lanes
