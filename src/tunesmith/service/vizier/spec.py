"""What a study of Vizier's is here: its metrics, algorithm, early stopping and end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format

from tunesmith.core.study import StudySpec
from tunesmith.service.vizier import messages
from tunesmith.service.vizier.metadata import written
from tunesmith.service.vizier.names import invalid, shortened
from tunesmith.service.vizier.space import Parameters
from tunesmith.tuning.spec import make_spec

#: The searcher for each algorithm.
SEARCHERS: Final[Mapping[str, str]] = {
    "": "auto",
    "DEFAULT": "auto",
    "ALGORITHM_UNSPECIFIED": "auto",
    "GP_UCB_PE": "bayes",
    "GAUSSIAN_PROCESS_BANDIT": "bayes",
    "RANDOM_SEARCH": "random",
    "QUASI_RANDOM_SEARCH": "sobol",
    "GRID_SEARCH": "grid",
    "NSGA2": "evolution",
    "EAGLE_STRATEGY": "evolution",
    "CMA_ES": "cmaes",
}
#: Values of a DOUBLE in a grid, as Vizier's own has.
_LEVELS: Final = 10
#: In a study's job: what was asked for.
JOB: Final = "vizier"
#: What reports keep that is no metric of the client's.
ELAPSED: Final = "vizier.elapsed_s"
#: What a metric is called that has no name there.
_UNNAMED: Final = "unnamed"
#: The longest text of a study (bytes).
LONGEST: Final = 1 << 20
_LONGEST_S: Final = 1e9


def metric_name(id: str) -> str:  # noqa: A002 (theirs)
    """A metric's name here. Raises Problem."""
    if id in (ELAPSED, _UNNAMED):
        raise invalid(f"a metric cannot be called {id!r} here: choose another metric_id")
    if len(id) > 200:
        raise invalid("a metric_id has 200 characters at most")
    return id or _UNNAMED


def metric_id(name: str) -> str:
    return "" if name == _UNNAMED else name


def make(name: str, resource: str, study: Any) -> StudySpec:
    """The study that is asked for. Raises Problem, TunesmithError."""
    spec = study.study_spec
    parameters = Parameters(spec.parameters)
    metrics: list[str] = []
    goals: list[str] = []
    at_most: dict[str, float] = {}
    at_least: dict[str, float] = {}
    for metric in spec.metrics:
        id, goal = metric_name(metric.metric_id), metric.goal  # noqa: A001
        if goal not in range(3):
            raise invalid(f"metric {shortened(metric.metric_id)}: goal is MAXIMIZE or MINIMIZE")
        least = goal == metric.MINIMIZE
        if metric.HasField("safety_config"):
            bounds = at_most if least else at_least
            bounds[id] = metric.safety_config.safety_threshold
        else:
            metrics.append(id)
            goals.append("minimize" if least else "maximize")
    if not metrics:
        raise invalid(
            "study_spec has no metric to optimise: add one (metrics, metric_information); one with a safety_config alone "
            "is a constraint"
        )
    both = sorted({*at_most, *at_least} & {*metrics}) + sorted(at_most.keys() & at_least)
    if both or len(set(metrics)) != len(metrics):
        raise invalid("a metric is there twice; each has a metric_id of its own")
    kept = messages.of("StudySpec")()
    kept.CopyFrom(spec)
    del kept.metadata[:]
    text = json_format.MessageToJson(kept, indent=None)
    if len(text) > LONGEST:
        raise invalid(f"a study's description has {LONGEST >> 10} KiB at most")
    searcher: Any = SEARCHERS.get(spec.algorithm)
    if searcher is None:
        raise invalid(
            f"there is no algorithm {shortened(spec.algorithm)} here: {', '.join(filter(None, SEARCHERS))}"
        )
    if searcher == "grid":
        searcher = {"grid": {"levels": parameters.levels(_LEVELS) or _LEVELS}}
    return make_spec(
        parameters.space,
        name=name,
        metric=metrics,
        goal=goals,  # type: ignore[arg-type]
        at_most=at_most,
        at_least=at_least,
        searcher=searcher,
        scheduler=_scheduler(spec),
        duplicates=spec.observation_noise == spec.HIGH,
        job={
            JOB: {
                "name": resource,
                "display_name": study.display_name,
                "spec": text,
                "metadata": written(spec.metadata),
            }
        },
        # what a client calls infeasible is a result of its own, and no sign that the study is broken
        limits={"failures_in_a_row": None, "same_error": None, **_limits(spec)},
    )


