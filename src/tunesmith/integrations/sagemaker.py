"""SageMaker: a tuning job's request, as JSON or YAML, as a job.

    run_job(read_sweep("request.json"))

What the request has of AWS is not used: the script ``sagemaker_program`` runs on this machine, in the request's folder, with its hyperparameters as
arguments, as SageMaker's containers call it. For images, data in buckets and unchanged clients there is ``tunesmith serve --sagemaker``.
Needs nothing of AWS's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, shown
from tunesmith.integrations.hyperparameters import plain
from tunesmith.integrations.sweeps import Sweep, literal, numbers, read
from tunesmith.tuning.job import Job

_SEARCHERS: Final = {"Bayesian": "auto", "Random": "random", "Grid": "grid", "Hyperband": "auto"}
#: Hyperparameters that say what to run, and are none of the script's.
_OURS: Final = "sagemaker_"
#: From so many times the least value on, a range's scale is logarithmic where the request says Auto.
WIDE: Final = 100.0
_USED: Final = {"AlgorithmSpecification", "StaticHyperParameters", "HyperParameterRanges", "TuningObjective", "DefinitionName"}  # fmt: skip


def read_sweep(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """A request as a job; `overrides` of limits, name, seed and storage come on top. What it cannot keep is said (by `say`, else on
    stderr). Raises JobError."""
    return read(path, convert, overrides, say)


def convert(data: Mapping[str, Any], sweep: Sweep) -> dict[str, Any]:
    """What a request says, as a job file says it."""
    config = _mapping(data, "HyperParameterTuningJobConfig")
    if data.get("TrainingJobDefinitions"):
        raise JobError(
            "TrainingJobDefinitions: a job has one definition; write it as TrainingJobDefinition, or send the request to "
            "tunesmith serve --sagemaker"
        )
    one = _mapping(data, "TrainingJobDefinition")
    known = {
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobConfig",
        "TrainingJobDefinition",
        "Tags",
    }
    sweep.leave_out(data, known)
    sweep.leave_out(one, {*_USED, "StoppingCondition", "RoleArn"}, "TrainingJobDefinition.")
    objective = one.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") or {}
    if not isinstance(objective, Mapping) or not objective.get("MetricName"):
        raise JobError("HyperParameterTuningJobObjective: a job needs its MetricName and Type")
    _ranges(one.get("HyperParameterRanges") or config.get("ParameterRanges") or {}, sweep)
    strategy = str(config.get("Strategy", "Bayesian"))
    if strategy not in _SEARCHERS:
        raise JobError(f"Strategy {strategy!r} is none of {', '.join(_SEARCHERS)}")
    job: dict[str, Any] = {
        "command": _command(one, sweep),
        "objective": {
            "metric": objective["MetricName"],
            "goal": str(objective.get("Type", "Minimize")).lower(),
        },
        "metrics": _metrics(one),
        "space": sweep.space,
        "searcher": _SEARCHERS[strategy],
        "limits": _limits(config, one),
        "seed": config.get("RandomSeed"),
        "name": data.get("HyperParameterTuningJobName"),
        "scheduler": _scheduler(config, strategy),
    }
    return {key: value for key, value in job.items() if value not in (None, {})}


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if not isinstance(value, Mapping):
        raise JobError(
            f"{key}: a request of CreateHyperParameterTuningJob has one, not {shown(value)}"
        )
    return value


def _ranges(ranges: Mapping[str, Any], sweep: Sweep) -> None:
    for kind in (
        "IntegerParameterRanges",
        "ContinuousParameterRanges",
        "CategoricalParameterRanges",
    ):
        for one in ranges.get(kind) or []:
            if not isinstance(one, Mapping) or "Name" not in one:
                raise JobError(f"{kind}: each range has a Name, unlike {shown(one)}")
            sweep.add(str(one["Name"]), _range(kind, one))
    if ranges.get("AutoParameters"):
        raise JobError(
            "AutoParameters: write ranges of their own, or use tunesmith serve --sagemaker"
        )


def _range(kind: str, one: Mapping[str, Any]) -> dict[str, Any]:
    name = str(one["Name"])
    if kind == "CategoricalParameterRanges":
        return {"choice": [plain(str(value)) for value in one.get("Values") or []]}
    low, high = numbers(name, one.get("MinValue"), one.get("MaxValue"))
    scale = one.get("ScalingType", "Auto")
    wide = scale == "Auto" and low > 0 and high >= WIDE * low
    log: dict[str, Any] = {"log": True} if scale == "Logarithmic" or wide else {}
    if kind == "IntegerParameterRanges":
        return {"int": [int(low), int(high)], **log}
    if scale == "ReverseLogarithmic":
        log = {"log": "reverse"}
    return {"float": [low, high], **log}


def _metrics(one: Mapping[str, Any]) -> dict[str, str]:
    """Regular expressions: a job takes their first group, too."""
    definitions = (one.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or []
    return {str(definition["Name"]): str(definition["Regex"]) for definition in definitions}


def _command(one: Mapping[str, Any], sweep: Sweep) -> list[str]:
    static = {str(k): plain(str(v)) for k, v in (one.get("StaticHyperParameters") or {}).items()}
    program = static.get(f"{_OURS}program")
    image = (one.get("AlgorithmSpecification") or {}).get("TrainingImage")
    if not program:
        raise JobError(
            f"StaticHyperParameters has no sagemaker_program, and the image {image} is not used here; name a script, or use "
            "tunesmith serve --sagemaker"
        )
    if image:
        sweep.lost.append(f"the image {image} is not used: the script runs on this machine")
    if f"{_OURS}submit_directory" in static:
        sweep.lost.append(
            f"sagemaker_submit_directory is not fetched: {program} is one of the request's folder"
        )
    words = ["python", literal(program)]
    for name, value in static.items():
        if not name.startswith(_OURS):
            words += [_argument(name), literal(value)]
    for there, here in sweep.names.items():
        words += [_argument(there), f"{{{here}}}"]
    return words


def _argument(name: str) -> str:
    """As SageMaker's containers write it."""
    return literal(f"-{name}" if len(name) == 1 else f"--{name}")


def _limits(config: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    spend = config.get("ResourceLimits") or {}
    done = config.get("TuningJobCompletionCriteria") or {}
    stale = done.get("BestObjectiveNotImproving") or {}
    limits = {
        "trials": spend.get("MaxNumberOfTrainingJobs"),
        "parallel": spend.get("MaxParallelTrainingJobs"),
        "time": spend.get("MaxRuntimeInSeconds"),
        "trial_time": (one.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds"),
        "target": done.get("TargetObjectiveMetricValue"),
        "no_improvement": stale.get("MaxNumberOfTrainingJobsNotImproving"),
    }
    return {name: value for name, value in limits.items() if value is not None}


def _scheduler(config: Mapping[str, Any], strategy: str) -> Any:
    if strategy == "Hyperband":
        given = (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig") or {}
        if not given.get("MaxResource"):
            raise JobError(
                "StrategyConfig: Hyperband needs HyperbandStrategyConfig.MaxResource here"
            )
        least = {"min": given["MinResource"]} if given.get("MinResource") else {}
        return {"asha": {"max": given["MaxResource"], **least}}
    return "median" if config.get("TrainingJobEarlyStoppingType") == "Auto" else None
