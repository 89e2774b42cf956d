"""Paused, killed, interrupted: a trial goes on from its last checkpoint, and nobody could tell."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.endtoend.training import EPOCHS, curve, train

import tunesmith as ts
from tunesmith.core import events
from tunesmith.run import checkpoint
from tunesmith.tuning.replay import replay

SPACE = ts.Space(rate=ts.Float(1e-4, 1.0, log=True))
PROMOTION = {"asha": {"max": EPOCHS, "min": 1, "type": "promotion"}}
HYPERBAND = {"hyperband": {"max": EPOCHS, "min": 1}}
FREEZE_THAW = {"freeze_thaw": {"max": EPOCHS, "min": 1}}
TRAINING = Path(__file__).with_name("training.py")
PROGRAM = Path(sys.executable).with_name("tunesmith")


def check_curves(result: ts.Result) -> None:
    """Every trial's curve is that of a training which nobody interrupted."""
    for trial in result.trials:
        expected = curve(trial.config["rate"], trial.seed)
        reported = [report.metrics["loss"] for report in trial.reports]
        assert [report.step for report in trial.reports] == list(range(1, len(reported) + 1))
        assert reported == expected[: len(reported)], f"trial {trial.number} went another way"
        if trial.state is ts.State.COMPLETED:
            assert len(reported) == EPOCHS


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("scheduler", [PROMOTION, HYPERBAND, FREEZE_THAW], ids=str)
def test_paused_and_promoted(tmp_path: Path, scheduler: Any, parallel: int) -> None:
    result = ts.tune(
        train,
        SPACE,
        metric="loss",
        name="paused",
        storage=tmp_path / "study.db",
        searcher="sobol",
        seed=3,
        trials=17,
        parallel=parallel,
        scheduler=scheduler,
        progress=False,
    )
    check_curves(result)
    study = ts.Study.open("paused", storage=tmp_path / "study.db")
    history = list(study.store.changes("paused"))
    resumed = [e for e in history if isinstance(e, events.Started)]
    assert len(resumed) >= 5
    reasons = ("number", "the best", "a chance of")
    assert all(any(reason in e.why for reason in reasons) for e in resumed)
    reports = [(e.trial, e.step) for e in history if isinstance(e, events.Reported)]
    assert len(reports) == len(set(reports)), "an epoch was trained twice"
    assert len(reports) < 0.5 * 17 * EPOCHS
    assert any(t.state is ts.State.COMPLETED for t in result.trials)
    assert replay(study.store, "paused").problems == []
    kept = {int(p.parts[-3]) for p in (tmp_path / "study.trials").glob("paused/*/*/step-*")}
    paused = {t.number for t in result.trials if t.state is ts.State.PAUSED}
    assert kept == paused | {result.best.number}, "the best, and what paused trials need"


def test_workers_are_killed(tmp_path: Path) -> None:
    done = threading.Event()

    def killer() -> None:
        moments, patience = random.Random(1), 1.0
        while not done.wait(patience * moments.uniform(0.05, 0.5)):
            patience *= 1.02  # however slowly workers start here, some get on in the end
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    if "tunesmith.run.worker" in " ".join(child.cmdline()):
                        child.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        result = ts.tune(
            train,
            ts.Space(rate=ts.Float(1e-4, 1.0, log=True), pause_s=0.04),
            metric="loss",
            name="killed",
            storage=tmp_path / "study.db",
            searcher="sobol",
            seed=3,
            trials=6,
            parallel=2,
            retries=1000,
            progress=False,
        )
    finally:
        done.set()
        thread.join()
    check_curves(result)
    assert [t.state for t in result.trials] == [ts.State.COMPLETED] * 6
    check_went_on(tmp_path / "study.db", "killed")


def check_went_on(storage: Path, name: str) -> None:
    """Some attempts began where the one before had been, not at the first epoch."""
    study = ts.Study.open(name, storage=storage)
    first: dict[tuple[int, int], int] = {}
    for event in study.store.changes(name):
        if isinstance(event, events.Reported):
            first.setdefault((event.trial, event.attempt), event.step)
    later = [step for (_, attempt), step in first.items() if attempt > 0]
    assert later
    assert max(later) > 1
    assert replay(study.store, name).problems == []


