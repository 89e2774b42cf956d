"""A study without a declared space: its trials ask, and what is recorded is what they ran with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.postgres import server
from tests.service.running import Service

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import Kind, Origin, Reason, State
from tunesmith.store import open_store
from tunesmith.tuning.replay import replay

#: Asks in loops and branches, and writes what it got into a file of its own, one line for each ask.
ASKS = """
import json, os, pathlib, time
import tunesmith as ts

def objective(trial):
    used = pathlib.Path(os.environ["USED"]) / f"{trial.number}-{trial.attempt}.jsonl"
    def got(name, value):
        with used.open("a") as file:
            print(json.dumps([name, value]), file=file, flush=True)
        return value
    kind = got("kind", trial.choice("kind", ["tree", "net"]))
    rate = got("rate", trial.float("rate", 1e-4, 1e-1, log=True))
    loss = abs(rate - 0.01)
    if kind == "tree":
        loss += 0.1 * got("depth", trial.int("depth", 1, 8))
    else:
        for i in range(got("layers", trial.int("layers", 1, 3))):
            loss += (got(f"units{i}", trial.int(f"units{i}", 8, 64)) - 20) ** 2 / 1000
    pause = float(os.environ.get("PAUSE", "0"))
    if pause:
        trial.report(step=1, value=loss)
        time.sleep(pause)
    return loss
