"""The built-in algorithms: SageMaker's hyperparameters in, its metrics out."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.run.output import Scanner, compile_metrics
from tunesmith.service.sagemaker import algorithms
from tunesmith.service.sagemaker.algorithms import recordio
from tunesmith.service.sagemaker.algorithms.inputs import Inputs


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


def inputs(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, kind: str) -> Inputs:
    """What an algorithm is given in its channel train."""
    config, place = folder / "input" / "config", folder / "input" / "data" / "train"
    for one in (config, place):
        one.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text("{}")
    described = {"train": {"ContentType": kind} if kind else {}}
    (config / "inputdataconfig.json").write_text(json.dumps(described))
    (place / "part").write_bytes(data)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
    return Inputs()


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"1,2,3\n0,4,5\n", [[1, 2, 3], [0, 4, 5]]),
        (b"True,False,2\nFALSE,true,3\n", [[1, 0, 2], [0, 1, 3]]),  # as pandas writes its dummies
        (b"\xef\xbb\xbf1,2\r\n\r\n0,\r\n", [[1, 2], [0, np.nan]]),
        (b'"1","2.5"\n', [[1, 2.5]]),
    ],
)
def test_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, rows: list[list[float]]
) -> None:
    found = inputs(tmp_path, monkeypatch, data, "csv").rows("train")
    np.testing.assert_array_equal(np.column_stack([found.labels, found.features]), rows)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"y,x\n1,2\n", "part:1: column 1 has 'y', which is no number"),
        (b"1,blue\n0,3\n", "part:1: column 2 has 'blue', which is no number"),
        (b"1,1_000\n", "column 2 has '1_000'"),
        (b"1,2\n1,2,3\n", "part:2: 3 columns, and 2 before"),
        (b"\n", "part is empty"),
        (b",2\n", "label that is no number"),
    ],
)
def test_what_is_no_table_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str
) -> None:
    """A category that was taken for a missing value would be a model of something else, without a word."""
    with pytest.raises(SystemExit):
        inputs(tmp_path, monkeypatch, data, "text/csv").rows("train")
    assert said in (tmp_path / "output" / "failure").read_text()


@pytest.mark.parametrize("name", ["linear_learner", "knn"])
@pytest.mark.parametrize("cell", ["", "inf", "nan"])
def test_algorithms_that_know_no_missing_values_refuse_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cell: str
) -> None:
    """All weights would be NaN, and accuracies numbers all the same."""
    inputs(tmp_path, monkeypatch, f"1,2,3\n0,{cell},5\n".encode(), "text/csv")
    values = {
        "predictor_type": "binary_classifier" if name == "linear_learner" else "classifier",
        "k": "1",
    }
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text(json.dumps(values))
    with pytest.raises(SystemExit):
        importlib.import_module(f"tunesmith.service.sagemaker.algorithms.{name}").main()
    assert "the channel train has empty cells" in (tmp_path / "output" / "failure").read_text()


def number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(tag: int, content: bytes) -> bytes:
    return number(tag << 3 | 2) + number(len(content)) + content


def record(label: bytes, features: bytes) -> bytes:
    parts = [
        field(tag, field(1, b"values") + field(2, value))
        for tag, value in ((1, features), (2, label))
    ]
    whole = b"".join(parts)
    return recordio.MAGIC + struct.pack("<I", len(whole)) + whole + bytes(-len(whole) % 4)


ONE = field(2, field(1, struct.pack("<f", 1.0)))
DENSE = field(2, field(1, struct.pack("<3f", 0.5, -2.0, 3.0)))
DOUBLES = field(3, field(1, struct.pack("<3d", 0.5, -2.0, 3.0)))
WHOLE = field(7, field(1, number(7) + number((1 << 64) - 2) + number(0)))
SPARSE = field(
    2,
    field(1, struct.pack("<2f", 4.0, 5.0)) + field(2, number(2) + number(0)) + field(3, number(3)),
)


def test_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SageMaker's SDK writes arrays: dense and sparse, of both widths and of whole numbers."""
    data = b"".join(record(ONE, features) for features in (DENSE, DOUBLES, WHOLE, SPARSE))
    for kind in ("", "application/x-recordio-protobuf"):
        found = inputs(tmp_path, monkeypatch, data, kind).rows("train")
        assert found.labels.tolist() == [1.0] * 4
        assert found.features.tolist() == [[0.5, -2, 3], [0.5, -2, 3], [7, -2, 0], [5, 0, 4]]


@given(cut=st.integers(1, 60), at=st.integers(0, 60), byte=st.integers(0, 255))
def test_records_that_are_none(cut: int, at: int, byte: int) -> None:
    """Cut off or changed anywhere: a table, or a reason, and soon."""
    whole = record(ONE, DENSE) + record(ONE, SPARSE)
    for data in (whole[:-cut], whole[:at] + bytes([byte]) + whole[at + 1 :]):
        with contextlib.suppress(ValueError):
            assert recordio.table(data).shape[1] <= recordio.WIDEST + 1


def test_a_record_without_its_label_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = field(1, field(1, b"values") + field(2, DENSE))
    data = recordio.MAGIC + struct.pack("<I", len(whole)) + whole + bytes(-len(whole) % 4)
    with pytest.raises(SystemExit):
        inputs(tmp_path, monkeypatch, data, "").rows("train")
    assert "features and a label" in (tmp_path / "output" / "failure").read_text()


def test_a_table_that_is_called_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        inputs(tmp_path, monkeypatch, b"1,2\n", "application/x-recordio-protobuf").rows("train")
    assert "at byte 0 there is no record" in (tmp_path / "output" / "failure").read_text()


def test_what_has_no_effect_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = inputs(tmp_path, monkeypatch, b"1,2\n", "csv")
    given.values = {"k": 3, "index_type": "faiss.Flat", "feature_dim": 2}
    given.say_unused(algorithms.WITHOUT_EFFECT["knn"])
    assert capsys.readouterr().out == "without effect here: feature_dim, index_type\n"


@pytest.mark.parametrize("name", algorithms.USED)
def test_hyperparameters_are_listed(name: str) -> None:
    """Those that a program takes are those that may be tuned."""
    source = Path(importlib.import_module(f"{algorithms.__name__}.{name}").__file__ or "")
    taken = set(re.findall(r'inputs\.(?:take|number)\(\s*"(\w+)"', source.read_text()))
    assert taken == set(algorithms.USED[name])
