from __future__ import annotations

import itertools
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings

from tunesmith.core.space.expression import Expression
from tunesmith.core.space.lattice import Count, Lattice
from tunesmith.core.space.parameter import Choice, Float, Int, identity
from tunesmith.core.space.space import Config, Space
from tunesmith.testing.strategies import spaces

TREE = Space(
    net=Choice("mlp", "cnn"),
    layers=Int(1, 2, when={"net": "mlp"}),
    kernel=Choice(3, 5, 7, when={"net": "cnn"}),
    pool=Choice(True, False, when="kernel > 3"),
    epochs=10,
)


def lattice(space: Space, most: int = 3) -> Lattice:
    return Lattice(space, {name: p.levels(most) for name, p in space.tunables.items()})


def key(config: Config) -> Any:
    return tuple((name, identity(value)) for name, value in config.items())


def by_force(grid: Lattice) -> set[Any]:
    """Every combination of levels with the inactive ones taken out, one by one."""
    space, found = grid.space, set()
    for values in itertools.product(*grid.levels.values()):
        row = [p.number(v) for p, v in zip(space.tunables.values(), values, strict=True)]
        config = space.from_row(row)
        if space.satisfies(config):
            found.add(key(config))
    return found


def test_branches_are_walked_once_each() -> None:
    walked = [tuple(config.values())[:-1] for config in lattice(TREE).walk()]
    assert walked == [
        ("mlp", 1),
        ("mlp", 2),
        ("cnn", 3),
        ("cnn", 5, True),
        ("cnn", 5, False),
        ("cnn", 7, True),
        ("cnn", 7, False),
    ]
    assert lattice(TREE).count() == Count(7, exact=True)
    assert all(config["epochs"] == 10 for config in lattice(TREE).walk())


@settings(max_examples=50, deadline=None)
@given(spaces(4))
def test_a_walk_is_every_combination_once(space: Space) -> None:
    grid = Lattice(space, {name: p.levels(2)[:4] for name, p in space.tunables.items()})
    walked = [key(config) for config in grid.walk()]
    assert len(walked) == len(set(walked)), "a repeat"
    assert set(walked) == by_force(grid)
    assert grid.count() == Count(len(walked), exact=True)


def test_relations_prune() -> None:
    space = Space(a=Int(1, 9), b=Int(1, 9), c=Int(1, 9)).require("a < b").require("b < c")
    walked = [tuple(c.values()) for c in lattice(space, 9).walk()]
    assert walked == list(itertools.combinations(range(1, 10), 3))
    assert lattice(space, 9).count() == Count(84, exact=True)


def test_a_pruned_branch_is_not_walked() -> None:
    """10^60 points, of which one is left: it has to be found at once."""
    space = Space({f"k{i}": Int(1, 1000) for i in range(20)})
    for i in range(20):
        space.require(f"k{i} == 1")
    assert len(list(lattice(space, 1000).walk())) == 1


def test_counts_that_cannot_be_walked() -> None:
    wide = Space({f"x{i}": Float(0, 1) for i in range(9)})
    assert str(lattice(wide, 10).count()) == "1,000,000,000"
    related = Space({f"x{i}": Float(0, 1) for i in range(9)}).require("x0 >= 0")
    assert str(lattice(related, 10).count()) == "at most 1,000,000,000"
    assert lattice(Space()).count() == Count(1, exact=True)
    assert list(lattice(Space()).walk()) == [{}]


@pytest.mark.parametrize("space", [Space(), Space(a=1), Space(a=Int(1, 3))])
def test_relations_that_name_nothing(space: Space) -> None:
    assert lattice(deepcopy(space).require("1 == 1")).count().points == len(space) * 2 + 1
    assert list(lattice(space.require("1 == 2")).walk()) == []


class TestBounds:
    """Levels that a linear relation leaves out are not looked at, and no other ones are left out."""

    @pytest.mark.parametrize(
        "relations",
        [
            ["a < b"],
            ["a + b == 12", "b <= c"],
            ["2 * a - b >= 3"],
            ["a * b <= 24"],
            ["a * c == 12"],
            ["a < b < c", "a != 3"],
            ["a < k"],
            ["abs(a - b) > 2", "c < a"],
        ],
    )
    def test_nothing_else_is_left_out(self, relations: list[str]) -> None:
        space = Space(a=Int(1, 12), b=Int(1, 12, step=1), c=Choice(*range(12, 0, -1)), k=5)
        for relation in relations:
            space = space.require(relation)
        levels = {"a": range(1, 13), "b": range(1, 13), "c": list(range(1, 13))}
        for c in (levels["c"], list(range(12, 0, -1))):
            made = list(Lattice(space, levels | {"c": c}).walk())
            every = [
                {"a": x, "b": y, "c": z, "k": 5}
                for x in levels["a"]
                for y in levels["b"]
                for z in c
            ]
            assert made == [config for config in every if space.satisfies(config)]

    def test_what_may_be_inactive_bounds_nothing(self) -> None:
        space = Space(a=Int(1, 12), on=Choice(True, False), b=Int(1, 12, when={"on": True}))
        space = space.require("a < b")
        levels = {"a": range(1, 13), "on": [True, False], "b": range(1, 13)}
        made = list(Lattice(space, levels).walk())
        assert len([config for config in made if not config["on"]]) == 12
        assert len([config for config in made if config["on"]]) == 66

    def test_the_first_of_very_many_is_near(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A million values of the one are too large for the first value of the other."""
        looked: list[Any] = []
        holds = Expression.holds

        def counted(self: Expression, config: Any) -> bool:
            looked.append(config)
            return holds(self, config)

        monkeypatch.setattr(Expression, "holds", counted)
        space = Space(n=Int(0, 10**9, step=2), m=Int(0, 10**9, step=1000)).require("m < n")
        levels = {"n": space["n"].levels(5), "m": space["m"].levels(5)}  # type: ignore[union-attr]
        assert next(Lattice(space, levels).walk()) == {"n": 2, "m": 0}
        assert len(looked) < 10
