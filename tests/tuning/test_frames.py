"""Trials as data frames: the types that they have, and null where there is nothing."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.store import open_store

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

SPACE = ts.Space(
    lr=ts.Float(1e-4, 1e-1, log=True),
    kind=ts.Choice("sgd", "adam"),
    momentum=ts.Float(0, 1, when={"kind": "sgd"}),
    layers=ts.Int(1, 4, when={"kind": "adam"}),
    width=ts.Choice(16, 32, ordered=True),
    nesterov=ts.Choice(True, False, when={"kind": "sgd"}),
    shape=ts.Choice([3, 3], None, "auto"),
    epochs=10,
    warm=ts.Fixed(5, when={"kind": "sgd"}),
)


def objective(config: dict[str, Any]) -> Any:
    if config["width"] == 32 and config["kind"] == "sgd":
        raise ValueError("no")
    if config["width"] == 16 and config["kind"] == "adam":
        return math.nan
    return config["lr"]


@pytest.fixture(scope="module")
def result() -> ts.Result:
    return ts.tune(objective, SPACE, metric="loss", trials=30, searcher="random", seed=1, failures_in_a_row=None, same_error=None, progress=False)  # fmt: skip


def check_rows(table: Any, result: ts.Result) -> None:
    """The cells of an Arrow table are those of `rows`."""
    for row, cells in zip(result.rows(), table.to_pylist(), strict=True):
        for name, value in cells.items():
            if name in ("created_at", "started_at", "ended_at"):
                continue
            expected = row.get(name)
            if name == "shape":
                expected = {"[3, 3]": [3, 3], "null": None, "auto": "auto"}[value]
                assert row["shape"] == expected
            elif isinstance(expected, float) and math.isnan(expected):
                assert math.isnan(value)
            else:
                assert (value, type(value)) == (expected, type(expected)), name


def test_arrow(result: ts.Result) -> None:
    table = result.table("arrow")
    check_rows(table, result)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["number"] == kinds["layers"] == kinds["width"] == kinds["epochs"] == "int64"
    assert kinds["warm"] == "int64"
    assert kinds["nesterov"] == kinds["retracted"] == "bool"
    assert kinds["lr"] == kinds["momentum"] == kinds["wall_s"] == "double"
    assert kinds["kind"].startswith("dictionary<values=string")
    assert kinds["started_at"] == "timestamp[us, tz=UTC]"
    first = result.trials[0]
    assert table["started_at"][0].as_py().timestamp() == pytest.approx(first.started_at, abs=1e-5)
    assert table["layers"].null_count == sum("layers" not in t.config for t in result.trials)


def test_whatever_reads_arrow(result: ts.Result) -> None:
    table = pa.table(result)
    assert table.schema == result.table("arrow").schema
    check_rows(table, result)


def test_pandas(result: ts.Result) -> None:
    table = result.table("pandas")
    assert str(table["layers"].dtype) == "Int64"
    assert str(table["width"].dtype) == "int64"
    assert str(table["kind"].dtype) == "category"
    assert str(table["nesterov"].dtype) == "boolean"
    assert str(table["lr"].dtype) == "float64"
    assert str(table["started_at"].dtype).startswith("datetime64[")
    for trial in result.trials:
        for name in ("kind", "lr", "width"):
            assert table.loc[trial.number, name] == trial.config[name]
        assert pd.isna(table.loc[trial.number, "momentum"]) == (trial.config["kind"] == "adam")
    assert set(table[table["kind"] == "sgd"]["state"]) <= {"completed", "failed"}


def test_parquet(result: ts.Result, tmp_path: Path) -> None:
    from pyarrow import parquet

    path = result.write_parquet(tmp_path / "t.parquet")
    read = parquet.read_table(path)
    check_rows(read, result)
    assert {p.name for p in tmp_path.iterdir()} == {"t.parquet"}


def test_trials_outside_an_edited_space_keep_their_values() -> None:
    store = open_store(None)
    space = ts.Space(x=ts.Float(0, 1), kind=ts.Choice("a", "b"))
    ts.tune(
        lambda c: float(c["x"]), space, name="s", storage=store, trials=6, seed=1, progress=False
    )
    study = ts.Study.open("s", storage=store)
    study.edit(space=ts.Space(x=ts.Float(0, 0.1), kind=ts.Choice("b", "c")))
    result = study.result()
    table = result.table("arrow")
    assert table["x"].to_pylist() == [t.config["x"] for t in result.trials]
    assert table["kind"].to_pylist() == [t.config["kind"] for t in result.trials]
    assert any(table["outside"].to_pylist())


def test_a_learned_space_and_names_that_only_a_waiting_trial_has() -> None:
    store = open_store(None)

    def asks(trial: ts.LiveTrial) -> float:
        on = bool(trial.choice("on", False, True))
        return trial.float("x", 0, 1) + trial.int("n", 1, 3) * on

    ts.tune(asks, name="s", storage=store, trials=5, seed=1, progress=False)
    study = ts.Study.open("s", storage=store)
    study.enqueue({"x": 0.5, "later": 3})
    result = study.result()
    table = result.table("arrow")
    assert table["later"].to_pylist() == [None] * 5 + [3]
    assert table["n"].to_pylist() == [t.config.get("n") for t in result.trials]
    assert [row.get("later") for row in result.rows()] == [None] * 5 + [3]
    assert "later" in result.to_csv()


@pytest.mark.parametrize(
    ("kind", "package"), [("polars", "polars"), ("arrow", "pyarrow"), ("pandas", "pandas")]
)
def test_a_library_that_is_not_installed(
    result: ts.Result, monkeypatch: pytest.MonkeyPatch, kind: Any, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ts.StudyError,
        match=f"a table for {kind} needs the package {package}: pip install {package}",
    ):
        result.table(kind)


def test_another_library(result: ts.Result) -> None:
    with pytest.raises(
        ts.StudyError, match="pandas, polars, arrow, not 'panda'; did you mean 'pandas'"
    ):
        result.table("panda")  # type: ignore[arg-type]


def test_a_study_without_trials() -> None:
    study = ts.Study.create(SPACE, trials=3)
    assert study.result().table("arrow").num_rows == 0
    assert len(study.result().table("pandas")) == 0
