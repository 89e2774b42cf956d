"""Measure studies in PostgreSQL against the server's own commits and Optuna's RDBStorage, in turn, on this machine.

    python -m venv .venv-peers && .venv-peers/bin/pip install optuna==5.0.0 'psycopg[binary]'
    python benchmarks/service/postgres.py --peer .venv-peers/bin/python

Each figure is the median over rounds; a ratio is the median of the ratios within rounds, so that it holds while the
machine's speed drifts. The server is one of our own, and flushes its log at each commit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import psycopg
from tests.postgres import Server

RAW = """
import json, sys, time, psycopg
connection = psycopg.connect(sys.argv[1].partition("?")[0], autocommit=True)
try: connection.execute("CREATE TABLE IF NOT EXISTS raw (id bigserial PRIMARY KEY, body text)")
except psycopg.errors.UniqueViolation: pass  # another one has just made it
began, n = time.perf_counter(), int(sys.argv[2])
for _ in range(n): connection.execute("INSERT INTO raw (body) VALUES (%s)", ("x" * 300,))
print(json.dumps(n / (time.perf_counter() - began)))
"""
#: The messages of ask and tell as they are, and nothing around them: what any program would reach that stores both.
BARE = """
import json, sys, time, psycopg, tunesmith as ts
from tunesmith.store import location_of
study = ts.Study.create(ts.Space(x=ts.Float(0, 1)), metric="loss", storage=sys.argv[1])
number = study.store.identity("study")
study.close()
connection = psycopg.connect(sys.argv[1].partition("?")[0], autocommit=True, prepare_threshold=None)
schema, body = location_of(sys.argv[1]).schema, "x" * 180
def append(seq, trial, state):
    connection.execute(
        f"BEGIN; SET LOCAL search_path TO {schema}; SELECT pg_advisory_xact_lock(1, {number}); "
        "INSERT INTO events (study, seq, kind, trial, at, body, digest) "
        f"VALUES ({number}, {seq}, '{state}', {trial}, 1.5, '{body}', '{seq:032d}'); "
        f"INSERT INTO trials (study, number, state, value) VALUES ({number}, {trial}, '{state}', NULL) "
        "ON CONFLICT (study, number) DO UPDATE SET state = excluded.state, value = excluded.value; COMMIT"
    ).close()
began, n = time.perf_counter(), int(sys.argv[2])
for k in range(n):
    append(2 * k + 1, k, "running")
    append(2 * k + 2, k, "completed")
print(json.dumps(n / (time.perf_counter() - began)))
"""
ASK = """
import json, sys, time, tunesmith as ts
space = ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1))
study = ts.Study.create(space, metric="loss", searcher="random", seed=1, storage=sys.argv[1])
for _ in range(5): study.tell(study.ask(), 0.5)
began, n = time.perf_counter(), int(sys.argv[2])
for _ in range(n):
    trial = study.ask()
    study.tell(trial, trial.config["x"])
print(json.dumps(n / (time.perf_counter() - began)))
study.close()
"""
EIGHT = """
import json, sys, time, tunesmith as ts
from tunesmith.core.limits import Limits
from tunesmith.core.objective import Objective
from tunesmith.core.study import Strategy, StudySpec
from tunesmith.core.events import Exited
from tunesmith.tuning.launch import launch

class Instant:
    "An executor that ends all trials at once."
    def __init__(self): self.running = []
    def start(self, command): self.running.append(command)
    def stop(self, command): pass
    def events(self, timeout_s):
        ended = [Exited(time.time(), s.trial, s.attempt, s.config["x"]) for s in self.running]
        self.running.clear()
        return ended
    def close(self): pass

def run(name, n):
    spec = StudySpec(name=name, space=ts.Space(x=ts.Float(0, 1), y=ts.Float(0, 1)), objectives=(Objective("loss"),),
                     limits=Limits(trials=n, parallel=8), searcher=Strategy("random"), seed=1)
    began = time.perf_counter()
    launch(spec, sys.argv[1], lambda _: Instant())
    return n / (time.perf_counter() - began)

run("warm", 8)  # what is imported, and made, once
print(json.dumps(run("s", int(sys.argv[2]))))
"""
OPTUNA = """
import json, sys, time, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
url = sys.argv[1].partition("?")[0].replace("postgresql://", "postgresql+psycopg://")
study = optuna.create_study(storage=url, sampler=optuna.samplers.RandomSampler(seed=1), study_name=str(time.time()))
space = {"x": optuna.distributions.FloatDistribution(0, 1), "y": optuna.distributions.FloatDistribution(0, 1)}
began, n = time.perf_counter(), int(sys.argv[2])
for _ in range(n):
    trial = study.ask(space)
    study.tell(trial, trial.params["x"])
print(json.dumps(n / (time.perf_counter() - began)))
"""


def start(python: str, code: str, url: str, n: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [python, "-c", code, url, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def rate(*processes: subprocess.Popen[str]) -> float:
    """Per second, all of them together."""
    return sum(float(json.loads(process.communicate()[0])) for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a Python with Optuna and psycopg")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    server = Server(durable=True)
    rounds: list[dict[str, float]] = []
    try:
        for _ in range(arguments.rounds):
            mine = sys.executable
            figures = {
                "raw": rate(start(mine, RAW, server.url(), 400)),
                "bare": rate(start(mine, BARE, server.url(), 200)),
                "ask and tell": rate(start(mine, ASK, server.url(), 200)),
                "tune, 8 in flight": rate(start(mine, EIGHT, server.url(), 1000)),
                "raw, 4 processes": rate(*[start(mine, RAW, server.url(), 200) for _ in range(4)]),
                "ask and tell, 4 processes": rate(
                    *[start(mine, ASK, server.url(), 100) for _ in range(4)]
                ),
            }
            if arguments.peer:
                figures["Optuna"] = rate(start(arguments.peer, OPTUNA, server.url(), 40))
            rounds.append(figures)
            print({name: round(value, 1) for name, value in figures.items()}, flush=True)
    finally:
        server.remove()
    show(rounds, "ask and tell", "raw", 0.45)
    show(rounds, "bare", "raw", 0.45)
    show(rounds, "tune, 8 in flight", "raw", 1.0)
    show(rounds, "ask and tell, 4 processes", "ask and tell", 3.0)
    show(rounds, "raw, 4 processes", "raw", 3.0)
    if arguments.peer:
        show(rounds, "ask and tell", "Optuna", 10.0)
    print(f"psycopg {psycopg.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def show(rounds: list[dict[str, Any]], ours: str, peer: str, bar: float) -> None:
    ratio = statistics.median(figures[ours] / figures[peer] for figures in rounds)
    per_s = statistics.median(figures[ours] for figures in rounds)
    reached = "reached" if ratio >= bar else "NOT reached"
    print(f"{ours}: {per_s:,.0f}/s, {ratio:.2f} of {peer} (bar {bar:g}): {reached}")


if __name__ == "__main__":
    main()
