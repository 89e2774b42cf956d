"""The built-in algorithms: SageMaker's hyperparameters in, its metrics out."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.run.output import Scanner, compile_metrics
from tunesmith.service.sagemaker import algorithms


def table(path: Path, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(150, 3))
    y = x[:, 0] - x[:, 1]
    if kind == "binary":
        y = (y > 0).astype(float)
    elif kind == "classes":
        y = np.digitize(y, [-0.7, 0.7]).astype(float)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.column_stack([y, x]), delimiter=",")


def trained(
    name: str,
    folder: Path,
    kind: str,
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    channels: tuple[str, ...] = ("train", "validation"),
) -> dict[str, list[float]]:
    """By metric: its values, as they are found in what an algorithm prints."""
    config = folder / "input" / "config"
    for place in (config, folder / "model"):
        place.mkdir(parents=True, exist_ok=True)
    for seed, channel in enumerate(channels):
        table(folder / "input" / "data" / channel / "part.csv", kind, seed)
    described = {channel: {"ContentType": "text/csv"} for channel in channels}
    (config / "inputdataconfig.json").write_text(json.dumps(described))
    texts = {key: str(value) for key, value in values.items()}
    (config / "hyperparameters.json").write_text(json.dumps(texts))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
    importlib.import_module(f"tunesmith.service.sagemaker.algorithms.{name}").main()
    patterns = compile_metrics(algorithms.metrics(name))
    scanner = Scanner(frozenset(), patterns)
    found: dict[str, list[float]] = {}
    for report in scanner.feed(capsys.readouterr().out.encode(), last=True):
        for metric, value in report.metrics.items():
            assert value is not None
            found.setdefault(metric, []).append(value)
    assert any((folder / "model").iterdir())
    return found


class TestXGBoost:
    @pytest.mark.parametrize(
        ("kind", "objective", "metric", "least"),
        [
            ("binary", "binary:logistic", "validation:auc", 0.9),
            ("binary", "binary:logistic", "validation:f1", 0.8),
            ("binary", "binary:hinge", "validation:accuracy", 0.8),
            ("classes", "multi:softmax", "validation:accuracy", 0.7),
            ("classes", "multi:softprob", "train:f1_macro", 0.7),
            ("numbers", "reg:squarederror", "validation:r2", 0.7),
        ],
    )
    def test_metrics(
        self, tmp_path: Path, kind: str, objective: str, metric: str, least: float,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        values = {
            "num_round": 15,
            "objective": objective,
            "_tuning_objective_metric": metric,
            "eta": 0.4,
        }
        if kind == "classes":
            values["num_class"] = 3
        found = trained("xgboost", tmp_path, kind, values, monkeypatch, capsys)
        assert len(found[metric]) == 15
        assert found[metric][-1] > least

    def test_what_is_missing_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            trained("xgboost", tmp_path, "binary", {}, monkeypatch, capsys)
        assert "num_round" in (tmp_path / "output" / "failure").read_text()


def test_lightgbm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"num_boost_round": 10, "_tuning_objective_metric": "auc", "learning_rate": 0.3}
    found = trained("lightgbm", tmp_path, "binary", values, monkeypatch, capsys)
    assert len(found["auc"]) == 10
    assert found["auc"][-1] > 0.9


@pytest.mark.parametrize(
    ("kind", "predictor", "metric", "least"),
    [
        ("binary", "binary_classifier", "validation:binary_classification_accuracy", 0.85),
        ("binary", "binary_classifier", "validation:roc_auc_score", 0.9),
        ("classes", "multiclass_classifier", "train:multiclass_accuracy", 0.7),
        ("numbers", "regressor", "validation:r2", 0.9),
    ],
)
def test_linear_learner(
    tmp_path: Path, kind: str, predictor: str, metric: str, least: float,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    values = {
        "predictor_type": predictor, "epochs": 30, "learning_rate": 0.1, "mini_batch_size": 20, "_tuning_objective_metric": metric,
    }  # fmt: skip
    found = trained("linear_learner", tmp_path, kind, values, monkeypatch, capsys)
    assert len(found[metric]) == 30
    assert found[metric][-1] > least


@pytest.mark.parametrize(
    ("kind", "predictor", "metric"),
    [("classes", "classifier", "test:accuracy"), ("numbers", "regressor", "test:mse")],
)
def test_knn(
    tmp_path: Path, kind: str, predictor: str, metric: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    values = {
        "k": 5,
        "predictor_type": predictor,
        "sample_size": 120,
        "_tuning_objective_metric": metric,
    }
    found = trained("knn", tmp_path, kind, values, monkeypatch, capsys, ("train", "test"))
    assert len(found[metric]) == 1
    assert (found[metric][0] > 0.7) == (predictor == "classifier")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "xgboost"),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1", "linear_learner"),
        ("knn", "knn"),
        ("x/y", None),
    ],
)
def test_images(image: str, name: str | None) -> None:
    assert algorithms.of_image(image) == name
