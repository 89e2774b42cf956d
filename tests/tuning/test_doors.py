"""The same happenings through the loop of `tune` and through ask and tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.postgres import server
from tests.service.running import emptied

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.decide import STOP_RUNNING
from tunesmith.core.events import Event
from tunesmith.core.trial import USER, Origin
from tunesmith.store import Store, open_store
from tunesmith.testing.doors import (
    SCRIPTS,
    Clock,
    Script,
    ScriptedExecutor,
    door_checks,
    drive,
    essence,
)
from tunesmith.tuning.launch import launch
from tunesmith.tuning.replay import replay
from tunesmith.tuning.session import Session
from tunesmith.tuning.study import Study


def opened(script: Script, clock: Clock, store: Store) -> Study:
    store.create(script.spec, clock())
    study = Study(store, script.spec.name, clock=clock)
    for config in script.queue:
        study.enqueue(config, why="enqueued")
    return study


class TuneDoor:
    """What `tune`, job files and `simulate` do, once they have a spec and an executor."""

    def __init__(self, storage: str | Path | None = None) -> None:
        self.store = open_store(storage)

    def run(self, script: Script, clock: Clock) -> list[Event]:
        launch(
            script.spec,
            self.store,
            lambda _: ScriptedExecutor(script, clock),
            enqueue=script.queue,
            clock=clock,
        )
        return list(self.store.changes(script.spec.name))


class AskAndTell:
    """The verbs of a `Study`."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def ask(self) -> int | None:
        try:
            return self._study.ask().number
        except ts.StudyOver:
            return None

    def report(self, trial: int, step: int, loss: float) -> bool:
        return self._study.report(trial, step=step, loss=loss).verdict is ts.Verdict.STOP

    def tell(self, trial: int, returned: Any, failed: str | None) -> None:
        self._study.tell(trial, returned, failed=failed)


class AskAndTellDoor:
    def __init__(self, storage: str | Path | None = None) -> None:
        self.store = open_store(storage)

    def run(self, script: Script, clock: Clock) -> list[Event]:
        study = opened(script, clock, self.store)
        drive(AskAndTell(study), script, clock)
        return list(self.store.changes(study.name))


@pytest.mark.parametrize("check", door_checks(TuneDoor), ids=str)
def test_tune(check: Any) -> None:
    check()


@pytest.mark.parametrize("check", door_checks(AskAndTellDoor), ids=str)
def test_ask_and_tell(check: Any) -> None:
    check()


@pytest.mark.parametrize("check", door_checks(lambda: TuneDoor(server().url())), ids=str)
def test_tune_in_postgresql(check: Any) -> None:
    check()


@pytest.mark.parametrize("check", door_checks(lambda: AskAndTellDoor(server().url())), ids=str)
def test_ask_and_tell_in_postgresql(check: Any) -> None:
    check()


@pytest.mark.parametrize("check", door_checks(lambda: TuneDoor(emptied())), ids=str)
def test_tune_with_a_service(check: Any) -> None:
    check()


@pytest.mark.parametrize("check", door_checks(lambda: AskAndTellDoor(emptied())), ids=str)
def test_ask_and_tell_with_a_service(check: Any) -> None:
    check()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=list(SCRIPTS))
def test_both_give_the_same_events(script: Script) -> None:
    """To the last field, times and reasons included; and replay proves both."""
    tune, asked = TuneDoor(), AskAndTellDoor()
    histories = [essence(door.run(script, Clock())) for door in (tune, asked)]
    assert histories[0] == histories[1]
    for door in (tune, asked):
        assert replay(door.store, script.spec.name).problems == []


def test_both_give_the_same_in_files(tmp_path: Path) -> None:
    script = SCRIPTS["a_scheduler_stops_a_trial"]
    doors = TuneDoor(tmp_path / "tune.db"), AskAndTellDoor(tmp_path / "ask.db")
    histories = [essence(door.run(script, Clock())) for door in doors]
    assert histories[0] == histories[1]


def test_ask_says_why_the_study_is_over() -> None:
    clock = Clock()
    study = opened(SCRIPTS["a_price_and_a_cost_limit"], clock, open_store(None))
    for _ in range(3):
        trial = study.ask()
        clock.advance(1.0)
        study.tell(trial, 0.5)
    for _ in range(2):
        with pytest.raises(ts.StudyOver, match=r"is over: the cost limit of 2\.5 is used up; "):
            study.ask()
    assert study.result().ended_by == "cost"
    study.edit(cost=10.0)
    assert study.ask().number == 3, "a higher limit lets it go on"
    assert study.result().ended == ""


def test_what_runs_when_a_limit_is_reached_may_still_be_told() -> None:
    clock = Clock()
    study = opened(SCRIPTS["a_target"], clock, open_store(None))
    first, second = study.ask(), study.ask()
    study.tell(first, 0.1)
    assert study.result().ended == "", "one still runs"
    with pytest.raises(ts.StudyOver, match="trial 0 reached the target"):
        study.ask()
    study.tell(second, 0.2)
    assert study.result().ended_by == "target"
    assert study.best.value == 0.1


def test_a_study_that_somebody_stopped_hands_out_no_trials() -> None:
    clock = Clock()
    study = opened(SCRIPTS["trials"], clock, open_store(None))
    trial = study.ask()
    study.stop()
    assert study.report(trial, loss=0.5).verdict is ts.Verdict.CONTINUE, "it has its grace"
    clock.advance(11.0)
    assert study.report(trial, loss=0.4).why == "stopped on request"
    assert study.tell(trial).state == "waiting"
    with pytest.raises(ts.StudyOver, match="stopped on request"):
        study.ask()
    again = Study(study.store, study.name, clock=clock)
    assert again.ask().number == trial.number, "the next session goes on"


def test_after_failures_the_next_session_goes_on() -> None:
    clock = Clock()
    store = open_store(None)
    study = opened(SCRIPTS["the_same_error"], clock, store)
    for _ in range(3):
        study.tell(study.ask(), failed="no disk")
    with pytest.raises(ts.StudyOver, match="all failed alike"):
        study.ask()
    assert Study(store, study.name, clock=clock).ask().number == 3


def test_trials_of_a_process_that_died_are_handed_out_again() -> None:
    clock, store = Clock(), open_store(None)
    study = opened(SCRIPTS["trials"], clock, store)
    dead = msgspec.structs.replace(
        Session.new().opened(coordinator=False), session="dead", pid=2**22 + 1
    )
    first, second = (
        events.Suggested(clock(), n, {"k": n + 1}, Origin(USER), "dead") for n in range(2)
    )
    store.append(study.name, [dead, first, second], store.cursor(study.name))
    for attempt in range(2):
        trial = study.ask()
        assert (trial.number, trial.attempt) == (attempt, 1)
        study.tell(trial, 0.5)
    assert study.result().ended_by == "trials"


def test_every_limit_that_ends_a_study_is_in_a_script() -> None:
    ends = {script.expected[-1].removeprefix("ended: ") for script in SCRIPTS.values()}
    assert ends >= STOP_RUNNING | {"trials", "exhausted", "no_improvement"}
