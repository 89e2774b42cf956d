"""Several threads, processes and hosts on one study: who lives, who is dead, what is handed out again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import tunesmith as ts
from tunesmith.core import events
from tunesmith.core.errors import TransitionError
from tunesmith.core.ledger import Ledger
from tunesmith.core.trial import Origin
from tunesmith.store import open_store
from tunesmith.store.memory import MemoryStore
from tunesmith.tuning import coordinator, session
from tunesmith.tuning.coordinator import Loop
from tunesmith.tuning.session import Heartbeat, Session, abandoned, alive

SPACE = ts.Space(x=ts.Float(0, 1))

#: Asks for three trials, and dies.
ASKER = """
import os, sys, tunesmith as ts
study = ts.Study.open("s", storage=sys.argv[1])
for _ in range(3): study.ask()
os._exit(9)
"""


@pytest.mark.parametrize("storage", ["study.db", None])
def test_one_study_for_several_threads(tmp_path: Path, storage: str | None) -> None:
    path = None if storage is None else tmp_path / storage
    study = ts.Study.create(SPACE, storage=path, searcher="random", seed=1)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                trial = study.ask()
                study.report(trial, step=1, value=0.5)
                study.tell(trial, trial.config["x"])
                assert study.trials[trial.number].value == trial.config["x"]
        except Exception as error:  # noqa: BLE001 (shown below)
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert [trial.state for trial in study.trials] == [ts.State.COMPLETED] * 60
    assert len({trial.config["x"] for trial in study.trials}) == 60
    study.close()


class TestAbandoned:
    def test_trials_of_a_dead_process_are_handed_out_again(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        ts.Study.create(SPACE, storage=path, name="s", seed=1, trials=3).close()
        died = subprocess.run([sys.executable, "-c", ASKER, path], check=False)
        assert died.returncode == 9
        with ts.Study.open("s", storage=path) as study:
            for _ in range(3):
                trial = study.ask()
                assert trial.attempt == 1
                requeued = next(
                    e for e in study.log(trial) if isinstance(e, events.Requeued)
                ).reason
                assert requeued.kind == "lost"
                assert requeued.message == "the process that asked for it is gone"
                study.tell(trial, 0.5)
            assert [t.state for t in study.trials] == [ts.State.COMPLETED] * 3
            with pytest.raises(ts.StudyOver):
                study.ask()

    def test_those_of_the_living_are_not(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        with (
            ts.Study.create(SPACE, storage=path, name="s", seed=1, trials=1) as one,
            ts.Study.open("s", storage=path) as other,
        ):
            trial = one.ask()
            with pytest.raises(ts.StudyOver):
                other.ask()
            one.tell(trial, 0.5)

    def test_whoever_was_taken_for_dead_ends_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "study.db"
        with (
            ts.Study.create(SPACE, storage=path, name="s", seed=1, trials=1) as one,
            ts.Study.open("s", storage=path) as other,
        ):
            late = one.ask()
            monkeypatch.setattr(session, "alive", lambda _: False)
            again = other.ask()
            assert (again.number, again.attempt) == (0, 1)
            with pytest.raises(TransitionError, match="trial 0 was handed out again"):
                one.tell(late, 1.0)
            assert other.tell(again, 0.5).value == 0.5

    @pytest.mark.parametrize(
        "place",
        [
            {"host": "elsewhere.example", "machine": "another boot:4026531836"},
            {"host": "elsewhere.example", "machine": ""},
            {"machine": "another boot:4026531836"},
            {"machine": f"{session.this_machine()}9"},
        ],
        ids=["host", "earlier version", "host of the same name", "container of the same name"],
    )
    def test_another_host_is_dead_when_it_has_been_silent_for_long(
        self, place: dict[str, str]
    ) -> None:
        """Its process has our number, and began when we did: that says nothing there."""
        there = msgspec.structs.replace(Session.new().opened(coordinator=False), **place)
        ledger = Ledger(ts.Study.create(SPACE, name="s").spec)
        origin = Origin("random", "why", 1, 0, 1, 0)
        ledger.extend([there, events.Suggested(2.0, 0, {"x": 0.5}, origin, there.session)])

        def dead(silent_s: dict[str, float]) -> list[str]:
            return abandoned(ledger, silent_s, "mine", coordinators=False)

        assert dead({}) == [], "it may be of a version that does not beat"
        assert dead({there.session: session.SILENCE_S - 1}) == []
        assert dead({there.session: session.SILENCE_S + 1}) == [there.session]


class TestWhere:
    """A session knows its machine by more than its name."""

    def test_a_host_that_was_renamed_is_the_same(self) -> None:
        if not session.this_machine():
            pytest.skip("nothing but its name tells one machine from another here")
        renamed = replace(Session.new(), host="a-new-name")
        assert alive(renamed) is True
        assert alive(replace(renamed, pid_started=1.0)) is False

    def test_a_session_of_an_earlier_version_goes_by_its_host(self) -> None:
        assert alive(replace(Session.new(), machine="")) is True
        assert alive(replace(Session.new(), machine="", host="elsewhere.example")) is None

    def test_the_name_of_a_lease_s_holder_says_all(self) -> None:
        mine = Session.new()
        assert Session.of(mine.holder) == mine
        assert Session.of("s 4711 12.5 host") == Session("s", "host", 4711, 12.5)
        assert Session.of(replace(mine, machine="").holder) == replace(mine, machine="")

    def test_nobody_takes_the_study_of_a_twin(self, tmp_path: Path) -> None:
        """In a container of the same name, our process has a number that is nobody's here."""
        path = tmp_path / "study.db"
        ts.Study.create(SPACE, storage=path, name="s", seed=1).close()
        twin = Session("twin", Session.new().host, 2**22 - 1, 1.0, "the same boot:2")
        with closing(open_store(path)) as store:
            store.lease("s", twin.holder, 30.0)
            with pytest.raises(ts.StudyBusy, match=f"process {2**22 - 1} on"):
                Loop(store, "s")
            store.release("s", twin.holder)
            store.lease("s", replace(twin, machine=session.this_machine()).holder, 30.0)
            Loop(store, "s").close()  # of ours, we see that it is gone


