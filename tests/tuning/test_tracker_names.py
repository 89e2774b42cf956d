"""Trackers by name: ours, and those of other packages, which entry points name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.packages import install

import tunesmith as ts

MODULE = """
class Mine:
    told = []
    def __init__(self, prefix="") -> None: self.prefix = prefix
    def begin(self, study) -> None: self.told.append(f"{self.prefix}begin {study.name}")
    def start(self, trial) -> None: self.told.append(f"start {trial.number}")
    def report(self, trial, reports) -> None: pass
    def end(self, trial) -> None: self.told.append(f"end {trial.number} {trial.state}")
    def close(self) -> None: self.told.append("close")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    point = "tunesmith.trackers: mine = trackers_of_mine:Mine"
    install(tmp_path, monkeypatch, "trackers_of_mine", MODULE, point)
    return tmp_path


def test_one_of_another_package(package: Path) -> None:
    for logger, prefix in (("mine", ""), ({"mine": {"prefix": "> "}}, "> ")):
        ts.tune(
            lambda config: config["x"],
            {"x": 1},
            trials=1,
            name="s",
            progress=False,
            loggers=[logger],
        )
        mine = sys.modules["trackers_of_mine"].Mine
        assert mine.told == [
            f"{prefix}begin s",
            "start 0",
            "end 0 completed",
            "close",
        ]
        mine.told.clear()


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ("mlfow", "there is no logger 'mlfow'; did you mean 'mlflow'"),
        ({"mlflow": {}, "wandb": {}}, "one name at a time"),
    ],
)
def test_a_name_that_is_none(logger: str, message: str) -> None:
    with pytest.raises(ts.ConfigError, match=message):
        ts.tune(lambda config: config["x"], {"x": 1}, trials=1, progress=False, loggers=[logger])
