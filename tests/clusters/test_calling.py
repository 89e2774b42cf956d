"""Agents that call back: as Slurm's jobs (submitit's local mode) and as Dask's tasks."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import psutil
import pytest
from tests.clusters.kept import FUNCTION, PROGRAM, Kept

import tunesmith as ts
from tunesmith.core.errors import ExecutorError, StudyError
from tunesmith.core.trial import State
from tunesmith.run.agent import Site
from tunesmith.run.calling import CallingCluster
from tunesmith.run.dask import accompany, dask
from tunesmith.run.demand import Demand
from tunesmith.run.fleet import FleetExecutor, Gone
from tunesmith.run.line import Lines, attend
from tunesmith.run.slurm import slurm
from tunesmith.testing import Check, executor_checks
from tunesmith.testing.executors import gone

#: submitit and Dask leave processes to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
LOCAL: dict[str, Any] = {"host": "127.0.0.1"}
SPACE = ts.Space(x=ts.Float(0.0, 1.0))


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0", resources={"GPU": 1}) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


KEPT: dict[str, Kept] = {}


@pytest.fixture(scope="module", autouse=True)
def let_go() -> Iterator[None]:
    yield
    for kept in KEPT.values():
        kept.cluster.close()
    KEPT.clear()


def on_slurm(site: Site) -> CallingCluster:
    return slurm(site, Demand(), cluster="local", **LOCAL)


def on_dask(site: Site) -> CallingCluster:
    return dask(site, Demand(), **LOCAL)


def made(name: str, make: Callable[[Site], Any], work: Any) -> FleetExecutor:
    if name not in KEPT:
        KEPT[name] = Kept(work, make)
    kept = KEPT[name]
    return FleetExecutor(kept, folder=kept.folder, sign="none", parallel=2)


CHECKS = [
    pytest.param(check, id=f"{name}-{check}")
    for name, make, work in (("slurm, programs", on_slurm, PROGRAM), ("dask, functions", on_dask, FUNCTION))
    for check in executor_checks(lambda name=name, make=make, work=work: made(name, make, work), asks=work is FUNCTION)  # type: ignore[misc]
]  # fmt: skip


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()


def training(pids: Path, step_s: float = 0.1) -> Any:
    def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
        done = trial.restore(0)
        (pids / str(os.getpid())).touch()
        for step in range(done + 1, 9):
            time.sleep(step_s)
            trial.save(step, step=step)
            trial.report(step=step, loss=config["x"] / step)
        return float(config["x"] / 8)

    return train


def tuned(folder: Path, executor: Any, **options: Any) -> ts.Result:
    (folder / "pids").mkdir()
    return ts.tune(
        training(folder / "pids"), SPACE, metric="loss", trials=6, parallel=2, seed=0, searcher="random", storage=str(folder / "s.db"),
        name="s", progress=False, executor=executor, **options,
    )  # fmt: skip


def check(result: ts.Result, folder: Path) -> None:
    assert result.counts[State.COMPLETED] == 6, [t.reason for t in result.trials]
    assert all([r.step for r in t.reports] == list(range(1, 9)) for t in result.trials)
    assert gone([int(pid.name) for pid in (folder / "pids").iterdir()])


def test_a_study_on_dask_while_a_worker_is_killed(
    tmp_path: Path, client: distributed.Client
) -> None:
    over = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        pids = tmp_path / "pids"
        while not killed and not over.wait(0.05):
            if pids.is_dir() and len(list(pids.iterdir())) > len(killed):
                workers = list(client.run(os.getpid, on_error="ignore").values())
                if workers:
                    os.kill(workers[0], signal.SIGKILL)
                    killed.append(workers[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = tuned(tmp_path, {"dask": LOCAL}, resources={"gpu": 1})
    finally:
        over.set()
        killer.join()
    assert killed
    check(result, tmp_path)


def test_a_study_on_dask_whose_workers_die_again_and_again(tmp_path: Path) -> None:
    """Nannies bring them back: no trial is lost or charged, and the study ends."""
    over, kills = threading.Event(), list[int]()
    (tmp_path / "pids").mkdir()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", resources={"GPU": 1}) as cluster:  # fmt: skip

        def kill() -> None:
            while len(kills) < 4 and not over.wait(2.5):
                if any((tmp_path / "pids").iterdir()):
                    nanny = cluster.workers[len(kills) % 2]
                    if nanny.pid and nanny.pid not in kills:
                        os.kill(nanny.pid, signal.SIGKILL)
                        kills.append(nanny.pid)

        killer = threading.Thread(target=kill)
        killer.start()

        try:
            result = ts.tune(
                training(tmp_path / "pids", 0.6), SPACE, metric="loss", trials=6, parallel=2, seed=0, searcher="random",
                storage=str(tmp_path / "s.db"), name="s", progress=False, retries=0, resources={"gpu": 1},
                executor={"dask": {**LOCAL, "address": cluster.scheduler_address}},
            )  # fmt: skip
        finally:
            over.set()
            killer.join()
    assert len(kills) > 1
    assert result.counts[State.COMPLETED] == 6, [t.reason for t in result.trials]
    assert all([r.step for r in t.reports] == list(range(1, 9)) for t in result.trials)


def test_a_study_on_slurms_jobs(tmp_path: Path) -> None:
    result = tuned(tmp_path, {"slurm": {**LOCAL, "cluster": "local", "time": "10m"}})
    check(result, tmp_path)


def test_jobs_end_with_their_coordinator(tmp_path: Path) -> None:
    """It is killed: nothing of it is left, and whoever takes the study over finishes it."""
    (tmp_path / "study.py").write_text(
        "import sys; from pathlib import Path; from tests.clusters.test_calling import tuned\n"
        "tuned(Path(sys.argv[1]), {'slurm': {'host': '127.0.0.1', 'cluster': 'local'}})"
    )
    root = Path(__file__).parents[2]
    study = psutil.Popen(
        [sys.executable, str(tmp_path / "study.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    pids = tmp_path / "pids"
    deadline = time.monotonic() + 120
    while not (pids.is_dir() and list(pids.iterdir())):
        assert time.monotonic() < deadline
        assert study.is_running()
        time.sleep(0.05)
    agents = [p.pid for p in study.children(recursive=True)]
    os.kill(study.pid, signal.SIGKILL)
    study.wait()
    assert gone([*agents, *(int(path.name) for path in pids.iterdir())])


def test_who_does_not_know_the_secret_is_not_heard(tmp_path: Path) -> None:
    site = Site(FUNCTION, tmp_path, "sign", None, {}, ())
    lines = Lines(site, "127.0.0.1")
    call = lines.expect()
    with socket.create_connection((call.host, call.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
    with pytest.raises(Exception, match="digest"):
        attend(call._replace(secret=b"another"))
    assert lines.heard(0.2) == []
    assert lines.waited_for() == [call.agent]
    agent = threading.Thread(target=attend, args=(call,), daemon=True)
    agent.start()
    ((number, hello),) = lines.heard(30.0)
    assert number == call.agent
    assert hello.host == socket.gethostname()  # type: ignore[union-attr]
    attend(call)  # a second one of the same number is sent away
    lines.end(number)
    agent.join(30)
    assert not agent.is_alive()
    lines.close()
    with pytest.raises(ExecutorError, match=r"no coordinator answers at 127\.0\.0\.1"):
        attend(call)


def test_callers_are_let_in_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [OSError(errno.EMFILE, "no file is free"), ConnectionAbortedError()]

    class Listener(socket.socket):
        def accept(self) -> Any:
            if faults:
                raise faults.pop()
            return super().accept()

    def listener(address: Any) -> socket.socket:
        made = Listener()
        made.bind(address)
        made.listen()
        return made

    monkeypatch.setattr(socket, "create_server", listener)
    before = set(threading.enumerate())
    lines = Lines(Site(FUNCTION, tmp_path, "sign", None, {}, ()), "127.0.0.1")
    (listening,) = (t for t in set(threading.enumerate()) - before if t.name == "lines")
    try:
        agent = threading.Thread(target=attend, args=(lines.expect(),), daemon=True)
        agent.start()
        assert len(lines.heard(30.0)) == 1
        assert not faults
    finally:
        lines.close()
    agent.join(30)
    assert not agent.is_alive()
    listening.join(30)
    assert not listening.is_alive()


def test_a_caller_that_does_not_read_is_in_nobodys_way(tmp_path: Path) -> None:
    site = Site(FUNCTION, tmp_path, "sign", None, {"large": "x" * (1 << 26)}, ())
    lines = Lines(site, "127.0.0.1")
    call = lines.expect()
    other = threading.Thread(target=lines.expect, daemon=True)
    with Connection(socket.create_connection((call.host, call.port)).detach()) as line:
        answer_challenge(line, call.secret)
        deliver_challenge(line, call.secret)
        line.send(call.agent)
        assert line.poll(30)  # the site is on its way
        other.start()
        other.join(10)
        assert not other.is_alive()
    lines.close()


def test_an_agent_that_is_sent_away_ends_as_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside whoever holds its input open."""
    worker = SimpleNamespace(address="tcp://here", log_event=lambda topic, text: None)
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    lines = Lines(Site(FUNCTION, tmp_path, "sign", None, {}, ()), "127.0.0.1")
    call = lines.expect()
    lines.end(call.agent)
    try:
        accompany(call)
    finally:
        lines.close()