def _scheduler(spec: Any) -> Any:
    kind = spec.WhichOneof("automated_stopping_spec")
    if kind is None:
        return None
    how = getattr(spec, kind)
    if getattr(how, "use_elapsed_duration", False):
        raise invalid(
            f"{kind}: trials are compared at equal steps here; leave use_elapsed_duration out, and send step_count"
        )
    if kind == "default_stopping_spec" or kind == "median_automated_stopping_spec":
        return "median"
    if kind == "convex_automated_stopping_spec" and how.min_step_count > 0:
        return {"forecast": {"after": how.min_step_count}}
    return "forecast"


def _limits(spec: Any) -> dict[str, Any]:
    """Vertex AI's conditions under which a study ends. Raises Problem."""
    stop, limits = spec.study_stopping_config, {}
    for field in ("minimum_runtime_constraint", "min_num_trials"):
        if stop.HasField(field):
            raise invalid(f"study_stopping_config: {field} is not to be had here; leave it out")
    if stop.should_stop_asap.value:
        raise invalid(
            "study_stopping_config: trials that run are not stopped; leave should_stop_asap out"
        )
    if stop.HasField("max_num_trials"):
        limits["trials"] = stop.max_num_trials.value
    if stop.HasField("max_num_trials_no_progress"):
        limits["no_improvement"] = stop.max_num_trials_no_progress.value
    if stop.HasField("max_duration_no_progress"):
        limits["no_improvement_time"] = seconds(stop.max_duration_no_progress)
    if stop.HasField("maximum_runtime_constraint"):
        until = stop.maximum_runtime_constraint
        left = until.max_duration if until.HasField("max_duration") else None
        limits["time"] = (
            max(1.0, until.end_time.seconds - time.time()) if left is None else seconds(left)
        )
    return limits


def seconds(duration: Any) -> float:
    """A duration in seconds. Raises Problem."""
    value = float(duration.seconds + duration.nanos / 1e9)
    if not 0 <= value <= _LONGEST_S:
        raise invalid(f"a duration is from 0 to {_LONGEST_S:.0e} seconds")
    return value


def asked_for(spec: StudySpec) -> Mapping[str, Any] | None:
    """What a study's client asked for; None for a study of nobody's of these."""
    found = spec.job.get(JOB)
    return found if isinstance(found, Mapping) and "name" in found and "spec" in found else None


def described(asked: Mapping[str, Any]) -> Any:
    """The study_spec that was asked for, as a message."""
    return json_format.Parse(str(asked["spec"]), messages.of("StudySpec")())


def mark_whole(parameters: Iterable[Any]) -> None:
    """Let OSS Vizier's client show values of INTEGER parameters as int: over the wire all numbers are doubles."""
    for one in parameters:
        if one.HasField("integer_value_spec") and one.external_type == one.AS_INTERNAL:
            one.external_type = one.AS_INTEGER
        mark_whole(condition.parameter_spec for condition in one.conditional_parameter_specs)


def alike(shown: Any, asked: Any) -> bool:
    """Whether a study is the one that is asked for; its notes may have changed since."""
    bare = []
    for one in (shown, asked):
        copy = messages.of("StudySpec")()
        copy.CopyFrom(one)
        del copy.metadata[:]
        mark_whole(copy.parameters)
        bare.append(copy)
    return bool(bare[0] == bare[1])
