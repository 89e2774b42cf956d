"""Spaces: conditions, relations, arrays, text, edits, and messages that name what is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import ConfigError, ExpressionError, SpaceError, StudyError
from tunesmith.core.rng import stream
from tunesmith.core.space.parameter import Choice, Fixed, Float, Int, identity
from tunesmith.core.space.space import Config, Space
from tunesmith.core.study import check_edit
from tunesmith.testing.strategies import spaces

MODEL = Space(
    lr=Float(1e-5, 1e-1, log=True, group="optimizer"),
    optimizer=Choice("sgd", "adam"),
    momentum=Float(0, 0.99, when={"optimizer": "sgd"}),
    nesterov=Choice(True, False, when="momentum > 0.5"),
    epochs=10,
)
SMALL = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)


def same(a: Config, b: Config) -> bool:
    """Equal in value and type, in the same order."""
    return list(a) == list(b) and all(identity(a[name]) == identity(b[name]) for name in a)


# -- any space ------------------------------------------------------------------------------------


@SMALL
@given(spaces(), st.integers(0, 1000))
def test_samples_belong_and_read_back_exactly(space: Space, number: int) -> None:
    config = space.sample(stream(0, number, "test"))
    membership = space.contains(config)
    assert membership, str(membership)
    assert all(
        relation.holds(config) for relation in space.relations if relation.names <= set(config)
    )
    assert same(space.decode(space.encode(config)), config), "encode and decode"
    assert same(space.from_row(space.row(config)), config), "row and from_row"
    assert same(space.clean(config), config)
    assert same(space.complete(config), config)
    assert json.loads(json.dumps(config)) == config


@SMALL
@given(spaces(), st.data())
def test_every_point_of_the_cube_is_a_config(space: Space, data: st.DataObject) -> None:
    point = data.draw(st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space)))
    config = space.decode(point)
    encoded = space.encode(config)
    assert encoded.shape == (len(space),)
    for name, coordinate in zip(space.tunables, encoded.tolist(), strict=True):
        assert (name in config) == (not math.isnan(coordinate)), "inactive is NaN"
    assert same(space.decode(encoded), config)
    if space.satisfies(config):
        assert space.contains(config)
    else:
        assert not space.contains(config)


@SMALL
@given(spaces())
def test_conditions_decide_what_is_active(space: Space) -> None:
    for number in range(5):
        config = space.sample(stream(0, number, "test"))
        for name in space:
            condition = space.condition(name)
            assert (name in config) == (condition is None or condition(config))


@SMALL
@given(spaces())
def test_a_space_is_its_dict_yaml_and_json(space: Space) -> None:
    data = json.loads(json.dumps(space.to_dict()))
    for again in (
        Space.from_dict(data),
        Space.from_yaml(space.to_yaml()),
        Space.from_yaml(json.dumps(data)),
    ):
        assert again == space
        assert same(again.sample(stream(0, 1, "test")), space.sample(stream(0, 1, "test")))


@SMALL
@given(spaces(), st.data())
def test_contains_names_the_parameter_that_is_wrong(space: Space, data: st.DataObject) -> None:
    config = space.sample(stream(0, 0, "test"))
    assert {p.parameter for p in space.contains({**config, "zzz": 1}).problems} == {"zzz"}
    if not config:
        return
    name = data.draw(st.sampled_from(sorted(config)))
    for broken in ({k: v for k, v in config.items() if k != name}, {**config, name: object()}):
        problems = space.contains(broken).problems
        assert problems[0].parameter == name or name in {p.parameter for p in problems}
        with pytest.raises(ConfigError, match=name):
            space.clean(broken)


@SMALL
@given(spaces())
def test_defaults_and_corners_belong(space: Space) -> None:
    for u in (0.0, 0.5, 1.0):
        assert space.contains(space.corner(u))
    default = space.default()
    assert not space.satisfies(default) or space.contains(default)


@SMALL
@given(spaces())
def test_many_rows_at_once(space: Space) -> None:
    configs = [space.sample(stream(0, number, "test")) for number in range(4)]
    rows = np.array([space.row(config) for config in configs]).reshape(4, len(space))
    units = space.units(rows)
    assert np.array_equal(units, np.array([space.encode(c) for c in configs]), equal_nan=True)


# -- conditions -----------------------------------------------------------------------------------


def test_branches() -> None:
    seen = {tuple(MODEL.sample(stream(0, number, "test"))) for number in range(60)}
    assert seen == {
        ("lr", "optimizer", "epochs"),
        ("lr", "optimizer", "momentum", "epochs"),
        ("lr", "optimizer", "momentum", "nesterov", "epochs"),
    }


def test_children_may_be_declared_before_their_parents() -> None:
    space = Space(b=Int(1, 3, when={"a": 2}), a=Int(1, 2))
    assert list(space.decode([0.0, 1.0])) == ["b", "a"], "in the order of declaration"
    assert space.decode([0.0, 0.0]) == {"a": 1}
    assert [step.name for step in space.plan] == ["a", "b"]


def test_scales_are_sampled_uniformly() -> None:
    exponents = [math.log10(MODEL.sample(stream(0, n, "test"))["lr"]) for n in range(2000)]
    counts, _ = np.histogram(exponents, bins=4, range=(-5, -1))
    assert min(counts) > 400, counts


# -- relations ------------------------------------------------------------------------------------


def test_relations_hold_in_every_sample() -> None:
    space = Space(low=Int(1, 50), high=Int(1, 50)).require("low <= high").require("high - low < 9")
    for number in range(50):
        config = space.sample(stream(0, number, "test"))
        assert 0 <= config["high"] - config["low"] < 9
    assert (
        str(space.contains({"low": 9, "high": 3}))
        == "low <= high does not hold for high = 3, low = 9"
    )


def test_a_relation_on_an_inactive_parameter_does_not_apply() -> None:
    space = Space(c=Choice("a", "b"), x=Float(0, 1, when={"c": "a"})).require("x < 0.1")
    assert space.contains({"c": "b"})
    assert not space.contains({"c": "a", "x": 0.5})


def test_an_impossible_relation_is_named() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1)).require("x + y > 2.5")
    with pytest.raises(SpaceError, match=r"random ones none satisfies 'x \+ y > 2\.5'"):
        space.sample(stream(0, 0, "test"))


def test_relations_that_make_no_sense() -> None:
    for relation, message in (
        ("x < z", "names 'z', which is no parameter"),
        ("c < 3", "cannot be worked out"),
        ("x <", "cannot read"),
    ):
        with pytest.raises(ExpressionError, match=message):
            Space(x=Float(0, 1), c=Choice("a", "b")).require(relation)


def test_types_that_do_not_compare_are_named() -> None:
    space = Space(c=Choice(1, "auto")).require("c <= 2")
    with pytest.raises(SpaceError, match=r"'c <= 2' cannot be worked out for \{'c': 'auto'\}"):
        space.contains({"c": "auto"})


# -- configs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        ({"lr": 0.01, "optimizer": "adam", "epochs": 10}, []),
        ({"lr": 0.01, "optimizer": "adam"}, ["epochs is missing"]),
        (
            {"lr": 0.01, "optimizer": "adm", "epochs": 10},
            ["optimizer is 'adm', which is none of the 2 choices; did you mean 'adam'?"],
        ),
        (
            {"lr": 0.01, "optimiser": "adam", "epochs": 10},
            [
                "optimiser is no parameter of this space; did you mean 'optimizer'?",
                "optimizer is missing",
            ],
        ),
        (
            {"lr": 1, "optimizer": "sgd", "epochs": 11},
            [
                "lr is 1, outside 1e-05 .. 0.1",
                "epochs is 11, but is fixed at 10",
                "momentum is missing",
            ],
        ),
        (
            {"lr": 0.01, "optimizer": "adam", "momentum": 0.5, "epochs": 10},
            ["momentum is given, but it is inactive: it needs optimizer = sgd"],
        ),
        (
            {"lr": 0.01, "optimizer": "sgd", "momentum": 0.1, "nesterov": True, "epochs": 10},
            ["nesterov is given, but it is inactive: it needs momentum > 0.5"],
        ),
    ],
)
def test_membership_in_words(config: Config, problems: list[str]) -> None:
    membership = MODEL.contains(config)
    assert sorted(map(str, membership.problems)) == sorted(problems)
    assert bool(membership) is not bool(problems)


def test_clean_gives_the_spaces_own_types_and_order() -> None:
    written = {"epochs": 10.0, "optimizer": np.str_("adam"), "lr": np.float64(0.01)}
    cleaned = MODEL.clean(written)
    assert same(cleaned, {"lr": 0.01, "optimizer": "adam", "epochs": 10})
    with pytest.raises(ConfigError, match="a config is a mapping"):
        MODEL.clean([1])  # type: ignore[arg-type]


def test_complete_fills_in_defaults() -> None:
    space = Space(a=Choice("x", "y", default="y"), b=Int(1, 9, when={"a": "y"}), c=Float(0, 1))
    assert space.complete({}) == {"a": "y", "b": 5, "c": 0.5}
    assert space.complete({"a": "x", "zzz": 1}) == {"a": "x", "c": 0.5, "zzz": 1}
    assert space.default() == {"a": "y", "b": 5, "c": 0.5}


def test_points_that_are_no_points() -> None:
    with pytest.raises(ConfigError, match="the point has 1 coordinates, the space 4"):
        MODEL.decode([0.5])
    for wrong in (math.nan, -0.1, 1.1):
        with pytest.raises(ConfigError, match="lr is active, but its coordinate is"):
            MODEL.decode([wrong, 0.9, math.nan, math.nan])
    assert MODEL.decode([0.5, 0.9, math.nan, math.nan])["optimizer"] == "adam", "inactive: ignored"


# -- construction ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space({"my rate": Float(0, 1)}), "'my rate' cannot name .*write 'my_rate'"),
        (lambda: Space({"1x": 1}), "cannot name a parameter"),
        (lambda: Space({"": 1}), "write 'a_name'"),
        (lambda: Space({3: 1}), "3 cannot name a parameter"),  # type: ignore[dict-item]
        (lambda: Space({"a..b": 1}), "cannot name a parameter"),
        (lambda: Space(require=Int(1, 2)), "relations go by that name"),
        (lambda: Space(x={"flaot": [0, 1]}), "x: .*did you mean 'float'"),
        (
            lambda: Space(x=Float(0, 1, when={"y": 1}), y=Int(0, 1, when="x > 0.5")),
            "round in a circle",
        ),
        (lambda: Space(x=Float(0, 1, when={"x": 1})), "round in a circle: x -> x"),
        (lambda: Space.from_yaml("x: [1"), "space: this is no YAML"),
        (lambda: Space.from_yaml("- 1"), "space: a mapping is needed"),
        (lambda: Space.from_dict([1]), "a space is a mapping"),  # type: ignore[arg-type]
        (lambda: Space.from_dict({"x": {"float": [0, 1]}, "require": 3}), "a list of relations"),
        (lambda: MODEL["momntum"], "no parameter 'momntum'; did you mean 'momentum'"),
    ],
)
def test_what_is_no_space(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_what_a_space_says_of_itself() -> None:
    assert len(MODEL) == 4, "what is fixed is not tuned"
    assert list(MODEL) == ["lr", "optimizer", "momentum", "nesterov", "epochs"]
    assert MODEL["epochs"] == Fixed(10)
    assert "momentum" in MODEL
    assert repr(Space(x=Int(1, 2)).require("x > 1")).endswith(".require('x > 1')")
    assert Space({"model.depth": Int(1, 8)}).require("model.depth > 2").default() == {
        "model.depth": 5
    }
    assert Space().sample(stream(0, 0, "test")) == {}
    with pytest.raises(TypeError):
        MODEL.parameters["x"] = Fixed(1)  # type: ignore[index]


def test_yaml_is_as_a_person_would_write_it() -> None:
    space = Space.from_yaml(
        """
        lr: {float: [1e-5, 1e-1], log: true}
        optimizer: {choice: [sgd, adam, no]}
        momentum: {float: [0, 0.99], when: {optimizer: sgd}}
        epochs: 10
        require: ["lr < 0.05"]
        """
    )
    assert space["optimizer"] == Choice("sgd", "adam", "no")
    assert space["lr"] == Float(1e-5, 1e-1, log=True)
    assert [r.text for r in space.relations] == ["lr < 0.05"]
    assert Space.from_yaml("{x: {int: [1, 2]}, require: x > 1}").relations[0].text == "x > 1"
    assert space.to_yaml().splitlines() == [
        "lr: {float: [1e-05, 0.1], log: true}",
        "optimizer: {choice: [sgd, adam, no]}",
        "momentum: {float: [0.0, 0.99], when: {optimizer: sgd}}",
        "epochs: 10",
        "require: [lr < 0.05]",
    ]


# -- edits ----------------------------------------------------------------------------------------

OLD = Space(x=Float(0, 1), c=Choice("a", "b"))


@pytest.mark.parametrize(
    "new",
    [
        Space(x=Float(-1, 2), c=Choice("a", "b")),
        Space(x=Float(0.4, 0.6), c=Choice("a", "b")),
        Space(x=Float(0, 1), c=Choice("a", "b", "z")),
        Space(x=Float(0, 1), c=Choice("a")),
        Space(x=Float(0, 1, when={"c": "a"}), c=Choice("a", "b")),
        Space(x=Float(0, 1), c="a"),
        Space(x=Float(0, 1), c=Choice("a", "b"), k=Int(1, 9, default=3)),
        Space(x=Float(0, 1), c=Choice("a", "b"), k=7),
        Space(x=Float(0, 1), c=Choice("a", "b")).require("x < 0.5"),
    ],
)
def test_a_space_may_be_widened_narrowed_and_added_to(new: Space) -> None:
    check_edit(OLD, new)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (Space(x=Float(0, 1)), "'c' is gone .*such as c='a'"),
        (Space(x=Float(0, 1), c=Choice("a"), k=Int(1, 9)), "new parameter 'k' needs a default"),
    ],
)
def test_what_old_trials_would_not_survive(new: Space, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        check_edit(OLD, new)


class TestWhatIsMeantAsARelation:
    """A keyword that other tools take relations by makes no parameter that never changes."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("relations", ["low <= high"]),
            ("constraints", "low <= high"),
            ("where", ("low <= high",)),
            ("conditions", lambda config: True),
            ("require", ["low <= high"]),
        ],
    )
    def test_it_is_refused(self, name: str, value: Any) -> None:
        parameters: dict[str, Any] = {"low": Int(0, 9), "high": Int(0, 9), name: value}
        with pytest.raises(SpaceError, match=rf"{name}.*require\('low <"):
            Space(**parameters)
        if name != "require":  # which is how they are written in a job file
            with pytest.raises(SpaceError, match=rf"{name}.*require\('low <"):
                Space.from_dict(parameters)

    def test_a_parameter_of_that_name_can_be_had(self) -> None:
        space = Space(where=Fixed("us"), constraints=Choice("l1", "l2"), conditions=3)
        again = Space.from_dict(space.to_dict())
        assert again == space
        assert again.default() == {"where": "us", "constraints": "l1", "conditions": 3}
        assert Space.from_dict({"where": {"value": "us"}}).default() == {"where": "us"}

    def test_studies_of_earlier_versions_are_read(self) -> None:
        spec = {"a": {"float": [0, 1]}, "where": "us"}
        assert Space.from_dict(spec, stored=True).default()["where"] == "us"
