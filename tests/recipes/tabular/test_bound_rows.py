"""From a table whose rows are bound together to a model: scores that hold, weights that count, other aims."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.recipes.tabular.tables import table

from tunesmith.core.errors import JobError
from tunesmith.recipes import load_model, tabular
from tunesmith.recipes.tabular import model
from tunesmith.recipes.tabular.data import load
from tunesmith.recipes.tabular.metrics import metric_for
from tunesmith.recipes.tabular.pipeline import build
from tunesmith.recipes.tabular.roles import FREE, Roles
from tunesmith.recipes.tabular.space import ALGORITHMS, BOOSTING, algorithms, space_for
from tunesmith.recipes.tabular.train import fit, fit_fold, quantile_of, quiet
from tunesmith.run.folder import Folder


def patients() -> Any:
    """40 patients with 8 rows each, whose label is chance."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 8)
    centre, label = 3 * rng.normal(size=(40, 3)), rng.permutation(40) % 2
    frame = pd.DataFrame(centre[who] + 0.05 * rng.normal(size=(320, 3)), columns=list("abc"))
    return frame.assign(patient=[f"p{k:02d}" for k in who], y=label[who])


def found(folder: Path, frame: Any, *algorithms: str, **options: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    options = {"target": "y", "trials": len(algorithms), "seed": 0, "parallel": 1, **options}
    fitted = tabular.fit(
        frame, algorithms=algorithms, output=folder, ensemble=options.pop("ensemble", 1), say=said.append, **options,
    )  # fmt: skip
    return fitted, said


def test_new_groups_are_told_no_better_than_by_chance(tmp_path: Path) -> None:
    frame = patients()
    flattered, said = found(tmp_path / "rows", frame, "knn", metric="accuracy")
    assert flattered.value > 0.95
    assert any(line.startswith("WARNING: rows with the same 'patient'") for line in said)
    assert "--group" in flattered.summary()
    assert "WARNING: rows with the same 'patient'" in flattered.summary()
    fitted, said = found(tmp_path / "groups", frame, "knn", metric="accuracy", group="patient")
    assert fitted.value < 0.75
    assert not any("WARNING" in line for line in said)
    assert "judged by: accuracy (maximize), 5 folds twice of whole groups ('patient')" in said
    assert "no 'patient' was both learned from and checked" in fitted.summary()
    report = (tmp_path / "groups" / "report.html").read_text()
    assert "was both learned from and checked" in report
    assert "nearly always have the same" in (tmp_path / "rows" / "report.html").read_text()
    # what was said is known when the model is read again, which needs no groups
    again = load_model(tmp_path / "groups")
    assert again.summary() == fitted.summary()
    assert again.about["options"] == {"group": "patient"}
    assert (again.predict(frame[["a", "b", "c"]]) == frame["y"]).all()
    # and when the search goes on
    with pytest.raises(JobError, match=r"another setting of groups.*'group': 'patient'"):
        found(tmp_path / "groups", frame, "knn", metric="accuracy")
    more, said = found(tmp_path / "groups", frame, "knn", metric="accuracy", group="patient")
    assert more.value == fitted.value


def test_time_goes_forward(tmp_path: Path) -> None:
    """A target that drifts: what was learned from later rows would tell earlier ones."""
    rng = np.random.default_rng(0)
    day = np.arange(300)
    frame = pd.DataFrame(
        {"day": pd.date_range("2024-01-01", periods=300), "a": rng.normal(size=300)}
    )
    frame["y"] = np.cumsum(rng.normal(size=300)) + frame["a"]
    frame = frame.iloc[rng.permutation(day)]
    options: Any = {"metric": "rmse"}
    mixed, _ = found(tmp_path / "mixed", frame, "knn", **options)
    forward, said = found(
        tmp_path / "time", frame, "knn", "linear", time_column="day", ensemble=3, **options
    )
    assert mixed.value < 0.8 * forward.value
    assert "5 folds in the order of 'day', each after what it learns from" in " ".join(said)
    assert "later in 'day' than those learned from" in forward.summary()
    assert 140 <= forward.about["checked_rows"] <= 150
    trials = Folder.beside(tmp_path / "time" / "study.db", "fit")
    held_out = np.load(trials.trial(0) / "predictions.npy")
    assert np.isnan(held_out).sum() == 300 - forward.about["checked_rows"]
    assert np.isfinite(forward.predict(frame)).all()


def test_weights_count(tmp_path: Path) -> None:
    """Two kinds of rows contradict each other; the heavy ones are right."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200)})
    heavy = np.arange(200) % 2 == 0
    frame = frame.assign(y=np.where(heavy, 1.0, -1.0) * frame["a"], w=np.where(heavy, 1000.0, 1.0))
    fitted, said = found(tmp_path / "m", frame, "linear", "knn", weight="w", scheduler="none")
    assert fitted.about["best"]["config"]["algorithm"] == "linear"
    assert fitted.value < 0.15
    np.testing.assert_allclose(fitted.predict(frame), frame["a"], atol=0.3)
    assert any("knn learns from all rows alike" in line for line in said)
    assert "rows count by 'w'" in fitted.summary()
    assert "judged by: rmse, weighted by 'w' (minimize)" in " ".join(said)


def test_quantiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(0, 10, 500)})
    frame["y"] = 100 + frame["a"] * (1 + rng.normal(size=500))
    fitted, said = found(
        tmp_path / "m", frame, "linear", "knn", quantile=0.9, ensemble=3, scheduler="none"
    )
    assert fitted.metric == "pinball"
    assert "judged by: pinball at quantile 0.9 (minimize)" in " ".join(said)
    assert fitted.scores["coverage"] == pytest.approx(0.9, abs=0.04)
    assert (frame["y"] <= fitted.predict(frame)).mean() == pytest.approx(0.9, abs=0.05)
    (tmp_path / "new.csv").write_text("a\n5\n")
    (value,) = load_model(tmp_path / "m").predict(tmp_path / "new.csv")
    assert value == pytest.approx(100 + 5 * 2.28, abs=2.0)
    with pytest.raises(JobError, match=r"another setting of .*0\.9"):
        found(tmp_path / "m", frame, "linear", "knn", quantile=0.8)


def test_costs(tmp_path: Path) -> None:
    """One row in ten is ill, and it costs twenty times as much to miss it."""
    rng = np.random.default_rng(0)
    ill = rng.random(400) < 0.15
    frame = pd.DataFrame({"a": ill + rng.normal(size=400), "y": np.where(ill, "ill", "well")})
    plain, _ = found(tmp_path / "plain", frame, "linear")
    fitted, _ = found(tmp_path / "costs", frame, "linear", costs={"ill": 20})
    assert fitted.metric == "cost"
    assert (plain.predict(frame) == "ill").sum() < 0.5 * ill.sum()
    assert ((fitted.predict(frame) == "ill") & ill).sum() > 0.8 * ill.sum()
    again = load_model(tmp_path / "costs")
    decided = [row["y"] for row in again.rows(frame)]
    assert decided == fitted.predict(frame).tolist()
    assert again.about["options"]["costs"] == [[0.0, 20.0], [1.0, 0.0]]
    missed = np.where(ill & (fitted.predict(frame) == "well"), 20.0, 0.0)
    cost = (missed + (~ill & (fitted.predict(frame) == "ill"))).mean()
    assert fitted.value == pytest.approx(cost, rel=0.35)


def test_copies_in_other_folds_are_counted(tmp_path: Path) -> None:
    frame = patients().drop(columns="patient")
    fitted, said = found(tmp_path / "m", pd.concat([frame, frame.iloc[:50]]), "linear")
    count = fitted.about["copies"]
    assert 50 <= count <= 100
    assert any(f"{count} of 370 rows are the same, target included" in line for line in said)
    assert f"{count} of 370 rows are the same" in fitted.summary()


# -- the pieces ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_predicts_quantiles_with_weights(algorithm: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "g": np.arange(300) // 5, "w": 1.0})
    frame = frame.assign(y=50 + 3 * frame["a"] + 5 * rng.normal(size=300))
    data = load(frame, "y", roles=Roles("g", None, "w"), quantile=0.8)
    space = space_for(data, [algorithm], metric_for("regression", None, data.aim), 5)
    config = space.complete({"algorithm": algorithm})
    config = {k: min(v, 50) if k.endswith("n_estimators") else v for k, v in config.items()}
    with quiet():
        predicted, _ = fit_fold(config, data, np.arange(200), np.arange(200, 300), 0)
    assert (data.y[200:] <= predicted[:, 0]).mean() == pytest.approx(0.8, abs=0.12)


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a != "knn"])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_every_algorithm_weighs_rows(algorithm: str, task: str) -> None:
    """Rows that weigh next to nothing contradict the others."""
    rng = np.random.default_rng(0)
    a, light = rng.normal(size=200), np.arange(200) < 100
    signal = np.where(light, -a, a)
    y = signal if task == "regression" else np.where(signal > 0, "p", "q")
    frame = pd.DataFrame({"a": a, "w": np.where(light, 1e-3, 1.0), "y": y})
    data = load(frame, "y", roles=Roles(weight="w"))
    config = space_for(data, [algorithm], metric_for(data.task), 5).complete(
        {"algorithm": algorithm}
    )
    config = {k: min(v, 50) if k.endswith("n_estimators") else v for k, v in config.items()}
    with quiet():
        predicted = fit(config, data, 0).predict(data.x[100:])
    right = predicted[:, 0] if task == "regression" else predicted[:, 0] - 0.5
    assert np.corrcoef(right, a[100:])[0, 1] > 0.6


@pytest.mark.parametrize("algorithm", BOOSTING)
def test_early_stopping_takes_weights_and_quantiles(algorithm: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=1900), "t": range(3, 1903), "w": 2.0})
    frame = frame.assign(y=10 * np.sin(3 * frame["a"]) + rng.normal(size=1900))
    data = load(frame, "y", roles=Roles(None, "t", "w"), quantile=0.7)
    config = space_for(data, [algorithm], metric_for("regression", None, data.aim), 5).complete(
        {"algorithm": algorithm}
    )
    with quiet():
        pipe = fit(config, data, 0, stop_early=True)
    assert 2 < pipe.trees < 1500
    assert (data.y <= pipe.predict(data.x)[:, 0]).mean() == pytest.approx(0.7, abs=0.08)


def test_quantiles_of_weighted_values() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert quantile_of(values, 0.5) == 2.0
    assert quantile_of(values, 0.5, np.array([10.0, 1.0, 1.0])) == 3.0
    assert quantile_of(values, 0.01) == 1.0
    assert quantile_of(np.arange(1.0, 11.0), 0.9) == 9.0


def test_a_linear_model_of_a_quantile_is_for_few_rows() -> None:
    data = load(pd.DataFrame({"a": np.arange(60) % 7, "y": np.arange(60.0)}), "y", quantile=0.5)
    assert "linear" in algorithms(data)[0]
    names, notices = algorithms(data, None, 20_000)
    assert "linear" not in names
    assert any("linear is left out: 20,000 rows are too many" in notice for notice in notices)


def test_an_earlier_plan_is_still_one(tmp_path: Path) -> None:
    """fit.json of before there were options."""
    frame = pd.DataFrame({"a": table("numbers", "regression").x[:, 0], "y": np.arange(60.0)})
    found(tmp_path / "m", frame, "linear")
    plan = json.loads((tmp_path / "m" / "fit.json").read_text())
    assert plan.pop("options") == {}
    (tmp_path / "m" / "fit.json").write_text(json.dumps(plan))
    again, said = found(tmp_path / "m", frame, "linear")
    assert any("going on with the search" in line for line in said)
    for key in ("options", "copies", "warnings"):
        del again.about[key]
    assert "independent of one another" in again.summary()


def bound(rows: int = 240, kinds: int = 2) -> Any:
    """Rows of groups in time, with a category that names the group: it tells nothing of other groups."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(rows // 8), 8)
    label = rng.permutation(rows // 8) % kinds
    frame = pd.DataFrame({"a": rng.normal(size=rows), "who": [f"p{k:02d}" for k in who]})
    return frame.assign(name=frame.who, when=np.arange(rows), y=label[who])


@pytest.mark.parametrize("kinds", [2, 3])
@pytest.mark.parametrize("algorithm", ["linear", "random_forest"])
def test_a_category_that_names_a_group_is_encoded_without_that_group(
    kinds: int, algorithm: str
) -> None:
    config: dict[str, Any] = {"algorithm": algorithm, "impute": "median", "scale": "standard"}
    config |= {"linear.C": 1.0, "linear.l1_ratio": 0.0, "encode": "target"} if algorithm == "linear" else {"encode_trees": "target"}  # fmt: skip
    data = load(bound(kinds=kinds), "y", "classification", {"name": "category"}, roles=Roles("who"))
    with quiet():
        pipeline = build(config, data, 0)
        encoded = pipeline[0].fit_transform(data.x, data.y)[:, 1:]
        free = build(config, replace(data, bonds=FREE), 0)[0].fit_transform(data.x, data.y)[:, 1:]
    assert encoded.shape == free.shape == (data.rows, 1 if kinds == 2 else 3)

    def told(columns: Any) -> float:
        truth = (data.y == data.y.max()).astype(float)
        return float(np.abs(np.corrcoef(columns[:, -1], truth)[0, 1]))

    assert told(free) > 0.9
    assert np.std(encoded) < 1e-9 or told(encoded) < 0.5


@pytest.mark.parametrize("roles", [Roles("who"), Roles(time="when"), Roles("who", "when")])
@pytest.mark.parametrize("algorithm", ["svm", "linear"])
def test_what_is_stored_is_of_scikit_learn_and_holds_no_rows(
    tmp_path: Path, roles: Roles, algorithm: str
) -> None:
    config: dict[str, Any] = {"algorithm": algorithm, "impute": "median", "scale": "standard", "encode": "target"}  # fmt: skip
    config |= {"svm.C": 1.0, "svm.kernel": "rbf", "svm.gamma": 0.1} if algorithm == "svm" else {"linear.C": 1.0, "linear.l1_ratio": 0.0}  # fmt: skip
    data = load(bound(), "y", "classification", {"name": "category"}, roles=roles)
    with quiet():
        pipe = fit(config, data, 0)
    said: list[str] = []
    about: dict[str, Any] = {"task": data.task, "target": "y", "classes": [0, 1], "columns": [], "left_out": [], "sparse": False, "versions": {}}  # fmt: skip
    about["members"] = [{"weight": 1.0, **model.member_about(pipe)}]
    model.write(tmp_path, about, [pipe], data.x[:5], said.append)
    assert not said
    assert "ApartEncoder" not in repr(pipe.pipeline)
    if algorithm == "svm":
        assert isinstance(pipe.pipeline[-1].cv, int)


def test_an_svm_is_calibrated_by_other_groups() -> None:
    data = load(bound(), "y", "classification", roles=Roles("who"))
    config = {"algorithm": "svm", "svm.C": 1.0, "svm.kernel": "rbf", "svm.gamma": 0.1}
    chosen = build(config, data, 0)[-1].cv
    assert data.bonds.group is not None
    assert len(chosen) == 3
    for learned, checked in chosen:
        assert not np.isin(data.bonds.group[learned], data.bonds.group[checked]).any()


def test_a_network_stops_by_later_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,400 rows the last 300 have the opposite label: what is learned from the others is the worse the longer."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2400, 3)), columns=list("abc")).assign(
        when=np.arange(2400)
    )
    frame["y"] = (frame.a > 0) ^ (frame.when >= 2100)
    config = {
        "algorithm": "mlp", "scale": "standard", "impute": "median", "mlp.hidden_layer_sizes": (8,),
        "mlp.learning_rate_init": 0.01,
    }  # fmt: skip
    data = load(frame, "y", columns={"when": "ignore"}, roles=Roles(time="when"))
    with quiet():
        later = fit(config, data, 0).pipeline[-1]
        free = fit(config, replace(data, bonds=FREE), 0).pipeline[-1]
    assert later.n_iter_ <= 10 < free.n_iter_
    assert later.random_state == 0