"""

_here: dict[str, Any] = {"__name__": "asks"}
exec(ASKS, _here)  # the same in this process and in others
objective: Callable[[ts.LiveTrial], float] = _here["objective"]


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "used"
    folder.mkdir()
    monkeypatch.setenv("USED", str(folder))
    return folder


def last_used(folder: Path, number: int) -> dict[str, Any]:
    """What the last attempt at a trial was given."""
    attempts = sorted(folder.glob(f"{number}-*.jsonl"))
    return dict(json.loads(line) for line in attempts[-1].read_text().splitlines())


def check_configs(result: ts.Result, used: Path) -> None:
    for trial in result.trials:
        if (used / f"{trial.number}-0.jsonl").exists():
            assert trial.config == last_used(used, trial.number), f"trial {trial.number}"


def check_replay(storage: Any, name: str = "objective") -> None:
    store = open_store(storage)
    try:
        found = replay(store, name)
    finally:
        store.close()
    assert found.problems == []


@pytest.mark.parametrize("parallel", [1, 3])
def test_what_is_recorded_is_what_the_objective_ran_with(
    used: Path, tmp_path: Path, parallel: int
) -> None:
    storage = tmp_path / "s.db"
    result = ts.tune(
        objective, trials=16, parallel=parallel, storage=storage, seed=1, progress=False
    )
    assert {t.state for t in result.trials} == {State.COMPLETED}
    check_configs(result, used)
    again = ts.tune(objective, trials=24, parallel=parallel, storage=storage, progress=False)
    assert len(again.trials) == 24
    check_configs(again, used)
    check_replay(storage)
    stored = ts.Study.open(storage=storage).result()
    assert [t.config for t in stored.trials] == [t.config for t in again.trials]


def test_conditions_are_found(used: Path) -> None:
    result = ts.tune(objective, trials=30, searcher="random", seed=2, progress=False)
    space = result.spec.space
    assert space["kind"].to_dict() == {"choice": ["tree", "net"]}
    assert space.condition("rate") is None
    assert space["depth"].when == {"kind": ["tree"]}
    assert space["layers"].when == {"kind": ["net"]}
    assert space["units2"].when == {"layers": [3]}
    for trial in result.trials:
        assert space.active(trial.config) == trial.config.keys()


def test_a_suggestion_that_is_not_asked_for_is_no_part_of_the_config() -> None:
    def fickle(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        if trial.number % 3 == 0:
            x += trial.float("y", 0, 1)
        return x

    store = open_store(None)
    result = ts.tune(fickle, trials=20, seed=1, storage=store, progress=False)
    for trial in result.trials:
        assert ("y" in trial.config) == (trial.number % 3 == 0)
        assert trial.value == pytest.approx(sum(trial.config.values()))
    assert result.spec.space.condition("y") is None, "no value of x tells"
    edits = [e for e in store.changes("fickle") if isinstance(e, events.Edited)]
    assert len(edits) < 4, "what no rule tells is not looked for again and again"


# -- what goes wrong --------------------------------------------------------------------------


def test_another_range_fails_the_trial_and_says_both() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 2 if trial.number == 3 else 1)

    result = ts.tune(objective, trials=6, seed=1, progress=False)
    assert [t.state for t in result.trials].count(State.FAILED) == 1
    reason = result.trials[3].reason
    assert reason is not None
    assert "trial.float('x', 0.0, 2.0) was trial.float('x', 0.0, 1.0) before" in reason.message
    assert result.trials[3].config == {}
    assert len(result.trials) == 6, "the study went on"


def test_another_range_in_parallel_is_refused_where_it_is_stored(tmp_path: Path) -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1 + trial.number % 2)

    result = ts.tune(objective, trials=4, parallel=4, seed=1, progress=False)
    states = [t.state for t in result.trials]
    assert states.count(State.FAILED) == 2
    failed = [t for t in result.trials if t.state is State.FAILED]
    assert all("before, in" in str(t.reason) for t in failed)
    ranges = {t.number % 2 for t in result.trials if t.state is State.COMPLETED}
    assert len(ranges) == 1


def test_kinds_and_values_are_told_apart() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        values: list[Any] = [1, 0] if trial.number else [True, False]
        return float(trial.choice("flag", values))

    result = ts.tune(objective, trials=2, seed=1, progress=False)
    assert "[1, 0]" in str(result.trials[1].reason)


def test_twice_in_one_trial_is_the_same_value_or_an_error() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        assert trial.float("x", 0, 1) == x
        with pytest.raises(ts.SpaceError, match="in this very trial"):
            trial.float("x", 0, 3)
        with pytest.raises(ts.SpaceError, match="cannot name"):
            trial.float("a b", 0, 3)
        with pytest.raises(ts.SpaceError, match="low"):
            trial.float("y", 3, 0)
        return x

    assert ts.tune(objective, trials=3, seed=1, progress=False).trials[2].state is State.COMPLETED


def test_objectives_of_the_wrong_shape_are_told_what_to_write() -> None:
    def two(config: Any, trial: Any) -> float:
        return 0.0

    with pytest.raises(TypeError, match=r"write def two\(trial\)"):
        ts.tune(two, trials=1)

    def forgot(config: Any) -> float:
        return float(config["x"])

    reason = ts.tune(forgot, trials=1, progress=False).trials[0].reason
    assert "trial.float('x', low, high), or give tune() a space" in str(reason)


def test_what_needs_a_declared_space_says_so(tmp_path: Path) -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1)

    with pytest.raises(ts.StudyError, match="nothing would end"):
        ts.tune(objective)
    with pytest.raises(ts.StudyError, match="declared space"):
        ts.tune(objective, trials=4, searcher="grid")
    with pytest.raises(ts.StudyError, match="declared space"):
        ts.tune(objective, trials=4, parallel=2, deterministic=True)
    storage = tmp_path / "s.db"
    ts.tune(objective, trials=2, storage=storage, progress=False)
    with pytest.raises(ts.StudyError, match="learned from what its trials ask for, not declared"):
        ts.tune(
            lambda config: 0.0, {"x": ts.Float(0, 1)}, name="objective", trials=2, storage=storage
        )


def test_in_a_declared_space_trials_may_ask_for_what_it_has() -> None:
    def objective(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        assert trial.float("x", 0, 1) == config["x"]
        with pytest.raises(ts.SpaceError, match="none of this trial's parameters"):
            trial.int("n", 1, 3)
        with pytest.raises(ts.SpaceError, match="range"):
            trial.float("x", 2, 3)
        return float(config["x"])

    result = ts.tune(objective, {"x": ts.Float(0, 1)}, trials=2, progress=False)
    assert {t.state for t in result.trials} == {State.COMPLETED}


def test_an_objective_that_fails_early_is_recorded_as_far_as_it_came() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        kind = trial.choice("kind", "a", "b")
        if kind == "b":
            raise ValueError("no b")
        return trial.float("x", 0, 1)

    result = ts.tune(
        objective,
        trials=12,
        seed=4,
        searcher="random",
        failures_in_a_row=None,
        same_error=None,
        progress=False,
    )
    for trial in result.trials:
        assert trial.config.keys() == ({"kind"} if trial.state is State.FAILED else {"kind", "x"})
    assert {t.state for t in result.trials} == {State.COMPLETED, State.FAILED}
    assert result.spec.space.condition("x") is None


def test_every_early_failure_leaves_a_study_that_goes_on() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        if trial.number < 3:
            raise ValueError(f"not yet {trial.number}")
        return trial.float("x", 0, 1)

    result = ts.tune(objective, trials=6, seed=4, progress=False)
    assert [len(t.config) for t in result.trials] == [0, 0, 0, 1, 1, 1]


def test_constraints_may_name_parameters() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1)

    result = ts.tune(objective, trials=8, seed=1, constraints=["x >= 0.5"], progress=False)
    assert {t.state for t in result.trials} == {State.COMPLETED}
    assert all(bool(t.broken) == (t.config["x"] < 0.5) for t in result.trials)
    assert result.best.config["x"] >= 0.5

    def both(trial: ts.LiveTrial) -> float:
        return trial.float("value", 0, 1)

    reason = ts.tune(both, trials=1, constraints=["value <= 1"], progress=False).trials[0].reason
    assert "'value' is an objective's metric, which a constraint names" in str(reason)


# -- by hand ----------------------------------------------------------------------------------


def test_configs_that_are_named_run_first_and_as_they_are(tmp_path: Path) -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1) + trial.int("n", 1, 9)

    storage = tmp_path / "s.db"
    named: list[dict[str, Any]] = [{"x": 0.125}, {"x": 0.25, "n": 3}]
    for trials in (4, 6):
        result = ts.tune(
            objective, trials=trials, enqueue=named, storage=storage, seed=1, progress=False
        )
    assert len(result.trials) == 6, "the same call again queues none twice"
    assert result.trials[0].config["x"] == 0.125
    assert result.trials[1].config == {"x": 0.25, "n": 3}
    check_replay(storage)

    wrong = ts.tune(objective, trials=1, enqueue=[{"x": 7}], progress=False).trials[0]
    assert wrong.state is State.FAILED
    assert "x is 7, outside 0 .. 1" in str(wrong.reason)


def test_a_misspelt_name_in_the_queue_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = tmp_path / "s.db"

    def objective(trial: ts.LiveTrial) -> float:
        rate = trial.float("rate", 0, 1)
        sizes = [trial.int(f"units{i}", 1, 9) for i in range(trial.int("layers", 1, 2))]
        return rate + sum(sizes)

    options: dict[str, Any] = {"storage": storage, "seed": 1, "progress": True}
    wrong = [{"lyers": 2}]
    first = ts.tune(objective, trials=4, enqueue=wrong, **options).trials[0]
    note = "it was given 'lyers', for which no trial has asked so far; did you mean 'layers'?"
    assert "lyers" not in first.config
    assert first.notes == (note,)
    assert f"trial 0: {note}" in capsys.readouterr().err
    with ts.Study.open(storage=storage) as study:
        with pytest.warns(UserWarning, match="no trial has asked for 'raet' so far; did you mean"):
            queued = study.enqueue({"raet": 0.5, "layers": 1})
        assert queued.notes == ("no trial has asked for 'raet' so far; did you mean 'rate'?",)
        number = study.enqueue({"layers": 2, "units7": 3, "momentum": 0.9}).number  # may be new
        assert not study.trials[number].notes
        study.edit(trials=6)
    result = ts.tune(objective, trials=6, **options)
    assert "'raet'" in result.trials[4].notes[1]
    assert "'units7'" in result.trials[5].notes[0]
    assert "'momentum'" in result.trials[5].notes[0]
    assert not any(trial.notes for trial in result.trials[1:4])


def test_calls_that_name_configs_again_queue_none_twice(tmp_path: Path) -> None:
    """Whatever trials have asked for beside what was named; another config is another one."""
    options: dict[str, Any] = {"storage": tmp_path / "s.db", "seed": 1, "progress": False}

    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1) + trial.float("y", 0, 1)

    named = [{"x": 0.5, "y": 0.25}, {"y": 0.75}]
    assert len(ts.tune(objective, trials=2, enqueue=named, **options).trials) == 2
    again = ts.tune(objective, trials=3, enqueue=[*named, {"x": 0.5}], **options)
    assert [t.origin.why for t in again.trials] == ["enqueued"] * 3
    assert again.trials[2].config["x"] == 0.5


def test_the_names_of_all_configs_are_kept_as_they_come_and_go() -> None:
    """Not looked for in all of them whenever somebody asks."""
    ledger = Ledger(ts.Study.create(trials=9).spec)
    origin = Origin("user")
    ledger.apply(events.Enqueued(1.0, 0, {"x": 1, "late": 2}, origin))
    ledger.apply(events.Enqueued(1.0, 1, {"y": 1, "late": 2}, origin))
    assert ledger.names == ["x", "late", "y"]
    for number in range(2):
        ledger.apply(events.Started(2.0, number, 0, "s"))
        x = {"z": ts.Float(0, 1).to_dict()}
        ledger.apply(events.Asked(3.0, number, 0, x, {"z": 0.5}, ("y", "z")))
    assert ledger.names == ["y", "z"]
    ledger.apply(events.Requeued(4.0, 0, 0, Reason(Kind.LOST, "gone")))
    ledger.apply(events.Started(5.0, 0, 1, "s"))
    assert ledger.names == ["y", "z", "x", "late"]

    class Unread(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError

    ledger.table._own = Unread(ledger.table.own)
    assert ledger.names == ["y", "z", "x", "late"]


def test_a_person_narrows_the_space_of_a_study(tmp_path: Path) -> None:
    def objective(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1)

    storage = tmp_path / "s.db"
    ts.tune(objective, trials=4, storage=storage, seed=1, searcher="random", progress=False)
    with ts.Study.open(storage=storage) as study:
        study.edit(space=ts.Space(x=ts.Float(0.4, 0.5)))
    result = ts.tune(objective, trials=12, storage=storage, searcher="random", progress=False)
    assert all(0.4 <= t.config["x"] <= 0.5 for t in result.trials[4:])
    assert result.spec.space["x"] == ts.Float(0.4, 0.5)
    assert any(t.outside for t in result.trials[:4])
    check_replay(storage)


def test_a_changed_program_may_ask_for_another_range(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"

    def first(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0, 1)

    def second(trial: ts.LiveTrial) -> float:
        return trial.float("x", 0.0, 4.0) + trial.float("y", 0, 1)

    ts.tune(first, trials=5, name="s", storage=storage, seed=1, progress=False)
    result = ts.tune(second, trials=12, name="s", storage=storage, changed="keep", progress=False)
    assert {t.state for t in result.trials} == {State.COMPLETED}
    assert result.spec.space["x"] == ts.Float(0.0, 4.0)
    assert any(t.config["x"] > 1 for t in result.trials[5:])
    check_replay(storage, "s")


# -- ask and tell -----------------------------------------------------------------------------


def test_ask_and_tell(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    study = ts.Study.create(metric="loss", trials=8, seed=3, storage=storage)
    for _ in range(8):
        live = study.live(study.ask())
        x = live.float("x", -1, 1)
        kind = live.choice("kind", "a", "b")
        loss = x * x + (live.float("b", 0, 1) if kind == "b" else 0.3)
        live.report(step=1, loss=loss)
        told = study.tell(live.number, loss)
        assert told.config == live.config
    assert study.space["b"].when == {"kind": ["b"]}
    study.close()
    check_replay(storage, "study")


def test_what_is_asked_for_after_a_report_is_in_the_study_with_the_next(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    with ts.Study.create(metric="loss", trials=8, seed=3, storage=storage) as study:
        first = study.live(study.ask())
        loss = first.float("x", 0, 1) + first.float("y", 0, 1)
        study.tell(first.number, loss)
        live = study.live(study.ask())
        live.float("x", 0, 1)
        live.report(step=1, loss=1.0)
        assert study.trials[live.number].config.keys() == {"x"}
        live.float("y", 0, 1)
        live.report(step=2, loss=1.0)
        assert study.trials[live.number].config == live.config
        live.float("z", 0, 1)  # nobody has suggested it
        live.report(step=3, loss=1.0)
        assert study.trials[live.number].config == live.config
        assert len(live.config) == 3
    store = open_store(storage)
    asked = [e for e in store.changes("study", trial=1) if isinstance(e, events.Asked)]
    store.close()
    assert len(asked) == 3, "nothing is said twice"
    check_replay(storage, "study")


@pytest.mark.parametrize("reports", [True, False])
def test_what_another_process_has_asked_for_stays_in_the_config(
    tmp_path: Path, reports: bool
) -> None:
    """A trial that goes on where `live` is called once more, and is told from there."""
    storage = tmp_path / "s.db"
    with ts.Study.create(metric="loss", trials=8, seed=3, storage=storage) as study:
        first = study.live(study.ask())
        study.tell(first.number, first.float("x", 0, 1) + first.float("y", 0, 1))
        begun = study.live(study.ask())
        x = begun.float("x", 0, 1)
        z = begun.float("z", 0, 1)
        begun.report(step=1, loss=0.5)
        with ts.Study.open(storage=storage) as other:
            live = other.live(begun.number)
            assert live.config == {"x": x, "z": z}
            assert live.float("x", 0, 1) == x
            w = live.float("w", 0, 1)
            late = begun.float("late", 0, 1)  # what the second has not heard of
            if reports:
                live.report(step=2, loss=0.5)
                assert other.trials[live.number].config == {"x": x, "z": z, "w": w, "late": late}
            told = other.tell(live.number, 0.5)
        assert told.config == {"x": x, "z": z, "w": w, "late": late}
        with pytest.raises(ts.TransitionError, match="only a running one"):
            study.live(begun.number)
        assert study.trials[begun.number].config == told.config
    check_replay(storage, "study")


def test_threads_that_take_the_same_trial_have_one_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with ts.Study.create(metric="loss", trials=8, seed=3) as study:
        number = study.ask().number
        refresh, both = study._refresh, threading.Barrier(2)

        def slow() -> Ledger:
            ledger = refresh()
            with suppress(threading.BrokenBarrierError):
                both.wait(0.3)  # as if both came at the same moment
            return ledger

        monkeypatch.setattr(study, "_refresh", slow)
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(study.live, [number, number])
        assert one is other


def test_a_condition_outlives_another_range() -> None:
    """Whose trial has not ended when another edits the space."""
    with ts.Study.create(metric="loss", trials=20, seed=3, searcher="random") as study:

        def ask(number: int) -> ts.LiveTrial:
            study.enqueue({"kind": "ab"[number % 2]})
            live = study.live(study.ask())
            if live.choice("kind", "a", "b") == "b" and number < 6:
                live.float("y", 0, 1)
            return live

        for number in range(6):
            study.tell(ask(number).number, 0.5)
        assert study.space["y"].when == {"kind": ["b"]}
        number = ask(7).number  # of another version of the program
        asked = events.Asked(9e9, number, 0, {"y": ts.Float(0, 4).to_dict()}, {"y": 2.0})
        study.commit(lambda: [asked])
        other = ask(8)
        other.float("w", 0, 1)
        study.tell(other.number, 0.5)
        assert study.space["y"] == ts.Float(0, 4, when={"kind": ["b"]})


def test_what_a_person_has_added_to_the_space_stays_and_is_not_looked_for() -> None:
    """Whatever it is called."""
    store = open_store(None)
    with ts.Study.create(metric="loss", trials=20, seed=3, storage=store) as study:
        for number in range(8):
            live = study.live(study.ask())
            live.choice("kind", "a", "b")
            live.float("x", 0, 1)
            if number > 4:
                live.float("y", 0, 1)
            study.tell(live.number, 0.5)
            if number == 2:
                added = {"where": ts.Fixed("here"), "z": ts.Float(0, 1, when={"kind": ["a", "b"]})}
                study.edit(space=ts.Space({**study.space.parameters, **added}))
        assert study.space["where"] == ts.Fixed("here")
        assert study.space["z"] == added["z"]
        assert "y" in study.space
        name = study.name
    edits = [e for e in store.changes(name) if isinstance(e, events.Edited)]
    for edit in edits:  # as it is written for anybody
        ts.Space.from_dict(edit.changes["space"])
    assert len(edits) <= 4, "kind; the person's; y, and its condition"


def test_another_attempt_begins_with_all_that_was_suggested() -> None:

    def objective(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        if trial.number == 2 and trial.attempt == 0:
            trial.report(step=1, value=x)
            os.kill(os.getpid(), signal.SIGKILL)
        return x + trial.float("y", 0, 1)

    store = open_store(None)
    result = ts.tune(
        objective, trials=3, executor="process", seed=1, retries=1, storage=store, progress=False
    )
    assert result.trials[2].config.keys() == {"x", "y"}
    ledger, begun = Ledger(store.load("objective")), []
    for event in store.changes("objective"):
        ledger.apply(event)
        if isinstance(event, events.Started) and event.trial == 2:
            begun.append(sorted(ledger.config(2)))
    assert begun == [["x", "y"]], "the first began with its suggestion"


# -- others at the same time, and kills -------------------------------------------------------

SHARED = (
    ASKS
    + """