@pytest.mark.parametrize(
    ("status", "error", "ends_after"),
    [
        ("pending", None, None),
        ("finished", None, 0),
        ("error", ValueError("it"), 0),
        ("lost", None, 10),
        ("error", distributed.KilledWorker("task", SimpleNamespace(address="tcp://a:1"), 3), 10),
    ],
)
def test_a_task_that_is_over_is_said(
    client: distributed.Client,
    status: str,
    error: Exception | None,
    ends_after: int | None,
    tmp_path: Path,
) -> None:
    """Where its worker has died, it is handed in again, but not for ever."""
    cancelled, submitted, begun = [0], [0], list[tuple[float, str]]()

    class Future:
        def __init__(self) -> None:
            self.status = status

        def exception(self) -> Exception | None:
            return error

        def cancel(self) -> None:
            cancelled[0] += 1

    class Client:
        def submit(self, *_: Any, **__: Any) -> Future:
            submitted[0] += 1
            return Future()

        def scheduler_info(self, *, n_workers: int) -> Any:
            return {"workers": {"tcp://here": {}}}

        def get_events(self, topic: str) -> list[tuple[float, str]]:
            return [(0.0, "tcp://gone"), *begun]

    cluster = dask(Site(FUNCTION, tmp_path, "sign", None, {}, ()), Demand(), **LOCAL)
    try:
        tasks: Any = cluster._starter
        tasks._client = Client()
        call = cluster._lines.expect()
        tasks.start([call])
        for _ in range(ends_after or 0):
            assert tasks.ended(call.agent) == ""
        assert bool(tasks.ended(call.agent)) == (ends_after is not None)
        assert submitted[0] == 1 + (ends_after or 0)
        if status == "pending":  # behind a busy worker, say
            tasks._tasks[call.agent].again_at = 0.0
            assert tasks.ended(call.agent) == ""
            assert tasks.ended(call.agent) == ""
            assert (submitted[0], cancelled[0]) == (2, 1)
            begun.append((1.0, "tcp://here"))  # it takes its time
            tasks._tasks[call.agent].again_at = 0.0
            assert tasks.ended(call.agent) == ""
            assert (submitted[0], cancelled[0]) == (2, 1)
        tasks._client = None
        with pytest.raises(ExecutorError, match="tasks could not be handed in"):
            tasks.start([cluster._lines.expect()])
    finally:
        cluster.close()


