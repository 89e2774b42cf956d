"""Adapter for user-defined objective functions: one or two arguments, returning or yielding."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import os
import re
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

from tunesmith.core.errors import ExecutorError, Stopped, TooSlow, shown
from tunesmith.core.outcome import Unusable, number
from tunesmith.core.text import shorten
from tunesmith.core.trial import Kind, Reason
from tunesmith.run.absent_name import absent_name
from tunesmith.run.live import LiveTrial

#: Lines of output or traceback kept with a reason.
TAIL_LINES: Final = 20
#: So many of these are the first lines, if a traceback is longer.
_FIRST_LINES: Final = 8
#: Characters of an error's message kept.
_MESSAGE: Final = 2000
#: Characters kept of a metric's name, and of a text that was returned.
_NAME: Final = 200
_PACKAGE: Final = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class ObjectiveFunction:
    """A user's function, and whether it wants the trial as its second argument."""

    function: Callable[..., Any]
    with_trial: bool
    #: The metrics of the study's objectives: what bare numbers are values of.
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], metric: str | Sequence[str]) -> ObjectiveFunction:
        """Read the function's signature. Raises TypeError if it takes neither one nor two."""
        metrics = (metric,) if isinstance(metric, str) else tuple(metric)
        return cls(function, takes_trial(function), metrics)

    def __call__(self, config: dict[str, Any] | None, trial: Callable[[], LiveTrial]) -> Any:
        """What the function returns; what a generator yields is reported, step by step.

        `trial` makes the trial, for functions that want it. Without a config it is the trial alone that they are given, to ask.
        """
        if config is None or self.with_trial:
            live = trial()
            returned = self.function(live) if config is None else self.function(config, live)
            return self._drain(returned, live) if isinstance(returned, Generator) else returned
        returned = self.function(config)
        return self._drain(returned, trial()) if isinstance(returned, Generator) else returned

    def _drain(self, steps: Generator[Any, None, Any], trial: LiveTrial) -> Any:
        """Report each of `steps`: what may be returned (a mapping also with its "step"), or (step, that)."""
        while True:
            try:
                report = next(steps)
            except StopIteration as end:
                return end.value
            step, metrics = self._read(report)
            try:
                trial.report(step, **metrics)
            except Stopped:
                steps.close()
                raise

    def _read(self, report: Any) -> tuple[Any, dict[str, Any]]:
        """Step (None: the next one) and metrics of what a generator has yielded. Raises ValueError.

        A pair of numbers is a step and a value where there is one objective, and their values where there are two.
        """
        step, values = None, report
        pair = isinstance(report, tuple) and len(report) == 2
        if pair and (len(self.metrics) != 2 or isinstance(report[1], (Mapping, tuple, list))):
            step, values = report
        if isinstance(values, Mapping):
            metrics = dict(values)
            return metrics.pop("step", step), metrics
        several = isinstance(values, (tuple, list))
        if len(self.metrics) == 1 and not several:
            return step, {self.metrics[0]: values}
        if several and len(values) == len(self.metrics):
            return step, dict(zip(self.metrics, values, strict=True))
        names = ", ".join(map(repr, self.metrics))
        raise ValueError(
            f"the objective yielded {shown(report)}; for a report(), yield the values of {names}, a mapping with "
            "them, or (step, either)"
        )


def call(
    objective: Callable[[dict[str, Any] | None, Callable[[], LiveTrial]], Any],
    config: dict[str, Any] | None,
    trial: Callable[[], LiveTrial],
) -> tuple[Any, Reason | None]:
    """What an objective returned, in plain types, or why it did not: the same for every executor that
    calls functions, whatever they raise. Raises ExecutorError only.

    A trial that was told to end, and then ends, was stopped, however it ends: a library's training loop may return its
    model as it is, or wrap what a callback raises in an error of its own.

    A process that the objective forked, and that comes back here, is ended.
    """
    process = os.getpid()
    returned: Any = None
    reason: Reason | None = None
    live: LiveTrial | None = None

    def made() -> LiveTrial:
        nonlocal live
        live = trial()
        return live

    try:
        returned = plain(objective(config, made))
    except BaseException as error:
        if isinstance(error, ExecutorError) and os.getpid() == process:
            raise
        reason = reason_of(error, config)
    if os.getpid() != process:
        _end_child(reason)
    told = None if live is None else live.told
    if told is not None and (reason is None or reason.kind is Kind.ERROR):
        return None, told
    return returned, reason


def _end_child(reason: Reason | None) -> NoReturn:
    """End a forked process that has come back from the objective: its parent answers for the trial."""
    text = "a process that the objective forked came back from it, and is ended here; " + (
        f"{reason}\n{reason.output}\n" if reason else "what it returned does not count\n"
    )
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
    os._exit(1)


