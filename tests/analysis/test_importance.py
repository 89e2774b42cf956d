"""Shares of known functions, and of studies that say nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import SPACE, complete, fail, mixed_study, random_study, stop, study

from tunesmith.analysis.importance import Importance, Share, importance
from tunesmith.core.history import History
from tunesmith.core.ledger import Ledger
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Space

CUBE = Space(
    a=Float(0, 1, group="model"),
    b=Float(0, 1, group="optimizer"),
    c=Float(0, 1, group="optimizer"),
    idle=Float(0, 1),
)


def found(ledger: Ledger, objective: int = 0) -> Importance:
    said = importance(History(ledger), objective)
    assert said is not None
    return said


def shares(said: tuple[Share, ...]) -> dict[str, float]:
    return {share.name: share.value for share in said}


def additive(config: dict[str, Any]) -> float:
    return (
        3.0 * float(config["a"]) + 2.0 * float(config["b"]) + float(config["c"])
    )  # variances as 9 : 4 : 1 : 0


@pytest.mark.parametrize("trials", [25, 300])
def test_an_additive_function(trials: int) -> None:
    said = found(random_study(CUBE, additive, trials))
    assert shares(said.parameters) == pytest.approx(
        {"a": 9 / 14, "b": 4 / 14, "c": 1 / 14, "idle": 0.0}, abs=0.03
    )
    assert [share.name for share in said.parameters] == ["a", "b", "c", "idle"]
    assert said.explained > 0.95
    assert said.results == trials


def test_groups_are_the_sums_of_their_members() -> None:
    said = found(random_study(CUBE, additive, 40))
    groups, members = shares(said.groups), shares(said.parameters)
    assert groups["optimizer"] == pytest.approx(members["b"] + members["c"])
    assert groups["model"] == pytest.approx(members["a"])
    assert groups["no group"] == pytest.approx(members["idle"])
    assert sum(groups.values()) == pytest.approx(1.0)


def test_intervals_hold_the_truth_under_noise() -> None:
    rng = np.random.default_rng(5)
    said = found(random_study(CUBE, lambda c: additive(c) + float(rng.normal()), 100))
    truth = {"a": 9 / 14, "b": 4 / 14, "c": 1 / 14, "idle": 0.0}
    for share in said.parameters:
        assert share.low <= share.value <= share.high
        assert share.low - 0.05 <= truth[share.name] <= share.high + 0.05
    assert 0.2 < said.explained < 0.8


def test_interactions_are_split_between_those_who_take_part() -> None:
    """Ishigami & Homma (1990): S = .314, .442, 0 and S_13 = .244, which x1 and x3 share."""
    space = Space({name: Float(-math.pi, math.pi) for name in ("x1", "x2", "x3")})

    def ishigami(c: dict[str, Any]) -> float:
        return float(
            np.sin(c["x1"]) + 7 * np.sin(c["x2"]) ** 2 + 0.1 * c["x3"] ** 4 * np.sin(c["x1"])
        )

    said = found(random_study(space, ishigami, 150))
    assert shares(said.parameters) == pytest.approx(
        {"x1": 0.436, "x2": 0.442, "x3": 0.122}, abs=0.05
    )


def test_noise_alone_explains_nothing() -> None:
    rng = np.random.default_rng(0)
    said = found(random_study(CUBE, lambda _: float(rng.normal()), 60))
    assert said.explained < 0.2
    assert max(share.high - share.low for share in said.parameters) > 0.2


def test_a_condition_counts_where_it_holds() -> None:
    space = Space(
        kind=Choice("on", "off"),
        inner=Float(0, 1, when={"kind": "on"}),
        idle=Float(0, 1),
    )
    # on: uniform over [0, 1]; off: 1/2. All of the variance is inner's, but for who switches it on.
    said = shares(found(random_study(space, lambda c: c.get("inner", 0.5), 80)).parameters)
    assert said["inner"] > 0.55
    assert said["idle"] < 0.02
    assert said["kind"] == pytest.approx(1 - said["inner"], abs=0.03)


def test_too_little_to_say() -> None:
    empty = study()
    assert importance(History(empty)) is None
    config = SPACE.default()
    for _ in range(3):
        complete(empty, config, 1.0)
    assert importance(History(empty)) is None
    for _ in range(5):
        complete(empty, config, 1.0)
    assert importance(History(empty)) is None  # all are equal
    complete(empty, config, 2.0)
    assert found(empty).explained < 0.2  # one config alone: noise


def test_a_few_results_say_little() -> None:
    made, rng = study(CUBE), np.random.default_rng(0)
    for _ in range(5):
        config = CUBE.sample(rng)
        complete(made, config, additive(config))
    said = found(made)
    assert sum(shares(said.parameters).values()) == pytest.approx(1.0)
    assert max(share.high - share.low for share in said.parameters) > 0.3


def test_failures_and_stopped_trials() -> None:
    made = mixed_study(60)
    said = found(made)
    assert said.results == sum(
        made.state(i).value in ("completed", "stopped") for i in range(made.size)
    )
    assert said.parameters[0].name in ("learning_rate", "layers")
    only_failed = study()
    for _ in range(9):
        fail(only_failed, SPACE.default())
    assert importance(History(only_failed)) is None
    stop(only_failed, SPACE.default(), (1.0, 0.5))
    assert importance(History(only_failed)) is None


def test_each_objective_has_its_own() -> None:
    made, rng = study(CUBE, metrics=("error", "latency")), np.random.default_rng(0)
    for _ in range(40):
        config = CUBE.sample(rng)
        complete(made, config, config["a"], config["b"])
    assert found(made, 0).parameters[0].name == "a"
    assert found(made, 1).parameters[0].name == "b"


def test_the_same_twice_and_large_studies_are_thinned() -> None:
    made = random_study(CUBE, additive, 3000)
    assert found(made) == found(made)
    assert shares(found(made).parameters)["a"] == pytest.approx(9 / 14, abs=0.04)


def test_awful_values_do_not_hide_the_rest() -> None:
    made = random_study(CUBE, lambda c: additive(c) if c["idle"] < 0.99 else 1e12, 80)
    assert shares(found(made).parameters)["a"] > 0.3


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_intervals_hold_the_truth_as_often_as_they_say(noise: float) -> None:
    """Over studies with other noise, those of an additive function hold each share nine times out of ten or so."""
    truth, held = {"a": 9 / 14, "b": 4 / 14, "c": 1 / 14, "idle": 0.0}, []
    for seed in range(16):
        rng, made = np.random.default_rng(seed), study(CUBE)
        for _ in range(60):
            config = CUBE.sample(rng)
            complete(made, config, additive(config) + noise * float(rng.normal()))
        # a share of nothing is estimated as a little more than nothing
        held += [s.low - 0.02 <= truth[s.name] <= s.high for s in found(made).parameters]
    assert np.mean(held) > 0.8, np.mean(held)


def test_what_is_seldom_used_is_not_usual() -> None:
    space = Space(kind=Choice("a", "b", "c"), inner=Float(0, 1, when={"kind": "a"}), x=Float(0, 1))
    said = {s.name: s.usual for s in found(random_study(space, lambda c: c["x"], 40)).parameters}
    assert said == {"kind": True, "inner": False, "x": True}
