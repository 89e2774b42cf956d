from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tunesmith.core.errors import StrategyError, StrategyNotAllowed
from tunesmith.core.study import Strategy
from tunesmith.search.grid import Grid
from tunesmith.search.random import Random
from tunesmith.strategy import registry

SEARCH: dict[str, Any] = {
    "package": "tunesmith.search",
    "attribute": "SEARCHER",
    "group": "tunesmith.searchers",
    "noun": "searcher",
    "verb": "suggest",
}


@dataclass(frozen=True)
class Odd:
    """A strategy that lives here; `least` has no default."""

    least: int
    most: int = 9

    def suggest(self) -> None: ...

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"least is {self.least}, above {self.most}")


class Outer:
    @dataclass(frozen=True)
    class Inner:
        def suggest(self) -> None: ...


class Strange:
    pass


@pytest.fixture(autouse=True)
def _nothing_is_allowed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_allowed", {})


def make(name: str, **options: Any) -> Any:
    return registry.make(Strategy(name, options), **SEARCH)


def test_our_own_by_file_name() -> None:
    assert make("random") == Random()
    assert make("grid", levels=3) == Grid(levels=3)
    assert {"random", "grid", "sobol", "auto"} <= set(registry.names("tunesmith.search", "none"))


def test_others_by_import_path_where_they_are_allowed() -> None:
    with pytest.raises(StrategyNotAllowed, match=f"--allow-import {__name__}:Odd on the command"):
        make(f"{__name__}:Odd", least=1)
    registry.allow_strategy(f"{__name__}:Odd", Outer.Inner)
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
        (f"{__name__}:Strange", {}, "is no searcher: it has no method 'suggest'"),
        (f"{__name__}:SEARCH", {}, "is no class"),
        ("os:system", {"command": "true"}, "is Python code that the study or job file names"),
        ("no_such_module:X", {}, "cannot be imported: No module named"),
        (f"{__name__}:Nothing", {}, "cannot be imported: .*has no attribute 'Nothing'"),
        (f"{__name__}:Odd", {}, "needs least"),
        (f"{__name__}:Odd", {"least": 10}, "least is 10, above 9"),
        (f"{__name__}:Odd", {"lest": 1}, "has no option 'lest'; did you mean 'least'"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, Any], message: str) -> None:
    if name != "os:system" and ":" in name:
        registry.allow_strategy(name)
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


@pytest.mark.parametrize("path", ["climb", "climb:", ":Climb", 3])
def test_only_import_paths_are_allowed(path: Any) -> None:
    with pytest.raises(StrategyError, match="by its class or import path"):
        registry.allow_strategy(path)


def test_a_name_of_a_file_is_shortened_in_messages() -> None:
    with pytest.raises(StrategyNotAllowed) as refused:
        make("a:" + "b" * 10**6)
    assert len(str(refused.value)) < 1500
