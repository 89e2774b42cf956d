from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunesmith as ts
from tunesmith import spaces
from tunesmith.testing.strategies import spaces as any_spaces


@given(
    named=st.dictionaries(st.sampled_from(["a", "b", "c"]), any_spaces(), min_size=1),
    seed=st.integers(0, 2**32),
)
def test_a_config_of_branches_has_a_config_of_its_branch(
    named: dict[str, ts.Space], seed: int
) -> None:
    together = spaces.branches("which", named)
    try:
        config = together.sample(np.random.default_rng(seed))
    except ts.SpaceError:
        return  # relations that can hardly hold
    mine = spaces.part(config, config["which"])
    assert named[config["which"]].contains(mine), mine
    assert len(mine) == len(config) - 1, "nothing of the other branches"


def test_relations_and_conditions_are_renamed() -> None:
    inner = ts.Space(
        low=ts.Int(1, 5),
        high=ts.Int(1, 9),
        kind=ts.Choice("x", "y"),
        more=ts.Float(0, 1, when="kind == 'y' and low > 2"),
    ).require("low < high")
    both = spaces.branches("model", {"one": inner, "two": ts.Space()})
    assert [r.text for r in both.relations] == ["one.low < one.high"]
    config = {"model": "one", "one.low": 3, "one.high": 2, "one.kind": "x"}
    assert not both.contains(config)
    assert both.contains({**config, "one.high": 4})
    more = {**config, "one.high": 4, "one.kind": "y", "one.more": 0.5}
    assert both.contains(more)
    assert not both.contains({**more, "one.low": 2})
    nested = spaces.branches("top", {"deep": both})
    assert nested.contains({"top": "deep", **{f"deep.{k}": v for k, v in more.items()}})


def test_an_override_replaces_or_takes_away() -> None:
    narrow = spaces.lightgbm(num_leaves=ts.Int(2, 8), subsample=None, reg_alpha=0.0)
    assert narrow["num_leaves"].to_dict() == {"int": [2, 8], "group": "model"}
    assert "subsample" not in narrow
    assert narrow.default()["reg_alpha"] == 0.0
    with pytest.raises(ts.SpaceError, match=r"no 'num_leafs'.*did you mean 'num_leaves'"):
        spaces.lightgbm(num_leafs=3)
    with pytest.raises(ts.SpaceError, match="gamma is active only where kernel has certain"):
        spaces.svm(kernel=None)


def test_what_only_a_lost_choice_had_goes_with_it() -> None:
    plain = spaces.svm(kernel=ts.Choice("rbf", "linear"))
    assert list(plain) == ["kernel", "C", "gamma"]
    assert plain.contains({"kernel": "linear", "C": 1.0})
    fixed = spaces.lr_schedule(schedule="cosine")
    assert list(fixed) == ["schedule", "cosine.end", "warmup"]
    assert list(spaces.lr_schedule(schedule="constant", warmup=None)) == ["schedule"]


def test_joined_spaces_keep_relations_and_refuse_the_same_name_twice() -> None:
    one = ts.Space(a=ts.Int(0, 5), b=ts.Int(0, 5)).require("a <= b")
    both = spaces.joined(one, ts.Space(c=ts.Float(0, 1)), d=ts.Choice("x", "y", when="a > 2"))
    assert list(both) == ["a", "b", "c", "d"]
    assert len(both.relations) == 1
    with pytest.raises(ts.SpaceError, match="two of the spaces have a parameter 'a'"):
        spaces.joined(one, a=3)
    with pytest.raises(ts.SpaceError, match="no branch"):
        spaces.branches("which", {})


@pytest.mark.parametrize(
    "name", sorted(set(spaces.__all__) - {"branches", "joined", "overridden", "part", "suggest"})
)
def test_every_ready_space_says_its_groups_and_begins_well(name: str) -> None:
    space = getattr(spaces, name)()
    assert space.contains(space.default())
    assert all(p.group is not None for p in space.parameters.values())
    rng = np.random.default_rng(0)
    assert all(space.contains(space.sample(rng)) for _ in range(50))
    assert getattr(spaces, name).__doc__.count("(") >= 1, "it names its source"
    assert ts.Space.from_yaml(space.to_yaml()) == space


def test_the_names_are_functions_however_they_are_imported() -> None:
    from tunesmith.spaces.estimators import lightgbm

    assert spaces.lightgbm is lightgbm
    assert "svm" in dir(spaces)
    with pytest.raises(AttributeError, match="no attribute 'lightgbn'"):
        _ = spaces.lightgbn
