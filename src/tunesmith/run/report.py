"""`tunesmith.report`: how a Python program that tunesmith runs tells its metrics.

When the program runs alone it does nothing, so the call can stay where it is. This module imports
nothing heavy: it is meant for other people's programs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import Stopped

METRICS_VARIABLE: Final = "TUNESMITH_METRICS"
STOP_VARIABLE: Final = "TUNESMITH_STOP"

_last_step = 0


def report(step: int | None = None, **metrics: Any) -> None:
    """Report metrics at `step` (by default one more than the last).

    Raises Stopped if the trial has been told to end: let it pass, or save and exit. Raises ValueError
    for what is no number.
    """
    path = os.environ.get(METRICS_VARIABLE)
    if path is None:
        return
    from tunesmith.run.live import checked_report

    global _last_step
    _last_step, values = checked_report(step, metrics, _last_step)
    line = json.dumps({"step": _last_step, **values})
    with Path(path).open("a") as file:
        file.write(line + "\n")
    stop = Path(os.environ.get(STOP_VARIABLE, ""))
    if stop.is_file():
        raise Stopped(stop.read_text())
