"""An S3 server for the tests: moto's, a process of its own on 127.0.0.1. Its clients are real ones."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import boto3
from tests.postgres import free_port

_KEY: Final = {"key": "AKIASTORE", "secret": "store/secret"}


class Storage:
    """With one bucket, called bucket."""

    def __init__(self, folder: Path, python: str | Path = sys.executable) -> None:
        self.port = free_port()
        words = ["-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with (folder / "s3.log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 120
        while not _listens(self.port):
            assert self._process.poll() is None, (folder / "s3.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.client: Any = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=_KEY["key"],
            aws_secret_access_key=_KEY["secret"],
        )
        self.client.create_bucket(Bucket="bucket")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def buckets(self) -> dict[str, Any]:
        """The service's configuration: all buckets are there."""
        return {"*": {"url": "s3://{bucket}", "options": {"endpoint_url": self.url, **_KEY}}}

    def names(self, prefix: str = "") -> list[str]:
        listed = self.client.list_objects_v2(Bucket="bucket", Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", ())]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return not asked.connect_ex(("127.0.0.1", port))
