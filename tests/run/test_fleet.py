"""The executor of clusters on agents that are threads of this process; tests/clusters has real ones."""

from __future__ import annotations

import errno
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.core.errors import ExecutorError, JobError
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.trial import Kind, Reason, State
from tunesmith.run import agent as agents
from tunesmith.run import fleet
from tunesmith.run.agent import Agent, Files, Function, News, Order, Site
from tunesmith.run.base import Executor
from tunesmith.run.fleet import FleetExecutor, Gone, Heard, Leaving
from tunesmith.run.folder import Folder
from tunesmith.run.process import pickled
from tunesmith.run.program import Program
from tunesmith.testing import Check, behave, executor_checks
from tunesmith.testing.executors import follow, gone, start, until

MEMORY_LIMIT = 400 * 10**6
FUNCTION = Function(pickled(behave), ("loss",), False)
PROGRAM = Program([sys.executable, "-m", "tunesmith.testing.program"], wanted=("loss",))


class Threads:
    """Agents in threads; `capacity` of them at a time, the others wait."""

    def __init__(self, site: Site, capacity: int = 2) -> None:
        self.site, self.capacity = site, capacity
        self.agents: dict[int, Agent | None] = {}
        self.count = 0
        self.news: SimpleQueue[tuple[int, Heard]] = SimpleQueue()

    def ask(self) -> int:
        self.count += 1
        self.agents[self.count] = None
        self._admit()
        return self.count

    def _admit(self) -> None:
        waiting = [number for number, agent in self.agents.items() if agent is None]
        for number in waiting[: self.capacity - (len(self.agents) - len(waiting))]:
            made = self.agents[number] = Agent(self.site)
            self.news.put((number, made.hello(f"node{number}")))

    def turn(self, agent: int, orders: Sequence[Order]) -> None:
        made = self.agents[agent]
        assert made is not None
        threading.Thread(target=lambda: self.news.put((agent, made.turn(orders)))).start()

    def tell(self, agent: int, order: Stop) -> None:
        made = self.agents[agent]
        assert made is not None
        made.tell(order)

    def heard(self, timeout_s: float) -> list[tuple[int, Heard]]:
        heard = []
        try:
            heard.append(self.news.get(timeout=timeout_s))
            while True:
                heard.append(self.news.get_nowait())
        except Empty:
            there = [(number, what) for number, what in heard if number in self.agents]
        for number, what in there:
            if isinstance(what, Gone):
                self.end(number)
        return there

    def end(self, agent: int) -> None:
        made = self.agents.pop(agent)
        if made is not None:
            made.close()
        self._admit()

    def kill(self, agent: int) -> None:
        """Its node is gone."""
        self.end(agent)
        self.agents[agent] = Agent(self.site)  # to be heard of once more
        self.news.put((agent, Gone("its node died")))

    def close(self) -> None:
        for number in list(self.agents):
            self.capacity = 0
            self.end(number)

    def wants(self) -> str:
        return fleet.waiting("1 CPU", len(self.agents))


class Made:
    """An executor, and what it stands on."""

    def __init__(self, work: Function | Program, *, sees: bool = True, **options: Any) -> None:
        self.folder = Folder(Path(tempfile.mkdtemp()))
        sign = fleet.signed(self.folder)
        if not sees:
            (self.folder.path / sign).unlink()
        site = Site(work, self.folder.path, sign, MEMORY_LIMIT, {}, ())
        self.cluster = Threads(site, options.pop("capacity", 2))
        self.said: list[str] = []
        self.executor = FleetExecutor(
            self.cluster, folder=self.folder, sign=sign, parallel=2, say=self.said.append, **options
        )


