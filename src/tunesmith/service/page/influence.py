"""What mattered: how much of the metric each parameter explains, and every trial's value against each."""

from __future__ import annotations

import time
from typing import Any, Final

from tunesmith.analysis import fronts, parameters
from tunesmith.analysis.importance import importance
from tunesmith.analysis.page import Drawings
from tunesmith.analysis.trials import TrialArrays
from tunesmith.core.ledger import Ledger
from tunesmith.service.page.readings import Reading

#: Slices at most: of more parameters those that explain most.
SLICES: Final = 40


def influence(reading: Reading, objective: int = 0) -> dict[str, Any]:
    """Figures by one of the objectives, as HTML. Raises StudyError."""
    with reading.result() as result:
        ledger = result.ledger
        place = ledger.spec.place_of(objective)
        return reading.made(("influence", place), ledger, lambda: _influence(ledger, place))


def _influence(ledger: Ledger, place: int) -> dict[str, Any]:
    trials, drawings = TrialArrays(ledger).by(place), Drawings()
    names = list(ledger.spec.space.tunables)
    shares = importance(trials.history, place) if len(trials.done) > 1 else None
    bars = ""
    if shares is not None:
        bars = drawings.add(parameters.importance_bars(shares), heading=True)
        ranked = [share.name for share in shares.parameters]
        names = [*ranked, *(name for name in names if name not in ranked)]
    slices = []
    if len(trials.done):
        slices = [
            drawings.add(parameters.slice_of(trials, name), small=True) for name in names[:SLICES]
        ]
    front = ""
    if len(ledger.spec.objectives) == 2 and len(trials.feasible):
        front = drawings.add(fronts.front(trials))
    return {
        "objectives": [o.metric for o in ledger.spec.objectives],
        "front": front,
        "bars": bars,
        "slices": slices,
        "names": names[:SLICES],
        "tips": drawings.json(),
        "known": len(trials.done),
        "size": ledger.size,
        "cursor": ledger.cursor,
        "made_at": time.time(),
        "hidden": max(0, len(names) - SLICES),
    }
