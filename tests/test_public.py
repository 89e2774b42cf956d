"""The public surface: short, pinned, and light to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tunesmith as ts
from tunesmith.core import errors

PUBLIC = [
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
]


#: Names that need a package of an extra: ``import *`` leaves them out.
OF_EXTRAS = ["TunesmithSearchCV"]


def imported_by(code: str) -> set[str]:
    """The top-level packages that a fresh Python has loaded after `code`."""
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


HEAVY = {
    "alembic", "cloudpickle", "msgspec", "numpy", "pandas", "psutil", "pydantic", "rich", "ruamel",
    "scipy", "sqlalchemy", "typer",
}  # fmt: skip


def test_the_names_are_exactly_these() -> None:
    assert sorted(ts.__all__) == PUBLIC
    assert dir(ts) == sorted([*PUBLIC, *OF_EXTRAS])


@pytest.mark.parametrize("name", PUBLIC + OF_EXTRAS)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ts, name) is not None


def test_every_error_is_public() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name for name in kinds if issubclass(getattr(errors, name), Exception)} <= {*PUBLIC}


def test_every_error_but_stopped_and_paused_is_a_tunesmith_error() -> None:
    for name in PUBLIC:
        value = getattr(ts, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, ts.TunesmithError) is (
                name not in {"Stopped", "Paused", "TooSlow"}
            ), name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'tunesmith' has no attribute 'Tuner'"):
        _ = ts.Tuner


def test_the_import_is_light() -> None:
    assert not imported_by("import tunesmith") & HEAVY


def test_reporting_alone_is_light() -> None:
    """Programs keep the call when they run without tunesmith."""
    assert not imported_by("import tunesmith\ntunesmith.report(step=1, loss=0.5)") & HEAVY


def test_what_is_used_is_loaded() -> None:
    """The two tests above can fail."""
    assert {"numpy"} <= imported_by("import tunesmith\ntunesmith.Space") & HEAVY
