"""What is said of a study whose process was killed, by the library and by the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.driver import completed, enqueued, ledger, opened, suggested
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import events

KILLED = """
import os, signal, time
import tunesmith as ts
study = ts.Study.create({"x": ts.Float(0, 1)}, storage="s.db", metric="loss")
study.tell(study.ask(), 0.5)
study.ask()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    run = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False, timeout=60)
    assert run.returncode == -signal.SIGKILL
    return tmp_path / "s.db"


def test_its_trials_wait_behind_every_door(killed: Path) -> None:
    with ts.Study.open(storage=killed) as study:
        states = ["completed", "waiting"]
        assert [trial.state for trial in study.trials] == states
        assert [trial.state for trial in study.result().trials] == states
        assert study.trials[1].reason is not None
    listed = CliRunner().invoke(app, ["trials", "-s", str(killed), "--csv", "--columns", "state"])
    assert listed.output.split()[1:] == states


def test_time_stops_at_its_last_sign_of_life(killed: Path) -> None:
    with ts.Study.open(storage=killed) as study:
        spent = study.result().cost["elapsed_s"]
        study.annotate(0, "looked at much later")
        study._clock = lambda: 1e10
        study.annotate(0, "and later still")
        study.enqueue({"x": 0.5})
        assert study.result().cost["elapsed_s"] == spent < 60


def test_what_people_do_between_sessions_is_no_work() -> None:
    study = ledger(opened(at=0.0), suggested(0, at=1.0), completed(0, 0.5, at=10.0))
    study.extend([events.Annotated(500.0, 0, "note", {}, "me"), enqueued(1, at=900.0)])
    assert study.worked_s == 10.0
    study.extend([opened(at=1000.0, session="t"), suggested(2, at=1001.0, session="t")])
    study.extend([completed(2, 0.4, at=1005.0)])
    assert study.worked_s == 15.0
