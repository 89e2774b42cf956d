"""`behave` as a program, for executors of programs: ``python -m tunesmith.testing.program``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tunesmith.core.outcome import number
from tunesmith.core.trial import Reason
from tunesmith.run.live import LiveTrial
from tunesmith.run.report import report
from tunesmith.testing.executors import behave


def main() -> None:
    """Read the config, behave, report what comes of it."""
    config: dict[str, Any] = json.loads(Path(os.environ["TUNESMITH_CONFIG"]).read_text())
    folder = Path(os.environ["TUNESMITH_DIR"])
    live = LiveTrial(0, 0, config, 0, lambda: folder, _send)
    returned = behave(config, live)
    if number(returned) is not None:
        report(loss=returned)


def _send(step: int, metrics: dict[str, Any]) -> Reason | None:
    report(step, **{name: float("nan") if v is None else v for name, v in metrics.items()})
    return None


if __name__ == "__main__":
    main()
