"""The clients of examples/service, in other languages, where these are on this machine; and what stands beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.service.running import Here

import tunesmith as ts
from tunesmith.core.trial import State
from tunesmith.store import MemoryStore

EXAMPLES = Path(__file__).parents[2] / "examples" / "service"
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "service.md"


@pytest.mark.parametrize(("program", "file"), [("sh", "client.sh"), ("node", "client.mjs")])
def test_run(program: str, file: str) -> None:
    if shutil.which(program) is None or shutil.which("curl") is None:
        pytest.skip(f"no {program} here")
    store = MemoryStore()
    here = Here(store)
    study = ts.Study.create(
        ts.Space(x=ts.Float(0, 1)),
        metric="loss",
        name="s",
        storage=store,
        trials=4,
        searcher="random",
        seed=1,
    )
    environment = {
        **os.environ,
        "TUNESMITH_URL": f"http://127.0.0.1:{here.port}",
        "TUNESMITH_TOKEN": here.token,
    }
    workers = [
        subprocess.Popen(
            [program, EXAMPLES / file, "s"], env=environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for worker in workers:
        _, error = worker.communicate(timeout=100)
        assert worker.returncode == 0, error
    here.close()
    assert [trial.state for trial in study.trials] == [State.COMPLETED] * 4
    extra = 1 / 3 if file == "client.mjs" else 0.0
    for trial in study.trials:
        assert trial.value == pytest.approx((trial.config["x"] - 0.3) ** 2 + extra, rel=1e-4)


def test_the_guide_shows_them() -> None:
    guide = GUIDE.read_text()
    for name in ("client.sh", "client.mjs", "tunesmith.service", "Containerfile"):
        assert f"examples/service/{name}" in guide


def test_what_the_examples_call_is_there() -> None:
    for name in ("tunesmith.service", "Containerfile"):
        text = (EXAMPLES / name).read_text()
        for option in ("serve", "--storage"):
            assert option in text
