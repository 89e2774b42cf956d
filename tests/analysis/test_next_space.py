"""A space for the next study: what its trials say, with reasons, and nothing that they do not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.studies import complete, study
from tests.cli.program import tunesmith

import tunesmith as ts
from tunesmith.analysis.next_space import NextSpace, _beyond, _within_reason, next_space
from tunesmith.core import events
from tunesmith.tuning.result import Result

SPACE = ts.Space(
    rate=ts.Float(1e-5, 1e-3, log=True, group="optimizer"),
    optimizer=ts.Choice("sgd", "adam", "rms"),
    momentum=ts.Float(0.0, 0.9, when={"optimizer": "sgd"}),
    units=ts.Choice(16, 32, 64, ordered=True),
    width=ts.Float(0.0, 10.0),
    idle=ts.Float(0.0, 1.0),
    epochs=9,
)


def loss(c: dict[str, Any]) -> float:
    """Best at the highest rate and most units, at a width of 4, without sgd."""
    bad = 3.0 if c["optimizer"] == "sgd" else 0.0
    rate = abs(float(np.log10(c["rate"])) + 3.0)
    return float(
        bad + rate + 1.0 * (6 - float(np.log2(c["units"]))) + 0.1 * (c["width"] - 4.0) ** 2
    )


@pytest.fixture(scope="module")
def suggested() -> NextSpace:
    return next_space(searched())


def searched() -> Any:
    made, rng = study(SPACE), np.random.default_rng(3)
    for _ in range(30):
        complete(made, config := SPACE.sample(rng), loss(config))
    for k in range(14):
        near = {"rate": 10.0 ** (-3 - k / 200), "optimizer": "adam", "units": 64, "epochs": 9}
        config = {**near, "width": 4.0 + (k - 7) / 30, "idle": float(rng.random())}
        complete(made, config, loss(config))
    return made


def test_what_is_best_at_an_end_goes_on_beyond_it(suggested: NextSpace) -> None:
    rate, units = suggested.space["rate"], suggested.space["units"]
    assert isinstance(rate, ts.Float)
    assert (rate.low, rate.high, rate.log, rate.group) == (1e-5, 1e-2, True, "optimizer")
    assert "wider at its upper end, 0.001 before: 1" in suggested.reasons["rate"]
    assert isinstance(units, ts.Choice)
    assert units.values[-2:] == (64, 128)
    assert "with 128" in suggested.reasons["units"]


def test_what_was_never_good_is_dropped_with_what_belonged_to_it(suggested: NextSpace) -> None:
    assert "sgd" not in str(suggested.space["optimizer"])
    assert "momentum" not in suggested.space
    assert "never among the good ones" in suggested.reasons["optimizer"]
    assert "gone" in suggested.reasons["momentum"]


def test_a_range_is_narrowed_to_where_the_good_ones_and_the_optimum_are(
    suggested: NextSpace,
) -> None:
    width = suggested.space["width"]
    assert isinstance(width, ts.Float)
    assert 0.0 < width.low < 3.8
    assert 4.2 < width.high < 8.0
    assert "narrower, 0.0 to 10.0 before" in suggested.reasons["width"].replace(
        "0 to 10 ", "0.0 to 10.0 "
    )


def test_what_made_no_difference_is_fixed_and_the_best_is_the_default(suggested: NextSpace) -> None:
    assert "idle" not in suggested.space.tunables
    assert "hardly any difference" in suggested.reasons["idle"]
    config = suggested.space.default()
    assert suggested.space.contains(config)
    assert loss(config) < 0.1
    assert config["epochs"] == 9


def test_as_text_it_is_a_space_of_a_job_file(suggested: NextSpace) -> None:
    assert ts.Space.from_yaml(str(suggested)) == suggested.space
    assert "# rate: wider" in str(suggested)


def test_too_few_results_say_nothing() -> None:
    made = study(SPACE)
    with pytest.raises(ts.StudyError, match="has 0 results, too few to suggest another space"):
        next_space(made)
    with pytest.raises(ts.StudyError, match="takes a study or its result, not str"):
        ts.spaces.suggest("study")  # type: ignore[arg-type]


def test_results_that_break_the_constraints_say_nothing() -> None:
    made = study(ts.Space(x=ts.Float(0, 1)))
    made.apply(events.Edited(0.0, {"constraints": ["x * loss < 0"]}, "test"))
    for k in range(12):
        complete(made, {"x": k / 12}, 1.0)
    with pytest.raises(ts.StudyError, match=r"no trial of study .* keeps its constraints"):
        next_space(made)


def test_several_objectives_keep_their_ranges() -> None:
    made, rng = study(ts.Space(x=ts.Float(0, 1)), metrics=("a", "b")), np.random.default_rng(1)
    for _ in range(12):
        value = float(rng.random())
        complete(made, {"x": value}, value, 1 - value)
    x = ts.spaces.suggest(Result(made)).space["x"]
    assert isinstance(x, ts.Float)
    assert (x.low, x.high) == (0, 1)


@pytest.mark.parametrize(
    ("name", "parameter", "at_high", "end"),
    [
        ("momentum", ts.Float(0.0, 0.9), True, 0.95),
        ("subsample", ts.Float(0.2, 0.8), True, 1.0),
        ("share", ts.Float(0.0, 1.0), True, None),
        ("share", ts.Float(0.01, 1.0, log=True), True, None),
        ("temperature", ts.Float(0.5001, 2.0), False, 0.25005),
        ("layers", ts.Int(1, 8), False, None),
        ("layers", ts.Int(2, 8), False, 1),
        ("units", ts.Int(16, 256, log=True), True, 1024),
        ("gain", ts.Float(0.0, 10.0, step=0.5), True, 15.0),
    ],
)
def test_bounds_by_nature_stay(name: str, parameter: Any, at_high: bool, end: float | None) -> None:
    assert _within_reason(name, parameter, at_high) == end


@pytest.mark.parametrize(
    ("values", "at_high", "beyond"),
    [
        ((16, 32, 64), True, 128),
        ((16, 32, 64), False, 8),
        ((1, 2, 3), False, None),
        ((10, 20, 30), True, 40),
        ((0.1, 0.2, 0.4), False, 0.05),
    ],
)
def test_the_next_of_an_ordered_choice(values: tuple[Any, ...], at_high: bool, beyond: Any) -> None:
    assert _beyond(ts.Choice(*values, ordered=True), at_high) == beyond


def test_relations_stay() -> None:
    space = ts.Space(a=ts.Int(1, 9), b=ts.Int(1, 9)).require("a <= b")
    made, rng = study(space), np.random.default_rng(1)
    for _ in range(25):
        config = space.sample(rng)
        complete(made, config, float((config["a"] - 3) ** 2 + (config["b"] - 6) ** 2))
    better = next_space(made).space
    assert [r.text for r in better.relations] == ["a <= b"]
    assert better.default()["a"] <= better.default()["b"]


def test_the_command_shows_a_study_s_space_and_a_better_one(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> float:
        return float(abs(config["x"] - 7))

    ts.tune(
        objective, {"x": ts.Float(0, 10), "y": ts.Float(0, 1)}, name="s", storage=tmp_path / "s.db",
        trials=12, seed=1, searcher="random", progress=False,
    )  # fmt: skip
    assert "x: {float: [0" in tunesmith(tmp_path, "space", "-s", "s.db").out
    better = json.loads(tunesmith(tmp_path, "space", "-s", "s.db", "--suggest", "--json").out)
    assert set(better) == {"space", "reasons"}
    assert set(better["reasons"]) == {"x", "y"}
