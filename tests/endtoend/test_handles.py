"""Many handles on one file: whoever opens, closes, copies or is killed, no acknowledged result is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import tunesmith as ts

HANDLES = Path(__file__).with_name("handles.py")
#: Ten minutes: TUNESMITH_STRESS_S=600.
STRESS_S = float(os.environ.get("TUNESMITH_STRESS_S", "12"))


def test_every_acknowledged_result_is_there(tmp_path: Path) -> None:
    """8 programs of two threads, one of them killed every half second."""
    storage, dice, begun = tmp_path / "study.db", random.Random(1), 0
    until = time.monotonic() + STRESS_S
    errors = (tmp_path / "errors").open("w+")

    def begin() -> subprocess.Popen[bytes]:
        nonlocal begun
        begun += 1
        left = max(0.0, until - time.monotonic())
        arguments = [storage, tmp_path / f"side-{begun}", begun, left]
        command = [sys.executable, str(HANDLES), *map(str, arguments)]
        return subprocess.Popen(command, stderr=errors)

    programs = [begin() for _ in range(8)]
    try:
        while time.monotonic() < until - 1.0:
            time.sleep(dice.uniform(0.0, 1.0))
            k = dice.randrange(len(programs))
            if programs[k].poll() is None:
                programs[k].kill()
                assert programs[k].wait() == -9
            else:
                assert programs[k].returncode == 0, (tmp_path / "errors").read_text()
            programs[k] = begin()
        for program in programs:
            assert program.wait(timeout=120) == 0, (tmp_path / "errors").read_text()
    finally:
        for program in programs:
            program.kill()
            program.wait()
        errors.close()

    lines = [
        line.split() for side in tmp_path.glob("side-*") for line in side.read_text().splitlines()
    ]
    assert len(lines) > 50
    values: dict[str, dict[int, float | None]] = {}
    for name in {name for name, _, _ in lines}:
        with ts.Study.open(name, storage=storage) as study:
            values[name] = {trial.number: trial.value for trial in study.trials}
            assert study.store.verify(name) is None
    lost = [line for line in lines if repr(values[line[0]].get(int(line[1]))) != line[2]]
    assert lost == []