CHECKS = [
    pytest.param(check, id=f"{name}-{check}")
    for name, work, sees in (
        ("functions", FUNCTION, True),
        ("programs elsewhere", PROGRAM, False),
    )
    for check in executor_checks(
        lambda work=work, sees=sees: Made(work, sees=sees).executor,  # type: ignore[misc]
        asks=work is FUNCTION,
    )
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()


@pytest.fixture
def made() -> Iterator[Callable[..., Made]]:
    every: list[Made] = []

    def make(*arguments: Any, **options: Any) -> Made:
        every.append(Made(*arguments, **options))
        return every[-1]

    yield make
    for one in every:
        one.executor.close()


def running(executor: Executor, trial: int, attempt: int = 0) -> int:
    """Start a trial that runs for long; the pid of a child of its."""
    executor.start(start(trial, "fork", 600, attempt))
    report = until(executor, lambda e: isinstance(e, Reported) and e.trial == trial)
    assert isinstance(report, Reported)
    return report.step


def test_a_lost_agent_is_not_the_trial_s_fault(made: Callable[..., Made]) -> None:
    one = made(FUNCTION)
    child = running(one.executor, 0)
    (agent,) = one.cluster.agents
    one.cluster.kill(agent)
    _, exited = follow(one.executor, 0)
    assert exited.reason == Reason(Kind.LOST, "its node died")
    assert exited.blameless
    assert gone([child])
    one.executor.start(start(0, "return", 0.5, attempt=1))
    assert follow(one.executor, 0)[1].returned == 0.5


def test_a_trial_that_takes_many_agents_with_it_is_charged(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "BLAMELESS", 2)
    one = made(FUNCTION)
    for attempt in range(fleet.BLAMELESS + 1):
        one.executor.start(start(0, "sleep", 600, attempt))
        until(one.executor, lambda e: isinstance(e, Reported))
        one.cluster.kill(max(one.cluster.agents))
        _, exited = follow(one.executor, 0)
        assert exited.blameless == (attempt < fleet.BLAMELESS)


def test_a_trial_that_was_told_to_end_keeps_its_reason_when_its_node_dies(
    made: Callable[..., Made],
) -> None:
    one = made(FUNCTION)
    executor = one.executor
    executor.start(start(0, "spin"))
    until(executor, lambda e: isinstance(e, Reported))
    executor.stop(Stop(0, Reason(Kind.TIMEOUT, "too slow"), 60.0))
    executor.events(0.0)
    one.cluster.kill(max(one.cluster.agents))
    _, exited = follow(executor, 0)
    assert exited.reason == Reason(Kind.TIMEOUT, "too slow")


def test_room_is_what_can_begin_at_once(made: Callable[..., Made]) -> None:
    one = made(FUNCTION, capacity=1)
    executor = one.executor
    assert executor.room(2) == 0
    assert len(one.cluster.agents) == 2  # both are asked for: autoscaling sees it
    executor.events(0.0)
    assert executor.room(2) == 1
    running(executor, 0)
    assert executor.room(1) == 0
    one.cluster.capacity = 2
    one.cluster._admit()
    executor.events(0.0)
    assert executor.room(1) == 1


def test_agents_that_nobody_needs_are_given_back(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(FUNCTION)
    one.executor.room(2)
    one.executor.events(0.0)
    assert one.executor.room(2) == 2
    monkeypatch.setattr(fleet, "_IDLE_S", 0.0)
    one.executor.room(2)
    assert len(one.cluster.agents) == 1


def test_a_node_that_is_about_to_go_is_left(made: Callable[..., Made]) -> None:
    one = made(FUNCTION)
    child = running(one.executor, 0)
    (agent,) = one.cluster.agents
    one.cluster.news.put((agent, Leaving("its node goes", 60.0)))
    _, exited = follow(one.executor, 0)
    assert exited.reason is not None
    assert exited.reason.kind is Kind.INTERRUPTED
    assert exited.blameless
    assert gone([child])
    assert agent not in one.cluster.agents


def test_a_node_that_cannot_run_trials_is_another_s_matter(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(FUNCTION)
    executor_of = agents._executor
    faults = [ExecutorError("no room on the disk")]

    def sometimes(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return executor_of(*arguments)

    monkeypatch.setattr(agents, "_executor", sometimes)
    one.executor.start(start(0, "return", 0.5))
    _, exited = follow(one.executor, 0)
    assert exited.blameless
    assert exited.reason is not None
    assert "no room on the disk" in exited.reason.message
    assert any("no room on the disk" in text for text in one.said)
    one.executor.start(start(0, "return", 0.5, attempt=1))
    assert follow(one.executor, 0)[1].returned == 0.5
    faults += [ExecutorError("no room anywhere")] * 9

    def run_on_each() -> None:
        for attempt in range(9):
            for agent in list(one.cluster.agents):
                one.cluster.kill(agent)
            one.executor.start(start(1, "return", 0.5, attempt))
            follow(one.executor, 1)

    with pytest.raises(ExecutorError, match="as on others: no room anywhere"):
        run_on_each()


def test_another_version_is_refused(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "__version__", "0.0.1")
    one = made(FUNCTION)
    one.executor.start(start(0, "return", 0.5))
    with pytest.raises(ExecutorError, match=r"has tunesmith 0\.0\.1"):
        follow(one.executor, 0)


def test_a_program_that_is_not_there_is_the_job_s_mistake(made: Callable[..., Made]) -> None:
    one = made(Program(["./nowhere"], wanted=("loss",)))
    one.executor.start(start(0, "return", 0.5))
    with pytest.raises(JobError, match=r"on node .*nowhere.*runtime_env"):
        follow(one.executor, 0)


def test_files_travel_where_the_folder_is_not_seen(made: Callable[..., Made]) -> None:
    def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        step = trial.restore(0)
        while step < config["to"]:
            step += 1
            trial.save(step, step=step)
            trial.report(step=step, loss=1.0, began=trial.attempt)
        (trial.checkpoint_dir / "own").write_text(str(step))
        time.sleep(config["sleep"])
        return 0.5

    one = made(Function(pickled(train), ("loss",), False), sees=False)
    executor, home = one.executor, one.folder.trial(0) / "checkpoint"
    executor.start(Start(0, 0, {"to": 3, "sleep": 600}, 1))
    until(executor, lambda e: isinstance(e, Reported) and e.step == 3)
    assert sorted(p.name for p in home.iterdir()) == ["step-1", "step-2", "step-3"]
    one.cluster.kill(max(one.cluster.agents))
    assert follow(executor, 0)[1].blameless
    executor.start(Start(0, 1, {"to": 5, "sleep": 0}, 1, reported=3))
    reports, exited = follow(executor, 0)
    assert [r.step for r in reports] == [4, 5]
    assert exited.returned == 0.5
    assert (home / "own").read_text() == "5"
    assert not any(
        (one.folder.path / name).exists() for name in [p.name for p in home.glob("*.draft")]
    )


def test_nothing_is_placed_outside_of_the_trial_s_folder(tmp_path: Path) -> None:
    for name in ("../out", "/out", "a/../../out"):
        with pytest.raises(ExecutorError, match="leads out"):
            agents.place(Folder(tmp_path), Files(0, 1, {name: b""}))
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_placed(tmp_path: Path) -> None:
    """No draft of it stays, and one that a kill has left is not sent along."""
    folder = Folder(tmp_path)
    home = folder.trial(0) / "checkpoint"
    (home / "deep" / "taken").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        agents.place(folder, Files(0, None, {"deep/taken": b"", "other": b""}))
    assert [p.name for p in home.rglob("*")] == ["deep", "taken"]
    (home / "deep" / ".own.draft").touch()
    (home / "deep" / "own").touch()
    assert agents.sent_along(folder, Start(0, 0, {}, 1)).contents == {"deep/own": b""}


def test_a_full_disk_is_not_the_trial_s_fault(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(FUNCTION)
    running(one.executor, 0)
    (agent,) = one.cluster.agents

    def full(folder: Folder, files: Files) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fleet, "place", full)
    one.cluster.news.put((agent, News(files=[Files(0, None, {"a": b""})])))
    with pytest.raises(ExecutorError, match="trials cannot be run here"):
        one.executor.events(10)


def test_what_programs_print_comes_home(made: Callable[..., Made], tmp_path: Path) -> None:
    program = Program([sys.executable, "-u", "-c", "print('hello'); print('loss=1'); import time; time.sleep(3)"], wanted=("loss",), metrics={"loss": "loss={number}"})  # fmt: skip
    one = made(program, sees=False)
    one.executor.start(Start(0, 0, {}, 1))
    output = one.folder.trial(0) / "output.log"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not output.exists():
        one.executor.events(0.1)
    assert output.read_text().splitlines()[0] == "hello"  # while it runs
    assert follow(one.executor, 0)[1].reason is None
    assert output.read_text() == "hello\nloss=1\n"


def test_a_cluster_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sign for its agents stays."""
    from tunesmith.run import executors

    def connect(site: Site, demand: object) -> Threads:
        assert (site.folder / site.sign).is_file()
        raise ExecutorError("no cluster could be had")

    monkeypatch.setattr(executors, "_made", lambda place: connect)
    with pytest.raises(ExecutorError, match="no cluster"):
        ts.tune(
            lambda config: 0.0, ts.Space(x=ts.Float(0, 1)), trials=1, executor="ray",
            searcher="random", storage=tmp_path / "s.db", progress=False,
        )  # fmt: skip
    assert not list(tmp_path.rglob(".agents-*"))


def test_a_study_on_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study whose trials wait for room: their time does not run."""
    from tunesmith.run import executors

    monkeypatch.setattr(
        executors, "_made", lambda place: lambda site, demand: Threads(site, capacity=1)
    )

    def train(config: dict[str, Any]) -> float:
        time.sleep(0.4)
        return float(config["x"])

    result = ts.tune(
        train, ts.Space(x=ts.Float(0, 1)), trials=5, parallel=5, trial_time="20s", executor="ray",
        searcher="random", storage=tmp_path / "s.db", progress=False,
    )  # fmt: skip
    assert {t.state for t in result.trials} == {State.COMPLETED}
    begun = sorted(t.started_at or 0.0 for t in result.trials)
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(begun))


def test_an_agent_told_too_late_to_stop_a_trial_does_not_mix_it_up_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that is taken away is not the next trial's fault, whatever the one before was told."""
    agent = Agent(Site(PROGRAM, tmp_path, "sign", None, {}, ()))
    agent.hears_signals, agent.leaving = True, "its node goes"

    class Executing:
        def stop(self, order: Stop) -> None:
            pass

    died = Exited(1.0, 2, 0, reason=Reason(Kind.ERROR, "its process died: signal SIGTERM"))
    agent._begin(Start(2, 0, {}, 0))
    agent._stop(Executing(), Stop(1, Reason(Kind.STOPPED, "no"), 1.0))  # type: ignore[arg-type]
    taken = agent._taken_away(died)
    assert isinstance(taken, Exited)
    assert taken.blameless
    agent._stop(Executing(), Stop(2, Reason(Kind.STOPPED, "no"), 1.0))  # type: ignore[arg-type]
    assert agent._taken_away(died) is died


def test_a_trials_own_words_are_not_taken_for_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(Site(PROGRAM, tmp_path, "sign", None, {}, ()))
    agent.hears_signals = True
    slept: list[float] = []
    monkeypatch.setattr("tunesmith.run.agent.time.sleep", slept.append)
    monkeypatch.setattr(agents, "_DOUBT_S", 0.01)
    agent._begin(Start(2, 0, {}, 0))
    for message, doubted in (("SIGMA must be positive", False), ("it got signal SIGTERM", True)):
        slept.clear()
        ended = Exited(1.0, 2, 0, reason=Reason(Kind.ERROR, message))
        assert agent._taken_away(ended) is ended
        assert bool(slept) is doubted
