"""Every error tunesmith raises on purpose, in one tree.

    TunesmithError
    ├── SpaceError (ValueError)        a search space that makes no sense
    │   └── ExpressionError            a condition or relation that cannot be read
    ├── ConfigError (ValueError)       a config that does not belong to its space
    ├── StudyError (ValueError)        a study that makes no sense, or cannot do what was asked
    │   ├── StudyNotFound
    │   ├── StudyExists
    │   ├── StudyOver                  its trials or its space are used up
    │   ├── StudyWaits                 no trial may begin before others have ended
    │   ├── NothingCompleted           it has no best trial yet
    │   └── StudyBusy                  another coordinator runs it
    ├── StrategyError (ValueError)     an unknown searcher or scheduler, or a wrong option of one
    │   └── StrategyNotAllowed         code that a file or store names, and the user has not allowed
    ├── TransitionError                a trial was asked for an illegal move
    ├── TextError (ValueError)         a text that is no YAML or JSON, or is deeper or larger than can be meant
    ├── JobError (ValueError)          a job file, a command line or a program that cannot be used
    ├── ExecutorError                  this machine cannot run trials now: their files, or a process
    ├── StoreError                     the store cannot be read or written
    │   ├── StoreLocked                another program holds the lock
    │   ├── StoreFull                  the disk is full
    │   ├── StoreReadOnly
    │   ├── StoreLost                  it was deleted, replaced or cut short while it was in use
    │   ├── StoreUnreachable           its database does not answer, or lets nobody in
    │   ├── StoreInterrupted           the connection broke on the way (internal: look, then try again)
    │   ├── StoreVersionError          written by a newer tunesmith
    │   └── NotAStore                  the file is something else
    └── Conflict                       somebody else appended first (internal: read, then try again)

    TooSlow                            raised inside an objective that gives up, as it would take too long
    Stopped                            raised inside an objective that has been told to stop
    └── Paused                         ... for now

A message says what was wrong, where, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Final

#: A message repeats so many characters of a value, and has so many in a line, at most.
SHOWN: Final = 200
LINE: Final = 1000


class TunesmithError(Exception):
    """The root of the tree above. Its message stays readable, and keeps passwords, whatever it repeats."""

    def __init__(self, message: object = "") -> None:
        text = without_passwords(str(message))
        if len(text) > LINE:
            text = "\n".join(shorten(line, LINE) for line in text.split("\n"))
        super().__init__(text)


class TooSlow(Exception):
    """A training was given up at its beginning, because it would not end within its time: no error of anybody's."""


class SpaceError(TunesmithError, ValueError): ...


class ExpressionError(SpaceError): ...


class ConfigError(TunesmithError, ValueError): ...


class StudyError(TunesmithError, ValueError): ...


class StudyNotFound(StudyError): ...


class StudyExists(StudyError): ...


class StudyOver(StudyError): ...


class StudyWaits(StudyError): ...


class NothingCompleted(StudyError): ...


class StudyBusy(StudyError): ...


class StrategyError(TunesmithError, ValueError): ...


class StrategyNotAllowed(StrategyError): ...


class TransitionError(TunesmithError): ...


