"""Every algorithm on every kind of table, through configs from the whole space; nothing leaks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.recipes.tabular.tables import KINDS, TASKS, table

from tunesmith.core.errors import JobError
from tunesmith.recipes.tabular import model
from tunesmith.recipes.tabular.data import Data, load
from tunesmith.recipes.tabular.metrics import METRICS, metric_for
from tunesmith.recipes.tabular.pipeline import MOST_TREES, SVM_STEPS, build
from tunesmith.recipes.tabular.pipeline import model as estimator
from tunesmith.recipes.tabular.roles import Roles
from tunesmith.recipes.tabular.space import (
    ALGORITHMS,
    BOOSTING,
    FORESTS,
    algorithms,
    finds_trees,
    first_configs,
    space_for,
)
from tunesmith.recipes.tabular.stratified import folds
from tunesmith.recipes.tabular.train import Pipe, fit, fit_fold, quiet, stops_early, tame

SAMPLES = 1
Config = dict[str, Any]


def judged(data: Data) -> Any:
    return metric_for(data.task, "mae" if data.task == "regression" else "accuracy")


def defaults(data: Data) -> list[Config]:
    names, _ = algorithms(data)
    found = first_configs(space_for(data, names, judged(data), 5), names)
    return [_quick(config) for config in found[: len(names)]]


def drawn(data: Data, seed: int) -> list[Config]:
    """A few configs of each algorithm from the whole space."""
    names, _ = algorithms(data)
    configs: list[Config] = []
    for k, name in enumerate(names):
        space = space_for(data, [name], judged(data), 5)
        rng = np.random.default_rng([seed, k])
        configs += [space.sample(rng) for _ in range(SAMPLES)]
    return [_quick(config) for config in configs]


def _quick(config: Config) -> Config:
    """As it is, with fewer trees: what may break does not depend on how many."""
    return {k: min(v, 12) if k.endswith("n_estimators") else v for k, v in config.items()}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_pipeline_fits_and_predicts(kind: str, task: str) -> None:
    data = table(kind, task)
    fold = folds(data.y, 5, 1, 0)[0]
    learned, checked = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    configs = drawn(data, KINDS.index(kind)) + (defaults(data) if kind == "tiny" else [])
    names = set(algorithms(data)[0])
    assert {config["algorithm"] for config in configs} == names
    assert ("svm" in names) is (kind != "sparse" and (kind, task) != ("rare", "binary"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for config in configs:
            with quiet():
                predicted, trees = fit_fold(config, data, learned, checked, seed=1)
            assert predicted.shape == (len(checked), max(1, len(data.classes))), config
            assert np.isfinite(predicted).all(), config
            assert trees == 0
            if data.classes:
                np.testing.assert_allclose(predicted.sum(axis=1), 1.0, err_msg=str(config))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_defaults_learn(algorithm: str, task: str) -> None:
    data = table("numbers", task, seed=3)
    (config,) = first_configs(space_for(data, [algorithm], judged(data), 5), [algorithm])[:1]
    fold = folds(data.y, 5, 1, 0)[0]
    with quiet():
        predicted, _ = fit_fold(
            config, data, np.flatnonzero(fold), np.flatnonzero(fold == 0), seed=1
        )
    y = data.y[fold == 0]
    if task == "regression":
        assert METRICS["r2"].of(y, predicted[:, 0]) > 0.3
    else:
        assert METRICS["accuracy"].of(y, predicted) > 0.5


def test_the_same_seed_gives_the_same_predictions() -> None:
    data = table("mixed", "binary")
    rows = np.arange(data.rows)
    with quiet():
        for config in drawn(data, 9):
            first, _ = fit_fold(config, data, rows, rows, seed=1)
            again, _ = fit_fold(config, data, rows, rows, seed=1)
            np.testing.assert_array_equal(first, again)


def test_an_svm_ends_though_nothing_is_scaled() -> None:
    """libsvm went on for minutes on 60 rows with dates in days."""
    data = table("awkward", "regression")
    config = {
        "algorithm": "svm",
        "svm.kernel": "poly",
        "svm.C": 3e3,
        "svm.gamma": 1.0,
        "svm.degree": 4,
    }
    assert estimator(config, data, 0).get_params()["max_iter"] == SVM_STEPS


# -- nothing leaks ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noise() -> Data:
    """100 numbers and 8 columns of 25 categories that say nothing about two classes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 100)), columns=[f"n{k}" for k in range(100)])
    for k in range(8):
        frame[f"c{k}"] = [f"c{c}" for c in rng.integers(0, 25, 500)]
    frame["y"] = rng.permutation(["a", "b"] * 250)
    return load(frame, "y")


