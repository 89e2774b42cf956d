"""Whether the service lives, whether it is ready, and what it has done, for whoever operates it."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope as Connection

from tunesmith.core.errors import TunesmithError
from tunesmith.service.gate import require
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies

#: Within this time the store has to answer for the service to be ready (s).
READY_S: Final = 1.0
#: The upper ends of the histogram of answers' times (s).
_ENDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


class Counters:
    """Requests by route, method and status, and how long they took. No names of studies: whoever reads these numbers need
    not see them."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._times: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_ENDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self.running = 0

    def count(self, scope: Connection, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._requests[route, scope["method"], status] += 1
        self._times[route][bisect_left(_ENDS, seconds)] += 1
        self._seconds[route] += seconds

    def text(self, studies: Studies) -> str:
        """In the format of Prometheus."""
        lines = ["# TYPE tunesmith_requests_total counter"]
        for (route, method, status), n in sorted(self._requests.items()):
            lines.append(
                f'tunesmith_requests_total{{route="{route}",method="{method}",status="{status}"}} {n}'
            )
        lines.append("# TYPE tunesmith_request_seconds histogram")
        for route, counts in sorted(self._times.items()):
            total = 0
            for end, n in zip([*map(str, _ENDS), "+Inf"], counts, strict=True):
                total += n
                lines.append(
                    f'tunesmith_request_seconds_bucket{{route="{route}",le="{end}"}} {total}'
                )
            lines.append(
                f'tunesmith_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            )
            lines.append(f'tunesmith_request_seconds_count{{route="{route}"}} {total}')
        lines += [
            "# TYPE tunesmith_requests_running gauge",
            f"tunesmith_requests_running {self.running}",
            "# TYPE tunesmith_studies_open gauge",
            f"tunesmith_studies_open {studies.opened}",
        ]
        return "\n".join(lines) + "\n"


def router(studies: Studies, counters: Counters) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> Response:
        """Whether it takes requests: the store answers, and it has not been told to end."""
        if studies.ending:
            raise Problem(503, "ending", "the service ends")
        begun = time.monotonic()
        try:
            await asyncio.wait_for(studies.quick(studies.store.names), READY_S)
        except (TimeoutError, TunesmithError):
            raise Problem(503, "store", "the store does not answer") from None
        return PlainTextResponse(f"ok, the store answered in {time.monotonic() - begun:.3f} s\n")

    @routes.get("/metrics")
    async def metrics(request: Request) -> Response:
        require(request, "read")
        return PlainTextResponse(counters.text(studies), media_type="text/plain; version=0.0.4")

    return routes
