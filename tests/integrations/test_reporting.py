"""What all callbacks share, in a program that a job runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.tuning.job import load_job, run_job

PROGRAM = """
import pathlib, time
from tunesmith.integrations.reporting import Reporter

reporter = Reporter(None, "loss")
for epoch in range(3000):
    if reporter(epoch + 1, {"loss": 1.0}):
        break
    time.sleep(0.02)
reporter.end()
time.sleep(0.1)
pathlib.Path("model").write_text(str(epoch))
print("loss=0.0")
"""


def test_a_program_that_is_stopped_leaves_its_model(tmp_path: Path) -> None:
    """It ends in its own way, and what it prints in the end does not count."""
    (tmp_path / "train.py").write_text(PROGRAM)
    job = tmp_path / "job.yaml"
    job.write_text(
        f"name: stop\ncommand: [{sys.executable}, train.py, '{{x}}']\nobjective: {{metric: loss, goal: minimize}}\n"
        "space:\n  x: {float: [0, 1]}\nlimits: {trials: 1}\nstorage: s.db\n"
        "scheduler: {threshold: {worst: 0.5, after: 2}}\n"
    )
    result = run_job(load_job(job))
    assert [t.state for t in result.trials] == [ts.State.STOPPED], result.trials[0].reason
    assert result.trials[0].metrics["loss"] == 1.0
    assert (tmp_path / "model").is_file()


@pytest.mark.parametrize("told", [False, True])
def test_a_signal_of_somebody_elses_ends_it(tmp_path: Path, told: bool) -> None:
    """A training that is cut short by others must not look like a whole one."""
    (tmp_path / "metrics").touch()
    environment = {
        **os.environ,
        "TUNESMITH_METRICS": str(tmp_path / "metrics"),
        "TUNESMITH_STOP": str(tmp_path / "stop"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment
    ) as program:
        while not (tmp_path / "metrics").read_text():
            time.sleep(0.01)
        if told:
            (tmp_path / "stop").write_text("stopped: enough")
        program.send_signal(signal.SIGTERM)
        code = program.wait(60)
    assert code == (0 if told else -signal.SIGTERM)
    assert (tmp_path / "model").is_file() is told
