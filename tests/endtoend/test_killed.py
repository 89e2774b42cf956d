"""kill -9 at random moments: nothing acknowledged is lost, nothing counts twice, nothing is left over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.run import process_tree
from tunesmith.run.marks import SESSION_MARK
from tunesmith.tuning.replay import replay

#: How many coordinators are killed, and how many workers. What is promised is proved with 100 each.
KILLS = int(os.environ.get("TUNESMITH_TEST_KILLS", "30"))
COORDINATOR = Path(__file__).with_name("coordinator.py")


def check_history(storage: Path, name: str, trials: int) -> ts.Study:
    """What must hold after any number of kills."""
    study = ts.Study.open(name, storage=storage)
    history = list(study.store.changes(name))
    ends = Counter(e.trial for e in history if isinstance(e, events.Finished))
    assert set(ends.values()) == {1}, "a trial ended twice"
    begins = Counter(e.trial for e in history if isinstance(e, (events.Suggested, events.Enqueued)))
    assert begins == Counter(range(trials)), "a trial number was given twice, or skipped"
    assert [t.state for t in study.trials] == [ts.State.COMPLETED] * trials
    assert study.store.verify(name) is None
    assert replay(study.store, name).problems == []
    return study


@pytest.mark.parametrize(("mode", "trials_per_kill"), [("inline", 30), ("process", 40)])
def test_the_coordinator(tmp_path: Path, mode: str, trials_per_kill: int) -> None:
    kills = KILLS // 2
    trials = trials_per_kill * kills
    storage, log = tmp_path / "study.db", tmp_path / "log"
    command = [sys.executable, str(COORDINATOR), str(storage), mode, str(trials), str(log)]
    moments = random.Random(kills)
    for k in range(kills):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            if k % 4:  # else while it starts
                assert process.stdout is not None
                process.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.8))
            process.kill()
    subprocess.run(command, check=True, timeout=240, stdout=subprocess.DEVNULL)

    study = check_history(storage, "killed", trials)
    acknowledged = [line.split() for line in log.read_text().splitlines()]
    assert len(acknowledged) > 20, "the coordinator was hardly ever killed while it worked"
    for number, value in acknowledged:
        assert repr(study.trials[int(number)].value) == value
    lost = [e for e in study.store.changes("killed") if isinstance(e, events.Requeued)]
    assert len(lost) >= kills // 3, "most kills hit nothing"
    sessions = [e.session for e in study.store.changes("killed") if isinstance(e, events.Opened)]
    assert len(sessions) > kills // 3
    deadline = time.monotonic() + 10
    left = [p for s in sessions for p in process_tree.marked((SESSION_MARK, s))]
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [p for s in sessions for p in process_tree.marked((SESSION_MARK, s))]
    assert left == [], "processes outlived their coordinator"


def slow(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    for step in range(3):
        time.sleep(0.02)
        trial.report(step=step, loss=config["x"])
    return float(config["x"] ** 2)


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # it has just died
        return "tunesmith.run.worker" in " ".join(process.cmdline())
    return False


def test_the_workers(tmp_path: Path) -> None:
    kills, done = 0, threading.Event()

    def killer() -> None:
        nonlocal kills
        moments = random.Random(7)
        while kills < KILLS and not done.is_set():
            time.sleep(moments.uniform(0.0, 0.15))
            workers = [child for child in psutil.Process().children() if is_worker(child)]
            if workers:
                moments.choice(workers).send_signal(signal.SIGKILL)
                kills += 1

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        ts.tune(
            slow,
            ts.Space(x=ts.Float(-5, 5)),
            metric="loss",
            name="killed",
            storage=tmp_path / "study.db",
            searcher="random",
            trials=KILLS * 3 // 2,
            parallel=2,
            retries=1000,
            progress=False,
            watcher=lambda ledger, _: None,
        )
    finally:
        done.set()
        thread.join()
    assert kills == KILLS
    study = check_history(tmp_path / "study.db", "killed", KILLS * 3 // 2)
    lost = [e for e in study.store.changes("killed") if isinstance(e, events.Requeued)]
    assert len(lost) > KILLS // 5
    assert {e.reason.kind for e in lost} == {"lost"}


def test_programs_die_with_their_coordinator_even_as_daemons(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "train.sh").write_text(
        f"""
        (setsid sh -c 'echo $$ >> {pids}; exec sleep 600' &)   # a daemon
        sleep 600 & echo $! >> {pids}                          # a child
        echo $$ >> {pids}
        echo '{{"loss": 1.0}}'
        sleep 600
        """
    )
    (tmp_path / "job.yaml").write_text(
        "command: sh train.sh {x}\n"
        "objective: {metric: loss}\n"
        "space: {x: {float: [0, 1]}}\n"
        "limits: {trials: 2, parallel: 2}\n"
        "storage: study.db\n"
        "name: daemons\n"
    )
    program = Path(sys.executable).with_name("tunesmith")
    process = subprocess.Popen([program, "run", "job.yaml"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not pids.exists() or len(pids.read_text().split()) < 6):
        time.sleep(0.05)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 6
    process.kill()
    process.wait()
    while time.monotonic() < deadline and any(map(alive, started)):
        time.sleep(0.05)
    assert [pid for pid in started if alive(pid)] == []

    (tmp_path / "train.sh").write_text("echo '{\"loss\": 1.0}'")
    subprocess.run([program, "run", "job.yaml"], cwd=tmp_path, check=True, timeout=60)
    study = check_history(tmp_path / "study.db", "daemons", 2)
    assert {trial.attempt for trial in study.trials} == {1}, "both were lost, and run again"


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
