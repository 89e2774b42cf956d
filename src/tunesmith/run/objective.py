"""Calling a user's function, whatever its shape: one or two arguments, returning or yielding."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tunesmith.core.errors import Stopped
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.live import LiveTrial

#: Lines of output or traceback kept with a reason.
TAIL_LINES: Final = 20
_PACKAGE: Final = str(Path(__file__).parents[1])


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether `function` wants the trial as its second argument. Raises TypeError if neither fits."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False  # a builtin
    for arguments in (2, 1):
        try:
            signature.bind(*range(arguments))
        except TypeError:
            continue
        return arguments == 2
    raise TypeError(
        f"the objective {getattr(function, '__name__', function)}{signature} has to take (config) "
        "or (config, trial)"
    )


def call(function: Callable[..., Any], with_trial: bool, trial: LiveTrial) -> Any:
    """The objective's return value; what a generator yields is reported, step by step."""
    returned = function(trial.config, trial) if with_trial else function(trial.config)
    if isinstance(returned, Generator):
        return _drain(returned, trial)
    return returned


def _drain(steps: Generator[Any, None, Any], trial: LiveTrial) -> Any:
    """Report each of `steps`: a number, a mapping (with or without "step"), or (step, either)."""
    while True:
        try:
            given = next(steps)
        except StopIteration as end:
            return end.value
        step = None
        if isinstance(given, tuple) and len(given) == 2:
            step, given = given
        metrics = dict(given) if isinstance(given, Mapping) else {"value": given}
        step = metrics.pop("step", step)
        try:
            trial.report(step, **metrics)
        except Stopped:
            steps.close()
            raise


def reason_of(error: BaseException) -> Reason:
    """Why a trial failed, from the exception that ended it, with the traceback's last lines."""
    name = type(error).__name__
    message = f"{name}: {error}" if str(error) else name
    if isinstance(error, Stopped):
        return Reason(Kind.STOPPED, str(error))
    output = tail("".join(traceback.format_exception(type(error), error, _own_frames(error))))
    if (
        isinstance(error, MemoryError)
        or "OutOfMemory" in name
        or "out of memory" in message.lower()
    ):
        return Reason(Kind.OUT_OF_MEMORY, message, output)
    return Reason(Kind.ERROR, message, output)


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame outside tunesmith on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace or error.__traceback__


def tail(text: str, lines: int = TAIL_LINES, width: int = 500) -> str:
    """The last lines of `text`, each at most `width` characters."""
    kept = text.rstrip().splitlines()[-lines:]
    return "\n".join(line if len(line) <= width else f"{line[: width - 3]}..." for line in kept)
