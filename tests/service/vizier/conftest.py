"""Vizier's clients, unchanged, in an environment of their own: see tools/environment."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.postgres import free_port
from tests.service.running import Service

collect_ignore_glob = [] if find_spec("vizier") is not None else ["test_*.py"]


class Door(Service):
    """A service with a door for OSS Vizier's client, at a port (or socket) that stays the same."""

    def __init__(self, storage: str | Path, *options: str, endpoint: str = "") -> None:
        self.endpoint = endpoint or f"127.0.0.1:{free_port()}"
        super().__init__(storage, "--vizier", self.endpoint, *options)

    def start(self) -> None:
        super().start()
        import grpc

        if not self.endpoint.startswith("0.0.0.0"):
            with grpc.insecure_channel(self.endpoint) as channel:
                grpc.channel_ready_future(channel).result(60)


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("door") / "studies.db")
    yield made
    made.close()
