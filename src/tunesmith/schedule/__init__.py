"""Schedulers: one file each; the file's name is the scheduler's public name.

A file has one frozen dataclass of options with `decide`, exported as ``SCHEDULER``. Other packages
add theirs through the entry point group ``tunesmith.schedulers``.
"""

from __future__ import annotations

from typing import Final

from tunesmith.core.strategy import Scheduler
from tunesmith.core.study import Strategy
from tunesmith.strategy import registry
from tunesmith.strategy.audit import Audited

ENTRY_POINTS: Final = "tunesmith.schedulers"


def make(strategy: Strategy | None) -> Scheduler | None:
    """The scheduler of that name, with its options; None for none. Raises StrategyError.

    Every scheduler that only stops trials has the option `audit`: the share of the trials it would stop
    that run to their end, so that `Result.audit` can tell how many winners it would have stopped.
    """
    if strategy is None:
        return None
    own = {name: value for name, value in strategy.options.items() if name != "audit"}
    made: Scheduler = registry.make(
        Strategy(strategy.name, own),
        package=__name__,
        attribute="SCHEDULER",
        group=ENTRY_POINTS,
        noun="scheduler",
        verb="decide",
    )
    return Audited(made, strategy.options["audit"]) if "audit" in strategy.options else made


def describe(scheduler: Scheduler) -> Strategy:
    """The name and options under which `make` finds this scheduler's class again."""
    return registry.describe(scheduler, package=__name__, noun="scheduler")


def names() -> list[str]:
    """Every scheduler there is, installed packages' included."""
    return registry.names(__name__, ENTRY_POINTS)
