"""Katib: an Experiment's YAML file as a job: its trials' command runs here, not in pods.

    run_job(read_sweep("experiment.yaml"))

Needs nothing of Katib's. Metrics are read from the lines ``name=value`` that the program prints, as Katib's own collector does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, shown
from tunesmith.integrations.sweeps import Sweep, literal, numbers, read
from tunesmith.tuning.job import Job

_SEARCHERS: Final = {
    "random": "random", "grid": "grid", "sobol": "sobol", "tpe": "tpe", "multivariate-tpe": "tpe", "cmaes": "cmaes",
    "bayesianoptimization": "auto",
}  # fmt: skip
_KNOWN: Final = {
    "objective",
    "algorithm",
    "parameters",
    "parallelTrialCount",
    "maxTrialCount",
    "trialTemplate",
    "earlyStopping",
}
_PARAMETER: Final = re.compile(r"\$\{\{?trialParameters\.([^}]+)\}\}?|\$\{\{?[^}]*\}\}?")


def read_sweep(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """As `tunesmith.integrations.wandb.read_sweep`."""
    return read(path, convert, overrides, say)


def convert(data: Mapping[str, Any], sweep: Sweep) -> dict[str, Any]:
    """What an Experiment says, as a job file says it."""
    spec = data.get("spec") or {}
    sweep.leave_out(spec, _KNOWN, "spec.")
    for name, parameter in _named(spec.get("parameters"), "spec.parameters"):
        sweep.add(name, _parameter(name, parameter))
    objective = spec.get("objective") or {}
    metric = objective.get("objectiveMetricName")
    if not metric:
        raise JobError("spec.objective.objectiveMetricName: a job needs a metric")
    algorithm = str((spec.get("algorithm") or {}).get("algorithmName", "random"))
    if algorithm not in _SEARCHERS:
        sweep.lost.append(f"the algorithm {algorithm} is searched by auto")
    limits = {
        "trials": spec.get("maxTrialCount"),
        "parallel": spec.get("parallelTrialCount"),
        "target": objective.get("goal"),
    }
    job = {
        "name": (data.get("metadata") or {}).get("name"),
        "command": list(_command(spec.get("trialTemplate") or {}, sweep)),
        "objective": {"metric": metric, "goal": objective.get("type", "minimize")},
        "metrics": {
            name: f"{name}={{number}}"
            for name in [metric, *(objective.get("additionalMetricNames") or [])]
        },
        "space": sweep.space,
        "searcher": _SEARCHERS.get(algorithm, "auto"),
        "limits": {name: value for name, value in limits.items() if value is not None},
    }
    if spec.get("earlyStopping"):
        job["scheduler"] = "median"
    return {key: value for key, value in job.items() if value is not None}


def _named(entries: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a list by their names. Raises JobError."""
    if not isinstance(entries or [], list):
        raise JobError(f"{where} is a list, not {shown(entries)}")
    for k, entry in enumerate(entries or []):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise JobError(f"{where}[{k}]: each has a name, unlike {shown(entry)}")
        yield entry["name"], entry


def _parameter(name: str, parameter: Mapping[str, Any]) -> dict[str, Any]:
    kind, space = parameter.get("parameterType"), parameter.get("feasibleSpace") or {}
    if kind == "categorical":
        return {"choice": list(space.get("list") or [])}
    if kind == "discrete":
        return {"choice": numbers(name, *(space.get("list") or [])), "ordered": True}
    ends = numbers(name, space.get("min"), space.get("max"))
    options: dict[str, Any] = {"log": True} if space.get("distribution") == "logUniform" else {}
    if space.get("step") is not None:
        options["step"] = numbers(name, space["step"])[0]
    if kind == "int":
        return {
            "int": [int(end) for end in ends],
            **{k: int(v) if k == "step" else v for k, v in options.items()},
        }
    return {"float": ends, **options}


def _command(template: Mapping[str, Any], sweep: Sweep) -> Iterator[str]:
    """The words of the primary container's command, with our placeholders."""
    pod = ((template.get("trialSpec") or {}).get("spec") or {}).get("template", {}).get("spec", {})
    containers = pod.get("containers") or []
    primary = [c for c in containers if c.get("name") == template.get("primaryContainerName")]
    if not containers:
        raise JobError("spec.trialTemplate.trialSpec has no container, whose command a job runs")
    container = (primary or containers)[0]
    if container.get("image"):
        sweep.lost.append(
            f"the image {container['image']} is not used: the command runs on this machine"
        )
    if container.get("resources"):
        sweep.lost.append(
            "the container's resources are not kept; see trial_memory and gpus_per_trial"
        )
    named = _named(template.get("trialParameters"), "spec.trialTemplate.trialParameters")
    references = {name: entry.get("reference", name) for name, entry in named}
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not words:
        raise JobError(
            "spec.trialTemplate: the container has no command of its own, and its image is not used here"
        )

    def placeholder(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        there = references.get(match[1], match[1])
        if there not in sweep.names:
            raise JobError(f"spec.trialTemplate: {match[1]} is none of the parameters")
        return "{" + sweep.names[there] + "}"

    for word in words:
        yield _PARAMETER.sub(placeholder, literal(str(word)))
