"""A Ray cluster of several nodes on this host, each with processes of its own that can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

#: For nodes and drivers. `ray start` of 2.60 has nobody come without a token; and its patience is for slow networks.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_num_prestart_python_workers": "1",
}


class Nodes:
    """The first is the head."""

    def __init__(self, count: int, cpus: int = 1) -> None:
        self._cpus = cpus
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self.address = f"127.0.0.1:{_free_port()}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(count):
                self.add()
        except BaseException:
            self.close()
            raise

    def add(self) -> None:
        """Start one more."""
        came = any(self._start(len(self._nodes)) for _ in range(3))
        logs = sorted(self._folder.parent.glob(f"{self._folder.name}.*.log"))
        assert came, logs[-1].read_text()

    def _start(self, number: int) -> bool:
        words = [
            str(Path(sys.executable).parent / "ray"),
            "start",
            "--block",
            f"--num-cpus={self._cpus}",
        ]
        words += [
            "--node-ip-address=127.0.0.1",
            "--object-store-memory=100000000",
            "--disable-usage-stats",
        ]
        if number == 0 or not self.alive():
            port = self.address.rpartition(":")[2]
            words += [
                "--head",
                f"--port={port}",
                "--include-dashboard=false",
                f"--temp-dir={self._folder}",
            ]
        else:
            words += [f"--address={self.address}"]
        log = (self._folder.with_suffix(f".{number}.log")).open("wb")
        with log:
            node = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        self._nodes.append(node)
        return self._comes(number)

    def _comes(self, number: int) -> bool:
        """Whether a node comes up: on a busy machine Ray gives some of them up."""
        log = self._folder.with_suffix(f".{number}.log")
        deadline = time.monotonic() + 180
        while b"Ray runtime started" not in log.read_bytes():
            if self._nodes[number].poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def kill(self, number: int) -> None:
        """The node's end, without a word: all of Ray's processes on it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._nodes[number].pid)
            members = [root, *root.children(recursive=True)]
            for process in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(members, timeout=30)
        self._nodes[number].wait()

    def alive(self) -> list[int]:
        return [number for number, node in enumerate(self._nodes) if node.poll() is None]

    def close(self) -> None:
        for number in reversed(self.alive()):
            self.kill(number)
        shutil.rmtree(self._folder, ignore_errors=True)
        for log in self._folder.parent.glob(f"{self._folder.name}.*.log"):
            log.unlink()


@contextlib.contextmanager
def nodes(count: int, cpus: int = 1) -> Iterator[Nodes]:
    cluster = Nodes(count, cpus)
    try:
        yield cluster
    finally:
        cluster.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
