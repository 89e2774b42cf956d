"""Schedulers: one file each; the file's name is the scheduler's public name.

A file has one frozen dataclass of options with `decide`, exported as ``SCHEDULER``. Other packages
add theirs through the entry point group ``tunesmith.schedulers``.
"""

from __future__ import annotations

from typing import Final

from tunesmith.core import registry
from tunesmith.core.strategy import Scheduler
from tunesmith.core.study import Strategy

ENTRY_POINTS: Final = "tunesmith.schedulers"


def make(strategy: Strategy | None) -> Scheduler | None:
    """The scheduler of that name, with its options; None for none. Raises StrategyError."""
    if strategy is None:
        return None
    made: Scheduler = registry.make(
        strategy, package=__name__, attribute="SCHEDULER", group=ENTRY_POINTS, noun="scheduler"
    )
    return made


def names() -> list[str]:
    """Every scheduler there is, installed packages' included."""
    return registry.names(__name__, ENTRY_POINTS)
