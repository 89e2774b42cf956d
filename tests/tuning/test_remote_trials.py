"""Trials whose checkpoints are copied to a URL go on at another host: here, in another folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.postgres import server

import tunesmith as ts
from tunesmith.core.errors import ExecutorError

#: Waits at step 3 of its first trial, as long as `wait` is there.
SCRIPT = """
import sys, time, pathlib, tunesmith as ts
def objective(config, trial):
    sum = trial.restore(0)
    print("begins at", trial.step, flush=True)
    for step in range(trial.step + 1, 7):
        sum += step
        trial.save(sum, step=step)
        trial.report(step=step, loss=sum)
        while step == 3 and pathlib.Path("wait").exists():
            pathlib.Path("waiting").touch()
            time.sleep(0.02)
            trial.report(step=step, loss=sum)
    return sum
result = ts.tune(objective, ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", storage=sys.argv[1], trials=2,
                 searcher="random", seed=1, join=sys.argv[2] == "join", grace=0.1, progress=False)
"""


def start(host: Path, storage: str, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, storage, how], cwd=host, stdout=subprocess.PIPE, text=True
    )  # fmt: skip


@pytest.mark.parametrize("how", ["join", "alone"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_trial_goes_on_at_another_host(tmp_path: Path, how: str, end: int) -> None:
    hosts = [tmp_path / "one", tmp_path / "two"]
    for host in hosts:
        host.mkdir()
    storage = server().url(trials=f"file://{tmp_path}/bucket")
    (hosts[0] / "wait").touch()
    first = start(hosts[0], storage, how)
    deadline = time.monotonic() + 60
    while not (hosts[0] / "waiting").exists() or not list(
        tmp_path.glob("bucket/s/*/checkpoints.json")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(end)
    first.communicate(timeout=60)
    second = start(hosts[1], storage, how)
    out, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    begun = [int(line.split()[-1]) for line in out.splitlines()]
    if end == signal.SIGTERM:
        assert begun == [3, 0]
    else:  # what had not been copied yet is lost with the host
        assert 1 <= begun[0] <= 3
        assert begun[1:] == [0]
    with ts.Study.open("s", storage=storage) as study:
        assert [t.value for t in study.trials] == [21.0, 21.0]
        best = study.best.number
    kept = sorted(p.name for p in (tmp_path / "bucket" / "s").iterdir())
    assert kept == [".study", f"{best:06d}"], "keep=1 holds there, too"
    assert any(hosts[1].glob("*.trials/s/00000*/checkpoint/step-6"))


def test_files_have_such_a_place_too(tmp_path: Path) -> None:
    """The disk with the trials' files is lost."""
    storage = f"sqlite:///{tmp_path}/study.db?trials=file://{tmp_path}/bucket"
    (tmp_path / "wait").touch()
    first = start(tmp_path, storage, "alone")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("bucket/s/*/checkpoints.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.communicate(timeout=60)
    shutil.rmtree(tmp_path / "study.trials")
    (tmp_path / "wait").unlink()
    out, _ = start(tmp_path, storage, "alone").communicate(timeout=120)
    assert "begins at 0" not in out.splitlines()[0]
    assert any(tmp_path.glob("study.trials/s/00000*/checkpoint/step-6"))


def test_its_checkpoint_is_fetched_for_whoever_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = server().url(trials=f"file://{tmp_path}/bucket")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    one_trial(storage)
    monkeypatch.chdir(tmp_path / "two")
    with ts.Study.open("s", storage=storage) as study:
        path = study.checkpoint(study.best)
        assert path is not None
        assert path.is_relative_to(tmp_path / "two")
        assert len(list(path.iterdir())) == 1


def one_trial(storage: str, **options: Any) -> ts.Result:
    def objective(config: dict[str, float], trial: ts.LiveTrial) -> float:
        trial.save(1, step=1)
        trial.report(step=1, loss=1.0)
        return 1.0

    return ts.tune(
        objective, ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", storage=storage, trials=1, progress=False, **options
    )  # fmt: skip


@pytest.mark.parametrize("join", [False, True])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, join: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    storage = server().url(trials=f"file://{tmp_path}/file")
    with pytest.raises(ExecutorError, match="checkpoints cannot be kept in file://"):
        one_trial(storage, join=join)
    (tmp_path / "file").unlink()
    assert len(one_trial(storage, join=join).trials) == 1


#: Takes the first trial, and vanishes.
ASKS = """
import os, sys, tunesmith as ts
study = ts.Study.open("s", storage=sys.argv[1])
study.ask()
os._exit(0)
"""


@pytest.mark.parametrize("how", ["join", "alone"])
def test_checkpoints_of_a_study_that_was_deleted_are_not_believed(tmp_path: Path, how: str) -> None:
    """It is deleted and made anew elsewhere; the second attempt at its first trial is at a host that had run the old one."""
    host = tmp_path / "host"
    host.mkdir()
    storage = server().url()
    old, _ = start(host, storage, how).communicate(timeout=120)
    assert [line.split()[-1] for line in old.splitlines()] == ["0", "0"]
    (kept,) = host.glob("*.trials/s/00000*/checkpoint/step-6")
    with ts.Study.open("s", storage=storage) as study:
        assert study.best.number == int(kept.parts[-3]) == 0
        spec = study.spec
        study.store.delete("s")
        study.store.create(spec, time.time())
    subprocess.run([sys.executable, "-c", ASKS, storage], cwd=tmp_path, check=True)
    new, _ = start(host, storage, how).communicate(timeout=120)
    assert "begins at 0\nbegins at 0" in new
    (aside,) = host.glob("*.trials/s.*")
    assert list(aside.glob("00000*/checkpoint/step-6"))
