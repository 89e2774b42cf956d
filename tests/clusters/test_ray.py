"""Studies on a Ray cluster of three nodes, of which some are killed."""

from __future__ import annotations

import json
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
import ray
from tests.cli.program import tunesmith
from tests.clusters.nodes import Nodes

import tunesmith as ts
from tunesmith.core.trial import Kind, State
from tunesmith.run import fleet
from tunesmith.testing.executors import gone
from tunesmith.tuning.replay import replay

STEPS = 12
SPACE = ts.Space(x=ts.Float(0.0, 1.0))


def train(config: dict[str, Any], trial: ts.LiveTrial) -> float:
    """Each step knows all that were before it, in whatever process."""
    path = trial.restore([])
    loss = 0.0
    for step in range(len(path) + 1, STEPS + 1):
        time.sleep(0.15)
        path.append(step)
        loss = (config["x"] - 0.3) ** 2 + 1 / step
        trial.save(path, step=step)
        trial.report(step=step, loss=loss, attempt=trial.attempt, known=len(path))
    return loss


def on(cluster: Nodes, **options: Any) -> Any:
    return {"ray": {"address": cluster.address, **options}}


def check(result: ts.Result) -> None:
    """All trials ended, none was charged with what happened to nodes, and none left a step out or began anew."""
    assert {t.state for t in result.trials} <= {State.COMPLETED, State.STOPPED}
    for trial in result.trials:
        begin = trial.reports[0].step
        assert begin == 1 or trial.parent is not None
        assert [r.step for r in trial.reports] == list(range(begin, trial.reports[-1].step + 1))
        assert all(r.metrics["known"] == r.step for r in trial.reports)
        firsts: dict[float, int] = {}
        for report in trial.reports:
            firsts.setdefault(report.metrics["attempt"], report.step)
        assert 1 not in list(firsts.values())[1:]
        assert trial.state is State.STOPPED or trial.reports[-1].step == STEPS


class Killer(threading.Thread):
    """Kills a node that is not the head, at some moment once trials run, and starts another."""

    def __init__(self, cluster: Nodes) -> None:
        super().__init__()
        self._cluster, self._begun, self.failed = cluster, threading.Event(), False
        self.start()

    def watch(self, ledger: Any, at: float) -> None:
        if len(ledger.running) > 1:
            self._begun.set()

    def run(self) -> None:
        self._begun.wait(120)
        time.sleep(random.uniform(0.0, 2.0))
        self._cluster.kill(random.choice(self._cluster.alive()[1:]))
        self._cluster.add()


@pytest.mark.parametrize(
    "scheduler",
    [
        {"asha": {"max": STEPS, "min": 3}},
        {"hyperband": {"max": STEPS, "min": 3}},
        {"pbt": {"max": STEPS, "interval": 4}},
    ],
    ids=["asha", "hyperband", "pbt"],
)
def test_schedulers_while_a_node_is_killed(
    three_nodes: Nodes, tmp_path: Path, scheduler: Any
) -> None:
    killer = Killer(three_nodes)
    result = ts.tune(
        train,
        SPACE,
        metric="loss",
        name="s",
        storage=tmp_path / "s.db",
        trials=8,
        parallel=3,
        scheduler=scheduler,
        searcher="random",
        seed=3,
        executor=on(three_nodes),
        watcher=killer.watch,
        progress=False,
        retries=0,  # nothing that happens to a node counts
    )
    killer.join()
    check(result)
    store = ts.open_store(tmp_path / "s.db")
    assert replay(store, "s").proven
    store.close()