def test_agents_that_never_call(tmp_path: Path) -> None:
    class Nobody:
        def start(self, calls: Any) -> None: ...
        def ended(self, agent: int) -> str:
            return f"job {agent} has ended"

        def forget(self, agent: int, *, called: bool) -> None: ...
        def close(self) -> None: ...

    cluster = CallingCluster(
        Site(FUNCTION, tmp_path, "sign", None, {}, ()), Demand(), Nobody(), "127.0.0.1"
    )
    try:
        for _ in range(3):
            agent = cluster.ask()
            cluster._looked_s = 0.0
            assert cluster.heard(0.1) == [(agent, Gone(f"job {agent} has ended"))]
        cluster.ask()
        cluster._looked_s = 0.0
        with pytest.raises(ExecutorError, match="job 3 has ended; so did others"):
            cluster.heard(0.1)
    finally:
        cluster.close()


def test_what_they_do_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.run.dask._CONNECT_S", 0.5)
    site = Site(FUNCTION, Path(tempfile.gettempdir()), "sign", None, {}, ())
    with pytest.raises(StudyError, match="slurm_constraint"):
        slurm(site, Demand(label={"a": "b"}))
    with pytest.raises(StudyError, match="no labels"):
        dask(site, Demand(label={"a": "b"}))
    with pytest.raises(ExecutorError, match="no Dask cluster at 'tcp:"):
        dask(site, Demand(), address="tcp://127.0.0.1:1")


