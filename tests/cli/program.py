"""The command line as its users have it: real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "tunesmith"]


@dataclass(frozen=True)
class Said:
    """What a run of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def tunesmith(
    folder: Path,
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 180,
) -> Said:
    """Run ``tunesmith ARGUMENTS`` in `folder`. No call may ever show a traceback of ours."""
    run = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env={**environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr
    return Said(run.returncode, run.stdout, run.stderr)


def environment() -> dict[str, str]:
    """No colours, 100 columns, and no storage but the one in the folder."""
    without = ("TUNESMITH", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(without)}
    return kept | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
