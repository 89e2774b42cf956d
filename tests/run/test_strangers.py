"""Threads and processes that a trial leaves behind, and what a trial may do to its study: nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts

SPACE = ts.Space(x=ts.Float(0, 1))
EXECUTORS = ("inline", "process")


def tune(objective: Any, tmp_path: Path, executor: Any, trials: int = 4, **options: Any) -> Any:
    return ts.tune(
        objective,
        SPACE,
        metric="loss",
        storage=tmp_path / "study.db",
        trials=trials,
        parallel=1 if executor == "inline" else 2,
        executor=executor,
        searcher="random",
        seed=1,
        progress=False,
        **options,
    )


def check_stored(tmp_path: Path) -> None:
    """What was stored can be read again."""
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert study.store.verify(study.name) is None


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_thread_that_outlives_its_trial_is_refused(tmp_path: Path, executor: str) -> None:
    refused = tmp_path / "refused"

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        began = threading.Event()
        if hasattr(sys, "late"):  # of the trial before this one in this process
            over, thread = sys.late
            over.set()
            thread.join()
        over = threading.Event()

        def report() -> None:
            trial.report(step=1, loss=float(trial.number))
            began.set()
            over.wait()
            try:
                trial.report(step=2, loss=float(trial.number))
            except ts.TransitionError as error:
                with refused.open("a") as file:
                    file.write(f"{error}\n")

        thread = threading.Thread(target=report, daemon=True)
        thread.start()
        sys.late = over, thread  # type: ignore[attr-defined]
        began.wait()
        return float(config["x"])

    result = tune(objective, tmp_path, executor, trials=6)
    assert [t.state for t in result.trials] == [ts.State.COMPLETED] * 6
    for trial in result.trials:
        assert [(r.step, r.metrics) for r in trial.reports] == [(1, {"loss": trial.number})]
    assert "is over, so this thread's report is not taken" in refused.read_text()
    vars(sys).pop("late", None)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_threads_of_a_trial_may_all_report(tmp_path: Path, executor: str) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        def report() -> None:
            for _ in range(10):
                trial.report(loss=float(trial.number))

        threads = [threading.Thread(target=report) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return float(config["x"])

    result = tune(objective, tmp_path, executor)
    for trial in result.trials:
        assert [r.step for r in trial.reports] == list(range(1, 41))
        assert {r.metrics["loss"] for r in trial.reports} == {trial.number}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_forked_child_that_returns_does_not_count(tmp_path: Path, executor: str) -> None:
    def objective(config: dict[str, Any]) -> float:
        child = os.fork()
        if child == 0:
            return float(config["x"]) + 1
        os.waitpid(child, 0)
        return float(config["x"])

    result = tune(objective, tmp_path, executor, trials=6)
    assert [t.value for t in result.trials] == [t.config["x"] for t in result.trials]


def leave(config: dict[str, Any]) -> None:
    sys.exit(f"no good {config['x']:.0f}")


def interrupt(_: dict[str, Any]) -> None:
    raise KeyboardInterrupt


def cancel(_: dict[str, Any]) -> None:
    raise asyncio.CancelledError


def garble(_: dict[str, Any]) -> None:
    raise ValueError("bad name \udcff")


def overflow(_: dict[str, Any], trial: ts.LiveTrial) -> None:
    trial.report(step=2**63 - 1, loss=1.0)
    trial.report(loss=1.0)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (leave, "the objective called sys.exit('no good "),
        (interrupt, "the objective raised KeyboardInterrupt"),
        (cancel, "CancelledError"),
        (garble, "ValueError: bad name \ufffd"),
        (overflow, "a step has 64 bits"),
    ],
)
def test_whatever_an_objective_raises_fails_its_trial(
    tmp_path: Path, executor: str, objective: Any, words: str
) -> None:
    result = tune(objective, tmp_path, executor)
    for trial in result.trials:
        assert trial.state is ts.State.FAILED
        assert trial.reason is not None
        assert trial.reason.kind == "error"
        assert words in trial.reason.message
        assert trial.attempt == 0
    check_stored(tmp_path)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_metric_whose_name_is_no_text_of_utf8(tmp_path: Path, executor: str) -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> dict[str, float]:
        trial.report(step=1, **{"loss": 1.0, "b\udcff": 2.0})
        return {"loss": config["x"], "a\udcff": 1.0}

    result = tune(objective, tmp_path, executor)
    for trial in result.trials:
        assert trial.state is ts.State.COMPLETED
        assert trial.metrics["a\ufffd"] == 1.0
        assert trial.reports[0].metrics["b\ufffd"] == 2.0
    check_stored(tmp_path)


def test_notes_and_reasons_of_ask_and_tell(tmp_path: Path) -> None:
    with ts.Study.create(
        SPACE, metric="loss", goal="minimize", storage=tmp_path / "study.db"
    ) as study:
        trial = study.ask()
        study.tell(trial, failed="bad \udcff" + "x" * 10_000_000)
        study.annotate(trial.number, "a note \udcff", tags={"a\udcff": "\udcff"})
        (told,) = study.trials
        assert told.reason is not None
        assert len(told.reason.message) < 200_000
        assert told.notes == ("a note \ufffd",)
    check_stored(tmp_path)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_files_of_trials_cannot_be_made(tmp_path: Path, executor: str) -> None:
    """That is no fault of theirs: the study stops, and goes on when it is mended."""
    (tmp_path / "study.trials").write_text("a file, not a folder")

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        (trial.directory / "file").write_text("1")
        return float(config["x"])

    with pytest.raises(ts.ExecutorError, match=r"trials cannot be run here: .*study\.trials"):
        tune(objective, tmp_path, executor, name="study")
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert {t.state for t in study.trials} == {ts.State.WAITING}
    (tmp_path / "study.trials").unlink()
    result = tune(objective, tmp_path, executor, name="study")
    assert [t.state for t in result.trials] == [ts.State.COMPLETED] * 4


def test_the_coordinators_own_fault_is_not_the_objectives(tmp_path: Path) -> None:
    """It comes up in a report, which the objective may catch; still no trial fails for it."""

    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        try:
            trial.report(step=1, loss=0.5)
        except ts.Stopped:
            raise ValueError("no reports, no fun") from None
        return float(config["x"])

    def full(*_: Any) -> None:
        raise ts.StoreError("the disk is gone")

    from tunesmith.tuning.coordinator import Loop

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Loop, "deliver", full)
        with pytest.raises(ts.StoreError, match="the disk is gone"):
            tune(objective, tmp_path, "inline", name="study")
    with ts.Study.open(storage=tmp_path / "study.db") as study:
        assert {t.state for t in study.trials} == {ts.State.WAITING}
