"""Limits on trials hold for real: time, memory, silence; a reason says what happened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core import limits as limits_module

SPACE = ts.Space(kind=ts.Choice("good", "bad"), x=ts.Float(0, 1))


def hang(config: dict[str, Any]) -> float:
    if config["kind"] == "bad":
        dwell_here_for_ever()
    return float(config["x"])


def dwell_here_for_ever() -> None:
    while True:
        time.sleep(0.01)


def test_a_hung_trial_is_ended_with_its_stack() -> None:
    result = ts.tune(
        hang,
        SPACE,
        trials=6,
        parallel=2,
        trial_time=1.0,
        grace=0.5,
        searcher="sobol",
        progress=False,
    )
    reasons = {t.config["kind"]: t.reason for t in result.trials}
    assert reasons["good"] is None
    bad = reasons["bad"]
    assert bad is not None
    assert bad.kind == "timeout"
    assert "1.0 s" in bad.message
    assert "dwell_here_for_ever" in bad.output, "the stack dump shows where it hangs"


def eat(config: dict[str, Any]) -> float:
    hoard = []
    while config["kind"] == "bad":
        hoard.append(bytearray(32 << 20))
        time.sleep(0.01)
    return float(config["x"])


def test_a_greedy_trial_is_ended() -> None:
    result = ts.tune(
        eat, SPACE, trials=4, trial_memory="500MB", searcher="sobol", seed=1, progress=False
    )
    for trial in result.trials:
        if trial.config["kind"] == "bad":
            assert trial.reason is not None
            assert trial.reason.kind == "out_of_memory"
            assert "500 MB" in trial.reason.message or "477 MiB" in trial.reason.message
        else:
            assert trial.state is ts.State.COMPLETED


def silent(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    for step in range(3):
        trial.report(step=step, value=0.5)
        time.sleep(0.02)
    if config["kind"] == "bad":
        dwell_here_for_ever()
    return float(config["x"])


def test_a_silent_trial_is_ended_by_what_its_siblings_did(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.core import decide

    monkeypatch.setattr(decide, "SILENCE_FLOOR_S", 0.5)
    good = [{"kind": "good", "x": k / 8} for k in range(6)]
    result = ts.tune(
        silent,
        SPACE,
        trials=7,
        parallel=2,
        grace=0.5,
        enqueue=[*good, {"kind": "bad", "x": 0.5}],
        progress=False,
    )
    reason = result.trials[6].reason
    assert reason is not None
    assert reason.kind == "timeout"
    assert "nothing reported for" in reason.message
    assert "trial_silence" in reason.message, "it says how to change that"
    assert limits_module.SILENCE_FLOOR_S == 60.0


def test_the_time_of_the_study_is_limited(tmp_path: Path) -> None:
    began = time.monotonic()
    result = ts.tune(
        hang,
        ts.Space(kind="bad", x=ts.Float(0, 1)),
        time=1.5,
        parallel=2,
        grace=0.3,
        storage=tmp_path / "study.db",
        progress=False,
    )
    assert time.monotonic() - began < 20
    assert result.ended_by == "time"
    assert {str(t.state) for t in result.trials} == {"waiting"}, (
        "they run again if more time is given"
    )


def slow(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    for step in range(400):
        trial.report(step=step, value=config["x"])
        time.sleep(0.01)
    return float(config["x"])


@pytest.mark.parametrize(
    "limit",
    [{"time": 0.5}, {"compute_time": 0.5}, {"cost": 0.5, "price_per_hour": 3600.0}],
    ids=str,
)
def test_a_trial_in_this_process_is_ended_at_a_report(limit: dict[str, Any]) -> None:
    result = ts.tune(slow, SPACE, trials=1, executor="inline", progress=False, **limit)
    assert result.ended_by == next(iter(limit))
    (trial,) = result.trials
    assert str(trial.state) == "waiting"
    assert len(trial.reports) < 400


def test_a_trial_in_this_process_hears_that_the_study_is_to_stop(tmp_path: Path) -> None:
    def asked(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        with ts.Study.open(storage=tmp_path / "study.db") as study:
            study.stop()
        return slow(config, trial)

    storage = tmp_path / "study.db"
    result = ts.tune(asked, SPACE, trials=1, grace=0.1, storage=storage, progress=False)
    assert result.ended_by == "interrupted"
    assert str(result.trials[0].state) == "waiting"


def test_the_same_error_again_and_again_ends_the_study() -> None:
    def broken(config: dict[str, Any]) -> float:
        raise FileNotFoundError(f"no such file: data-{config['x']}.csv")

    result = ts.tune(broken, SPACE, trials=100, progress=False)
    assert len(result.trials) == 5
    assert result.ended_by == "failures"
    assert "no such file" in result.ended
