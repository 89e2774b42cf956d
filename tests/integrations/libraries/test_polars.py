"""A study's trials in polars."""

from __future__ import annotations

from typing import Any

import pytest

import tunesmith as ts

pl = pytest.importorskip("polars", reason="runs in the environment 'libraries' (tools/check)")

SPACE = ts.Space(
    x=ts.Float(0, 1),
    kind=ts.Choice("sgd", "adam"),
    layers=ts.Int(1, 4, when={"kind": "adam"}),
)


def objective(config: dict[str, Any]) -> float:
    return float(config["x"])


def test_types_are_kept() -> None:
    result = ts.tune(objective, SPACE, metric="loss", trials=12, seed=1, progress=False)
    for frame in (result.table("polars"), pl.DataFrame(result)):
        assert frame.height == 12
        assert frame["layers"].dtype == pl.Int64
        assert frame["kind"].dtype == pl.Categorical
        assert frame["started_at"].dtype == pl.Datetime("us", "UTC")
        assert frame["layers"].to_list() == [t.config.get("layers") for t in result.trials]
        best = frame.sort("loss").row(0, named=True)
        assert best["number"] == result.best.number
        adams = frame.filter(pl.col("kind") == "adam")["layers"]
        assert adams.null_count() == 0