import sys
if __name__ == "__main__":
    result = ts.tune(objective, name="s", trials=int(sys.argv[2]), storage=sys.argv[1], join=sys.argv[3] == "join", seed=1,
                     parallel=int(sys.argv[4]), progress=False)
    print(len(result.trials))
"""
)


def start(
    storage: Any, trials: int, how: str, parallel: int, pause_s: float
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHARED, str(storage), str(trials), how, str(parallel)],
        env={**os.environ, "PAUSE": str(pause_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_several_processes_share_a_study(used: Path, tmp_path: Path, where: str) -> None:
    storage = str(tmp_path / "s.db") if where == "sqlite" else server().url()
    processes = [start(storage, 18, "join", 1, 0.01) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out.strip() == "18"
    result = ts.Study.open("s", storage=storage).result()
    assert {t.state for t in result.trials} == {State.COMPLETED}
    check_configs(result, used)
    check_replay(storage, "s")


def test_a_study_that_was_killed_goes_on_with_the_same_values(used: Path, tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    process = start(storage, 12, "alone", 3, 0.3)
    deadline = time.monotonic() + 60
    while len(list(used.glob("*"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start(storage, 12, "alone", 3, 0.01)
    out, err = process.communicate(timeout=120)
    assert out.strip() == "12", err
    result = ts.Study.open("s", storage=storage).result()
    check_configs(result, used)
    twice = 0
    for trial in result.trials:
        first = used / f"{trial.number}-0.jsonl"
        if trial.attempt > 0 and first.exists():
            twice += 1
            given = dict(json.loads(line) for line in first.read_text().splitlines())
            assert given.items() <= trial.config.items(), "every attempt gets the same values"
    assert twice
    check_replay(storage, "s")


def test_a_trial_that_is_killed_has_what_it_had_asked_for() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        if trial.number > 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        return x + trial.float("y", 0, 1)

    result = ts.tune(objective, trials=5, executor="process", seed=1, retries=0, progress=False)
    assert [sorted(t.config) for t in result.trials] == [["x", "y"]] * 3 + [["x"]] * 2


def test_failed_trials_are_run_again_with_the_same_values(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    mended = tmp_path / "mended"

    def objective(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        if not mended.exists() and trial.number == 4:
            raise ValueError("not mended")
        return x + trial.float("y", 0, 1)

    before = ts.tune(objective, trials=6, storage=storage, seed=1, progress=False)
    planned = before.ledger.plan(4)
    assert planned.keys() == {"x", "y"}, "y was suggested, and not asked for"
    mended.touch()
    after = ts.tune(objective, trials=6, storage=storage, retry_failed=True, progress=False)
    assert after.trials[6].config == planned


def test_a_trial_may_ask_from_its_threads_but_not_from_forks() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        got: list[float] = []
        threads = [
            threading.Thread(target=lambda: got.append(trial.float("x", 0, 1))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(got)) == 1
        pid = os.fork()
        if pid == 0:
            try:
                trial.float("z", 0, 1)
            except ts.TransitionError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        return got[0]

    result = ts.tune(objective, trials=3, executor="process", seed=1, progress=False)
    assert [t.state for t in result.trials] == [State.COMPLETED] * 3
    assert [sorted(t.config) for t in result.trials] == [["x"]] * 3


def test_what_a_stopped_trial_had_asked_for_is_known_before_it_is_stopped() -> None:
    def objective(trial: ts.LiveTrial) -> float:
        x = trial.float("x", 0, 1)
        for step in range(1, 10):
            trial.report(step, value=x + (trial.number > 3))
        return x + trial.float("late", 0, 1)

    result = ts.tune(
        objective, trials=16, scheduler="median", seed=1, searcher="random", progress=False
    )
    stopped = [t for t in result.trials if t.state is State.STOPPED]
    assert stopped
    assert all(t.config.keys() == {"x"} for t in stopped)


# -- as Optuna has it -------------------------------------------------------------------------


class TrialPruned(Exception):
    """As Optuna's: known by its name."""


