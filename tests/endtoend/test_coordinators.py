"""Two coordinators, a locked file, Ctrl-C: the study stays whole, and says what is wrong."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

TUNESMITH = Path(sys.executable).with_name("tunesmith")


def quick(config: dict[str, Any]) -> float:
    time.sleep(0.01)
    return float(config["x"])


SPACE = ts.Space(x=ts.Float(0, 1))


def job(folder: Path, script: str, limits: str) -> Path:
    """A job whose program is a shell script."""
    (folder / "train.sh").write_text(script)
    path = folder / "job.yaml"
    path.write_text(
        "command: sh train.sh {x}\n"
        "objective: {metric: loss}\n"
        "space: {x: {float: [0, 1]}}\n"
        f"limits: {limits}\n"
        "storage: study.db\n"
        "name: study\n"
    )
    return path


def wait_for(what: Any, patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_second_coordinator_is_refused(tmp_path: Path) -> None:
    path = job(tmp_path, "sleep 0.2; echo '{\"loss\": 1.0}'", "{trials: 400}")
    first = subprocess.Popen([TUNESMITH, "run", path, "--quiet"], cwd=tmp_path)
    wait_for(lambda: (tmp_path / "study.db").exists() and running(tmp_path))
    second = subprocess.run(
        [TUNESMITH, "run", path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert second.returncode == 3
    assert f"is being run by process {first.pid}" in second.stderr
    assert "tunesmith stop study" in second.stderr
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        with pytest.raises(ts.StudyBusy):
            study.ask()
        study.enqueue({"x": 0.125})  # joining by the queue is fine
    subprocess.run([TUNESMITH, "stop", "study", "-s", "study.db"], cwd=tmp_path, check=True)
    assert first.wait(timeout=30) == 130
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert study.store.verify("study") is None
        assert [t.config["x"] for t in study.trials if t.origin.searcher == "user"] == [0.125]


def running(folder: Path) -> bool:
    with suppress(ts.StudyError), ts.Study.open(storage=folder / "study.db") as study:
        return any(trial.state is ts.State.COMPLETED for trial in study.trials)
    return False  # it is not there yet


def test_a_file_locked_by_another_program_for_5_s(tmp_path: Path) -> None:
    storage = tmp_path / "study.db"
    ts.tune(quick, SPACE, trials=3, storage=storage, name="quick", progress=False)

    def lock() -> None:
        connection = sqlite3.connect(storage, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(5)
        connection.execute("COMMIT")
        connection.close()

    locked = threading.Event()
    thread = threading.Thread(target=lock)
    thread.start()
    locked.wait()
    began = time.monotonic()
    result = ts.tune(quick, SPACE, trials=30, storage=storage, name="quick", progress=False)
    assert time.monotonic() - began > 4
    thread.join()
    assert [t.state for t in result.trials] == [ts.State.COMPLETED] * 30


def interrupted(folder: Path, signals: int) -> tuple[int, str]:
    """Send Ctrl-C that often to a run with one slow trial; its exit code and stderr."""
    process = subprocess.Popen(
        [TUNESMITH, "run", "job.yaml", "--plain"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(folder.glob("study.trials/study/*/output.log")))
    time.sleep(0.3)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_ctrl_c_once_lets_running_trials_end(tmp_path: Path) -> None:
    job(tmp_path, "sleep 2; echo '{\"loss\": 1.0}'", "{trials: 9, grace: 20s}")
    code, errors = interrupted(tmp_path, 1)
    assert code == 130
    assert "no new trials" in errors
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert [t.state for t in study.trials] == [ts.State.COMPLETED]


def test_ctrl_c_ends_trials_that_outlast_their_grace(tmp_path: Path) -> None:
    job(tmp_path, "sleep 600", "{trials: 9, grace: 1s}")
    began = time.monotonic()
    code, _ = interrupted(tmp_path, 1)
    assert code == 130
    assert time.monotonic() - began < 20
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        (trial,) = study.trials
        assert trial.state is ts.State.WAITING, "it runs again when the study goes on"
        assert trial.reason is not None
        assert trial.reason.kind == "interrupted"


def test_ctrl_c_twice_kills(tmp_path: Path) -> None:
    job(tmp_path, "trap '' TERM; sleep 600; sleep 600", "{trials: 9, grace: 60s}")
    began = time.monotonic()
    code, _ = interrupted(tmp_path, 2)
    assert code == 130
    assert time.monotonic() - began < 20


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = job(tmp_path, "sleep 600", "{trials: 3, grace: 1s}")
    interrupted(tmp_path, 1)
    (tmp_path / "train.sh").write_text("echo '{\"loss\": 1.0}'")
    again = subprocess.run(
        [TUNESMITH, "run", path, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["trial"] * 3 + ["end"]
    assert sorted(line["number"] for line in lines[:-1]) == [0, 1, 2]
    assert lines[0]["attempt"] == 1
