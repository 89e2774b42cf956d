"""What is wrong in a job file, in words: where, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from tunesmith.core.errors import SYNONYMS, JobError, did_you_mean, shown
from tunesmith.core.limits import Limits
from tunesmith.core.objective import GOALS
from tunesmith.core.yaml_text import Lines
from tunesmith.tuning.job_model import JobModel, ObjectiveModel

#: The keys on the way to a place in a file.
Path_ = tuple[str | int, ...]
#: Of many mistakes so many are shown.
_MISTAKES: Final = 20


class Located(Exception):
    """A mistake, and where in the file it is."""

    def __init__(self, path: Path_, message: str) -> None:
        super().__init__(message)
        self.path = path


def mistakes(
    path: Path, lines: Lines, data: Mapping[str, Any], invalid: ValidationError
) -> JobError:
    """The error for a file whose data is no job."""
    errors = _without_echoes(invalid.errors())
    described = [_describe(path, lines, data, e) for e in errors[:_MISTAKES]]
    more = len(errors) - len(described)
    return JobError("\n".join([*described, *[f"and {more} more"] * (more > 0)]))


#: What to write for a key that is missing.
_EXAMPLES: Final = {
    "command": "; write e.g. command: python train.py --lr {lr}",
    "objective": "; write e.g. objective: {metric: loss, goal: minimize}",
    "metric": "; write e.g. objective: {metric: loss, goal: minimize}",
    "space": "; write e.g. space: {lr: {float: [1e-5, 0.1], log: true}}",
    "metrics": "; write e.g. metrics: {loss: 'loss={number}'}",
    "limits": "; write e.g. limits: {trials: 100, time: 2h}",
    "environment": "; write e.g. environment: {OMP_NUM_THREADS: 1}",
}


def _describe(path: Path, lines: Lines, data: Mapping[str, Any], error: Any) -> str:
    """One line for one of pydantic's errors."""
    where = tuple(part for part in error["loc"] if part in _keys(data, error["loc"]))
    key = str(error["loc"][-1])
    name = ".".join(map(str, where)) or key
    at = f"{path}:{lines.line(where)}"
    if error["type"] == "extra_forbidden":
        return f"{at}: {_misplaced(key, where, data, error['input'])}"
    if error["type"] == "missing":
        return f"{at}: {key!r} is missing{_EXAMPLES.get(key, '')}"
    if key == "goal" and isinstance(error["input"], str):
        hint = did_you_mean(error["input"], GOALS)
        return f"{at}: goal is 'minimize' or 'maximize', not {shown(error['input'])}{hint}"
    if where == ("objective",):
        text = shown(error["input"])
        return f"{at}: objective: write objective: {{metric: loss, goal: minimize}}, or a list of these, not {text}"
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        word = str(error["input"]).lower()
        return f"{at}: {name}: {word} is a truth value here; write it in quotes, '{word}', as the program reads it"
    if error["input"] is None:
        return f"{at}: {name} is empty; what belongs to it stands below it, indented by two spaces more"
    if error["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return f"{at}: {name} is {shown(error['input'])}, where names and values belong{_EXAMPLES.get(key, '')}"
    return f"{at}: {name}: {error['msg']}, not {shown(error['input'])}"


def _without_echoes(errors: Sequence[Any]) -> list[Any]:
    """The errors without what pydantic says of the other ways in which an objective may be written."""
    ways = [
        error for error in errors if error["loc"][0] == "objective" and error["type"] != "missing"
    ]
    real = [
        e for e in ways if e["type"] not in ("list_type", "model_type", "model_attributes_type")
    ]
    return [e for e in errors if e not in ways or e in (real or ways[:1])]


def _misplaced(key: str, where: Path_, data: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a key that is none, or none there."""
    if "objective" in where:
        return (
            f"there is no {key!r} in an objective{did_you_mean(key, ObjectiveModel.model_fields)}"
        )
    meant = SYNONYMS.get(key, key)
    if meant in Limits.__dataclass_fields__:
        how = (
            "indent it by two spaces more"
            if "limits" in data
            else f"write limits: {{{meant}: ...}}"
        )
        called = "" if meant == key else f", called {meant!r}"
        return f"{key!r} belongs under limits{called}: {how}"
    if meant in ObjectiveModel.model_fields:
        return f"{key!r} belongs under objective: write objective: {{metric: loss, goal: minimize}}"
    if isinstance(value, dict) and {"float", "int", "choice"} & set(value):
        return f"{key!r} looks like a parameter, which belongs under space: indent it by two spaces more"
    return f"there is no {key!r} in a job file{did_you_mean(key, JobModel.model_fields)}"


def _keys(data: Any, location: Sequence[Any]) -> list[Any]:
    """The parts of a location that are keys of the file (pydantic adds names of union members)."""
    keys, node = [], data
    for part in location:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            continue
        keys.append(part)
    return keys
