"""The study and the program that a job file describes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.core.constraint import COSTS, Constraint, constraints_of
from tunesmith.core.constraint import check as check_constraints
from tunesmith.core.errors import JobError, TunesmithError
from tunesmith.core.limits import Limits
from tunesmith.core.objective import LAST, objectives_of
from tunesmith.core.preference import preference_of
from tunesmith.core.space.parameter import Choice, Fixed, parameter_from_dict
from tunesmith.core.space.space import RELATIONS, Space
from tunesmith.core.study import StudySpec
from tunesmith.run.output import STEP
from tunesmith.run.program import Program, compile_sources
from tunesmith.run.usage import check_environment, check_usage
from tunesmith.tuning.job_mistakes import Located, Path_
from tunesmith.tuning.job_model import JobModel
from tunesmith.tuning.spec import make_spec

T = TypeVar("T")


def name_of(path: Path, model: JobModel) -> str:
    """The study's name."""
    folder = path.absolute().parent.name
    return model.name or re.sub(r"[^A-Za-z0-9_.-]+", "-", folder).strip("-.")


def spec_of(path: Path, model: JobModel) -> StudySpec:
    """The study that the file describes. Raises Located."""
    space = _space(model)
    _at(("constraints",), lambda: constraints_of(model.constraints))
    constraints = _at(("at_most",), lambda: _constraints(model))
    for name, value in model.limits.items():
        if name not in (
            "cost",
            "price_per_hour",
            "cost_metric",
        ):  # these are checked together, below
            _at(("limits", name), partial(Limits.from_dict, {name: value}))
    _at(("limits",), lambda: Limits.from_dict(model.limits))
    program = program_of(path, model)
    _at(("command",), partial(_check_backslashes, model.command))
    template = _at(("command",), lambda: program.template)
    conditional = [name for name in space if space.condition(name)]
    _at(("command",), lambda: template.check(space, conditional))
    _at(("command",), lambda: check_usage(program, space))
    try:
        check_environment(space, model.environment)
    except JobError as error:
        key = "environment" if str(error).startswith("environment:") else "space"
        raise Located((key,), str(error)) from None
    _at(("metrics",), lambda: compile_sources(model.metrics))
    _at(("metrics",), lambda: program.check_files(Limits.from_dict(model.limits).parallel))
    objectives = model.objective if isinstance(model.objective, list) else [model.objective]
    metrics = [objective.metric for objective in objectives]
    if STEP in metrics:
        raise Located(("objective",), "an objective cannot be called 'step': that is the step")
    goals = [objective.goal for objective in objectives]
    uses = [objective.use for objective in objectives]
    made = _at(("objective",), lambda: objectives_of(metrics, goals, uses))
    _at(("constraints",), lambda: check_constraints(constraints, space, made))
    _at(("prefer",), lambda: preference_of(model.prefer, made))
    for index, config in enumerate(model.enqueue):
        _at(("enqueue", index), partial(space.filled, config))
    job = model.model_dump(
        include={"command", "metrics", "shell", "cwd", "environment", "gpus_per_trial"},
        exclude_defaults=True,
    )
    return _at(
        ("searcher",) if model.name else ("name",),
        lambda: make_spec(
            space,
            name=name_of(path, model),
            metric=metrics,
            goal=goals,
            use=uses,
            constraints=model.constraints,
            at_most=model.at_most,
            at_least=model.at_least,
            prefer=model.prefer,
            searcher=model.searcher,
            scheduler=model.scheduler,
            seed=model.seed,
            deterministic=model.deterministic,
            duplicates=model.duplicates,
            tags=model.tags,
            job=job,
            limits=model.limits,
        ),
    )


def _constraints(model: JobModel) -> list[Constraint]:
    return constraints_of(model.constraints, model.at_most, model.at_least)


def program_of(path: Path, model: JobModel) -> Program:
    """What it runs for a trial."""
    objectives = model.objective if isinstance(model.objective, list) else [model.objective]
    named = set().union(*(c.expression.names for c in _constraints(model))) - set(model.space)
    named |= {str(model.limits["cost_metric"])} if model.limits.get("cost_metric") else set()
    metrics = [objective.metric for objective in objectives]
    return Program(
        command=model.command,
        wanted=(*metrics, *sorted(named - {*metrics, *COSTS})),
        by_last=frozenset(o.metric for o in objectives if o.use == LAST),
        metrics=model.metrics,
        shell=model.shell,
        cwd=(path.parent / model.cwd).absolute(),
        environment=model.environment,
    )


def _space(model: JobModel) -> Space:
    for name, parameter in model.space.items():
        if name != RELATIONS:
            _at(("space", name), partial(_check_parameter, name, parameter))
    return _at(("space",), lambda: Space.from_dict(model.space))


def _check_backslashes(command: str | list[str]) -> None:
    """Raise JobError for a path of Windows in a line, whose words are read as a shell would."""
    line = command if isinstance(command, str) else ""
    path = re.search(r"(?<![\w'])[A-Za-z]:\\[^\s'\"]*", line)
    if path is not None:
        slashes = path[0].replace("\\", "/")
        raise JobError(
            f"command: a backslash takes the next character as it is, and {path[0]} would lose its own; write {slashes}"
        )


def _check_parameter(name: str, described: Any) -> None:
    parameter = parameter_from_dict(name, described)
    values = parameter.values if isinstance(parameter, Choice) else ()
    if isinstance(parameter, Fixed):
        values = (parameter.constant,)
    for value in values:
        if isinstance(value, str) and "\0" in value:
            raise JobError(f"{name}: {value!r} has a NUL character, which no program can be given")


def _at(path: Path_, act: Callable[[], T]) -> T:
    """Do it; a mistake is one at `path`."""
    try:
        return act()
    except TunesmithError as error:
        raise Located(path, str(error)) from None
