from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tunesmith.core.errors import StrategyError
from tunesmith.core.study import Strategy
from tunesmith.search.grid import Grid
from tunesmith.search.random import Random
from tunesmith.strategy import registry

SEARCH: dict[str, Any] = {
    "package": "tunesmith.search",
    "attribute": "SEARCHER",
    "group": "tunesmith.searchers",
    "noun": "searcher",
}


@dataclass(frozen=True)
class Odd:
    """A strategy that lives here; `least` has no default."""

    least: int
    most: int = 9

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"least is {self.least}, above {self.most}")


class Outer:
    @dataclass(frozen=True)
    class Inner:
        pass


def make(name: str, **options: Any) -> Any:
    return registry.make(Strategy(name, options), **SEARCH)


def test_our_own_by_file_name() -> None:
    assert make("random") == Random()
    assert make("grid", levels=3) == Grid(levels=3)
    assert {"random", "grid", "sobol", "auto"} <= set(registry.names("tunesmith.search", "none"))


def test_others_by_import_path() -> None:
    assert make(f"{__name__}:Odd", least=1) == Odd(1)
    assert make(f"{__name__}:Outer.Inner") == Outer.Inner()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rando", {}, "there is no searcher 'rando'; did you mean 'random'"),
        ("../grid", {}, "there is no searcher"),
        ("tunesmith.search.grid", {}, "there is no searcher"),
        ("__init__", {}, "there is no searcher '__init__'"),
        ("grid", {"level": 3}, "searcher 'grid' has no option 'level'; did you mean 'levels'"),
        ("grid", {"levels": 0}, "levels are a whole number"),
        ("no_such_module:X", {}, "cannot be imported: No module named"),
        (f"{__name__}:Nothing", {}, "cannot be imported: .*has no attribute 'Nothing'"),
        (f"{__name__}:Odd", {}, "missing 1 required positional argument: 'least'"),
        (f"{__name__}:Odd", {"least": 10}, "least is 10, above 9"),
        (f"{__name__}:Odd", {"lest": 1}, "has no option 'lest'; did you mean 'least'"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        make(name, **options)


@pytest.mark.parametrize(
    ("strategy", "described"),
    [
        (Random(), Strategy("random")),
        (Grid(), Strategy("grid")),
        (Grid(levels={"x": (1, 2)}), Strategy("grid", {"levels": {"x": [1, 2]}})),
        (Odd(3), Strategy(f"{__name__}:Odd", {"least": 3})),
        (Odd(3, 4), Strategy(f"{__name__}:Odd", {"least": 3, "most": 4})),
        (Outer.Inner(), Strategy(f"{__name__}:Outer.Inner")),
    ],
)
def test_what_is_described_is_made_again(strategy: Any, described: Strategy) -> None:
    found = registry.describe(strategy, package="tunesmith.search", noun="searcher")
    assert found == described
    again = make(found.name, **found.options)
    assert registry.describe(again, package="tunesmith.search", noun="searcher") == described


def test_what_could_not_be_found_again_is_refused() -> None:
    @dataclass(frozen=True)
    class Local:
        pass

    class Plain:
        pass

    for strategy, message in (
        (Local(), "has to be a dataclass defined at the top"),
        (Plain(), "has to be a dataclass defined at the top"),
        (Random, r"searcher Random is a class; write Random\(\)"),
    ):
        with pytest.raises(StrategyError, match=message):
            registry.describe(strategy, package="tunesmith.search", noun="searcher")
