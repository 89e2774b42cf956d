"""Workers that die when nobody expects it."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.events import Exited, Start
from tunesmith.core.trial import Kind
from tunesmith.run import process
from tunesmith.run.folder import Folder


def test_a_worker_that_is_killed_before_it_hears_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial is lost, which the engine knows how to mend; the coordinator goes on."""

    class StillBorn(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if "tunesmith.run.worker" in args[0]:
                self.kill()
                self.wait()

    executor = process.ProcessExecutor(
        lambda config: config["x"],
        metric="loss",
        session=uuid.uuid4().hex,
        folder=Folder(tmp_path),
    )
    try:
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", StillBorn)
            executor.start(Start(0, 0, {"x": 0.5}, 1))
            lost = finished(executor)
        assert lost.reason is not None
        assert lost.reason.kind is Kind.LOST
        executor.start(Start(0, 1, {"x": 0.5}, 1))
        assert finished(executor).returned == 0.5
    finally:
        executor.close()


def finished(executor: process.ProcessExecutor) -> Exited:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for event in executor.events(0.1):
            assert isinstance(event, Exited)
            return event
    raise AssertionError("nothing came")