def checked_auc(config: Config, data: Data, *, leak: bool) -> float:
    """By cross-validation; with `leak`, all but the model is fitted on all rows first."""
    fold = folds(data.y, 5, 1, 0)[0]
    held_out = np.zeros((data.rows, 2))
    with quiet():
        front = build(config, data, 0)[:-1].fit(data.x, data.y)
        for k in range(5):
            learned, rows = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            if leak:
                x = front.transform(data.x)
                fitted = estimator(config, data, 0).fit(x[learned], data.y[learned])
                held_out[rows] = fitted.predict_proba(x[rows])
            else:
                held_out[rows], _ = fit_fold(config, data, learned, rows, seed=k)
    return METRICS["roc_auc"].of(data.y, held_out)


@pytest.mark.parametrize(
    "more",
    [
        {"encode": "one_hot", "select": "univariate", "keep": 0.1, "scale": "standard"},
        {"encode": "target", "select": "univariate", "keep": 0.1, "scale": "quantile"},
        {"encode": "target", "scale": "standard"},
    ],
)
def test_noise_has_no_signal(noise: Data, more: Config) -> None:
    config = {"algorithm": "linear", "linear.C": 0.1, "linear.l1_ratio": 0.0, **more}
    assert abs(checked_auc(config, noise, leak=False) - 0.5) < 0.08
    assert checked_auc(config, noise, leak=True) > 0.65  # what a leak would look like


def test_what_is_held_out_changes_nothing() -> None:
    """Other values and targets in the held-out rows: the same fitted pipeline."""
    data = table("mixed", "regression")
    fold = folds(data.y, 5, 1, 0)[0]
    learned, probe = np.flatnonzero(fold != 0), np.flatnonzero(fold != 0)[:10]
    spoiled = Data(**data.__dict__)
    x, y = data.x.copy(), data.y.copy()
    x[fold == 0], y[fold == 0] = 777.0, -1e6
    object.__setattr__(spoiled, "x", x)
    object.__setattr__(spoiled, "y", y)
    with quiet():
        for config in drawn(data, 4):
            clean, _ = fit_fold(config, data, learned, probe, seed=1)
            dirty, _ = fit_fold(config, spoiled, learned, probe, seed=1)
            np.testing.assert_array_equal(clean, dirty, err_msg=str(config))


# -- what no row of the training had ------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [*BOOSTING, *FORESTS])
def test_an_unseen_category_is_taken_for_the_commonest_one(algorithm: str) -> None:
    texts = np.repeat(list("abcd"), [40, 60, 50, 50])
    means = {"a": 50.0, "b": 0.0, "c": 1.0, "d": 2.0}
    frame = pd.DataFrame({"kind": texts, "y": [means[text] for text in texts]})
    frame["y"] += np.random.default_rng(0).normal(size=200) / 100
    data = load(frame, "y")
    space = space_for(data, [algorithm], metric_for("regression"), 5)
    config = _quick(space.complete({"algorithm": algorithm, "encode_trees": "ordinal"}))
    config[f"{algorithm}.n_estimators"] = 60
    with quiet():
        pipe = fit(config, data, seed=0)
    first, commonest, unseen = pipe.predict(np.array([[0.0], [1.0], [np.nan]]))[:, 0]
    assert first > 40
    assert unseen == commonest


@pytest.mark.parametrize("algorithm", BOOSTING)
def test_a_number_that_was_never_missing_is_filled_in_later(algorithm: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(100, 200, 200), "b": rng.uniform(100, 200, 200)})
    frame["y"] = frame["a"] + np.where(frame["b"] < 120, 0.0, frame["b"])
    frame.loc[:19, "b"] = np.nan
    data = load(frame, "y")
    config = space_for(data, [algorithm], metric_for("regression"), 5).complete(
        {"algorithm": algorithm}
    )
    with quiet():
        pipe = fit(config, data, seed=0)
    middle = np.median(data.x[:, 0])
    one, other = pipe.predict(np.array([[np.nan, 150.0], [middle, 150.0]]))[:, 0]
    assert one == other
    gap, filled = pipe.predict(np.array([[150.0, np.nan], [150.0, np.nanmedian(data.x[:, 1])]]))[
        :, 0
    ]
    assert gap != filled  # gaps that were there were learned from


