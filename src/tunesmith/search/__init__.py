"""Searchers: one file each; the file's name is the searcher's public name.

A file has one frozen dataclass of options with `suggest`, exported as ``SEARCHER``. Other packages
add theirs through the entry point group ``tunesmith.searchers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunesmith.core.history import History
from tunesmith.core.strategy import Outlook, Searcher
from tunesmith.core.study import Strategy
from tunesmith.strategy import registry

if TYPE_CHECKING:
    from tunesmith.search.bayes.landscape import Results

ENTRY_POINTS: Final = "tunesmith.searchers"


def make(strategy: Strategy) -> Searcher:
    """The searcher of that name, with its options. Raises StrategyError."""
    made: Searcher = registry.make(
        strategy,
        package=__name__,
        attribute="SEARCHER",
        group=ENTRY_POINTS,
        noun="searcher",
        verb="suggest",
    )
    return made


def describe(searcher: Searcher) -> Strategy:
    """The name and options under which `make` finds this searcher's class again."""
    return registry.describe(searcher, package=__name__, noun="searcher")


def look_ahead(history: History, n: int) -> Outlook | None:
    """See `tunesmith.search.bayes.look_ahead`, whatever searcher the study has."""
    from tunesmith.search.bayes import look_ahead

    return look_ahead(history, n)


def landscape(history: History, objective: int = 0) -> Results | None:
    """See `tunesmith.search.bayes.landscape`, whatever searcher the study has."""
    from tunesmith.search.bayes.landscape import Results

    return Results.of(history, objective)


def likeness(history: History) -> dict[int, tuple[float, float]]:
    """See `tunesmith.search.bayes.likeness`, whatever searcher the study has."""
    from tunesmith.search.bayes import likeness

    return likeness(history)


def names() -> list[str]:
    """Every searcher there is, installed packages' included."""
    return registry.names(__name__, ENTRY_POINTS)