def plain(returned: Any) -> Any:
    """What an objective returned in types that every process can unpickle, and every store can hold."""
    if type(returned) is float or returned is None:
        return returned
    if isinstance(returned, str):
        return returned[:_NAME]
    if isinstance(returned, Mapping):
        return {str(name)[:_NAME]: _plain_number(value) for name, value in returned.items()}
    if isinstance(returned, (tuple, list)):
        return [_plain_number(value) for value in returned[:100]]
    return _plain_number(returned)


def _plain_number(value: Any) -> Any:
    if isinstance(value, Unusable):
        return value
    as_number = number(value)
    return as_number if as_number is not None else Unusable.of(value)


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether `function` is called with (config, trial) rather than (config).

    It is if its second positional parameter has no default, or is called "trial". Raises TypeError
    for what takes neither.
    """
    if not callable(function):
        raise TypeError(
            f"the objective is {shown(function)}, not a function of (config) or (config, trial); for a program of "
            "any language write a job file: tunesmith init"
        )
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


def check_asking(function: Callable[..., Any]) -> None:
    """Raise TypeError unless the objective of a study without a declared space takes the trial alone."""
    if takes_trial(function):
        name = getattr(function, "__name__", function)
        raise TypeError(
            f"the objective {name} takes (config, trial), and no space was given: write def {name}(trial) and let it ask "
            "trial.float('learning_rate', 1e-5, 1e-1, log=True), or give tune() a space"
        )


class NotFetched(Exception):
    """The checkpoints of one trial cannot be had from where they are, though others can."""


def reason_of(error: BaseException, config: Mapping[str, Any] | None = None) -> Reason:
    """Why a trial failed, from the exception that ended it, with the traceback's last lines. `config` is what the
    objective was called with."""
    name = type(error).__name__
    words = shorten(_words(error), _MESSAGE) + (absent_name(error, config) if config else "")
    if isinstance(error, Stopped):
        return Reason(Kind.STOPPED, words)
    if any(kind.__name__ == "TrialPruned" for kind in type(error).__mro__):  # Optuna's
        return Reason(Kind.STOPPED, words or "pruned")
    if isinstance(error, NotFetched):
        return Reason(Kind.LOST, words)
    if isinstance(error, SystemExit):
        called = f"the objective called sys.exit({Unusable.of(error.code).text})"
        return Reason(Kind.ERROR, called, _trace(error))
    if isinstance(error, KeyboardInterrupt):
        return Reason(Kind.ERROR, "the objective raised KeyboardInterrupt", _trace(error))
    message = f"{name}: {words}" if words else name
    if isinstance(error, TooSlow):
        return Reason(Kind.TIMEOUT, message)
    memory = isinstance(error, MemoryError) or "OutOfMemory" in name
    memory = memory or "out of memory" in message.lower()
    return Reason(Kind.OUT_OF_MEMORY if memory else Kind.ERROR, message, _trace(error))


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (a __str__ of the user's may raise anything)
        return ""


def _trace(error: BaseException) -> str:
    """Its traceback, of a long one the first lines and the last; "" if it cannot be written."""
    try:
        text = "".join(traceback.format_exception(type(error), error, _own_frames(error)))
        return _ends(text)
    except Exception:  # noqa: BLE001 (it asks the user's exceptions for their texts, notes and causes)
        return ""


def _ends(text: str) -> str:
    """The user's own line is among the first of a long traceback, what went wrong among the last."""
    lines = text.rstrip().splitlines()
    left_out = len(lines) - TAIL_LINES
    if left_out <= 0:
        return tail(text)
    first, last = lines[:_FIRST_LINES], lines[_FIRST_LINES + left_out + 1 :]
    return tail("\n".join([*first, f"  ... {left_out + 1} lines", *last]))


#: A frame in a traceback; the line below it is its source, if that could be read there.
_FRAME: Final = re.compile(r'(?m)^( *)File "([^"\n]+)", line (\d+), in [^\n]*(?!\n\1  )$')


def with_source(trace: str) -> str:
    """A traceback from another process, with the source lines that only this one has: a notebook's cells."""

    def frame(match: re.Match[str]) -> str:
        source = linecache.getline(match[2], int(match[3])).strip()
        return f"{match[0]}\n{match[1]}  {source}" if source else match[0]

    return _FRAME.sub(frame, trace)


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame outside tunesmith on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace or error.__traceback__


def tail(text: str, lines: int = TAIL_LINES, width: int = 500) -> str:
    """The last lines of `text`, each at most `width` characters."""
    last_lines = text.rstrip().splitlines()[-lines:]
    return "\n".join(
        line if len(line) <= width else f"{line[: width - 3]}..." for line in last_lines
    )