def test_a_job_that_is_sent_signals_is_left(tmp_path: Path) -> None:
    """As Slurm does before it takes a job away: to all of its processes. No trial is charged, and all go on."""
    over, sent = threading.Event(), list[int]()

    def send() -> None:
        pids = tmp_path / "pids"
        numbers = [signal.SIGUSR2, signal.SIGTERM, signal.SIGUSR1]
        while numbers and not over.wait(0.5):
            running = [int(p.name) for p in pids.iterdir()] if pids.is_dir() else []
            for trial in running:
                if trial not in sent and psutil.pid_exists(trial):
                    number = numbers.pop()
                    for process in job_of(trial):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(process, number)
                    sent.append(trial)
                    break

    sender = threading.Thread(target=send)
    sender.start()
    try:
        result = tuned(tmp_path, {"slurm": {**LOCAL, "cluster": "local"}}, retries=0)
    finally:
        over.set()
        sender.join()
    assert len(sent) == 3
    check(result, tmp_path)
    assert any(trial.attempt for trial in result.trials)


def job_of(trial: int) -> list[int]:
    """All processes of a trial's job, its agent first or last, as it happens."""
    above = psutil.Process(trial)
    while "submitit" not in " ".join(above.cmdline()):
        above = psutil.Process(above.ppid())
    found = [above.pid, *(child.pid for child in above.children(recursive=True))]
    random.shuffle(found)
    return found


def test_nothing_is_left_of_a_study_on_slurms_jobs(tmp_path: Path) -> None:
    """No thread here, no process there, when it has ended."""
    before, jobs = set(threading.enumerate()), set[int]()
    others = {child.pid for child in psutil.Process().children(recursive=True)}

    def watch(ledger: Any, at: float) -> None:
        jobs.update(child.pid for child in psutil.Process().children(recursive=True))

    (tmp_path / "pids").mkdir()
    ts.tune(
        training(tmp_path / "pids"), SPACE, metric="loss", time="4s", parallel=2, seed=0, searcher="random", storage=str(tmp_path / "s.db"),
        name="s", progress=False, executor={"slurm": {**LOCAL, "cluster": "local"}}, watcher=watch, grace="0.1s",
    )  # fmt: skip
    assert {t for t in threading.enumerate() if t.name == "lines"} <= before
    assert gone([int(pid.name) for pid in (tmp_path / "pids").iterdir()], 0.1)
    assert jobs - others
    assert gone(list(jobs - others))


def test_who_closes_waits_for_those_that_are_let_in(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    lines = Lines(
        Site(FUNCTION, tmp_path, "sign", None, {"large": "x" * (1 << 26)}, ()), "127.0.0.1"
    )
    call = lines.expect()
    with (
        socket.create_connection((call.host, call.port)),
        Connection(socket.create_connection((call.host, call.port)).detach()) as deaf,
    ):
        answer_challenge(deaf, call.secret)
        deliver_challenge(deaf, call.secret)
        deaf.send(call.agent)
        assert deaf.poll(30)  # the site is on its way, and not read
        began = time.monotonic()
        lines.close()
        assert time.monotonic() - began < 9.0
    assert {t for t in threading.enumerate() if t.name == "lines"} <= before