class TestLease:
    """A coordinator that could not say for two thirds of its lease that it lives begins nothing more."""

    def loop(self, path: Path) -> Loop:
        ts.Study.create(SPACE, storage=path, name="s", searcher="random", seed=1).close()
        return Loop(open_store(path), "s")

    def sleep(self, loop: Loop, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        loop._stop_heart()
        monkeypatch.setattr(coordinator, "waking_s", lambda: session.waking_s() + seconds)

    def test_it_is_renewed_before_anything_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = self.loop(tmp_path / "study.db")
        self.sleep(loop, monkeypatch, session.ACT_S + 1)
        before = loop._renewed_s
        loop._check_lease()
        assert loop._renewed_s > before + session.ACT_S
        loop.close()

    def test_what_another_took_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has the lease, and has written nothing yet."""
        loop = self.loop(tmp_path / "study.db")
        other = Session("other", "elsewhere.example", 1, 1.0, "another boot:1")
        loop._store.lease("s", other.holder, 30.0, instead_of=loop.session.holder)
        self.sleep(loop, monkeypatch, session.ACT_S - 1)
        loop._check_lease()
        self.sleep(loop, monkeypatch, session.ACT_S + 1)
        for _ in range(2):
            with pytest.raises(ts.StudyBusy, match=r"process 1 on elsewhere\.example"):
                loop._handle([], time.time())
        assert loop.ledger.size == 0
        loop.close()
        assert loop._store.lease("s", "me", 1.0).holder == other.holder

    def test_without_its_store_it_begins_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = self.loop(tmp_path / "study.db")

        def unreachable(*_: object, **__: object) -> None:
            raise ts.StoreError("the database does not answer")

        with monkeypatch.context() as patch:
            patch.setattr(loop._store, "lease", unreachable)
            self.sleep(loop, patch, session.ACT_S + 1)
            with pytest.raises(ts.StoreError, match="does not answer"):
                loop._handle([], time.time())
        assert loop.ledger.size == 0
        loop.close()

    def test_a_store_in_memory_has_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = MemoryStore()
        ts.Study.create(SPACE, storage=store, name="s", searcher="random", seed=1)
        loop = Loop(store, "s")
        self.sleep(loop, monkeypatch, 1000.0)
        loop._check_lease()
        loop.close()


class TestSignsOfLife:
    def test_who_asks_beats(self, tmp_path: Path) -> None:
        path = tmp_path / "study.db"
        with ts.Study.create(SPACE, storage=path, name="s") as study:
            assert study.store.silent_s("s") == {}
            trial = study.ask()
            (opened,) = [e for e in study.store.changes("s") if isinstance(e, events.Opened)]
            assert study.store.silent_s("s")[opened.session] < 60.0
            study.tell(trial, 0.5)

    def test_until_it_is_gone(self) -> None:
        beats: list[float] = []

        class Living:
            def beat(self) -> None:
                beats.append(time.monotonic())
                if len(beats) == 2:
                    raise ts.StoreError("the disk cannot be read")

        living = Living()
        Heartbeat(living.beat, every_s=0.01)
        deadline = time.monotonic() + 30
        while len(beats) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        del living
        time.sleep(0.1)
        count = len(beats)
        time.sleep(0.1)
        assert len(beats) == count

    def test_a_long_trial_does_not_lose_the_lease(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It runs in the coordinator's thread, as a long fit would."""
        monkeypatch.setattr(coordinator, "LEASE_S", 0.3)
        monkeypatch.setattr(coordinator, "Heartbeat", lambda beat: Heartbeat(beat, every_s=0.05))
        path = tmp_path / "study.db"
        holders: list[str] = []

        def objective(config: dict[str, float]) -> float:
            store = open_store(path)
            for _ in range(3):
                time.sleep(0.2)
                holders.append(store.lease("s", "me 1 0.0 there", 30.0).holder)
            store.close()
            return config["x"]

        result = ts.tune(objective, SPACE, storage=path, name="s", trials=1, progress=False)
        assert result.best.number == 0
        assert len(set(holders)) == 1
        assert not holders[0].startswith("me ")


class TestCoordinator:
    def test_it_takes_in_only_the_news(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Others write notes while it decides: nothing is read from the beginning again."""
        store = MemoryStore()
        other = ts.Study.create(SPACE, storage=store, name="s", searcher="random", trials=30)
        append, notes = store.append, list(range(20))

        def slow(name: str, batch: Sequence[events.Event], expect: int) -> int:
            if notes and len(notes) % 2 == 0 and expect > 4:
                monkeypatch.setattr(store, "append", append)
                other.annotate(0, f"note {notes.pop()}")
                monkeypatch.setattr(store, "append", slow)
            elif notes and expect > 4:
                notes.pop()  # the next time
            return append(name, batch, expect)

        def reload(_: Loop) -> None:
            raise AssertionError("the whole history was read again")

        monkeypatch.setattr(Loop, "_reload", reload)
        monkeypatch.setattr(store, "append", slow)
        result = ts.tune(
            lambda config: config["x"],
            SPACE,
            storage=store,
            name="s",
            searcher="random",
            trials=30,
            progress=False,
        )
        assert notes == []
        assert len(result.trials) == 30
        assert list(result.trials) == list(other.trials)
        assert len(other.trials[0].notes) == 10
