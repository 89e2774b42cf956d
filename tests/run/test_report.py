"""`tunesmith.report`: silent alone, a line of JSON under tunesmith, Stopped when it is time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.run import report as module
from tunesmith.run.output import Scanner


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of metrics of a trial that runs under tunesmith."""
    path = tmp_path / "metrics.jsonl"
    monkeypatch.setenv("TUNESMITH_METRICS", str(path))
    monkeypatch.setenv("TUNESMITH_STOP", str(tmp_path / "stop"))
    monkeypatch.setattr(module, "_last_step", 0)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestAlone:
    def test_it_does_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("TUNESMITH_METRICS", raising=False)
        ts.report(step=1, loss=0.5)
        ts.report(loss="whatever it is")
        ts.report()
        assert list(tmp_path.iterdir()) == []

    def test_a_stop_file_is_not_looked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "stop").write_text("stopped: why")
        monkeypatch.delenv("TUNESMITH_METRICS", raising=False)
        monkeypatch.setenv("TUNESMITH_STOP", str(tmp_path / "stop"))
        ts.report(loss=1)


class TestUnderTunesmith:
    def test_it_writes_lines(self, metrics: Path) -> None:
        ts.report(step=1, loss=0.5)
        ts.report(step=2, loss=0.25, accuracy=1)
        assert lines(metrics) == [
            {"step": 1, "loss": 0.5},
            {"step": 2, "loss": 0.25, "accuracy": 1.0},
        ]

    def test_the_step_is_one_more_than_the_last(self, metrics: Path) -> None:
        for step in (None, None, 10, None):
            ts.report(step, loss=1)
        assert [line["step"] for line in lines(metrics)] == [1, 2, 10, 11]

    def test_what_is_not_finite_is_understood_by_the_reader(self, metrics: Path) -> None:
        ts.report(step=3, loss=math.nan, other=math.inf, good=1)
        scanner = Scanner(frozenset(), any_json=True)
        assert list(scanner.feed(metrics.read_bytes())) == [
            (3, {"loss": None, "other": None, "good": 1.0})
        ]

    def test_it_appends(self, metrics: Path) -> None:
        metrics.write_text('{"loss": 1}\n')
        ts.report(loss=0.5)
        assert len(lines(metrics)) == 2

    @pytest.mark.parametrize("value", ["text", None, [1, 2], True])
    def test_what_is_no_number(self, metrics: Path, value: Any) -> None:
        with pytest.raises(ValueError, match="a metric is a number"):
            ts.report(loss=value)
        assert not metrics.exists()

    def test_a_stop(self, metrics: Path, tmp_path: Path) -> None:
        ts.report(loss=1)
        (tmp_path / "stop").write_text("stopped: hopeless")
        with pytest.raises(ts.Stopped, match=r"^hopeless$") as caught:
            ts.report(loss=2)
        assert not isinstance(caught.value, ts.Paused)
        assert [line["loss"] for line in lines(metrics)] == [1, 2], "the last one counts, too"
        (tmp_path / "stop").write_text("paused: at step 3: wait")
        with pytest.raises(ts.Paused, match=r"^at step 3: wait$"):
            ts.report(loss=2)

    def test_without_a_place_for_stops(
        self, metrics: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TUNESMITH_STOP")
        ts.report(loss=1)
        assert len(lines(metrics)) == 1


def test_several_processes_of_one_trial(metrics: Path) -> None:
    """Data-parallel training reports from each rank: lines stay whole."""
    code = "import tunesmith as ts\nfor k in range(300): ts.report(step=k, loss=k, text_length=k)"
    ranks = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [rank.wait(timeout=60) for rank in ranks] == [0, 0]
    assert len(lines(metrics)) == 600
