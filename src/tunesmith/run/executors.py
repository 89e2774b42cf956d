"""Selection of the executor that runs a study's trials: the one place that knows them all.

What comes out of `of_function` and `of_program` has been checked against the study's limits; it makes the executor
once a coordinator is there to work for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from tunesmith.core.errors import ExecutorError, StudyError, did_you_mean, shown
from tunesmith.core.events import Asked, Reported
from tunesmith.core.study import StudySpec
from tunesmith.run.base import Executor
from tunesmith.run.demand import Demand
from tunesmith.run.folder import Folder
from tunesmith.run.resources import threads_of

if TYPE_CHECKING:
    from tunesmith.run.agent import Function
    from tunesmith.run.fleet import Cluster
    from tunesmith.run.program import Program
    from tunesmith.run.simulate import Curve, SimulateExecutor

#: Where the trials of a Python function run on this machine, and where those of anything run on others.
Here: TypeAlias = Literal["auto", "inline", "process"]
There: TypeAlias = Literal["ray", "slurm", "dask"]
#: By name, or a cluster with its options: ``{"ray": {"address": "10.0.0.1:6379"}}``.
Where: TypeAlias = Here | There | Mapping[str, Mapping[str, Any]]
#: What may be said of a cluster.
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "ray": ("address", "runtime_env"),
    "slurm": ("partition", "time", "host", "options", "cluster"),
    "dask": ("address", "host"),
}
#: The packages that speak with them.
_PACKAGES: Final = {"ray": "ray", "slurm": "submitit", "dask": "distributed"}


class Context(NamedTuple):
    """What an executor works for: one session on one study."""

    spec: StudySpec
    session: str
    folder: Folder
    #: Takes the report, or the question, of a trial that has the coordinator further up its stack.
    deliver: Callable[[Reported | Asked], None]
    #: Tells people something.
    say: Callable[[str], None] = lambda _: None


Factory: TypeAlias = Callable[[Context], Executor]


def of_function(
    objective: Callable[..., Any],
    spec: StudySpec,
    *,
    where: Where = "auto",
    isolate: bool = False,
    gpus_per_trial: float = 0.0,
    resources: Mapping[str, Any] | None = None,
) -> Factory:
    """The executor for a Python function: this very process, worker processes, or a cluster. Raises StudyError."""
    limits = spec.limits
    place = _cluster_of(where)
    if place is not None:
        from tunesmith.run.agent import Function
        from tunesmith.run.process import pickled

        metrics = tuple(objective.metric for objective in spec.objectives)
        function = Function(pickled(objective), metrics, isolate)
        return _fleet(function, place, Demand.of(resources, gpus_per_trial))
    if where not in get_args(Here):
        raise StudyError(
            f"executor is 'auto', 'inline', 'process' or a cluster ({', '.join(OPTIONS)}), not {where!r}"
        )
    _refuse(resources)
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


def of_program(
    program: Program,
    *,
    where: Where = "auto",
    gpus_per_trial: float = 0.0,
    resources: Mapping[str, Any] | None = None,
) -> Factory:
    """The executor for a program of any language. Raises JobError if it cannot be found, StudyError."""
    place = _cluster_of(where)
    if place is not None:
        return _fleet(program, place, Demand.of(resources, gpus_per_trial))
    if where not in ("auto", "process"):
        raise StudyError(
            f"executor: a program runs here ('auto') or on a cluster ({', '.join(OPTIONS)}), not {shown(where)}"
        )
    _refuse(resources)
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


def on(name: str | None, address: str | None, where: Where) -> Where:
    """`where` for a command line that says ``--on NAME --address ADDRESS``. Raises StudyError."""
    if name is None and address is None:
        return where
    before = _cluster_of(where)
    if name is None and before is None:
        having = [name for name, options in OPTIONS.items() if "address" in options]
        raise StudyError(f"--address is that of a cluster: add --on {' or '.join(having)}")
    name = name or (before.name if before is not None else "")
    if name not in OPTIONS:
        if address is None and name in get_args(Here):
            return cast(Where, name)
        raise StudyError(f"--on is {' or '.join(OPTIONS)}, not {shown(name)}")
    if address is not None and "address" not in OPTIONS[name]:
        raise StudyError(f"{name} has no --address; it is the one of this machine")
    options = dict(before.options) if before is not None and before.name == name else {}
    return {name: {**options, **({} if address is None else {"address": address})}}


class _Place(NamedTuple):
    """A cluster, and how to come to it."""

    name: str
    options: Mapping[str, Any]


def _cluster_of(where: Where) -> _Place | None:
    """The cluster that is meant; None for this machine. Raises StudyError."""
    if isinstance(where, str):
        return _Place(where, {}) if where in OPTIONS else None
    if not isinstance(where, Mapping) or len(where) != 1:
        raise StudyError(
            f"an executor is a name, or one with options ({{'ray': {{'address': ...}}}}), not {shown(where)}"
        )
    ((name, options),) = where.items()
    if name not in OPTIONS:
        raise StudyError(f"there is no cluster {shown(name)}{did_you_mean(str(name), OPTIONS)}")
    if not isinstance(options or {}, Mapping):
        raise StudyError(f"{name}: its options are names and values, not {shown(options)}")
    for option in options or {}:
        if option not in OPTIONS[name]:
            hint = did_you_mean(str(option), OPTIONS[name])
            raise StudyError(f"{name} has no option {shown(option)}{hint}")
    return _Place(name, options or {})


def _refuse(resources: Mapping[str, Any] | None) -> None:
    if resources is not None:
        raise StudyError(
            f"resources are what trials need of a cluster ({', '.join(OPTIONS)}); on this machine say parallel, "
            "gpus_per_trial and trial_memory"
        )


def _fleet(work: Function | Program, place: _Place, demand: Demand) -> Factory:
    """The executor for trials on a cluster's nodes."""

    def fleet(context: Context) -> Executor:
        from tunesmith.run.agent import Site
        from tunesmith.run.fleet import FleetExecutor, own_path, signed

        make = _made(place)
        folder, limits = context.folder, context.spec.limits
        site = Site(
            work,
            folder.path,
            signed(folder),
            limits.trial_memory,
            threads_of(demand.threads),
            own_path(),
            _sent(place.options),
        )
        try:
            cluster = make(site, demand, **place.options)
        except BaseException:
            (folder.path / site.sign).unlink(missing_ok=True)
            raise
        return FleetExecutor(
            cluster,
            folder=folder,
            sign=site.sign,
            parallel=limits.parallel,
            say=context.say,
        )

    return fleet


def _sent(options: Mapping[str, Any]) -> Path | None:
    """The folder that is sent to the nodes, by its path here; None if none is."""
    folder = (options.get("runtime_env") or {}).get("working_dir")
    return None if folder is None else Path(folder).absolute()


def _made(place: _Place) -> Callable[..., Cluster]:
    """What makes the cluster. Raises ExecutorError where its package is missing."""
    try:
        module = import_module(f"tunesmith.run.{place.name}")
    except ImportError as error:
        package = _PACKAGES[place.name]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ExecutorError(
            f"{package} is not installed: pip install 'tunesmith[{place.name}]'"
        ) from error
    cluster: Callable[..., Cluster] = module.CLUSTER
    return cluster


def of_curve(curve: Curve, spec: StudySpec, began: float) -> SimulateExecutor:
    """The executor for trials in virtual time; it has the study's clock."""
    from tunesmith.run.simulate import SimulateExecutor

    return SimulateExecutor(curve, metric=spec.first_objective.metric, began=began)
