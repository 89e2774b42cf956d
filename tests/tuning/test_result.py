"""What a study found, as values, tables and files."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.trial import State

SPACE = ts.Space(x=ts.Float(0, 1), crop=ts.Choice([24, 24], [28, 28]))


def objective(config: dict[str, Any]) -> dict[str, float]:
    if config["x"] == 0.75:
        raise ValueError("no such thing")
    return {"loss": config["x"], "size": config["crop"][0]}


@pytest.fixture
def result() -> ts.Result:
    return ts.tune(
        objective,
        SPACE,
        metric="loss",
        trials=4,
        enqueue=[{"x": x, "crop": [24, 24]} for x in (0.5, 0.25, 0.75, 0.25 + 1e-9)],
        price_per_hour=3600.0,
        progress=False,
    )


def test_best(result: ts.Result) -> None:
    assert result.best.number == 1
    assert result.best.config == {"x": 0.25, "crop": [24, 24]}
    assert result.best.value == 0.25
    assert result.best.metrics == {"loss": 0.25, "size": 24}
    assert result.front == [result.best]


def test_counts_and_end(result: ts.Result) -> None:
    assert result.counts[State.COMPLETED] == 3
    assert result.counts[State.FAILED] == 1
    assert result.ended_by == "trials"
    assert result.ended == "all 4 trials have been run"
    assert result.cost["compute_s"] <= result.cost["elapsed_s"] + 1e-6
    assert result.cost["money"] == pytest.approx(result.cost["compute_s"])


def test_trials_are_a_sequence(result: ts.Result) -> None:
    trials = result.trials
    assert len(trials) == 4
    assert trials[-1].number == 3
    assert [t.number for t in trials[1:3]] == [1, 2]
    assert [t.number for t in trials] == [0, 1, 2, 3]
    with pytest.raises(ts.StudyError, match=r"there is no trial 9; study .* has trials 0 to 3"):
        trials[9]


def test_rows_are_flat(result: ts.Result) -> None:
    rows = list(result.rows())
    assert rows[0]["number"] == 0
    assert rows[0]["x"] == 0.5
    assert rows[0]["loss"] == 0.5
    assert rows[0]["searcher"] == "user"
    assert rows[2]["state"] == "failed"
    assert "ValueError: no such thing" in rows[2]["reason"]
    assert "loss" not in rows[2]


def test_a_table_is_a_pandas_frame(result: ts.Result) -> None:
    pd = pytest.importorskip("pandas")
    table = result.table()
    assert isinstance(table, pd.DataFrame)
    assert table.index.tolist() == [0, 1, 2, 3]
    assert table.loc[1, "loss"] == 0.25
    assert math.isnan(table.loc[2, "loss"])


def test_a_table_without_pandas_is_the_rows(
    result: ts.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert result.table() == list(result.rows())


def test_csv(result: ts.Result) -> None:
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[1]["loss"] == "0.25"
    assert json.loads(rows[1]["crop"]) == [24, 24]
    assert rows[2]["loss"] == ""


def test_json(result: ts.Result) -> None:
    data = json.loads(result.to_json())
    assert data["best"] == 1
    assert data["ended"] == "all 4 trials have been run"
    assert [t["number"] for t in data["trials"]] == [0, 1, 2, 3]
    assert data["trials"][0]["config"] == {"x": 0.5, "crop": [24, 24]}
    assert ts.Space.from_dict(data["study"]["space"]) == SPACE


def test_json_has_no_nan() -> None:
    result = ts.tune(
        lambda c: {"loss": c["x"], "other": math.nan},
        ts.Space(x=ts.Float(0, 1)),
        metric="loss",
        trials=2,
        progress=False,
    )
    data = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert data["trials"][0]["metrics"]["other"] is None


def test_nothing_completed_says_why() -> None:
    def broken(config: dict[str, Any]) -> float:
        raise RuntimeError(f"no {config['x']:.0f}")

    result = ts.tune(broken, ts.Space(x=ts.Float(0, 1)), trials=2, progress=False)
    with pytest.raises(ts.NothingCompleted, match=r"no completed trial; 2 failed, the last: .*no "):
        _ = result.best
    assert "4 trials" not in repr(result)


def test_several_objectives_have_a_front() -> None:
    points = [(0.1, 0.9), (0.5, 0.5), (0.6, 0.6), (0.9, 0.1), (0.5, 0.5), (0.1, 0.95)]
    result = ts.tune(
        lambda c: {"loss": points[c["k"]][0], "accuracy": -points[c["k"]][1]},
        ts.Space(k=ts.Int(0, 5)),
        metric=["loss", "accuracy"],
        goal=["minimize", "maximize"],
        trials=6,
        enqueue=[{"k": k} for k in range(6)],
        progress=False,
    )
    assert [t.number for t in result.front] == [0, 1, 3, 4]
    with pytest.raises(ts.StudyError, match=r"several objectives \(loss, accuracy\).*\.front"):
        _ = result.best


def test_repr(result: ts.Result) -> None:
    assert repr(result) == "<Result of 'objective': 4 trials, best loss 0.25 (trial 1)>"
    assert repr(result.trials) == "<4 trials>"


def test_json_is_the_same_written_in_parts(result: ts.Result) -> None:
    assert result.to_json() == json.dumps(result.to_dict(), indent=2, ensure_ascii=False)
    nothing = ts.Study.create(SPACE).result()
    assert nothing.to_json() == json.dumps(nothing.to_dict(), indent=2, ensure_ascii=False)