def test_an_objective_as_optuna_has_it() -> None:
    class Kernel:
        def __init__(self, name: str) -> None:
            self.name = name

    kernels = (Kernel("rbf"), Kernel("poly"))

    def objective(trial: Any) -> float:
        loss: float
        kind = trial.suggest_categorical("kind", ["svm", "forest"])
        if kind == "svm":
            c = trial.suggest_float("svm-c", 1e-3, 1e3, log=True)
            kernel = trial.suggest_categorical("kernel", kernels)
            assert kernel in kernels
            loss = abs(c - 1.0) / (1.0 + c)
        else:
            depth = trial.suggest_int("max depth", 2, 31, step=5)
            loss = depth / 32 + trial.suggest_float("share", 0.1, 1.0, step=0.25)
        trial.set_user_attr("who", {"kind": kind})
        for step in range(3):
            trial.report(loss + 1 / (step + 1), step)
            if trial.should_prune():
                raise TrialPruned
        if trial.number == 2:
            raise TrialPruned
        assert trial.params.keys() >= {"kind"}
        return loss

    result = ts.tune(objective, trials=14, parallel=2, seed=3, scheduler="median", progress=False)
    assert {t.state for t in result.trials} <= {State.COMPLETED, State.STOPPED}
    assert result.trials[2].state is State.STOPPED
    for trial in result.trials:
        assert json.loads(trial.tags["who"]) == {"kind": trial.config["kind"]}
        assert trial.config.keys() in (
            {"kind", "svm_c", "kernel"},
            {"kind", "max_depth", "share"},
        )
        assert trial.config.get("max_depth", 2) in (2, 7, 12, 17, 22, 27)


