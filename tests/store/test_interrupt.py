"""Ctrl-C comes between transactions."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import server

import tunesmith as ts
from tunesmith.store.interrupt import held_back, interrupt_of
from tunesmith.store.sqlite import FileTurn

SPACE = ts.Space(x=ts.Float(0, 1))

#: Asks and tells, and goes on after each Ctrl-C, until it has had so many.
STORM = """
import signal, sys, tunesmith as ts
signal.signal(signal.SIGINT, signal.default_int_handler)
hits, done = 0, 0
with ts.Study.open("s", storage=sys.argv[1]) as study:
    study.tell(study.ask(), 0.5)
    print("ready", flush=True)
    while hits < int(sys.argv[2]):
        try:
            try:
                while True:
                    study.tell(study.ask(), 0.5)
                    done += 1
            except KeyboardInterrupt:
                hits += 1
        except KeyboardInterrupt:
            hits += 1
print(done)
"""


@pytest.fixture(autouse=True)
def default() -> Iterator[None]:
    """Who runs the tests in the background may have Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class TestHeldBack:
    # ruff: noqa: PT012 (what is raised comes from the signal, wherever that is)
    def test_the_first_waits_for_the_end(self) -> None:
        done = []
        with pytest.raises(KeyboardInterrupt):
            with held_back():
                with held_back():
                    ctrl_c()
                    done.append(1)
                done.append(2)
            done.append(3)
        assert done == [1, 2]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_the_second_comes_at_once(self) -> None:
        done = []
        with pytest.raises(KeyboardInterrupt), held_back():
            ctrl_c()
            done.append(1)
            ctrl_c()
            done.append(2)
        assert done == [1]

    def test_an_error_does_not_hide_it(self) -> None:
        with pytest.raises(KeyboardInterrupt), held_back():
            ctrl_c()
            raise ValueError

    def test_another_handler_is_called_once(self) -> None:
        called = []
        before = signal.signal(signal.SIGINT, lambda *_: called.append(1))
        try:
            with held_back():
                ctrl_c()
                assert called == []
            assert called == [1]
            with held_back():
                ctrl_c()
                ctrl_c()
                assert called == [1] * 3
            assert called == [1] * 3
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with held_back():
                ctrl_c()
        finally:
            signal.signal(signal.SIGINT, before)

    def test_other_threads_have_none(self) -> None:
        def hold() -> None:
            with held_back():
                handlers.append(signal.getsignal(signal.SIGINT))

        handlers: list[object] = []
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert handlers == [signal.default_int_handler]


def test_interrupts_are_found_behind_what_they_led_to() -> None:
    error, interrupt = ValueError(), KeyboardInterrupt()
    assert interrupt_of(error) is None
    error.__context__ = interrupt
    assert interrupt_of(error) is interrupt
    assert interrupt_of(error, handled=interrupt) is None, "that one was dealt with long ago"


def test_one_while_the_turn_to_ask_is_awaited_leaves_it_to_other_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: FileTurn) -> None:
        raise KeyboardInterrupt

    turn, taken = FileTurn(f"test-{os.getpid()}"), []
    with monkeypatch.context() as patch:
        patch.setattr(FileTurn, "_lock", interrupted)
        with pytest.raises(KeyboardInterrupt), turn:
            taken.append("never")

    def take() -> None:
        with turn:
            taken.append("later")

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(30)
    turn.close()
    assert taken == ["later"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("gap_s", [0.004, 0.03])
def test_a_study_stays_whole_under_many(store: str, gap_s: float, tmp_path: Path) -> None:
    storage = str(tmp_path / "study.db") if store == "sqlite" else server().url()
    ts.Study.create(SPACE, name="s", metric="loss", storage=storage, searcher="random").close()
    process = subprocess.Popen(
        [sys.executable, "-c", STORM, storage, "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        rng = random.Random(1)
        time.sleep(0.2)
        while process.poll() is None:  # it may end by one that came when it was about to leave
            process.send_signal(signal.SIGINT)
            time.sleep(rng.uniform(0.0, 2.0 * gap_s))
        process.communicate()
    finally:
        process.kill()
    with ts.Study.open("s", storage=storage) as study:
        study.tell(study.ask(), 0.5)
        assert study.store.verify("s") is None
        assert len(study.trials) > 5
        assert all(t.value == 0.5 for t in study.trials if t.state is ts.State.COMPLETED)


def test_one_that_was_dealt_with_hides_no_error(tmp_path: Path) -> None:
    with ts.Study.create(
        SPACE, name="s", metric="loss", storage=tmp_path / "study.db", searcher="random"
    ) as study:
        trial = study.ask()
        study.tell(trial, 0.5)
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            with pytest.raises(ts.TunesmithError, match="completed"):
                study.tell(trial, 0.7)
