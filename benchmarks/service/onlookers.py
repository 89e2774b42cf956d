"""Measure how far pages fall behind while a study takes 1,000 reports a second.

    python benchmarks/service/onlookers.py [--pages 10] [--reports 1000] [--seconds 20]

Each page holds the stream of hints and asks, after each, for what the page shows at first, as its scripts do. How far
behind: from the acknowledgement of the oldest report that was not on the page yet to the answer that has it. The pages
and those who report are one process, the service is another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.service.running import Service

import tunesmith as ts

#: Trials that run, each with a connection of its own on which it reports.
TRIALS = 50


class Connection:
    """HTTP/1.1, one request after the other."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    async def open(self) -> Connection:
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)

    async def ask(self, method: str, path: str, data: Any = None) -> Any:
        self.send(method, path, b"" if data is None else json.dumps(data).encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = json.loads(await self.reader.readexactly(size))
        if not head.startswith("http/1.1 2"):
            raise RuntimeError(answer)
        return answer


class Load:
    """What was reported, and when it was acknowledged, by number of event."""

    def __init__(self, per_s: float, seconds: float) -> None:
        self._every_s = TRIALS / per_s
        self._until = time.perf_counter() + seconds
        self.sent = 0
        self.late = 0
        #: When so many reports had been acknowledged.
        self.acknowledged: list[float] = []

    @property
    def over(self) -> bool:
        return time.perf_counter() > self._until

    async def report(self, connection: Connection, trial: int) -> None:
        await asyncio.sleep(self._every_s * trial / TRIALS)
        due = time.perf_counter()
        for step in count(1):
            if self.over:
                return
            point = {"step": step, "metrics": {"loss": 1 / step}}
            await connection.ask(
                "POST", f"/api/v1/studies/s/trials/{trial}/reports", {"points": [point]}
            )
            self.acknowledged.append(time.perf_counter())
            due += self._every_s
            left_s = due - time.perf_counter()
            self.late += left_s < -1.0
            await asyncio.sleep(max(0.0, left_s))

    async def look(self, stream: Connection, connection: Connection, begun: int) -> list[float]:
        """How far behind each look was (s)."""
        stream.send("GET", f"/page/studies/s/hints?after={begun}")
        known, behind = begun, []
        while not self.over:
            line = await stream.reader.readline()
            if not line.startswith(b"data:"):
                continue
            cursor = (await connection.ask("GET", "/page/studies/s/live"))["cursor"]
            now = time.perf_counter()
            if cursor > known and known - begun < len(self.acknowledged):
                behind.append(now - self.acknowledged[known - begun])
            known = max(known, cursor)
        return behind


async def measure(service: Service, pages: int, per_s: float, seconds: float) -> None:
    token = service.token()
    one = await Connection(service.port, token).open()
    for n in range(TRIALS):
        await one.ask("POST", "/api/v1/studies/s/ask", {"session": f"w{n}"})
    begun = (await one.ask("GET", "/page/studies/s/live"))["cursor"]
    connections = [await Connection(service.port, token).open() for _ in range(TRIALS + 2 * pages)]
    load = Load(per_s, seconds)
    reporting = [load.report(c, n) for n, c in enumerate(connections[:TRIALS])]
    looking = [
        load.look(connections[-2 * k - 1], connections[-2 * k - 2], begun) for k in range(pages)
    ]
    looks = (await asyncio.gather(asyncio.gather(*reporting), asyncio.gather(*looking)))[1]
    every = sorted(s for one in looks for s in one)
    print(
        f"{len(load.acknowledged) / seconds:.0f} reports/s, {len(every) / pages / seconds:.1f} looks/s of each of {pages} pages; behind: "
        f"median {every[len(every) // 2]:.2f}, p99 {every[int(0.99 * len(every))]:.2f}, worst {every[-1]:.2f} s; reports more than 1 s "
        f"late: {load.late}; load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--reports", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    service = Service(Path(tempfile.mkdtemp()) / "studies.db")
    try:
        ts.Study.create(
            ts.Space(x=ts.Float(0, 1)), metric="loss", name="s", searcher="random", seed=1, parallel=TRIALS,
            storage=service.url(service.token()),
        ).close()  # fmt: skip
        asyncio.run(measure(service, options.pages, options.reports, options.seconds))
    finally:
        service.close()


if __name__ == "__main__":
    main()
