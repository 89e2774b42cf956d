"""The same script several times: one study, limits that count together, and an end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.postgres import server
from typer.testing import CliRunner

import tunesmith as ts
from tunesmith.cli.app import app
from tunesmith.core import events
from tunesmith.core.errors import StoreFull
from tunesmith.run.process import ProcessExecutor
from tunesmith.store import open_store
from tunesmith.store.memory import MemoryStore
from tunesmith.tuning import joined, session
from tunesmith.tuning.replay import replay

SPACE = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))

#: Takes part in a study of 24 trials, each of which takes a little time and reports.
SCRIPT = """
import sys, time, tunesmith as ts
def objective(config, trial):
    for step in range(3):
        time.sleep(float(sys.argv[2]) / 3)
        trial.report(step=step + 1, loss=config["x"] + 1 / (step + 1))
    return config["x"]
result = ts.tune(
    objective, ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), metric="loss", name="s", storage=sys.argv[1], trials=24,
    searcher=sys.argv[3], seed=1, join=True, progress=False,
)
print(len(result.trials), result.ended)
"""


def start(storage: Any, takes_s: float = 0.05, searcher: str = "random") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(storage), str(takes_s), searcher],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "study.db") if request.param == "sqlite" else server().url()


def await_report(storage: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with ts.Study.open("s", storage=storage) as study:
                if any(t.reports for t in study.trials):
                    return
        except ts.TunesmithError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_whole(storage: str, trials: int = 24) -> None:
    """Each trial ended once, and the study once, exactly at the limit."""
    with ts.Study.open("s", storage=storage) as study:
        history = list(study.store.changes("s"))
        assert [t.state for t in study.trials] == [ts.State.COMPLETED] * trials
        assert all(t.value == t.config["x"] for t in study.trials)
        assert sum(isinstance(e, events.Finished) for e in history) == trials
        assert [e.why for e in history if isinstance(e, events.Ended)] == ["trials"]
        assert study.store.verify("s") is None
        assert replay(study.store, "s").problems == []


class TestManyProcesses:
    @pytest.mark.parametrize("searcher", ["random", "bayes"])
    def test_share_one_study(self, storage: str, searcher: str) -> None:
        processes = [start(storage, 0.2, searcher) for _ in range(4)]
        outputs = [p.communicate(timeout=200) for p in processes]
        assert [p.returncode for p in processes] == [0] * 4, outputs
        assert {out for out, _ in outputs} == {"24 all 24 trials have been run\n"}
        is_whole(storage)
        with ts.Study.open("s", storage=storage) as study:
            begun = [e.session for e in study.store.changes("s") if isinstance(e, events.Suggested)]
            assert len({(t.config["x"], t.config["y"]) for t in study.trials}) == 24
        assert len(set(begun)) >= 2, "several have run trials"
        late = start(storage, searcher=searcher)
        assert late.communicate(timeout=100)[0] == "24 all 24 trials have been run\n"
        assert late.returncode == 0
        is_whole(storage)

    def test_of_which_some_are_killed(self, storage: str) -> None:
        rng = random.Random(1)
        processes = [start(storage, 0.2) for _ in range(3)]
        for _ in range(3):
            time.sleep(rng.uniform(0.5, 2.0))
            victim = rng.choice(processes)
            if victim.poll() is not None:
                break
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
            processes.remove(victim)
            processes.append(start(storage, 0.2))
        outputs = [p.communicate(timeout=200) for p in processes]
        assert all("24 all 24 trials" in out for out, _ in outputs), outputs
        is_whole(storage)


def run(storage: Any, objective: Any, **options: Any) -> ts.Result:
    arguments: dict[str, Any] = {
        "metric": "loss", "name": "s", "storage": storage, "trials": 6, "searcher": "random", "seed": 1, "join": True,
        "progress": False,
    }  # fmt: skip
    return ts.tune(objective, SPACE, **{**arguments, **options})


def plain(config: dict[str, float]) -> float:
    return config["x"]


class TestOne:
    def test_alone_it_is_as_without(self, storage: str) -> None:
        result = run(storage, plain)
        assert result.ended == "all 6 trials have been run"
        assert [t.number for t in result.trials] == list(range(6))
        assert replay(open_store(storage), "s").problems == []

    def test_in_processes_of_their_own(self, storage: str) -> None:
        result = run(storage, plain, parallel=2)
        assert len(result.trials) == 6
        assert result.ended_by == "trials"

    def test_no_more_places_are_asked_for_than_trials_are_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of an executor that gets them somewhere, and pays for those that stay empty."""
        asked: list[int] = []

        def room(_: ProcessExecutor, wanted: int) -> int:
            asked.append(wanted)
            return wanted

        monkeypatch.setattr(ProcessExecutor, "room", room, raising=False)
        result = run(str(tmp_path / "study.db"), plain, trials=1, parallel=8)
        assert result.ended_by == "trials"
        assert set(asked) == {1}

    def test_who_comes_late_is_told(self, storage: str, capsys: pytest.CaptureFixture[str]) -> None:
        run(storage, plain)
        before = open_store(storage).cursor("s")

        def never(config: dict[str, float]) -> float:
            raise AssertionError("nothing is to be run")

        result = run(storage, never, changed="keep")
        assert result.ended == "all 6 trials have been run"
        assert len(result.trials) == 6
        assert open_store(storage).cursor("s") == before, "nothing is written"

    def test_another_study_of_the_same_name_is_none_to_join(self, storage: str) -> None:
        run(storage, plain)
        with pytest.raises(
            ts.StudyError,
            match=r"join: study 's' .*objectives",
        ):
            run(storage, plain, goal="maximize")
        with pytest.raises(ts.StudyError, match=r"join: study 's' .*searcher"):
            run(storage, plain, searcher="bayes")
        with pytest.raises(ts.StudyError, match=r"join: study 's' .*space"):
            ts.tune(plain, ts.Space(x=ts.Float(0, 2)), name="s", metric="loss", storage=storage, join=True,
                    searcher="random", progress=False, trials=6)  # fmt: skip

    def test_another_version_is_refused_while_the_one_there_was_runs(self, storage: str) -> None:
        process = start(storage, 30.0)
        await_report(storage)
        with pytest.raises(ts.StudyError, match=r"join: another version of the program .*process"):
            run(storage, plain, trials=24)
        process.kill()
        process.communicate()
        assert len(run(storage, plain, trials=24).trials) == 24

    def test_the_limits_of_the_first_hold(self, storage: str) -> None:
        run(storage, plain, trials=4)
        assert len(run(storage, plain, trials=40).trials) == 4

    def test_a_scheduler_stops_trials(self, storage: str) -> None:
        def train(config: dict[str, float], trial: Any) -> float:
            for step in range(1, 9):
                trial.report(step=step, loss=config["x"] + trial.number)
            return float(config["x"] + trial.number)

        result = run(storage, train, scheduler={"asha": {"max": 8, "reduction": 2}}, trials=12)
        assert result.counts[ts.State.STOPPED] > 0
        assert replay(open_store(storage), "s").problems == []

    @pytest.mark.parametrize(
        ("scheduler", "searcher"),
        [
            ({"hyperband": {"max": 9, "min": 3}}, "random"),
            ({"hyperband": {"max": 9, "min": 3}}, "bayes"),
            ({"asha": {"max": 9, "min": 1, "type": "promotion"}}, "random"),
            ({"pasha": {"max": 9, "min": 1}}, "random"),
            ({"pbt": {"max": 9, "interval": 3}}, "bayes"),
        ],
        ids=str,
    )
    def test_paused_trials_wait_for_whoever_asks_next(
        self, tmp_path: Path, scheduler: Any, searcher: str
    ) -> None:
        storage = str(tmp_path / "study.db") if searcher == "random" else server().url()
        begun: set[tuple[int, int]] = set()

        def train(config: dict[str, float], trial: Any) -> float:
            total = trial.restore(0.0)
            assert trial.attempt == 0 or trial.step > 0, "it goes on where it was"
            for step in range(trial.step + 1, 10):
                begun.add((threading.get_ident(), trial.number))
                total += config["x"]
                trial.save(total, step=step)
                trial.report(step=step, loss=total / step)
            return float(total / 9)

        def part() -> None:
            results.append(run(storage, train, scheduler=scheduler, searcher=searcher, trials=9))

        results: list[ts.Result] = []
        threads = [threading.Thread(target=part) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(200)
        assert len(results) == 2
        history = list(open_store(storage).changes("s"))
        assert any(isinstance(e, events.Paused) for e in history)
        assert any(isinstance(e, (events.Started, events.Forked)) for e in history)
        assert sum(isinstance(e, events.Ended) for e in history) == 1
        states = {t.state for t in results[-1].trials}
        assert states <= {ts.State.COMPLETED, ts.State.STOPPED, ts.State.PAUSED}
        assert replay(open_store(storage), "s").problems == []

    def test_one_that_thinks_about_paused_trials_is_refused(self, storage: str) -> None:
        with pytest.raises(
            ts.TunesmithError, match=r"join: .*'freeze_thaw' fits models .*hyperband"
        ):
            run(storage, plain, scheduler={"freeze_thaw": {"max": 9}})

    def test_whoever_finds_it_done_but_not_ended_ends_it(
        self, storage: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever ran the last trial may be killed before, or be at it still."""
        with monkeypatch.context() as patch:
            patch.setattr(ts.Study, "_settle", lambda _: None)
            with ts.Study.create(
                SPACE, name="s", metric="loss", storage=storage, trials=1, searcher="random", seed=1
            ) as study:
                study.tell(study.ask(), 0.5)
                assert study.result().ended == ""
        assert (
            run(storage, lambda config: config["x"], trials=1).ended
            == "the only trial has been run"
        )

    @pytest.mark.parametrize("ahead_s", [86400, -86400])
    def test_a_clock_that_is_wrong_uses_up_no_limit(self, ahead_s: int) -> None:
        """Of hosts whose clocks are a day apart each goes by that of the database."""
        storage = server().url()
        with ts.Study.create(
            SPACE,
            name="s",
            metric="loss",
            storage=storage,
            searcher="random",
            seed=1,
            trials=6,
            time="1h",
        ) as first:
            trial = first.ask()
            first.tell(trial, trial.config["x"])
            skew = f"import time; real = time.time; time.time = lambda: real() + {ahead_s}"
            other = subprocess.run(
                [sys.executable, "-W", "error", "-c", f"{skew}\n{SCRIPT}", storage, "0.05", "random"],
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
        assert other.stdout == "6 all 6 trials have been run\n", other.stderr
        is_whole(storage, 6)
        ends = [e.at for e in open_store(storage).changes("s") if isinstance(e, events.Finished)]
        assert max(ends) - min(ends) < 3600

    def test_a_full_disk_is_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing that a trial has returned is lost meanwhile."""
        store, full = MemoryStore(), [3]
        append = MemoryStore.append

        def sometimes(self: MemoryStore, name: str, batch: Any, expect: int) -> int:
            if full[0] and any(isinstance(e, events.Finished) for e in batch):
                full[0] -= 1
                raise StoreFull("the disk is full")
            return append(self, name, batch, expect)

        monkeypatch.setattr(MemoryStore, "append", sometimes)
        monkeypatch.setattr(joined, "_FULL_EVERY_S", 0.01)
        began: list[int] = []

        def train(config: dict[str, float], trial: Any) -> float:
            began.append(trial.number)
            return config["x"]

        result = run(store, train, trials=3)
        assert result.counts[ts.State.COMPLETED] == 3
        assert began == [0, 1, 2]
        assert capsys.readouterr().err.count("the disk is full; waiting 60 s for space") == 1

    def test_one_that_stays_full_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        append = MemoryStore.append

        def never(self: MemoryStore, name: str, batch: Any, expect: int) -> int:
            if any(isinstance(e, events.Finished) for e in batch):
                raise StoreFull("the disk is full")
            return append(self, name, batch, expect)

        monkeypatch.setattr(MemoryStore, "append", never)
        monkeypatch.setattr(joined, "FULL_DISK_S", 0.05)
        monkeypatch.setattr(joined, "_FULL_EVERY_S", 0.02)
        with pytest.raises(StoreFull):
            run(MemoryStore(), plain)

    @pytest.mark.parametrize("options", [{"confirm": 2}, {"deterministic": True}])
    def test_what_has_to_wait_waits(self, storage: str, options: dict[str, Any]) -> None:
        result = run(storage, lambda config: config["x"], parallel=3, **options)
        assert result.ended
        assert len(result.trials) >= 6

    def test_failures_are_the_trials_own(self, storage: str) -> None:
        def sometimes(config: dict[str, float], trial: Any) -> float:
            if trial.number == 2:
                raise ValueError("two")
            return config["x"]

        result = run(storage, sometimes)
        assert result.counts[ts.State.FAILED] == 1
        assert result.counts[ts.State.COMPLETED] == 5

    def test_whoever_is_stopped_leaves_the_study_to_others(self, storage: str) -> None:
        """A trial that it ran waits for them, without blame."""
        process = start(storage, 30.0)
        await_report(storage)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        with ts.Study.open("s", storage=storage) as study:
            assert [t.state for t in study.trials] == [ts.State.WAITING]
            assert study.result().ended == ""

    def test_one_signal_is_enough_where_trials_run_in_this_thread(self, storage: str) -> None:
        """The running trial has its grace, ends at a report, and waits for others."""
        code = SCRIPT.replace("range(3)", "range(300)").replace("join=True", "join=True, grace=0.3")
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, storage, "0.6", "random"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        await_report(storage)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
        with ts.Study.open("s", storage=storage) as study:
            assert ts.State.WAITING in {t.state for t in study.trials}
            assert study.result().ended == ""

    def test_a_trial_that_was_given_to_another_counts_once(
        self, storage: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its late result is a note."""
        begun, done = threading.Event(), threading.Event()

        def slow(config: dict[str, float], trial: Any) -> float:
            if trial.number == 0 and not begun.is_set():
                begun.set()
                done.wait(60)
                return 99.0
            return config["x"]

        results: list[ts.Result] = []
        thread = threading.Thread(target=lambda: results.append(run(storage, slow, trials=2)))
        thread.start()
        assert begun.wait(60)
        with ts.Study.open("s", storage=storage) as study:
            with monkeypatch.context() as patch:
                patch.setattr(session, "alive", lambda _: False)
                trial = study.ask()
            assert (trial.number, trial.attempt) == (0, 1)
            done.set()
            deadline = time.monotonic() + 60
            while not study.trials[0].notes:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            study.tell(trial, 0.5)
            thread.join()
            assert study.trials[0].value == 0.5
            assert "99" in study.trials[0].notes[0]
            assert study.store.verify("s") is None


def test_a_job(storage: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "name: s\ncommand: echo loss={x}\nobjective: {metric: loss}\nmetrics: {loss: 'loss={number}'}\n"
        "space: {x: {float: [0, 1]}}\nlimits: {trials: 8, parallel: 2}\nsearcher: random\n"
    )
    command = [
        sys.executable,
        "-m",
        "tunesmith",
        "run",
        "job.yaml",
        "--join",
        "--plain",
        "-s",
        storage,
    ]
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        for _ in range(2)
    ]
    outputs = [p.communicate(timeout=120)[0] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    with ts.Study.open("s", storage=storage) as study:
        assert [t.state for t in study.trials] == [ts.State.COMPLETED] * 8
    late = CliRunner().invoke(app, command[3:])
    assert late.exit_code == 0
    assert "is over: all 8 trials have been run" in late.output
