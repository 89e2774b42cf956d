"""Exit codes, and how errors are shown.

0    all is well
1    the study ended badly: no trial completed, failures ended it; a replay found a difference;
     the doctor found a mistake
2    something in the call, the job file or the study makes no sense
3    another coordinator runs the study
4    the store cannot be used, or the files of trials
130  stopped by Ctrl-C, or on request
"""

from __future__ import annotations

from typing import Final

from tunesmith import streams
from tunesmith.core.errors import ExecutorError, StoreError, StudyBusy, TunesmithError
from tunesmith.core.text import without_codes

FAILED: Final = 1
WRONG: Final = 2
BUSY: Final = 3
STORE: Final = 4
INTERRUPTED: Final = 130


def exit_code(error: Exception) -> int | None:
    """The exit code for an error; None for what is a bug of ours."""
    if isinstance(error, StudyBusy):
        return BUSY
    if isinstance(error, (StoreError, ExecutorError)):
        return STORE
    return WRONG if isinstance(error, TunesmithError) else None


def explain(error: Exception) -> None:
    """Say what went wrong, on stderr."""
    streams.err().line(without_codes(f"error: {error}"))
