"""A coordinator with many nodes: what it does for them, per message, on real lines.

    python benchmarks/fleet/nodes.py lines [--nodes 100 1000] [--reports-every 10] [--seconds 40] [--searcher random]
    python benchmarks/fleet/nodes.py simulate [--nodes 1000] [--minutes 1] [--searcher auto] [--coordinators 1] [--message-ms 1]

`lines` starts agents that speak the protocol of Slurm's and Dask's (`tunesmith.run.line`) on 127.0.0.1 and run nothing: they
report, and end. The coordinator is whole: lines, engine, searcher, a store in a file. `simulate` runs the coordinator's
decisions on a fleet in virtual time, in which its own time counts.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tunesmith as ts
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.run import fleet, line
from tunesmith.run.agent import Function, Hello, News, Site
from tunesmith.run.calling import CallingCluster
from tunesmith.run.demand import Demand
from tunesmith.run.simulated_fleet import SimulatedFleet
from tunesmith.tuning.launch import launch
from tunesmith.tuning.simulate import simulate
from tunesmith.tuning.spec import make_spec
from tunesmith.version import __version__

SPACE = ts.Space(**{f"x{k}": ts.Float(0.0, 1.0) for k in range(6)})
#: Agents that share a process.
TOGETHER = 250


def loss(config: dict[str, Any], step: int) -> float:
    return float(sum((x - 0.3) ** 2 for x in config.values())) + 1.0 / step


# -- agents that run nothing --------------------------------------------------------------------------

every_s, steps = 10.0, 6
answers_s: list[float] = []


class Idle:
    """An agent whose trials report every `every_s`."""

    def __init__(self, site: Site) -> None:
        self.start: Start | None = None
        self.step = 0
        self.sent_s = 0.0
        self.stop: Any = None

    def hello(self, node: str) -> Hello:
        return Hello(node, os.getpid(), __version__, True, node)

    def turn(self, orders: Sequence[Any]) -> News:
        if self.start is not None and self.step:
            answers_s.append(time.monotonic() - self.sent_s)
        for order in orders:
            if isinstance(order, Start):
                self.start, self.step, self.stop = order, 0, None
            elif isinstance(order, Stop):
                self.stop = order.reason
        start = self.start
        if start is None:
            return News()
        if self.stop is not None or self.step == steps:
            value = None if self.stop else {"loss": loss(start.config, steps)}
            self.start = None
            return News([Exited(time.time(), start.trial, start.attempt, value, self.stop)])
        # not all at once
        time.sleep(every_s * (random.random() if self.step == 0 else 1.0))
        self.step += 1
        self.sent_s = time.monotonic()
        metrics = {"loss": loss(start.config, self.step)}
        return News([Reported(time.time(), start.trial, start.attempt, self.step, metrics)])

    def tell(self, order: Stop) -> None:
        self.stop = order.reason

    def close(self) -> None: ...


def serve() -> None:
    """In a process of its own: many agents, each in a thread."""
    global every_s, steps
    calls, every_s, steps = pickle.load(sys.stdin.buffer)
    vars(line)["Agent"] = Idle
    threading.stack_size(256 << 10)
    threads = [threading.Thread(target=line.attend, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    pickle.dump(answers_s, sys.stdout.buffer)


class Here:
    """Starts agents in processes of this host."""

    def __init__(self, pace: tuple[float, int]) -> None:
        self.pace = pace
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, calls: Sequence[line.Call]) -> None:
        for first in range(0, len(calls), TOGETHER):
            process = subprocess.Popen(
                [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdin is not None
            process.stdin.write(pickle.dumps((calls[first : first + TOGETHER], *self.pace)))
            process.stdin.close()
            self.processes.append(process)

    def ended(self, agent: int) -> str:
        return ""

    def forget(self, agent: int, *, called: bool) -> None: ...
    def close(self) -> None: ...

    def answers_s(self) -> list[float]:
        answers: list[float] = []
        for process in self.processes:
            assert process.stdout is not None
            answers += pickle.loads(process.stdout.read() or pickle.dumps([]))
            process.wait()
        return answers


def lines(nodes: int, told: argparse.Namespace) -> None:
    starter = Here((told.reports_every, told.steps))
    began: list[tuple[float, float, int]] = []
    seen: list[tuple[int, int]] = []

    def make(context: Any) -> Any:
        sign = fleet.signed(context.folder)
        site = Site(Function(b"", ("loss",), False), context.folder.path, sign, None, {}, ())
        cluster = CallingCluster(site, Demand(), starter, "127.0.0.1")
        return fleet.FleetExecutor(cluster, folder=context.folder, sign=sign, parallel=nodes)

    def watch(ledger: Any, _: float) -> None:
        if not began and len(ledger.running) >= 0.95 * nodes:
            began.append((time.monotonic(), time.process_time(), ledger.cursor))
        if began:
            seen.append((len(list(Path("/proc/self/fd").iterdir())), threading.active_count()))

    with tempfile.TemporaryDirectory() as folder:
        spec = make_spec(
            SPACE, name="n", metric="loss", goal="minimize", searcher=told.searcher, seed=1,
            limits={"parallel": nodes, "time": told.seconds},
        )  # fmt: skip
        result = launch(spec, str(Path(folder, "n.db")), make, watcher=watch)
        wall_s, cpu_s, cursor = time.monotonic(), time.process_time(), result.ledger.cursor
    answers = sorted(starter.answers_s())
    if not began:
        print(f"{nodes} nodes: not all had come after {told.seconds} s")
        return
    wall_s, cpu_s = wall_s - began[0][0], cpu_s - began[0][1]
    events = cursor - began[0][2]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{nodes} nodes, {told.searcher}: {events / wall_s:.0f} events/s, {cpu_s / wall_s:.1%} of a core, {1000 * cpu_s / events:.2f} ms "
        f"an event; a report's answer: median {1000 * statistics.median(answers):.0f} ms, 99 % {1000 * answers[len(answers) * 99 // 100]:.0f}, "
        f"worst {1000 * answers[-1]:.0f}; {max(seen)[0]} files, {max(s[1] for s in seen)} threads, {memory:.0f} MB; load {os.getloadavg()[0]:.0f}",
        flush=True,
    )  # fmt: skip


# -- in virtual time ----------------------------------------------------------------------------------


def simulated(nodes: int, told: argparse.Namespace) -> None:
    reports = max(1, round(60 * told.minutes / told.reports_every))

    def curve(config: dict[str, Any]) -> Iterator[tuple[float, float]]:
        pace = 0.5 + random.Random(repr(config)).random()
        for step in range(1, reports + 1):
            yield told.reports_every * pace, loss(config, step)

    there = SimulatedFleet(
        nodes, lives_s=3600 * told.life_hours, begins_s=5.0, arrives_s=10.0, thinking=1.0,
        message_s=told.message_ms / 1000, commit_s=told.commit_ms / 1000,
    )  # fmt: skip
    began = time.monotonic()
    done = simulate(
        curve, SPACE, metric="loss", searcher=told.searcher, seed=1, time=told.seconds, fleet=there,
        coordinators=told.coordinators,
    )  # fmt: skip
    strain = max(done.strain)
    print(
        f"{nodes} nodes, trials of {told.minutes:g} min, {told.searcher}, {told.coordinators} coordinator(s): busiest at work {strain.busy:.0%}, "
        f"what happened waited {1000 * strain.waited_s[0]:.0f} ms (median), {strain.waited_s[1]:.2f} s (99 %), {strain.waited_s[2]:.2f} s (worst); "
        f"nodes busy {done.busy:.1%}, {len(done.result.trials)} trials, {sum(s.failures for s in done.strain)} nodes failed; "
        f"took {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.0f}",
        flush=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["lines", "simulate", "serve"])
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--reports-every", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--searcher", default="random")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--coordinators", type=int, default=1)
    parser.add_argument("--message-ms", type=float, default=0.0)
    parser.add_argument("--commit-ms", type=float, default=0.0)
    parser.add_argument("--life-hours", type=float, default=24.0)
    told = parser.parse_args()
    if told.what == "serve":
        serve()
        return
    for nodes in told.nodes:
        (lines if told.what == "lines" else simulated)(nodes, told)


if __name__ == "__main__":
    main()
