"""Calling a user's function, whatever its shape: one or two arguments, returning or yielding."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tunesmith.core.errors import Stopped
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.live import LiveTrial

#: Lines of output or traceback kept with a reason.
TAIL_LINES: Final = 20
_PACKAGE: Final = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class Objective:
    """A user's function, and whether it wants the trial as its second argument."""

    function: Callable[..., Any]
    with_trial: bool
    #: The metric that bare numbers are values of.
    metric: str

    @classmethod
    def of(cls, function: Callable[..., Any], metric: str) -> Objective:
        """Read the function's signature. Raises TypeError if it takes neither one nor two."""
        return cls(function, takes_trial(function), metric)

    def __call__(self, config: dict[str, Any], trial: Callable[[], LiveTrial]) -> Any:
        """What the function returns; what a generator yields is reported, step by step.

        `trial` makes the trial, for functions that want it.
        """
        if self.with_trial:
            live = trial()
            returned = self.function(config, live)
            return self._drain(returned, live) if isinstance(returned, Generator) else returned
        returned = self.function(config)
        return self._drain(returned, trial()) if isinstance(returned, Generator) else returned

    def _drain(self, steps: Generator[Any, None, Any], trial: LiveTrial) -> Any:
        """Report each of `steps`: a number, a mapping (with or without "step"), or (step, either)."""
        while True:
            try:
                given = next(steps)
            except StopIteration as end:
                return end.value
            step = None
            if isinstance(given, tuple) and len(given) == 2:
                step, given = given
            metrics = dict(given) if isinstance(given, Mapping) else {self.metric: given}
            step = metrics.pop("step", step)
            try:
                trial.report(step, **metrics)
            except Stopped:
                steps.close()
                raise


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether `function` is called with (config, trial) rather than (config).

    It is if its second positional parameter has no default, or is called "trial". Raises TypeError
    for what takes neither.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False  # a builtin
    places = [
        p
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
    ]
    second = places[1] if len(places) > 1 else None
    wants = second is not None and second.kind is not second.VAR_POSITIONAL
    wants = (
        wants and second is not None and (second.default is second.empty or second.name == "trial")
    )
    try:
        signature.bind(*range(2 if wants else 1))
    except TypeError:
        raise TypeError(
            f"the objective {getattr(function, '__name__', function)}{signature} has to take (config) "
            "or (config, trial)"
        ) from None
    return wants


def reason_of(error: BaseException) -> Reason:
    """Why a trial failed, from the exception that ended it, with the traceback's last lines."""
    name = type(error).__name__
    said = _said(error)
    message = f"{name}: {said}" if said else name
    if isinstance(error, Stopped):
        return Reason(Kind.STOPPED, said)
    output = tail("".join(traceback.format_exception(type(error), error, _own_frames(error))))
    if (
        isinstance(error, MemoryError)
        or "OutOfMemory" in name
        or "out of memory" in message.lower()
    ):
        return Reason(Kind.OUT_OF_MEMORY, message, output)
    return Reason(Kind.ERROR, message, output)


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (a __str__ of the user's may raise anything)
        return ""


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
