from __future__ import annotations

from typing import Any

import pytest

from tunesmith.core.errors import SpaceError
from tunesmith.core.space.condition import Condition
from tunesmith.core.space.parameter import Choice, Float, Int, Parameter
from tunesmith.core.space.space import Space

KNOWN: dict[str, Parameter] = {
    "optimizer": Choice("sgd", "adam", "rmsprop"),
    "layers": Int(1, 9),
    "x": Float(0, 1),
    "shape": Choice([1, 2], [3]),
}


@pytest.mark.parametrize(
    ("when", "config", "holds"),
    [
        ({"optimizer": "sgd"}, {"optimizer": "sgd"}, True),
        ({"optimizer": "sgd"}, {"optimizer": "adam"}, False),
        ({"optimizer": ["sgd", "adam"]}, {"optimizer": "adam"}, True),
        ({"optimizer": {"sgd", "adam"}}, {"optimizer": "adam"}, True),
        ({"optimizer": "sgd", "layers": [2, 3]}, {"optimizer": "sgd", "layers": 3}, True),
        ({"optimizer": "sgd", "layers": [2, 3]}, {"optimizer": "sgd", "layers": 4}, False),
        ({"optimizer": "sgd", "layers": [2, 3]}, {"optimizer": "sgd"}, False),
        ({"layers": 2.0}, {"layers": 2}, True),
        ({"x": 1}, {"x": 1.0}, True),
        ({"shape": [[1, 2]]}, {"shape": [1, 2]}, True),
        ({"shape": [[1, 2]]}, {"shape": [3]}, False),
        ("layers >= 2 and x < 0.5", {"layers": 2, "x": 0.25}, True),
        ("layers >= 2 and x < 0.5", {"layers": 1, "x": 0.25}, False),
        ("layers >= 2 or x < 0.5", {"layers": 2}, False),
        ("optimizer in ['sgd', 'adam']", {"optimizer": "adam"}, True),
        ("1 / (layers - 1) > 0", {"layers": 1}, False),
    ],
)
def test_when_it_holds(when: Any, config: dict[str, Any], holds: bool) -> None:
    assert Condition.of("p", when, KNOWN)(config) is holds


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"optimiser": "sgd"}, "p: when= names 'optimiser', .*did you mean 'optimizer'"),
        ({"optimizer": "sgdd"}, "p: its condition can never hold: optimizer is 'sgdd'"),
        ({"optimizer": ["sgd", "z"]}, "can never hold: optimizer is 'z'"),
        ({"layers": 99}, "can never hold: layers is 99, outside 1 .. 9"),
        ("layer > 2", "names 'layer', which is no parameter; did you mean 'layers'"),
        ("optimizer > 2", "cannot be worked out"),
        ("1 < 2", "p: when='1 < 2' names no parameter"),
        ("layers >", "cannot read"),
    ],
)
def test_conditions_that_make_no_sense(when: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Condition.of("p", when, KNOWN)


def test_its_parents_and_text() -> None:
    condition = Condition.of("p", {"optimizer": ["sgd", "adam"], "layers": 2}, KNOWN)
    assert condition.parents == {"optimizer", "layers"}
    assert condition.text == "optimizer = sgd or adam and layers = 2"
    assert Condition.of("p", "layers > 2 and x > 0", KNOWN).parents == {"layers", "x"}


def test_an_inactive_parent_makes_its_children_inactive() -> None:
    space = Space(
        a=Choice("yes", "no"),
        b=Int(1, 4, when={"a": "yes"}),
        c=Int(1, 4, when="b <= 2"),
        d=Int(1, 4, when={"c": [1, 2], "a": "yes"}),
        e=Int(1, 4, when="not (c == 1)"),
    )
    assert list(space.decode([0.0, 0.0, 0.0, 0.0, 0.0])) == ["a", "b", "c", "d"]
    assert list(space.decode([0.0, 0.0, 1.0, 0.0, 0.0])) == ["a", "b", "c", "e"]
    assert list(space.decode([0.0, 1.0, 0.0, 0.0, 0.0])) == ["a", "b"]
    assert list(space.decode([1.0, 0.0, 0.0, 0.0, 0.0])) == ["a"], "not even 'not (c == 1)'"


def test_a_set_of_values_is_written_as_a_list() -> None:
    space = Space(o=Choice("a", "b", "c"), x=Float(0, 1, when={"o": {"b", "a"}}))
    assert space.to_dict()["x"]["when"] == {"o": ["a", "b"]}
    assert Space.from_dict(space.to_dict()) == space
