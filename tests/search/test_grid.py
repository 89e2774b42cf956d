from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings

from tunesmith.core import codec, events
from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.propose import propose
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Float, Int
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.trial import USER, Origin
from tunesmith.search.grid import Grid
from tunesmith.testing.strategies import spaces

TREE = Space(
    net=Choice("mlp", "cnn"),
    layers=Int(1, 3, when={"net": "mlp"}),
    kernel=Choice(3, 5, when={"net": "cnn"}),
    pool=Choice(True, False, when="kernel > 3"),
    lr=Float(1e-4, 1e-2, log=True),
)


def study(space: Space) -> Ledger:
    return Ledger(StudySpec(name="study", space=space, searcher=Strategy("grid")))


def run(ledger: Ledger, grid: Grid, most: int, n: int = 1) -> list[Config]:
    """The first `most` configs that the grid gives, `n` at a time."""
    memo: dict[Any, Any] = {}
    given: list[Config] = []
    while len(given) < most and (proposals := propose(ledger, grid, n, memo)):
        for config, origin in proposals:
            ledger.apply(events.Suggested(0.0, ledger.size, config, origin, "s"))
            given.append(config)
    return given


def test_every_combination_the_last_parameter_fastest() -> None:
    space = Space(a=Int(1, 2), b=Choice("x", "y"), c=Float(0, 1))
    given = run(study(space), Grid(levels=3), 99)
    wanted = itertools.product([1, 2], ["x", "y"], [0.0, 0.5, 1.0])
    assert [tuple(config.values()) for config in given] == list(wanted)


def test_conditional_branches_once_each() -> None:
    given = run(study(TREE), Grid(levels=3), 99)
    branches = [tuple(v for k, v in c.items() if k != "lr") for c in given if c["lr"] == 1e-4]
    assert branches == [
        ("mlp", 1),
        ("mlp", 2),
        ("mlp", 3),
        ("cnn", 3),
        ("cnn", 5, True),
        ("cnn", 5, False),
    ]
    assert len(given) == 18
    assert Grid(levels=3).count(TREE).points == 18


@settings(max_examples=30, deadline=None)
@given(spaces(3))
def test_no_repeats_and_as_many_as_it_says(space: Space) -> None:
    grid = Grid(levels=2)
    size = grid.count(space)
    ledger = study(space)
    given = run(ledger, grid, min(size.points, 60), n=7)
    assert len({str(config) for config in given}) == len(given) == ledger.size
    if size.points <= 60:
        assert len(given) == size.points
        assert run(ledger, grid, 1) == [], "all have been run"


def test_a_grid_of_a_billion_points_starts_at_once() -> None:
    space = Space({f"x{i}": Float(0, 1) for i in range(9)})
    grid = Grid(levels=10)
    given = run(study(space), grid, 25, n=5)
    assert [config["x8"] for config in given[:10]] == pytest.approx([k / 9 for k in range(10)])
    assert [config["x7"] for config in given[::10]] == pytest.approx([0, 1 / 9, 2 / 9])
    assert str(grid.count(space)) == "1,000,000,000"


def test_it_says_how_far_it_is() -> None:
    ledger = study(TREE)
    run(ledger, Grid(levels=3), 2)
    assert ledger.trial(1).origin.why == "grid point 2 of 18"
    related = study(Space({f"x{i}": Float(0, 1) for i in range(9)}).require("x0 >= 0"))
    run(related, Grid(levels=10), 1)
    assert related.trial(0).origin.why == "grid point 1 of at most 1,000,000,000"


@pytest.mark.parametrize("stop_after", [0, 1, 7, 17, 18])
def test_it_resumes_where_it_was(stop_after: int) -> None:
    whole = run(study(TREE), Grid(levels=3), 99)
    first = study(TREE)
    stored: list[str] = []
    for number, config in enumerate(run(first, Grid(levels=3), stop_after)):
        event = events.Suggested(0.0, number, config, first.origin(number), "s")
        stored.append(codec.encode(event))
    again = study(TREE).extend(codec.decode_many(stored))
    assert run(again, Grid(levels=3), 99) == whole[stop_after:]


def test_what_somebody_has_run_by_hand_is_left_out() -> None:
    ledger = study(Space(a=Int(1, 4)))
    ledger.apply(events.Enqueued(0.0, 0, {"a": 3}, Origin(USER)))
    assert [c["a"] for c in run(ledger, Grid(), 9)] == [1, 2, 4]


def test_relations_leave_points_out() -> None:
    space = Space(low=Int(1, 4), high=Int(1, 4)).require("low < high")
    given = run(study(space), Grid(), 99)
    assert [tuple(c.values()) for c in given] == list(itertools.combinations(range(1, 5), 2))
    assert Grid().count(space).points == 6


def test_levels_by_name() -> None:
    space = Space(a=Float(0, 1), b=Float(0, 1), c=Choice("x", "y", "z"), d=Int(1, 9))
    lattice = Grid(levels={"a": 2, "b": [0.5, 0.25], "c": ["z"], "d": [3.0]}).lattice(space)
    assert lattice.levels == {"a": [0.0, 1.0], "b": [0.5, 0.25], "c": ["z"], "d": [3]}
    assert type(lattice.levels["d"][0]) is int
    assert len(Grid(levels={"a": 2}).lattice(space).levels["b"]) == 5, "5 where nothing is said"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (0, "levels are a whole number from 1, or by name such a number or a list.*, not 0"),
        (True, "levels are a whole number from 1.*, not True"),
        (2.5, "levels are a whole number from 1.*, not 2.5"),
        ([1, 2], r"levels are a whole number from 1.*, not \[1, 2\]"),
        ({"a": 0}, "levels are a whole number from 1.*, not 0 for a"),
        ({"a": 2.5}, "levels are a whole number from 1.*, not 2.5 for a"),
        ({"a": []}, r"levels are a whole number from 1.*, not \[\] for a"),
        ({"a": "ab"}, "levels are a whole number from 1.*, not 'ab' for a"),
        ({"aa": 3}, "levels name 'aa', which is no parameter to tune; did you mean 'a'|known: a"),
        ({"a": [0.5, 2]}, "a level of a is 2, outside 0 .. 1"),
    ],
)
def test_wrong_levels(levels: Any, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        Grid(levels=levels).lattice(Space(a=Float(0, 1)))


def test_suggestions_need_no_chance() -> None:
    space = Space(a=Float(0, 1))
    one, two = (
        Grid().suggest(space, History(study(space)), 5, stream(seed, 0, "test")) for seed in (1, 2)
    )
    assert one == two