def test_two_names_that_would_be_one_are_refused() -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("a-b", 0, 1) + trial.suggest_float("a_b", 0, 1))

    reason = ts.tune(objective, trials=1, progress=False).trials[0].reason
    assert "'a_b' and 'a-b' would both be 'a_b'" in str(reason)


def test_a_service_takes_what_whoever_runs_trials_has_learned(tmp_path: Path) -> None:
    """With a token that may work on studies and steer none."""
    there = Service(tmp_path / "studies.db")
    try:
        storage = there.url(there.token("work"))

        def objective(trial: ts.LiveTrial) -> float:
            x = trial.float("x", 0, 1)
            kind = trial.choice("kind", "a", "b")
            return x + (trial.float("y", 0, 1) if kind == "a" else 0.5)

        options: dict[str, Any] = {"storage": storage, "seed": 1, "searcher": "random"}
        ts.tune(objective, trials=10, name="alone", progress=False, **options)
        result = ts.tune(objective, trials=10, name="s", join=True, progress=False, **options)
        assert [t.state for t in result.trials] == [State.COMPLETED] * 10
        assert result.spec.space["y"].when == {"kind": ["a"]}
        check_replay(storage, "s")
        with (
            ts.Study.open("s", storage=storage) as study,
            pytest.raises(ts.StoreError, match="control"),
        ):
            study.edit(trials=20)
    finally:
        there.close()