# -- early stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", BOOSTING)
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_early_stopping_finds_how_many_trees(algorithm: str, task: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["y"] = x[:, 0] + rng.normal(size=2_000)
    if task == "multiclass":
        # eight classes with a single row each: one is in the eighth that says when to stop
        frame["y"] = np.r_[np.where(frame["y"] > 0, "p", "q")[:-8], list("rstuvwxz")]
    data = load(frame, "y")
    assert finds_trees(data, 5)
    space = space_for(data, [algorithm], metric_for(data.task), 5)
    assert f"{algorithm}.n_estimators" not in space
    config = {**space.complete({"algorithm": algorithm}), f"{algorithm}.learning_rate": 0.3}
    assert stops_early(config)
    everything = np.arange(data.rows)
    with quiet():
        predicted, trees = fit_fold(config, data, everything, everything, seed=0)
    assert 1 <= trees < 100
    assert predicted.shape == (data.rows, max(1, len(data.classes)))
    with quiet():
        final = fit(config, data, seed=0, trees=trees)
    assert final.pipeline[-1].get_params()["n_estimators"] == trees < MOST_TREES


def test_few_rows_have_the_number_of_trees_as_a_parameter() -> None:
    data = table("numbers", "binary")
    assert not finds_trees(data, 5)
    assert "lightgbm.n_estimators" in space_for(data, ["lightgbm"], metric_for("binary"), 5)


@pytest.mark.parametrize("lone", [False, True])
def test_an_mlp_stops_early_where_every_class_can_say_when(lone: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 2))
    y = np.r_[np.repeat([0.0, 1.0], 1_000)[:-1], 2.0 if lone else 1.0]
    columns = table("numbers", "binary").columns[:2]
    data = Data("t", x, y, "multiclass", "y", columns, ("a", "b", "c"))
    config = space_for(data, ["mlp"], metric_for("multiclass"), 5).complete(
        {"algorithm": "mlp", "mlp.hidden_layer_sizes": [16], "mlp.batch_size": 256}
    )
    assert estimator(config, data, 0).get_params()["early_stopping"] is not lone
    with quiet():
        fit({**config, "mlp.learning_rate_init": 0.03}, data, seed=0)


