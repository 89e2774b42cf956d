"""Groups, times and weights as people's tables have them; and what predictions are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular.data import load
from tunesmith.recipes.tabular.metrics import METRICS, metric_for, scores
from tunesmith.recipes.tabular.roles import Roles, aim_of
from tunesmith.recipes.tabular.stored import restore, save


def frame(**more: Any) -> Any:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=40), "y": rng.normal(size=40), **more})


def test_groups_are_no_feature_and_said() -> None:
    names = [f" p{k // 4} " if k % 2 else f"p{k // 4}" for k in range(38)] + [None, ""]
    data = load(frame(who=names), "y", roles=Roles("who"))
    assert [c.name for c in data.columns] == ["a"]
    assert data.left_out == ("who",)
    assert data.bonds.group is not None
    assert (data.bonds.group[:4] == data.bonds.group[0]).all()
    assert "'who' tells 12 groups, and is not learned from" in data.notices or (
        "'who' tells 11 groups, and is not learned from" in data.notices
    )
    assert any("without a value of 'who' counts as one group" in n for n in data.notices)
    each = load(frame(who=range(0, 80, 2)), "y", roles=Roles("who"))
    assert any("each row is a group of its own" in notice for notice in each.notices)


@pytest.mark.parametrize(
    "times",
    [
        np.arange(40),
        [str(k) for k in range(40)],
        pd.date_range("2024-01-01", periods=40, freq="h"),
        pd.date_range("2024-01-01", periods=40, tz="Europe/Berlin").astype(str),
        pd.date_range("2024-01-25", periods=40).strftime("%d.%m.%Y"),
        pd.to_timedelta(np.arange(40), unit="min"),
    ],
)
def test_times_of_every_kind_have_an_order(times: Any) -> None:
    order = np.random.default_rng(1).permutation(40)
    data = load(frame(when=times).iloc[order], "y", roles=Roles(None, "when"))
    assert data.bonds.time is not None
    assert (np.argsort(data.bonds.time) == np.argsort(order)).all()


def test_rows_without_a_time_or_a_weight_are_left_out_and_said() -> None:
    times = pd.date_range("2024-01-01", periods=40).astype(str).to_numpy(object)
    times[3], times[5] = None, "soon"
    data = load(frame(when=times, w=[0.0, 0.0] + [2.0] * 38), "y", roles=Roles(None, "when", "w"))
    assert data.rows == 36
    assert len(data.x) == len(data.bonds.time) == len(data.bonds.weight) == 36  # type: ignore[arg-type]
    said = " ".join(data.notices)
    assert "2 rows without a time in 'when' that can be read are left out, such as 'soon'" in said
    assert "2 rows whose 'w' is 0 are left out" in said
    assert "w" not in [c.name for c in data.columns]


def test_doubts_about_times_and_weights_are_said_though_nothing_is_learned_from_them() -> None:
    months = pd.date_range("2014-01-01", periods=40, freq="MS").strftime("%d/%m/%Y")
    ignored = {"when": "ignore"}
    data = load(frame(when=months), "y", roles=Roles(None, "when"), columns=ignored)
    assert any(
        "the order of day and month in dates such as '01/01/2014'" in n for n in data.notices
    )
    learned = load(frame(when=months), "y", roles=Roles(None, "when"))
    assert sum("the order of day and month" in notice for notice in learned.notices) == 1
    said = load(
        frame(when=months), "y", roles=Roles(None, "when"), columns=ignored, dates="day-first"
    )
    assert said.bonds.time is not None
    assert (np.diff(said.bonds.time) > 0).all()
    assert not any("the order of day and month" in notice for notice in said.notices)


def test_weights_are_read_as_the_column_is_said_to_be_written() -> None:
    weights = ["1,250", "3,750"] * 20
    data = load(frame(w=weights), "y", roles=Roles(None, None, "w"))
    assert any("'w': 1,234 is read as" in notice for notice in data.notices)
    columns = {"w": "number:decimal-comma"}
    data = load(frame(w=weights), "y", roles=Roles(None, None, "w"), columns=columns)
    assert data.bonds.weight is not None
    assert data.bonds.weight[:2].tolist() == [1.25, 3.75]
    assert not any("'w'" in notice for notice in data.notices)


def test_a_class_whose_rows_are_all_left_out_is_none() -> None:
    y = ["a", "b"] * 19 + ["c", "c"]
    table = pd.DataFrame({"a": np.random.default_rng(0).normal(size=40), "y": y})
    data = load(table.assign(w=[1] * 38 + [0, 0]), "y", roles=Roles(weight="w"))
    assert (data.classes, data.task, set(data.y)) == (("a", "b"), "binary", {0.0, 1.0})


@pytest.mark.parametrize(
    ("roles", "more", "words"),
    [
        (Roles("whom"), {"who": 1}, "no column 'whom' for --group; did you mean 'who'"),
        (Roles("y"), {}, "'y' is to be predicted, and cannot be the column of --group too"),
        (Roles(None, "wen"), {"when": 1}, "no column 'wen' for --time-column"),
        (Roles("g"), {"g": "x"}, "all rows have the same value in 'g'"),
        (Roles(None, "t"), {"t": "x"}, "neither numbers nor dates, such as 'x'"),
        (Roles(None, "t"), {"t": 3}, "'t' is the same in every row"),
        (Roles(weight="w"), {"w": [1.0] * 39 + [-1.0]}, "1 row has no .*row 40 has .*-1.0"),
        (Roles(weight="w"), {"w": [1.0, np.nan] * 20}, "20 rows have no .*row 2 has nothing"),
        (Roles(weight="w"), {"w": 0}, "all weights in 'w' are 0"),
        (Roles("w", None, "w"), {"w": range(40)}, "named for --weight and for another role"),
    ],
)
def test_roles_that_make_no_sense(roles: Roles, more: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        load(frame(**more), "y", roles=roles)


def test_roles_and_aims_reach_the_workers(tmp_path: Path) -> None:
    table = frame(g=[f"g{k % 7}" for k in range(40)], t=range(1, 41), w=np.linspace(1, 2, 40))
    data = load(table, "y", roles=Roles("g", "t", "w"), quantile=0.9)
    save(tmp_path / "rows.npz", data)
    again = restore(tmp_path / "rows.npz")
    assert (again.roles, again.aim) == (data.roles, data.aim)
    for name, values in data.bonds.arrays().items():
        np.testing.assert_array_equal(again.bonds.arrays()[name], values)
    part = data.take(np.array([3, 1]))
    assert part.bonds.weight is not None
    assert part.bonds.weight.tolist() == data.bonds.weight[[3, 1]].tolist()  # type: ignore[index]
    others = load(table.assign(g="x" + table["g"].str[-1].where(table["a"] > 0, "0")), "y", roles=Roles("g", "t", "w"))  # fmt: skip
    assert others.digest() != data.digest()


# -- what predictions are for -------------------------------------------------------------------


@pytest.mark.parametrize(
    "costs",
    ["yes=10", {"yes": 10}, {"yes": {"no": 10}}, {("yes", "no"): 10}, "yes:no=10,no:yes=1", '{"yes": {"no": 10}}'],
)  # fmt: skip
def test_costs_are_written_in_several_ways(costs: Any) -> None:
    aim = aim_of(None, costs, ("no", "yes"))
    assert aim.costs == ((0.0, 1.0), (10.0, 0.0))
    p = np.array([[0.95, 0.05], [0.85, 0.15]])
    assert aim.decisions(p).tolist() == [0, 1]  # a "yes" of 1 in 11 is worth taking


def test_the_particular_cost_counts_more_than_the_general_one() -> None:
    aim = aim_of(None, "a:b=5,a=2", ("a", "b", "c"))
    assert aim.costs[0] == (0.0, 5.0, 2.0)


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ("ja=10", "no class 'ja'; known: no, yes"),
        ("yes", "write TRUE=COST or TRUE:TAKEN=COST"),
        ("yes=-1", "a number, 0 or more, not -1"),
        ("yes=nan", "a number, 0 or more, not nan"),
        ("yes=0,no=0", "every decision costs the same"),
        ("yes=1,yes=2", "'yes' is there twice"),
        ("{yes}", "is no JSON"),
        (7, "not 7"),
    ],
)
def test_costs_that_make_no_sense(costs: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        aim_of(None, costs, ("no", "yes"))


@pytest.mark.parametrize(
    ("quantile", "words"),
    [(90, "not 90; write 0.9"), (1.0, "between 0 and 1"), (0, "not 0"), ("x", "not 'x'"), (True, "not True")],
)  # fmt: skip
def test_quantiles_that_make_no_sense(quantile: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        load(frame(), "y", quantile=quantile)


def test_an_aim_says_what_the_task_is() -> None:
    whole = frame().assign(y=np.arange(40) % 3)
    assert load(whole, "y").task == "multiclass"
    assert load(whole, "y", quantile=0.5).task == "regression"
    assert load(whole, "y", costs={0: 3}).task == "multiclass"
    with pytest.raises(JobError, match="a quantile is of numbers"):
        load(whole, "y", "multiclass", quantile=0.5)
    with pytest.raises(JobError, match="costs are of mistaken classes"):
        load(whole, "y", "regression", costs={0: 3})


def test_metrics_of_an_aim() -> None:
    aim = load(frame(), "y", quantile=0.9).aim
    y, p = np.array([0.0, 10.0]), np.array([1.0, 6.0])
    pinball = metric_for("regression", None, aim)
    assert pinball.name == "pinball"
    assert pinball.of(y, p) == pytest.approx((0.1 * 1 + 0.9 * 4) / 2)
    assert scores("regression", y, p, aim) == {"pinball": pytest.approx(1.85), "coverage": 0.5}
    costs = aim_of(None, "yes=10", ("no", "yes"))
    y, p = np.array([0.0, 0.0, 1.0]), np.array([[0.8, 0.2], [0.99, 0.01], [0.95, 0.05]])
    assert metric_for("binary", None, costs).of(y, p) == pytest.approx(11 / 3)
    # what judges decisions judges those that are made
    assert scores("binary", y, p, costs)["accuracy"] == pytest.approx(1 / 3)
    assert scores("binary", y, p)["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("task", "name", "quantile", "words"),
    [
        ("regression", "quantile", None, "say which one, as with --quantile 0.9"),
        ("regression", "rmse", 0.9, "rmse does not judge a quantile; take pinball"),
        ("binary", "cost", None, "--costs 'yes=10,no=1'"),
        ("binary", "pinball", None, "pinball does not fit classes"),
        ("regression", "cost", None, "cost does not fit numbers"),
    ],
)
def test_metrics_that_need_an_aim(task: str, name: str, quantile: Any, words: str) -> None:
    with pytest.raises(JobError, match=words):
        metric_for(task, name, aim_of(quantile, None, ()))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_weight_of_two_is_as_two_rows(name: str) -> None:
    rng = np.random.default_rng(0)
    metric = METRICS[name]
    weight = rng.integers(1, 4, 50)
    if metric.regression:
        y, p = rng.normal(size=(2, 50))
    else:
        y, p = rng.integers(0, 3, 50).astype(float), rng.dirichlet(np.ones(3), 50).round(1) + 0.01
    twice = metric.of(np.repeat(y, weight), np.repeat(p, weight, axis=0))
    assert metric.of(y, p, weight.astype(float)) == pytest.approx(twice)


def test_rows_that_were_left_out_are_named_where_too_little_is_left() -> None:
    weighted = frame(c=["a", "b"] * 20, w=[1, 0] * 20)
    said = r"'c' is 'a' in every row: one class only, .* \(20 rows whose 'w' is 0 are left out\)"
    with pytest.raises(JobError, match=said):
        load(weighted, "c", roles=Roles(weight="w"))
    dated = frame(c=["a", "b"] * 20, d=["2024-01-01", None, "2024-01-02", None] * 10)
    with pytest.raises(JobError, match=r"\(20 rows without a time in 'd' .* are left out"):
        load(dated, "c", roles=Roles(time="d"))
    few = frame(w=[1] * 4 + [0] * 36)
    with pytest.raises(JobError, match=r"has 4 rows .* \(36 rows whose 'w' is 0 are left out\)"):
        load(few, "y", roles=Roles(weight="w"))
