"""Reporting and checkpoint functions (`tunesmith.report`, `save`, `restore`) for Python programs that tunesmith runs.

When the program runs alone they do nothing, so the calls can stay where they are. This module imports
nothing heavy: it is meant for other people's programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.core.errors import Paused, Stopped

if TYPE_CHECKING:
    from tunesmith.run.checkpoint import Checkpoint

CHECKPOINT_VARIABLE: Final = "TUNESMITH_CHECKPOINT_DIR"
REPORTED_VARIABLE: Final = "TUNESMITH_REPORTED"
METRICS_VARIABLE: Final = "TUNESMITH_METRICS"
STOP_VARIABLE: Final = "TUNESMITH_STOP"

_last_step = 0
_lock: Final = threading.Lock()


def report(step: int | None = None, **metrics: Any) -> None:
    """Report metrics at `step` (by default one more than the last).

    Raises Stopped if the trial has been told to end (Paused, which is one, if it may go on later): let it
    pass, or save and exit. Raises ValueError for what is no number.
    """
    path = os.environ.get(METRICS_VARIABLE)
    if path is None:
        return
    from tunesmith.core.trial import Kind
    from tunesmith.run.live import checked_report

    global _last_step
    with _lock:
        _last_step, values = checked_report(step, metrics, _last_step)
        line = json.dumps({"step": _last_step, **values})
        with Path(path).open("a") as file:
            file.write(line + "\n")
    stop = Path(os.environ.get(STOP_VARIABLE, ""))
    if stop.is_file():
        kind, _, message = stop.read_text().partition(": ")
        raise (Paused if kind == Kind.PAUSED else Stopped)(message)


def save(state: Any, *, step: int) -> None:
    """See `LiveTrial.save`."""
    directory = _checkpoints()
    if directory is not None:
        from tunesmith.run import checkpoint

        checkpoint.save(directory, state, step)


def restore(default: Any = None) -> Any:
    """See `LiveTrial.restore`."""
    directory = _checkpoints()
    if directory is None:
        return default
    from tunesmith.run import checkpoint

    restored = checkpoint.restore(directory, _reported())
    if restored is None:
        return default
    global _last_step
    _last_step, state = restored
    return state


@contextlib.contextmanager
def checkpoint(step: int) -> Iterator[Path]:
    """See `LiveTrial.checkpoint`. A program that runs alone gets a folder that does not stay."""
    directory = _checkpoints()
    if directory is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    from tunesmith.run.checkpoint import writing

    with writing(directory, step) as draft:
        yield draft


def last_checkpoint() -> Checkpoint | None:
    """See `LiveTrial.last_checkpoint`."""
    directory = _checkpoints()
    if directory is None:
        return None
    from tunesmith.run.checkpoint import newest_first

    checkpoints = newest_first(directory, _reported())
    if not checkpoints:
        return None
    global _last_step
    _last_step = checkpoints[0].step
    return checkpoints[0]


def _reported() -> int | None:
    """The last step that earlier attempts reported."""
    reported = os.environ.get(REPORTED_VARIABLE)
    return int(reported) if reported else None


def _checkpoints() -> Path | None:
    """Where this trial's checkpoints are; None if tunesmith does not run the program."""
    directory = os.environ.get(CHECKPOINT_VARIABLE)
    return Path(directory) if directory else None
