"""HTTP/1.1 as uvicorn speaks it, without patience for requests whose header does not come."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How long a header may take (s), from the connection or its own first byte on.
HEADER_S: Final = 10.0


class Protocol(HttpToolsProtocol):
    """uvicorn has time limits between requests, none within their headers."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
        elif self.cycle is None or self.cycle.response_complete:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEADER_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def limits() -> dict[str, Any]:
    """uvicorn's options that bound what a client may hold."""
    return {"http": Protocol, "timeout_keep_alive": 75, "limit_concurrency": 1000, "ws": "none"}
