"""The best trial in words, for every screen: its value, or where values have noise what it is expected to reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.core.quantity import show_number
from tunesmith.core.trial import Trial

if TYPE_CHECKING:
    from tunesmith.tuning.result import Result


def reached(metrics: Sequence[str], best: Trial) -> str:
    """``loss 0.31 (trial 12)`` or, of several objectives, ``loss 0.31, size 40 (trial 12)``; with noise
    ``loss 0.31 on average (0.29 to 0.33 with a probability of 90 %), 0.305 in its run (trial 12)``."""
    if best.expected is None or best.interval is None:
        named = zip(metrics, best.values or (), strict=True)
        values = ", ".join(f"{metric} {show_number(value, 7)}" for metric, value in named)
        return f"{values} (trial {best.number})"
    (metric,) = metrics  # of several, none is expected
    own = show_number(best.value, 7)
    low, high = (show_number(end, 4) for end in best.interval)
    return (
        f"{metric} {show_number(best.expected, 4)} on average ({low} to {high} with a probability of 90 %), {own} in its "
        f"run (trial {best.number})"
    )


def luck(result: Result, best: Trial) -> str | None:
    """Which trial has the best value, where that is not the best one."""
    if best.expected is None:
        return None
    observed = result.best_observed
    if observed.number == best.number:
        return "runs of one config differ, and the best value is partly luck"
    return (
        f"trial {observed.number} has the best value, {show_number(observed.value, 7)}, partly by luck: runs of one config "
        "differ"
    )
