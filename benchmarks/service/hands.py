"""Measure many processes on one study in PostgreSQL: waiting, fairness, throughput, survival, quality.

    python benchmarks/service/hands.py ask       32 workers that ask for themselves, random search: the wait for an ask
    python benchmarks/service/hands.py survive   64 workers, 1,000 trials, kill -9 of workers and of the database at random
    python benchmarks/service/hands.py joined    8 joined processes, an objective of 1 s
    python benchmarks/service/hands.py quality   8 joined processes against parallel=8, in pairs over problems and seeds

The server is one of our own, and flushes its log at each commit.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.postgres import Server

import tunesmith as ts
from tunesmith.core import events

#: Asks and tells for a while; its waits for an ask, in ms.
ASKER = """
import json, random, sys, time, tunesmith as ts
waits, until = [], time.monotonic() + float(sys.argv[2])
rng = random.Random(int(sys.argv[3]))
with ts.Study.open("s", storage=sys.argv[1]) as study:
    study.tell(study.ask(), 0.5)
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        began = time.monotonic()
        trial = study.ask()
        waits.append(1e3 * (time.monotonic() - began))
        time.sleep(rng.uniform(0.5, 1.5) * float(sys.argv[4]))
        study.tell(trial, trial.config["x"])
print(json.dumps(waits), flush=True)
"""
#: Works until the study is over, whatever breaks.
WORKER = """
import sys, time, tunesmith as ts
while True:
    try:
        with ts.Study.open("s", storage=sys.argv[1]) as study:
            while True:
                trial = study.ask()
                time.sleep(float(sys.argv[2]))
                try: study.tell(trial, trial.config["x"])
                except ts.TransitionError: pass
    except ts.StudyOver: break
    except ts.StoreError as error:
        print(error, file=sys.stderr); time.sleep(0.2)
    except ts.StudyError:
        time.sleep(0.1)  # all trials run; some of them may be lost
"""
JOINED = """
import json, sys, time, tunesmith as ts
from pathlib import Path
def objective(config):
    time.sleep(1.0)
    return config["x"]
print("ready", flush=True)
sys.stdin.readline()
result = ts.tune(objective, ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), metric="loss", name="s", storage=sys.argv[1],
                 trials=int(sys.argv[2]), searcher="random", seed=1, join=True, progress=False)
"""
#: One process of a study of one problem; 0.1 s a trial.
PROBLEM = """
import math, sys, time, tunesmith as ts
name = sys.argv[2]
def branin(c):
    x, y = 15 * c["x"] - 5, 15 * c["y"]
    return (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
def ackley(c):
    x, y = 8 * c["x"] - 3, 8 * c["y"] - 5
    return -20 * math.exp(-0.2 * math.sqrt((x * x + y * y) / 2)) - math.exp((math.cos(2 * math.pi * x) + math.cos(2 * math.pi * y)) / 2) + 20 + math.e
def rosenbrock(c):
    x, y = 4 * c["x"] - 2, 4 * c["y"] - 1
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2
def objective(config):
    time.sleep(0.1)
    return {"branin": branin, "ackley": ackley, "rosenbrock": rosenbrock}[name](config)
if __name__ == "__main__":
    ts.tune(objective, ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), metric="loss", name="s", storage=sys.argv[1], trials=48,
            seed=int(sys.argv[3]), parallel=int(sys.argv[4]), join=sys.argv[4] == "1", progress=False)
