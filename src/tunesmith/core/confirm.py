"""An honest winner: which of the best few trials is run again, until one of them is best with some probability.

Who is best, as far as is known, is in `core.incumbent`. The next run is for the less often run of the two most likely
winners (Russo, "Simple Bayesian algorithms for best-arm identification", 2020: top-two sampling).
"""

from __future__ import annotations

from typing import Final

from tunesmith.core import incumbent
from tunesmith.core.history import History
from tunesmith.core.incumbent import Confirmed
from tunesmith.core.trial import State

#: How probable it has to be that the winner is the best of the contenders.
SURE: Final = 0.95
#: Runs of each contender: at least, and at most.
LEAST: Final = 2
MOST: Final = 20


def contenders(history: History, k: int) -> list[int]:
    """The `k` best completed trials that are no runs of others, the best first."""
    candidates = history.where(State.COMPLETED)
    candidates[list(history.confirming)] = False
    return incumbent.contenders(history.first_losses, candidates, k)


def confirmed_contenders(history: History, k: int) -> list[Confirmed]:
    """The contenders that have been run again, the likeliest winner first. O(runs + DRAWS k)."""
    return incumbent.confirmed_of(
        history.first_losses,
        history.where(State.COMPLETED),
        history.confirmations,
        history.confirming,
        k,
        history.first_objective.sign,
        history.seed,
    )


def next_run(history: History, k: int) -> int | None:
    """The contender to run again; None if one is best with probability `SURE`, or all have had `MOST`."""
    asked = {trial: len(history.confirmations.get(trial, ())) for trial in contenders(history, k)}
    if not asked:
        return None
    rare = min(asked, key=lambda trial: asked[trial])
    if asked[rare] < LEAST and len(asked) > 1:
        return rare
    known = confirmed_contenders(history, k)
    if len(asked) == 1:
        return rare if asked[rare] < LEAST + 1 else None
    if known and known[0].chance >= SURE and len(known) == len(asked):
        return None
    likeliest = [c.trial for c in known[:2]] or list(asked)
    chosen = min(likeliest, key=lambda trial: asked[trial])
    return chosen if asked[chosen] < MOST else None
