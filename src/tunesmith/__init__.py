"""tunesmith: hyperparameter tuning that finds better values in fewer trials.

    import tunesmith as ts

    def objective(config):
        return (config["x"] - 3) ** 2

    result = ts.tune(objective, ts.Space(x=ts.Float(-10, 10)), trials=50)
    print(result.best.config, result.best.value)

Names are loaded when they are first used: ``import tunesmith`` itself costs a few milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tunesmith.version import __version__

if TYPE_CHECKING:
    from tunesmith import spaces
    from tunesmith.core.errors import (
        ConfigError,
        Conflict,
        ExecutorError,
        ExpressionError,
        JobError,
        NotAStore,
        NothingCompleted,
        Paused,
        SpaceError,
        Stopped,
        StoreError,
        StoreFull,
        StoreInterrupted,
        StoreLocked,
        StoreLost,
        StoreReadOnly,
        StoreUnreachable,
        StoreVersionError,
        StrategyError,
        StrategyNotAllowed,
        StudyBusy,
        StudyError,
        StudyExists,
        StudyNotFound,
        StudyOver,
        StudyWaits,
        TextError,
        TooSlow,
        TransitionError,
        TunesmithError,
    )
    from tunesmith.core.history import History
    from tunesmith.core.limits import Limits
    from tunesmith.core.space.parameter import Choice, Fixed, Float, Int
    from tunesmith.core.space.prior import Normal
    from tunesmith.core.space.space import Space
    from tunesmith.core.strategy import (
        Decision,
        Drop,
        Resume,
        Scheduler,
        Searcher,
        Suggestion,
        Verdict,
    )
    from tunesmith.core.trial import Reason, State, Trial
    from tunesmith.integrations.sklearn import TunesmithSearchCV as TunesmithSearchCV
    from tunesmith.recipes import fit, load_model
    from tunesmith.run.live import LiveTrial
    from tunesmith.run.report import checkpoint, last_checkpoint, report, restore, save
    from tunesmith.store import open_store
    from tunesmith.strategy.registry import allow_strategy
    from tunesmith.training import hypergrad, schedules
    from tunesmith.training.batch_size import find_batch_size
    from tunesmith.training.learning_rate import find_learning_rate
    from tunesmith.tuning.api import tune
    from tunesmith.tuning.result import Result
    from tunesmith.tuning.study import Study

_HOMES = {
    "tunesmith.core.errors": (
        "ConfigError",
        "Conflict",
        "ExecutorError",
        "ExpressionError",
        "JobError",
        "NotAStore",
        "NothingCompleted",
        "Paused",
        "SpaceError",
        "Stopped",
        "StoreError",
        "StoreFull",
        "StoreLocked",
        "StoreInterrupted",
        "StoreLost",
        "StoreReadOnly",
        "StoreUnreachable",
        "StoreVersionError",
        "StrategyError",
        "StrategyNotAllowed",
        "StudyBusy",
        "StudyError",
        "StudyExists",
        "StudyNotFound",
        "StudyOver",
        "StudyWaits",
        "TextError",
        "TooSlow",
        "TransitionError",
        "TunesmithError",
    ),
    "tunesmith.core.history": ("History",),
    "tunesmith.core.space.prior": ("Normal",),
    "tunesmith.core.space.parameter": ("Choice", "Fixed", "Float", "Int"),
    "tunesmith.core.space.space": ("Space",),
    "tunesmith.core.strategy": (
        "Decision",
        "Drop",
        "Resume",
        "Scheduler",
        "Searcher",
        "Suggestion",
        "Verdict",
    ),
    "tunesmith.core.limits": ("Limits",),
    "tunesmith.core.trial": ("Reason", "State", "Trial"),
    "tunesmith.recipes": ("fit", "load_model"),
    "tunesmith.run.live": ("LiveTrial",),
    "tunesmith.run.report": ("checkpoint", "last_checkpoint", "report", "restore", "save"),
    "tunesmith.store": ("open_store",),
    "tunesmith.strategy.registry": ("allow_strategy",),
    "tunesmith.training.batch_size": ("find_batch_size",),
    "tunesmith.training.learning_rate": ("find_learning_rate",),
    "tunesmith.tuning.api": ("tune",),
    "tunesmith.tuning.result": ("Result",),
    "tunesmith.tuning.study": ("Study",),
}
#: Folders and modules that are named as such: ``ts.spaces.lightgbm()``.
_MODULES = {
    "hypergrad": "tunesmith.training.hypergrad",
    "schedules": "tunesmith.training.schedules",
    "spaces": "tunesmith.spaces",
}
#: Names that need a package of an extra: not in `__all__`, so that ``import *`` does not need it.
_OF_EXTRAS = {"TunesmithSearchCV": "tunesmith.integrations.sklearn"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names} | _OF_EXTRAS

__all__ = [
    "Choice",
    "ConfigError",
    "Conflict",
    "Decision",
    "Drop",
    "ExecutorError",
    "ExpressionError",
    "Fixed",
    "Float",
    "History",
    "Int",
    "JobError",
    "Limits",
    "LiveTrial",
    "Normal",
    "NotAStore",
    "NothingCompleted",
    "Paused",
    "Reason",
    "Result",
    "Resume",
    "Scheduler",
    "Searcher",
    "Space",
    "SpaceError",
    "State",
    "Stopped",
    "StoreError",
    "StoreFull",
    "StoreInterrupted",
    "StoreLocked",
    "StoreLost",
    "StoreReadOnly",
    "StoreUnreachable",
    "StoreVersionError",
    "StrategyError",
    "StrategyNotAllowed",
    "Study",
    "StudyBusy",
    "StudyError",
    "StudyExists",
    "StudyNotFound",
    "StudyOver",
    "StudyWaits",
    "Suggestion",
    "TextError",
    "TooSlow",
    "TransitionError",
    "Trial",
    "TunesmithError",
    "Verdict",
    "__version__",
    "allow_strategy",
    "checkpoint",
    "find_batch_size",
    "find_learning_rate",
    "fit",
    "hypergrad",
    "last_checkpoint",
    "load_model",
    "open_store",
    "report",
    "restore",
    "save",
    "schedules",
    "spaces",
    "tune",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    if home is None:
        raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_OF_EXTRAS])
