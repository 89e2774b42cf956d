"""What a study is told: objectives, limits, strategies, a spec; and how it may be changed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tunesmith.core.errors import SpaceError, StudyError
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective, objectives_of
from tunesmith.core.space.parameter import Choice, Float
from tunesmith.core.space.space import Space
from tunesmith.core.study import Strategy, StudySpec

SPACE = Space(x=Float(0, 1), c=Choice("a", "b"))


def spec(**options: Any) -> StudySpec:
    return StudySpec(**{"name": "study", "space": SPACE, **options})


# -- objectives -----------------------------------------------------------------------------------


def test_goals_have_signs() -> None:
    assert (Objective("loss").sign, Objective("accuracy", "maximize").sign) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("metric", "goal", "wanted"),
    [
        ("loss", "minimize", [("loss", "minimize")]),
        (["a", "b"], "maximize", [("a", "maximize"), ("b", "maximize")]),
        (("a", "b"), ("minimize", "maximize"), [("a", "minimize"), ("b", "maximize")]),
    ],
)
def test_objectives_of_metrics_and_goals(metric: Any, goal: Any, wanted: list[Any]) -> None:
    assert objectives_of(metric, goal) == tuple(Objective(m, g) for m, g in wanted)


@pytest.mark.parametrize(
    ("metric", "goal", "message"),
    [
        ("loss", "minimise", "goal is 'minimize' or 'maximize', not 'minimise'"),
        ("", "minimize", "the metric is a name such as 'accuracy', not ''"),
        (["a", 3], "minimize", "the metric is a name"),
        ([], "minimize", "metric is a name, or a list of names"),
        (3, "minimize", "metric is a name, or a list of names, not 3"),
        (["a", "b"], ["minimize"], "2 metrics need one goal, or 2"),
        ("a", 3, "1 metrics need one goal"),
    ],
)
def test_wrong_objectives(metric: Any, goal: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        objectives_of(metric, goal)


# -- limits ---------------------------------------------------------------------------------------


def test_limits_in_peoples_units() -> None:
    written = {"time": "2h", "trial_time": "10m", "trial_memory": "4GiB", "trial_silence": "5m"}
    limits = Limits.from_dict(written | {"grace": 3})
    assert (limits.time, limits.trial_time, limits.trial_memory) == (7200.0, 600.0, 2**32)
    assert (limits.trial_silence, limits.grace) == (300.0, 3.0)
    assert Limits(trial_silence=False).trial_silence == "off", "YAML's off"
    assert Limits(trial_silence="auto") == Limits()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trials", 0, "trials is a whole number of at least 1, not 0"),
        ("trials", 2.5, "trials is a whole number"),
        ("trials", True, "trials is a whole number"),
        ("parallel", 0, "parallel is a whole number of at least 1"),
        ("parallel", "2", "parallel is a whole number"),
        ("retries", -1, "retries is a whole number of at least 0"),
        ("failures_in_a_row", 0, "at least 1"),
        ("same_error", 0, "at least 1"),
        ("time", "2", "time: '2' is no duration"),
        ("time", 0, "time: 0 is not above 0"),
        ("trial_time", "0s", "is not above 0"),
        ("trial_memory", "4XB", "trial_memory: '4XB' is no size"),
        ("disk", "much", "disk: 'much' is no size"),
        ("keep", "best", "keep is a whole number of at least 0, not 'best'"),
        ("failure_rate", 1.5, "failure_rate is a share above 0 and up to 1, unlike 1.5"),
        ("least_gain", "little", "least_gain is a number, not 'little'"),
        ("trial_silence", "never", "trial_silence: 'never' is no duration"),
        ("trial_silence", True, "is not a duration"),
        ("target", math.nan, "target is a number, not nan"),
        ("target", "low", "target is a number"),
        ("cost", -1, "cost is not below 0"),
        ("cost", 5, "a cost limit needs price_per_hour"),
        ("price_per_hour", "cheap", "price_per_hour is a number"),
        ("grace", -1, "grace: -1 is not above 0"),
    ],
)
def test_wrong_limits(name: str, value: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Limits(**{name: value})


def test_limits_as_data() -> None:
    assert Limits().to_dict() == {}
    limits = Limits(trials=9, time=7200, trial_silence="off", retries=0, cost=3, price_per_hour=0.5)
    data = json.loads(json.dumps(limits.to_dict()))
    assert data == {
        "trials": 9,
        "time": 7200.0,
        "trial_silence": "off",
        "retries": 0,
        "cost": 3.0,
        "price_per_hour": 0.5,
    }
    assert Limits.from_dict(data) == limits
    none = Limits(same_error=None, failures_in_a_row=None)
    assert Limits.from_dict(json.loads(json.dumps(none.to_dict()))) == none
    with pytest.raises(StudyError, match="limits have no 'trails'; did you mean 'trials'"):
        Limits.from_dict({"trails": 3})


# -- strategies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("random", Strategy("random")),
        ({"grid": {"levels": 5}}, Strategy("grid", {"levels": 5})),
        ({"grid": {"levels": {"x": (1, 2)}}}, Strategy("grid", {"levels": {"x": [1, 2]}})),
        ({"random": None}, Strategy("random")),
        (Strategy("auto"), Strategy("auto")),
    ],
)
def test_strategies(written: Any, wanted: Strategy) -> None:
    assert Strategy.of(written) == wanted
    assert Strategy.of(json.loads(json.dumps(wanted.to_dict()))) == wanted


@pytest.mark.parametrize(
    "written", [3, None, {}, {"a": {}, "b": {}}, {"grid": 5}, {3: {}}, ["grid"]]
)
def test_what_is_no_strategy(written: Any) -> None:
    with pytest.raises(StudyError, match="a strategy is a name, or one name with options, not"):
        Strategy.of(written)


# -- a whole study --------------------------------------------------------------------------------


def test_a_study_as_data() -> None:
    study = spec(
        objectives=(Objective("loss"), Objective("speed", "maximize")),
        limits=Limits(trials=9),
        searcher=Strategy("grid", {"levels": 3}),
        scheduler=Strategy("asha", {"max": 50}),
        seed=2**63 - 1,
        deterministic=True,
        duplicates=True,
        job={"command": ["python", "train.py"], "env": {"A": "1"}},
    )
    assert StudySpec.from_dict(json.loads(json.dumps(study.to_dict()))) == study
    assert StudySpec.from_dict(json.loads(json.dumps(spec().to_dict()))) == spec()
    assert set(spec().to_dict()) == {"name", "space", "objectives", "limits", "searcher", "seed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "'' cannot name a study"),
        ({"name": "a b"}, "'a b' cannot name a study: letters, digits"),
        ({"name": "../up"}, "cannot name a study"),
        ({"name": "-x"}, "cannot name a study"),
        ({"name": "a" * 101}, "cannot name a study"),
        ({"name": "a\n"}, "cannot name a study"),
        ({"name": 3}, "3 cannot name a study"),
        ({"space": {"x": 1}}, "the space is a tunesmith.Space"),
        ({"objectives": ()}, "a study needs an objective"),
        (
            {"objectives": (Objective("a"), Objective("a", "maximize"))},
            "an objective is there twice",
        ),
        ({"seed": -1}, "the seed is a whole number from 0"),
        ({"seed": 2**63}, "the seed is a whole number"),
        ({"seed": 1.0}, "the seed is a whole number"),
        ({"seed": True}, "the seed is a whole number"),
    ],
)
def test_wrong_studies(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        spec(**options)


def test_a_job_has_to_be_data() -> None:
    with pytest.raises(SpaceError, match="is no JSON value"):
        spec(job={"command": print})


def test_a_study_has_a_space_of_its_own() -> None:
    space = Space(x=Float(0, 1))
    study = spec(space=space)
    space.require("x < 0.5")
    assert study.space.relations == ()


def test_edits() -> None:
    edited = spec().edited(
        {
            "limits": {"trials": 7},
            "searcher": "grid",
            "scheduler": {"asha": {"max": 9}},
            "duplicates": True,
            "job": {"command": "x"},
            "space": Space(x=Float(0, 2), c=Choice("a", "b")).to_dict(),
        }
    )
    assert (edited.limits.trials, edited.searcher, edited.duplicates) == (7, Strategy("grid"), True)
    assert edited.scheduler == Strategy("asha", {"max": 9})
    assert edited.space["x"] == Float(0, 2)
    assert edited.edited({"scheduler": None}).scheduler is None
    assert spec().edited({}) == spec()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, "'name' of a study cannot be changed; make a new study"),
        ({"objectives": []}, "'objectives' of a study cannot be changed"),
        ({"seed": 1}, "cannot be changed"),
        ({"deterministic": True}, "cannot be changed"),
        ({"limit": {}}, "cannot be changed"),
        ({"limits": {"trails": 1}}, "did you mean 'trials'"),
        ({"limits": {"trials": 0}}, "trials is a whole number"),
        ({"space": {"x": {"float": [0, 1]}}}, "'c' is gone from the space"),
        ({"searcher": 3}, "a strategy is a name"),
    ],
)
def test_wrong_edits(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        spec().edited(changes)
