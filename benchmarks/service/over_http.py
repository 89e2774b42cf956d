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
from functools import partial
from pathlib import Path

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


class Client(asyncio.Protocol):
    """One connection that asks and tells, as cheaply as Python can: the service is what is measured."""

    def __init__(self, study: str, session: str, token: str, until: float) -> None:
        self._study, self._until = study.encode(), until
        self._head = f" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: ".encode()
        self._asked = json.dumps({"session": session, "wait": 1}).encode()
        self._buffer = b""
        self._asking, self._sent_at = False, 0.0
        self.seconds: list[float] = []
        self.done = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._end(exc or ConnectionError("the service has gone"))

    def _ask(self) -> None:
        self._asking = True
        self._post(b"/ask", self._asked)

    def _post(self, path: bytes, body: bytes) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(
            b"POST /api/v1/studies/%b%b%b%d\r\n\r\n%b"
            % (self._study, path, self._head, len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, content = self._buffer.partition(b"\r\n\r\n")
        status = int(head[9:12])
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if not end or (status != 204 and len(content) < size):
            return
        self._buffer = b""
        self.seconds.append(time.perf_counter() - self._sent_at)
        if status >= 300:
            self._end(RuntimeError(content.decode()))
        elif self._asking and status != 204:
            trial = json.loads(content)
            self._asking = False
            told = {"value": trial["config"]["x"], "attempt": trial["attempt"]}
            self._post(b"/trials/%d/tell" % trial["number"], json.dumps(told).encode())
        else:
            self.done += not self._asking
            if time.perf_counter() < self._until:
                self._ask()
            else:
                self._end(None)

    def _end(self, failure: Exception | None) -> None:
        if failure is None:
            self.ended.set_result(None)
        elif not self.ended.done():
            self.ended.set_exception(failure)
        self._transport.close()


def processor_s(pid: int) -> float:
    """What a process has used (s)."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    service: Service, token: str, names: list[str], clients: int, seconds: float
) -> dict[str, float]:
    until, before_s = time.perf_counter() + seconds, processor_s(service.pid)
    own_s = time.process_time()
    loop, made = asyncio.get_running_loop(), []
    for k in range(clients):
        made.append(client := Client(names[k % len(names)], f"w{k}", token, until))
        await loop.create_connection(partial(_same, client), "127.0.0.1", service.port)
    await asyncio.gather(*(client.ended for client in made))
    used_s = processor_s(service.pid) - before_s
    times = sorted(t for client in made for t in client.seconds)
    done = sum(client.done for client in made)
    return {
        "rate": done / seconds,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
        "worst_ms": times[-1] * 1e3,
        "service_cpu_ms": used_s / done * 1e3,
        "own_cpu_ms": (time.process_time() - own_s) / done * 1e3,
    }


def _same(client: Client) -> Client:
    return client


async def beside(port: int, token: str, study: str, until: float) -> int:
    client = Client(study, "thinker", token, until)
    await asyncio.get_running_loop().create_connection(partial(_same, client), "127.0.0.1", port)
    await client.ended
    return client.done


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
    alone = asyncio.run(load(service, token, names, clients, seconds))
    command = [
        sys.executable,
        __file__,
        "--beside",
        str(service.port),
        "--seconds",
        str(seconds + 2),
    ]
    thinker = subprocess.Popen(
        command, env={**os.environ, "TUNESMITH_TOKEN": token}, stdout=subprocess.PIPE, text=True
    )
    time.sleep(2)
    both = asyncio.run(load(service, token, names, clients, seconds))
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
        print(asyncio.run(beside(options.beside, os.environ["TUNESMITH_TOKEN"], "model", until)))
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
