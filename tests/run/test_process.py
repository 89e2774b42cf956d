"""Workers that die when nobody expects it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Kind, Reason
from tunesmith.run import process
from tunesmith.run.folder import Folder
from tunesmith.testing.executors import gone


def test_a_worker_that_is_killed_before_it_hears_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial is lost, which the engine knows how to mend; the coordinator goes on."""

    class StillBorn(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if "tunesmith.run.worker" in args[0]:
                self.kill()
                self.wait()

    executor = process.ProcessExecutor(
        lambda config: config["x"],
        metric="loss",
        session=uuid.uuid4().hex,
        folder=Folder(tmp_path),
    )
    try:
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", StillBorn)
            executor.start(Start(0, 0, {"x": 0.5}, 1))
            lost = finished(executor)
        assert lost.reason is not None
        assert lost.reason.kind is Kind.LOST
        executor.start(Start(0, 1, {"x": 0.5}, 1))
        assert finished(executor).returned == 0.5
    finally:
        executor.close()


def test_a_signal_that_comes_while_a_trial_reports_leaves_the_next_one_alone(
    tmp_path: Path,
) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        if trial.number == 0:
            trial.report(step=1, loss=0.5)
        return float(config["x"])

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path)
    )
    try:
        executor.start(Start(0, 0, {"x": 0.5}, 1))
        (worker,) = executor._workers.values()
        assert worker.connection.poll(60), "it has reported, and nobody has read that yet"
        executor.stop(Stop(0, Reason(Kind.STOPPED, "not among the best"), 60.0))
        (reported,) = executor.events(60.0)  # the signal falls due in this very call
        assert isinstance(reported, Reported)
        stopped = finished(executor)
        assert stopped.reason is not None
        assert stopped.reason.message == "not among the best"
        executor.start(Start(1, 0, {"x": 0.25}, 1))
        following = finished(executor)
        assert (following.returned, following.reason) == (0.25, None)
    finally:
        executor.close()


def test_a_worker_whose_trial_was_broken_off_runs_no_other(tmp_path: Path) -> None:
    """A signal may have come in the middle of an import, which leaves modules half there."""

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        if trial.number == 0:
            (Path(config["folder"]) / "began").touch()
            time.sleep(600)
        return float(os.getpid())

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path)
    )
    try:
        executor.start(Start(0, 0, {"folder": str(tmp_path)}, 1))
        (worker,) = executor._workers.values()
        while not (tmp_path / "began").exists():
            executor.events(0.01)
        executor.stop(Stop(0, Reason(Kind.TIMEOUT, "over its time limit"), 60.0))
        assert finished(executor).reason == Reason(Kind.TIMEOUT, "over its time limit")
        executor.start(Start(1, 0, {"folder": str(tmp_path)}, 1))
        assert finished(executor).returned != worker.process.pid
    finally:
        executor.close()


def test_a_worker_that_dies_has_taken_its_time(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> float:
        time.sleep(config["x"])
        os._exit(3)

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path)
    )
    try:
        executor.start(Start(0, 0, {"x": 0.1}, 1))
        cost = finished(executor).cost
        assert cost.wall_s is not None
        assert cost.wall_s >= 0.1
    finally:
        executor.close()


def test_messages_of_strangers_are_not_listened_to(tmp_path: Path) -> None:
    """Whoever holds the socket may write to it: an old attempt, another process, somebody with garbage."""

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        if config["fd"] is None:
            return 0.5
        line = Connection(int(config["fd"]))
        for sender in ((trial.number + 1, 0, os.getpid()), (trial.number, 0, os.getpid() + 1)):
            line.send(("report", *sender, 1, {"loss": 99.0}))
            line.send(("exit", *sender, 99.0, None, ts.Trial))
        if config["garbage"]:
            os.write(line.fileno(), b"garbage" * 1000)
        line._handle = None  # type: ignore[attr-defined] # it is not ours to close
        time.sleep(0.2)
        return 0.5

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path)
    )
    try:
        executor._spawn()
        (worker,) = executor._workers.values()
        arguments: Any = worker.process.args
        fd = int(arguments[-2])
        executor.start(Start(0, 0, {"fd": fd, "garbage": False}, 1))
        assert finished(executor).returned == 0.5
        executor.start(Start(1, 0, {"fd": fd, "garbage": True}, 1))
        dead = finished(executor)
        assert dead.reason is not None, "its worker cannot be understood any more"
        executor.start(Start(2, 0, {"fd": None, "garbage": False}, 1))
        assert finished(executor).returned == 0.5, "in a new one"
    finally:
        executor.close()


def test_a_worker_is_another_trial_than_the_program_that_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = tmp_path / "metrics"
    monkeypatch.setenv("TUNESMITH_METRICS", str(metrics))

    def objective(_: dict[str, Any]) -> float:
        ts.report(loss=0.5)
        return 0.5

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path / "trials")
    )
    try:
        executor.start(Start(0, 0, {}, 1))
        assert finished(executor).returned == 0.5
        assert not metrics.exists()
    finally:
        executor.close()


def test_without_standard_streams(tmp_path: Path) -> None:
    """Of the tuner, and of its workers."""
    code = """
import sys, tunesmith as ts

def objective(config):
    sys.stdout.close()
    return config["x"]

result = ts.tune(objective, ts.Space(x=ts.Float(0, 1)), trials=4, parallel=2, progress=False)
open("states", "w").write(" ".join(trial.state for trial in result.trials))
"""
    (tmp_path / "code.py").write_text(code)
    subprocess.run(
        ["sh", "-c", f"{sys.executable} code.py 0<&- 1>&- 2>&-"],
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (tmp_path / "states").read_text() == " ".join(["completed"] * 4)


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's")
@pytest.mark.parametrize("crashes", [False, True])
def test_a_daemon_with_a_clean_environment_ends_with_its_worker(
    tmp_path: Path, crashes: bool
) -> None:
    def objective(config: dict[str, Any]) -> float:
        left = "env -i setsid sleep 986 </dev/null >/dev/null 2>&1 & echo $!"
        out = subprocess.run(["sh", "-c", left], stdout=subprocess.PIPE, text=True, check=True)
        (tmp_path / "pid").write_text(out.stdout)
        if crashes:
            os._exit(3)
        return 0.5

    executor = process.ProcessExecutor(
        objective, metric="loss", session=uuid.uuid4().hex, folder=Folder(tmp_path / "trials")
    )
    try:
        executor.start(Start(0, 0, {}, 1))
        exited = finished(executor)
        assert (exited.returned == 0.5) is not crashes
        assert not crashes or (exited.reason and "exit code 3" in exited.reason.message)
    finally:
        executor.close()
    assert gone([int((tmp_path / "pid").read_text())])


def finished(executor: process.ProcessExecutor) -> Exited:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for event in executor.events(0.1):
            assert isinstance(event, Exited)
            return event
    raise AssertionError("nothing came")