# -- the target ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["none", "log", "quantile", "power"])
def test_targets_are_transformed_and_back(how: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    y = np.exp(2 * x[:, 0] + 3)
    data = Data("t", x, y, "regression", "y", table("numbers", "binary").columns[:1])
    config = {"algorithm": "linear", "linear.C": 1e3, "linear.l1_ratio": 0.0, "target": how}
    with quiet():
        pipe = fit(config, data, seed=0)
        predicted = pipe.predict(x)[:, 0]
        far = pipe.predict(np.array([[50.0], [-50.0], [1e30]]))
    assert np.isfinite(far).all()
    assert far.max() <= y.max() + np.ptp(y)
    if how != "none":
        assert np.corrcoef(np.log(np.maximum(predicted, 0.1)), np.log(y))[0, 1] > 0.98


def test_values_out_of_reach_are_tamed() -> None:
    values = np.array([[np.nan], [np.inf], [-np.inf], [0.5]])
    np.testing.assert_array_equal(tame(values, (0.0, 2.0)), [[1.0], [2.0], [0.0], [0.5]])


def test_the_logarithm_is_for_what_is_never_negative() -> None:
    data = table("numbers", "regression")
    for y, there in ((data.y - 200, False), (np.abs(data.y), True)):
        changed = Data(**{**data.__dict__, "y": y})
        space = space_for(changed, ["linear"], metric_for("regression"), 5)
        assert ("log" in space.parameters["target"].values) is there  # type: ignore[union-attr]


def test_ranks_are_for_what_stays_in_its_range() -> None:
    """What is later may go beyond the rows so far, and a rank cannot."""
    frame = pd.DataFrame({"day": np.arange(40.0), "a": np.arange(40.0) % 7, "y": np.arange(40.0)})
    for roles, there in ((Roles(), True), (Roles(None, "day", None), False)):
        data = load(frame, "y", "regression", roles=roles)
        parameters: Any = space_for(data, ["linear"], judged(data), 5).parameters
        assert ["quantile" in parameters[name].values for name in ("scale", "target")] == [
            there
        ] * 2


# -- which algorithms ---------------------------------------------------------------------------


def test_algorithms_that_do_not_fit_are_left_out_and_said() -> None:
    data = table("numbers", "binary")
    many = Data(**{**data.__dict__, "x": np.zeros((60_000, 5)), "y": np.zeros(60_000)})
    names, notices = algorithms(many)
    assert "svm" not in names
    assert "knn" not in names
    assert any("svm is left out: 60,000 rows are too many for it" in notice for notice in notices)
    assert algorithms(table("sparse", "binary"))[0] == ["lightgbm", "linear", "xgboost"]
    assert algorithms(data, ["knn", "linear"])[0] == ["linear", "knn"]
    with pytest.raises(JobError, match="no algorithm 'lightgmb'; did you mean 'lightgbm'"):
        algorithms(data, ["lightgmb"])
    with pytest.raises(JobError, match="no algorithm is left: svm is left out"):
        algorithms(many, ["svm"])
    with pytest.raises(JobError, match="knn is left out: it does not take sparse tables"):
        algorithms(table("sparse", "binary"), ["knn"])


def test_weights_of_classes_only_where_they_do_not_spoil_probabilities() -> None:
    data = table("numbers", "binary")
    names = ["linear", "mlp"]
    assert "class_weight" in space_for(data, names, metric_for("binary", "f1"), 5)
    assert "class_weight" not in space_for(data, names, metric_for("binary", "roc_auc"), 5)


def test_first_configs_belong_to_the_space() -> None:
    for kind in KINDS:
        for task in TASKS:
            data = table(kind, task)
            names, _ = algorithms(data)
            space = space_for(data, names, judged(data), 5)
            for config in first_configs(space, names):
                assert space.contains(config)
            assert sorted(
                c["algorithm"] for c in first_configs(space, names, len(names))
            ) == sorted(names)


# -- skops --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["mixed", "sparse"])
def test_every_pipeline_is_kept_with_skops(kind: str, task: str, tmp_path: Any) -> None:
    data = table(kind, task)
    with quiet():
        pipes: list[Pipe] = [
            fit(config, data, seed=0) for config in drawn(data, 1) + defaults(data)
        ]
    said: list[str] = []
    about = {"members": [model.member_about(pipe) for pipe in pipes], "versions": {}}
    written = model.write(tmp_path, about, pipes, data.x, said.append)
    assert said == []
    assert written["file"].endswith(".skops")


def sold(rows: int = 210) -> Data:
    """Sales that grow from day to day, and on a Wednesday are low."""
    days = pd.date_range("2024-01-01", periods=rows)
    y = np.arange(rows) - 50.0 * (days.day_of_week == 2)
    return load(pd.DataFrame({"day": days.astype(str), "y": y}), "y", "regression")


def test_a_day_of_the_week_is_a_category_where_sums_are_made() -> None:
    data = sold()
    assert [data.columns[0].parts[k] for k in data.weekdays] == ["weekday"]
    config = space_for(data, ["linear"], judged(data), 5).complete({"algorithm": "linear"})
    predicted, _ = fit_fold(config, data, np.arange(140), np.arange(140, 210), seed=1)
    assert METRICS["mae"].of(data.y[140:], predicted[:, 0]) < 5.0


def test_linear_trees_go_on_beyond_what_they_saw() -> None:
    data = sold()
    space = space_for(data, ["lightgbm"], judged(data), 5)
    highest = {
        config["lightgbm.linear_tree"]: fit_fold(
            config, data, np.arange(140), np.arange(140, 210), seed=1
        )[0].max()
        for config in first_configs(space, ["lightgbm"])
    }
    assert highest[False] < 141.0
    assert highest[True] > 180.0


def test_lines_are_only_where_there_are_numbers_for_them() -> None:
    data = table("numbers", "regression")
    assert "lightgbm.linear_tree" in space_for(data, ["lightgbm"], judged(data), 5)
    for other in (table("numbers", "binary"), table("sparse", "regression")):
        assert "lightgbm.linear_tree" not in space_for(other, ["lightgbm"], judged(other), 5)