"""


def start(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], text=True, env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, **options,
    )  # fmt: skip


def go(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Let them begin at once, when all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def made(url: str, **options: Any) -> None:
    ts.Study.create(
        ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), metric="loss", name="s", searcher="random", seed=1, storage=url, **options
    ).close()  # fmt: skip


def ask(server: Server, workers: int, seconds: float, trial_s: float) -> None:
    url = server.url()
    made(url)
    processes = [start(ASKER, url, seconds, n, trial_s) for n in range(workers)]
    go(processes)
    began = time.monotonic()
    waits = [json.loads(p.communicate()[0]) for p in processes]
    took_s = time.monotonic() - began
    every = sorted(w for one in waits for w in one)
    counts = [len(one) for one in waits]
    p50, p99 = (every[int(q * (len(every) - 1))] for q in (0.5, 0.99))
    print(
        f"{workers} workers, trials of {trial_s:g} s: {len(every)} asks in {took_s:.0f} s; wait p50 {p50:.0f}, p99 {p99:.0f}, "
        f"worst {every[-1]:.0f} ms; trials of a worker {min(counts)} to {max(counts)}; p99 of 1 s: "
        f"{'reached' if p99 <= 1000 else 'NOT reached'}"
    )


def survive(server: Server, workers: int, trials: int) -> None:
    url, rng = server.url(), random.Random(1)
    made(url, trials=trials)
    processes = [start(WORKER, url, 0.3, stderr=subprocess.DEVNULL) for _ in range(workers)]
    killed = stopped = 0
    began = time.monotonic()
    while any(p.poll() is None for p in processes):
        time.sleep(rng.uniform(0.3, 1.2))
        alive = [p for p in processes if p.poll() is None]
        if len(alive) < workers // 2:  # the end has begun: some have been told that it is over
            continue
        victim = rng.choice(alive)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        processes.remove(victim)
        processes.append(start(WORKER, url, 0.3, stderr=subprocess.DEVNULL))
        killed += 1
        if killed % 10 == 0:
            server.stop(signal.SIGQUIT)
            server.start()
            stopped += 1
    took_s = time.monotonic() - began
    with ts.Study.open("s", storage=url) as study:
        history = list(study.store.changes("s"))
        finished = collections.Counter(e.trial for e in history if isinstance(e, events.Finished))
        whole = study.store.verify("s") is None
        right = all(t.value == t.config["x"] for t in study.trials)
    lost = sum(isinstance(e, events.Requeued) for e in history)
    exact = len(finished) == trials and set(finished.values()) == {1} and whole and right
    print(
        f"{workers} workers, {trials} trials: {len(finished)} ended, each once: {set(finished.values()) == {1}}; {killed} workers "
        f"and the database {stopped} times killed, {lost} trials run again; chain intact: {whole}; {took_s:.0f} s: "
        f"{'reached' if exact else 'NOT reached'}"
    )


def joined(server: Server, processes: int, trials: int) -> None:
    url = server.url()
    running = [start(JOINED, url, trials) for _ in range(processes)]
    go(running)
    for process in running:
        process.communicate()
    with ts.Study.open("s", storage=url) as study:
        history = list(study.store.changes("s"))
    began = min(e.at for e in history if isinstance(e, events.Suggested))
    ends = sorted(e.at for e in history if isinstance(e, events.Finished))
    rate = len(ends) / (ends[-1] - began)
    print(
        f"{processes} joined processes, trials of 1 s: {len(ends)} trials at {rate:.2f}/s (all at once would be "
        f"{processes:.2f}): {'reached' if rate >= 7.5 and len(ends) == trials else 'NOT reached'}"
    )


def quality(server: Server, seeds: int) -> None:
    """The regret of the best after 48 trials, by its logarithm."""
    least = {"branin": 0.39789, "ackley": 0.0, "rosenbrock": 0.0}
    differences = []
    for problem, seed in [(p, s) for p in least for s in range(seeds)]:
        logs = []
        for parallel, hosts in ((8, 1), (1, 8)):
            url = server.url()
            running = [start(PROBLEM, url, problem, seed, parallel) for _ in range(hosts)]
            for process in running:
                process.communicate()
            with ts.Study.open("s", storage=url) as study:
                best = study.result().best_observed.value
            assert best is not None
            logs.append(math.log10(max(best - least[problem], 1e-9)))
        differences.append(logs[1] - logs[0])
        print(problem, seed, [round(x, 2) for x in logs], flush=True)
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    print(
        f"8 joined processes against parallel=8: {mean:+.2f} +- {error:.2f} decades of regret after 48 trials "
        f"({len(differences)} pairs; below 0 is better)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["ask", "survive", "joined", "quality"])
    parser.add_argument("--workers", type=int, help="32, 64, 8 if there is no other number")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument(
        "--trial", type=float, default=0.5, help="of `ask`: how long a trial takes (s)"
    )
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    server = Server(durable=True)
    try:
        match arguments.what:
            case "ask":
                ask(server, arguments.workers or 32, arguments.seconds, arguments.trial)
            case "survive":
                survive(server, arguments.workers or 64, arguments.trials)
            case "joined":
                joined(server, arguments.workers or 8, 120)
            case "quality":
                quality(server, arguments.seeds)
    finally:
        server.remove()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
