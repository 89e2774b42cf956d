"""Asking a searcher for configs that have not been run: the same in the loop, in `ask` and in replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tunesmith.core.asking import BLANK, blank
from tunesmith.core.errors import ConfigError, StrategyError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.rng import passing_stream
from tunesmith.core.space.lattice import Lattice
from tunesmith.core.space.space import Config, Space
from tunesmith.core.strategy import Searcher, Suggestion, valid
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Origin

#: The origin of a config that is nobody's choice: every suggestion had been run before.
UNTRIED: Final = "untried"
#: How many suggestions a searcher is asked for, at most, to find one that has not been run.
_MOST_ASKED: Final = 1024
#: Parameters with more values than this are not gone through one value after the other.
_MOST_LEVELS: Final = 10**6


def propose(
    ledger: Ledger,
    searcher: Searcher,
    n: int,
    memo: dict[Any, Any] | None = None,
) -> list[tuple[Config, Origin]]:
    """Up to `n` new configs and where they come from; none when the space is exhausted.

    Unless the study allows duplicates, configs that have been run are left out. If that leaves none,
    the searcher is asked for four times as many, and so on; if that does not help, the first untried
    config of a finite space (or a random one of any other, or of a huge one) is taken instead.
    """
    spec = ledger.spec
    if blank(spec):
        origin = Origin(
            BLANK, "nothing is known yet of what trials ask for", ledger.cursor, ledger.size, n
        )
        return [({}, msgspec.structs.replace(origin, pick=pick)) for pick in range(n)]
    history = History(ledger, visible=visible_results(spec, ledger.size), memo=memo)
    asked = n
    while True:
        proposals, suggestions = _ask(ledger, searcher, history, n, asked)
        if proposals or not suggestions:
            return proposals
        if asked >= _MOST_ASKED:
            return _untried(ledger, history)
        asked *= 4


def recompute(
    ledger: Ledger, searcher: Searcher, origin: Origin, memo: dict[Any, Any]
) -> Sequence[Config]:
    """The suggestions that `origin` was picked from, made again: `ledger` has to be as it was then."""
    spec = ledger.spec
    if origin.searcher == BLANK:
        return [{} for _ in range(origin.asked)] if blank(spec) else []
    visible = visible_results(spec, origin.first)
    history = History(ledger, visible=visible, memo=memo)
    if origin.searcher == UNTRIED:
        return [config for config, _ in _untried(ledger, history)]
    rng = passing_stream(spec.seed, origin.first, "suggest")
    suggestions = searcher.suggest(spec.space, history, origin.asked, rng)
    return [s.config if isinstance(s, Suggestion) else s for s in suggestions]


def visible_results(spec: StudySpec, first: int) -> int | None:
    """Up to which trial the suggestion for trial `first` sees results; None for all of them."""
    return max(0, first - spec.limits.parallel + 1) if spec.deterministic else None


def _ask(
    ledger: Ledger, searcher: Searcher, history: History, n: int, asked: int
) -> tuple[list[tuple[Config, Origin]], int]:
    """The first `n` new configs among `asked` suggestions, and how many suggestions came."""
    spec = ledger.spec
    first = ledger.size
    rng = passing_stream(spec.seed, first, "suggest")
    suggestions = searcher.suggest(spec.space, history, asked, rng)
    chosen: list[tuple[Config, Origin]] = []
    rows: list[list[float]] = []
    trusted = valid(searcher)
    for pick, suggestion in enumerate(suggestions):
        config, why = suggestion if isinstance(suggestion, Suggestion) else (suggestion, "")
        if not trusted:
            config = _checked(spec.space, config, spec.searcher.name)
        if not spec.duplicates:
            row = ledger.row(config)
            if ledger.find_row(row) is not None or row in rows:
                continue
            rows.append(row)
        origin = Origin(spec.searcher.name, why, ledger.cursor, first, asked, pick)
        chosen.append((config, origin))
        if len(chosen) == n:
            break
    return chosen, len(suggestions)


def _checked(space: Space, config: Mapping[str, Any], searcher: str) -> Config:
    try:
        return space.clean(config)
    except ConfigError as error:
        raise StrategyError(
            f"searcher {searcher!r} suggested a config that it must not: {error}; build configs with "
            "space.decode or space.sample"
        ) from None


def _untried(ledger: Ledger, history: History) -> list[tuple[Config, Origin]]:
    """One config that has not been run, or [] if none was found: O(configs that have been, and levels)."""
    space = ledger.spec.space
    origin = Origin(UNTRIED, "all suggestions had been run", ledger.cursor, ledger.size, 1, 0)
    sizes = {name: parameter.size for name, parameter in space.tunables.items()}
    if all(size is not None and size <= _MOST_LEVELS for size in sizes.values()):
        everything = {name: p.levels(sizes[name] or 1) for name, p in space.tunables.items()}
        for config in Lattice(space, everything).walk():
            if history.find(config) is None:
                return [(config, origin)]
        return []
    rng = passing_stream(ledger.spec.seed, ledger.size, UNTRIED)
    for _ in range(_MOST_ASKED):
        config = space.sample(rng)
        if history.find(config) is None:
            return [(config, origin)]
    return []