class TextError(TunesmithError, ValueError):
    """`line`, from 1 on, is where; None if that is not known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class JobError(TunesmithError, ValueError): ...


class ExecutorError(TunesmithError): ...


class StoreError(TunesmithError): ...


class StoreLocked(StoreError): ...


class StoreFull(StoreError): ...


class StoreReadOnly(StoreError): ...


class StoreLost(StoreError):
    """`beside` is where what is known may be saved, if the store could save nothing itself."""

    def __init__(self, message: str, beside: Path | None = None) -> None:
        super().__init__(message)
        self.beside = beside


class StoreUnreachable(StoreError): ...


class StoreInterrupted(StoreError): ...


class StoreVersionError(StoreError): ...


class NotAStore(StoreError): ...


class Conflict(TunesmithError): ...


class Stopped(Exception):
    """Raised by ``trial.report`` (or ``tunesmith.report``) when the trial should end now.

    Let it pass: tunesmith records the trial as stopped, with its last report as evidence. It is no
    TunesmithError, so that ``except TunesmithError`` does not swallow it.
    """


class Paused(Stopped):
    """The trial should end now, and may go on later from its last checkpoint: this is the last moment
    to save one."""


#: ``user:password@`` behind a scheme, whose slashes a path may have lost one of; and a URL's options.
_LOGIN: Final = re.compile(r"(:/+[^\s/:@'\"]*):\S+@")
_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9_-])ts_[A-Za-z0-9_-]{20,}")
_SECRET: Final = re.compile(
    r"([?&][^\s=&]*(?:pass|token|secret|key)[^\s=&]*=)[^\s&'\"]+", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """`text` with ``***`` for each password in a URL, and each token of a service."""
    if "ts_" in text:
        text = _TOKEN.sub("ts_***", text)
    if ":/" not in text:
        return text
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1:***@", text))


def shorten(text: str, most: int = SHOWN) -> str:
    """`text` for a message: of a very long one the beginning, an ellipsis and the end."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 1]}…{text[-end:]}"


def shown(value: object) -> str:
    """`value` for a message, as Python writes it, shortened."""
    if isinstance(value, int) and value.bit_length() > 4 * SHOWN:
        return f"a number of {value.bit_length()} bits"  # Python may refuse to write its digits
    bounded = isinstance(value, (list, tuple, dict, set, frozenset))
    try:
        return shorten(_BOUNDED.repr(value) if bounded else repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


#: Writing out lists that share parts may take for ever.
_BOUNDED: Final = Repr()
_BOUNDED.maxlevel = 3
_BOUNDED.maxlist = _BOUNDED.maxtuple = _BOUNDED.maxdict = _BOUNDED.maxset = 8
_BOUNDED.maxstring = _BOUNDED.maxother = 60


#: What other tools call the same thing.
SYNONYMS: Final = {
    "direction": "goal", "directions": "goal", "mode": "goal",
    "n_trials": "trials", "num_trials": "trials", "max_trials": "trials", "max_evals": "trials",
    "num_samples": "trials", "n_iter": "trials", "iterations": "trials", "count": "trials",
    "callback": "watcher", "callbacks": "watcher",
    "timeout": "time", "max_time": "time", "n_jobs": "parallel", "workers": "parallel",
    "max_concurrent": "parallel", "concurrency": "parallel", "parallelism": "parallel",
    "sampler": "searcher", "algo": "searcher", "algorithm": "searcher", "method": "searcher",
    "pruner": "scheduler", "early_stopping": "scheduler", "early_terminate": "scheduler",
    "study_name": "name", "random_state": "seed", "verbose": "progress", "objectives": "objective",
    "parameters": "space", "params": "space", "search_space": "space", "program": "command",
    "cmd": "command", "run": "command", "script": "command", "env": "environment", "db": "storage",
    "suggestions": "enqueue", "defaults": "enqueue", "points_to_evaluate": "enqueue",
    "minimise": "minimize", "maximise": "maximize", "min": "minimize", "max": "maximize",
    "lower": "minimize", "higher": "maximize", "ascending": "maximize", "descending": "minimize",
    "uniform": "float", "loguniform": "float", "range": "float", "integer": "int", "choices": "choice",
    "categorical": "choice", "values": "choice", "constant": "value", "condition": "when",
}  # fmt: skip


def did_you_mean(word: str, known: Iterable[str], *, listed: bool = True) -> str:
    """``"; did you mean 'x'?"`` for the closest of `known`, else (if `listed`) the list of them, else nothing."""
    options = [str(k) for k in known]
    same = SYNONYMS.get(word.lower())
    if same in options:
        return f"; here it is called {same!r}"
    close = get_close_matches(word, options, n=1, cutoff=0.6) if len(word) <= SHOWN else []
    if close:
        return f"; did you mean {close[0]!r}?"
    if listed and options and len(options) <= 12:
        return f"; known: {', '.join(options)}"
    return ""