@pytest.mark.parametrize(
    ("scheduler", "rungs"),
    [
        (f"{{asha: {{max: {EPOCHS}, min: 1, type: promotion}}}}", {1, 3, EPOCHS}),
        (f"{{freeze_thaw: {{max: {EPOCHS}, min: 2}}}}", {2, 3, 5, 8, EPOCHS}),
    ],
    ids=["asha", "freeze_thaw"],
)
def test_coordinators_of_programs_are_killed(
    tmp_path: Path, scheduler: str, rungs: set[int]
) -> None:
    def between_rungs(event: events.Event) -> bool:
        """Whether it is the report of a trial that has more to do before its scheduler is asked."""
        return isinstance(event, events.Reported) and event.step not in rungs

    (tmp_path / "job.yaml").write_text(
        f"command: {sys.executable} {TRAINING} {{rate}} {{seed}} 0.25\n"
        "name: killed\n"
        "storage: study.db\n"
        "objective: {metric: loss}\n"
        "space: {rate: {float: [1e-4, 1], log: true}}\n"
        "limits: {trials: 9, parallel: 2, retries: 100}\n"
        "searcher: sobol\n"
        f"scheduler: {scheduler}\n"
        "seed: 3\n"
    )
    command = [str(PROGRAM), "run", "job.yaml"]
    storage = tmp_path / "study.db"
    with ExitStack() as stack:
        study: ts.Study | None = None
        for _ in range(4):
            before = 0 if study is None else study.store.cursor("killed")
            process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
            while study is None or not any(
                map(between_rungs, study.store.changes("killed", before))
            ):
                assert process.poll() is None, "everything was trained before it could be killed"
                time.sleep(0.01)
                with suppress(ts.StudyError):  # it is not there yet
                    study = study or stack.enter_context(ts.Study.open("killed", storage=storage))
            process.kill()
            process.wait()
    done = subprocess.run(
        command, cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True
    )
    with ts.Study.open("killed", storage=storage) as study:
        result = study.result()
        check_curves(result)
        assert {t.state for t in result.trials} == {ts.State.COMPLETED, ts.State.PAUSED}
        lost = [e for e in study.store.changes("killed") if isinstance(e, events.Requeued)]
        assert len(lost) >= 3
    check_went_on(storage, "killed")
    assert "without a checkpoint" not in done.stderr


def test_a_trial_that_was_told_to_stop_has_though_its_coordinator_was_killed(
    tmp_path: Path,
) -> None:
    storage = tmp_path / "study.db"
    options: dict[str, Any] = {"metric": "loss", "name": "told", "storage": storage, "trials": 2}
    with ts.Study.create(SPACE, seed=3, searcher="sobol", **options) as study:
        study.enqueue({"rate": 0.5})
        killed: list[events.Event] = [
            events.Opened(1.0, "old", socket.gethostname(), 1, 0.0),
            events.Started(1.0, 0, 0, "old"),
            events.Reported(2.0, 0, 0, 1, {"loss": 0.5}),
            events.Decided(2.0, 0, "stop", "not among the best"),
        ]
        study.store.append("told", killed, study.store.cursor("told"))
    folder = tmp_path / "study.trials" / "told"
    checkpoint.save(folder / "000000" / "checkpoint", {}, 1)
    result = ts.tune(train, SPACE, searcher="sobol", progress=False, **options)
    assert [str(trial.state) for trial in result.trials] == ["stopped", "completed"]
    assert result.trials[0].value == 0.5
    assert [int(path.parts[-3]) for path in folder.glob("*/*/step-*")] == [1]


def test_a_new_study_leaves_the_checkpoints_of_a_deleted_one_alone(tmp_path: Path) -> None:
    def again(seed: int, trials: int) -> ts.Result:
        return ts.tune(
            train,
            SPACE,
            metric="loss",
            name="again",
            storage=tmp_path / "study.db",
            searcher="sobol",
            seed=seed,
            trials=trials,
            keep="all",
            progress=False,
        )

    again(1, trials=4)
    (tmp_path / "study.db").unlink()
    result = again(2, trials=2)
    check_curves(result)
    assert [len(trial.reports) for trial in result.trials] == [EPOCHS] * 2


def test_where_a_checkpoint_is(tmp_path: Path) -> None:
    storage = tmp_path / "study.db"
    url = f"sqlite:///{storage}"
    ts.tune(train, SPACE, metric="loss", name="kept", storage=url, trials=3, seed=1, progress=False)
    assert (tmp_path / "study.trials" / "kept").is_dir()
    with ts.Study.open(storage=url) as study:
        best = study.best
        path = study.checkpoint(best)
        assert path is not None
        assert path.name == f"step-{EPOCHS}"
        others = [t for t in study.trials if t.number != best.number]
        assert [study.checkpoint(t) for t in others] == [None, None]
    shown = subprocess.run(
        [PROGRAM, "show", "kept", "--trial", str(best.number), "--storage", storage],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"checkpoint: {path}" in shown.stdout
