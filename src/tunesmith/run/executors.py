"""Selection of the executor that runs a study's trials: the one place that knows them all.

What comes out of `of_function` and `of_program` has been checked against the study's limits; it makes the executor
once a coordinator is there to work for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tunesmith.core.errors import StudyError
from tunesmith.core.events import Reported
from tunesmith.core.study import StudySpec
from tunesmith.run.base import Executor
from tunesmith.run.folder import Folder

if TYPE_CHECKING:
    from tunesmith.run.program import Program
    from tunesmith.run.simulate import Curve, SimulateExecutor

#: Where the trials of a Python function run.
Where: TypeAlias = Literal["auto", "inline", "process"]


class Context(NamedTuple):
    """What an executor works for: one session on one study."""

    spec: StudySpec
    session: str
    folder: Folder
    #: Takes the report of a trial that has the coordinator further up its stack.
    deliver: Callable[[Reported], None]


Factory: TypeAlias = Callable[[Context], Executor]


def of_function(
    objective: Callable[..., Any],
    spec: StudySpec,
    *,
    where: Where = "auto",
    isolate: bool = False,
    gpus_per_trial: float = 0.0,
) -> Factory:
    """The executor for a Python function: this very process, or worker processes. Raises StudyError."""
    limits = spec.limits
    if where not in ("auto", "inline", "process"):
        raise StudyError(f"executor is 'auto', 'inline' or 'process', not {where!r}")
    needs_processes = (
        limits.parallel > 1
        or limits.trial_time is not None
        or limits.trial_memory is not None
        or isolate
        or gpus_per_trial > 0
    )
    if where == "inline" and needs_processes:
        raise StudyError(
            "executor='inline' runs one trial at a time in this process; parallel, trial_time, "
            "trial_memory, isolate and gpus_per_trial need executor='process'"
        )

    def inline(context: Context) -> Executor:
        from tunesmith.run.inline import InlineExecutor

        return InlineExecutor(
            objective,
            metric=[objective.metric for objective in context.spec.objectives],
            deliver=context.deliver,
            directory=context.folder.trial,
        )

    def process(context: Context) -> Executor:
        from tunesmith.run.process import ProcessExecutor

        return ProcessExecutor(
            objective,
            metric=[objective.metric for objective in context.spec.objectives],
            session=context.session,
            folder=context.folder,
            parallel=context.spec.limits.parallel,
            memory_limit=context.spec.limits.trial_memory,
            isolate=isolate,
            gpus_per_trial=gpus_per_trial,
        )

    return process if where == "process" or needs_processes else inline


def of_program(program: Program, *, gpus_per_trial: float = 0.0) -> Factory:
    """The executor for a program of any language. Raises JobError if it cannot be found."""
    from tunesmith.run.command import CommandExecutor
    from tunesmith.run.template import Template

    program.find(Template.of(program.command, shell=program.shell))

    def command(context: Context) -> Executor:
        return CommandExecutor(
            program,
            session=context.session,
            folder=context.folder,
            parallel=context.spec.limits.parallel,
            memory_limit=context.spec.limits.trial_memory,
            gpus_per_trial=gpus_per_trial,
        )

    return command


def of_curve(curve: Curve, spec: StudySpec, began: float) -> SimulateExecutor:
    """The executor for trials in virtual time; it has the study's clock."""
    from tunesmith.run.simulate import SimulateExecutor

    return SimulateExecutor(curve, metric=spec.first_objective.metric, began=began)
