"""Measure the service: 64 clients that ask and tell, alone and while a model is asked beside them.

    python benchmarks/service/over_http.py [--clients 64] [--seconds 10] [--studies 1] [--peer .venv-peers/bin/python]

Clients are coroutines of one process that speak HTTP/1.1 on a connection each, the service is `tunesmith serve` on a file.
Each figure is the median over rounds. The peer is Optuna's gRPC storage proxy on a file of its own, with as many threads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.postgres import free_port
from tests.service.running import Service

import tunesmith as ts

PEER = """
import json, logging, sys, threading, time, optuna
from optuna.storages import GrpcStorageProxy
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = GrpcStorageProxy(host="127.0.0.1", port=int(sys.argv[1]))
clients, seconds = int(sys.argv[2]), float(sys.argv[3])
study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
until, done = time.perf_counter() + seconds, []
def work():
    n = 0
    while time.perf_counter() < until:
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
        n += 1
    done.append(n)
threads = [threading.Thread(target=work) for _ in range(clients)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(sum(done) / seconds))
"""
PROXY = """
import sys, optuna
from optuna.storages import RDBStorage, run_grpc_proxy_server
run_grpc_proxy_server(RDBStorage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


class Client:
    """One connection."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self.seconds: list[float] = []

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, path: str, data: Any) -> Any:
        body = json.dumps(data).encode()
        head = (
            f"POST /api/v1/studies/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        fields = answer.decode("latin-1").lower()
        status = int(fields.split(" ", 2)[1])
        size = int(fields.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        content = await self._reader.readexactly(size) if size else b"null"
        self.seconds.append(time.perf_counter() - began)
        if status >= 300:
            raise RuntimeError(content.decode())
        return json.loads(content) if status != 204 else None

    async def work(self, study: str, session: str, until: float) -> int:
        """Ask and tell; how often."""
        await self.connect()
        done = 0
        while time.perf_counter() < until:
            trial = await self.post(f"{study}/ask", {"session": session, "wait": 1})
            if trial is None:
                continue
            value = trial["config"]["x"]
            await self.post(
                f"{study}/trials/{trial['number']}/tell",
                {"value": value, "attempt": trial["attempt"]},
            )
            done += 1
        self._writer.close()
        return done


async def load(
    port: int, token: str, names: list[str], clients: int, seconds: float
) -> dict[str, float]:
    made = [Client(port, token) for _ in range(clients)]
    until = time.perf_counter() + seconds
    done = await asyncio.gather(
        *(client.work(names[k % len(names)], f"w{k}", until) for k, client in enumerate(made))
    )
    times = sorted(t for client in made for t in client.seconds)
    return {
        "rate": sum(done) / seconds,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
        "worst_ms": times[-1] * 1e3,
    }


async def beside(port: int, token: str, study: str, until: float) -> int:
    return await Client(port, token).work(study, "thinker", until)


def measure(clients: int, seconds: float, studies: int) -> dict[str, dict[str, float]]:
    """Clients alone, and while one asks a model that has 200 results."""
    service = Service(Path(tempfile.mkdtemp()) / "studies.db")
    token = service.token()
    space = ts.Space({f"x{k}" if k else "x": ts.Float(0, 1) for k in range(10)})
    names = [f"random-{k}" for k in range(studies)]
    for name in names:
        ts.Study.create(
            space, name=name, searcher="random", storage=service.url(token), seed=1, parallel=10_000
        ).close()
    with ts.Study.create(
        space, name="model", searcher="random", storage=service.url(token), seed=1
    ) as model:
        for _ in range(200):
            trial = model.ask()
            model.tell(trial, sum((x - 0.3) ** 2 for x in trial.config.values()))
        model.edit(searcher="bayes")
    alone = asyncio.run(load(service.port, token, names, clients, seconds))
    beside = [
        sys.executable,
        __file__,
        "--beside",
        str(service.port),
        "--seconds",
        str(seconds + 2),
    ]
    thinker = subprocess.Popen(
        beside, env={**os.environ, "TUNESMITH_TOKEN": token}, stdout=subprocess.PIPE, text=True
    )
    time.sleep(2)
    both = asyncio.run(load(service.port, token, names, clients, seconds))
    out, _ = thinker.communicate()
    service.close()
    return {"alone": alone, "beside a model": both | {"suggestions": float(out) / (seconds + 2)}}


def peer(python: str, clients: int, seconds: float) -> float:
    """How often a second Optuna's clients ask and tell through its proxy."""
    folder, port = tempfile.mkdtemp(), str(free_port())
    proxy = subprocess.Popen([python, "-c", PROXY, f"sqlite:///{folder}/optuna.db", port])
    time.sleep(5)
    try:
        run = subprocess.run(
            [python, "-c", PEER, port, str(clients), str(seconds)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        proxy.kill()
        proxy.wait()
    return float(json.loads(run.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--studies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer")
    parser.add_argument("--beside", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.beside:
        until = time.perf_counter() + options.seconds
        client = Client(options.beside, os.environ["TUNESMITH_TOKEN"])
        print(asyncio.run(client.work("model", "thinker", until)))
        return
    rounds = [
        measure(options.clients, options.seconds, options.studies) for _ in range(options.rounds)
    ]
    print(f"load {os.getloadavg()[0]:.1f}, {options.clients} clients, {options.studies} studies")
    for how in rounds[0]:
        figures = {
            key: statistics.median(one[how][key] for one in rounds) for key in rounds[0][how]
        }
        print(f"{how:>15}: " + ", ".join(f"{key} {value:.1f}" for key, value in figures.items()))
    if options.peer:
        rates = [
            peer(options.peer, options.clients, options.seconds) for _ in range(options.rounds)
        ]
        print(f"{'Optuna':>15}: rate {statistics.median(rates):.1f}")


if __name__ == "__main__":
    main()