def test_checkpoints_and_output_come_home(
    three_nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = fleet.signed

    def unseen(folder: Any) -> str:
        name = signed(folder)
        (folder.path / name).unlink()
        return name

    monkeypatch.setattr(fleet, "signed", unseen)
    result = ts.tune(
        train, SPACE, metric="loss", name="s", storage=tmp_path / "s.db", trials=4, parallel=2,
        scheduler={"pbt": {"max": STEPS, "interval": 4}}, searcher="random", seed=3,
        executor=on(three_nodes), progress=False,
    )  # fmt: skip
    check(result)
    best = tmp_path / "s.trials" / "s" / f"{result.best.number:06d}" / "checkpoint"
    assert (best / f"step-{STEPS}").is_dir()


def job(folder: Path, program: str, **keys: Any) -> Path:
    (folder / "train.py").write_text(program)
    keys = {
        "name": "job",
        "command": ["python", "train.py", "{x}"],
        "objective": {"metric": "loss"},
        "space": {"x": {"float": [0, 1]}},
        "limits": {"trials": 3, "parallel": 2},
        "searcher": "random",
        "storage": "job.db",
        **keys,
    }
    (folder / "job.yaml").write_text(json.dumps(keys))
    return folder / "job.yaml"


def test_a_job_file_runs_on_the_cluster(three_nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = job(
        tmp_path / "here",
        "import os, sys\nprint('in', os.getcwd())\nprint('loss=' + sys.argv[1])\n",
        metrics={"loss": "loss={number}"},
        executor={"ray": {"runtime_env": {"working_dir": "."}}},
        resources={"cpu": 1},
    )
    said = tunesmith(tmp_path, "run", path, "--address", three_nodes.address, "--plain")
    assert said.code == 0, said
    with ts.Study.open("job", storage=tmp_path / "here" / "job.db") as study:
        trials = list(study.trials)
    assert {t.state for t in trials} == {State.COMPLETED}
    output = (tmp_path / "here" / "job.trials" / "job" / "000000" / "output.log").read_text()
    assert "runtime_resources/working_dir_files" in output  # its copy there


def test_a_wrong_program_is_said_before_trials_fail(three_nodes: Nodes, tmp_path: Path) -> None:
    path = job(tmp_path, "", command=["nowhere", "{x}"])
    said = tunesmith(tmp_path, "run", path, "--on", "ray", "--address", three_nodes.address)
    assert said.code != 0
    assert "there is no program 'nowhere'" in said.err


def test_no_trial_s_time_runs_while_it_waits_for_room(three_nodes: Nodes, tmp_path: Path) -> None:
    began = time.monotonic()

    def sleep(config: dict[str, float]) -> float:
        time.sleep(2.0)
        return config["x"]

    result = ts.tune(
        sleep, SPACE, trials=9, parallel=9, trial_time="10s",
        searcher="random", executor=on(three_nodes), progress=False,
    )  # fmt: skip
    assert {t.state for t in result.trials} == {State.COMPLETED}
    assert time.monotonic() - began > 5.0  # one after the other on three places


def test_cancelled_programs_end_with_their_children(three_nodes: Nodes, tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('loss=' + str(child.pid), flush=True)\n"
        "time.sleep(600)\n"
    )
    path = job(tmp_path, program, metrics={"loss": "loss={number}"}, limits={"trials": 1, "trial_time": "4s", "grace": "1s"})  # fmt: skip
    said = tunesmith(tmp_path, "run", path, "--on", "ray", "--address", three_nodes.address)
    assert said.code != 0
    with ts.Study.open("job", storage=tmp_path / "job.db") as study:
        (trial,) = study.trials
    assert trial.reason is not None
    assert trial.reason.kind is Kind.TIMEOUT
    assert gone([int(trial.reports[0].metrics["loss"])])


COORDINATOR = """
import sys
sys.path.insert(0, {tests!r})
import tunesmith as ts
from tests.clusters.test_ray import SPACE, train
result = ts.tune(train, SPACE, metric="loss", name="s", storage="s.db", trials=4, parallel=2, searcher="random",
                 executor={{"ray": {{"address": {address!r}}}}}, progress=False, seed=1)
print(len(result.trials))
"""


def test_a_dead_coordinator_is_replaced(three_nodes: Nodes, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", COORDINATOR.format(tests=root, address=three_nodes.address)]
    first = subprocess.Popen(words, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not _reports(tmp_path):
        assert first.poll() is None
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert second.stdout.strip() == "4"
    with ts.Study.open("s", storage=tmp_path / "s.db") as study:
        check(study.result())


def _reports(folder: Path) -> bool:
    if not (folder / "s.db").exists():
        return False
    try:
        with ts.Study.open("s", storage=folder / "s.db") as study:
            return any(len(t.reports) > 2 for t in study.trials)
    except ts.StudyNotFound:
        return False


def test_a_node_that_will_be_taken_away_is_left(three_nodes: Nodes, tmp_path: Path) -> None:
    drained = threading.Event()

    def watch(ledger: Any, at: float) -> None:
        if len(ledger.running) == 3 and not drained.is_set():
            drained.set()
            threading.Thread(target=drain, args=(three_nodes,)).start()

    result = ts.tune(
        train, SPACE, metric="loss", name="s", storage=tmp_path / "s.db", trials=6, parallel=3,
        searcher="random", executor=on(three_nodes), watcher=watch, progress=False, retries=0,
    )  # fmt: skip
    assert drained.is_set()
    check(result)
    assert any(t.attempt for t in result.trials)
    three_nodes.add()


def drain(cluster: Nodes) -> None:
    head = ray.get_runtime_context().get_node_id()
    node = next(n["NodeID"] for n in ray.nodes() if n["Alive"] and n["NodeID"] != head)
    words = [
        str(Path(sys.executable).parent / "ray"),
        "drain-node",
        "--address",
        cluster.address,
        "--node-id",
        node,
    ]
    words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "test"]
    subprocess.run([*words, "--deadline-remaining-seconds", "30"], check=True)


def test_the_guide_s_script_runs(three_nodes: Nodes, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "ray.md").read_text()
    script = guide.partition("```python save=on_ray.py\n")[2].partition("```")[0]
    (tmp_path / "on_ray.py").write_text(script)
    variables = {**os.environ, "RAY_ADDRESS": three_nodes.address}
    words = [sys.executable, "on_ray.py"]
    run = subprocess.run(
        words, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("{'x': ")
