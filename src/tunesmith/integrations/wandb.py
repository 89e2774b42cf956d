"""Weights & Biases: a sweep's YAML file as a job.

    run_job(read_sweep("sweep.yaml"))

Needs nothing of W&B's. What a program logs there is not heard here: it also calls ``tunesmith.report(loss=...)``, or prints it.

`WandbLogger`, a tracker, is here too (``pip install 'tunesmith[wandb]'``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError
from tunesmith.integrations.sweeps import Sweep, literal, numbers, read
from tunesmith.tuning.job import Job

_SEARCHERS: Final = {"grid": "grid", "random": "random", "bayes": "auto"}
_KNOWN: Final = {
    "program",
    "command",
    "method",
    "metric",
    "parameters",
    "early_terminate",
    "run_cap",
    "name",
    "description",
}
_COMMAND: Final = ("${env}", "${interpreter}", "${program}", "${args}")


def read_sweep(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """A sweep as a job; `overrides` of limits, name, seed and storage come on top. What it cannot keep is said (by `say`, else on
    stderr). Raises JobError."""
    return read(path, convert, overrides, say)


def convert(data: Mapping[str, Any], sweep: Sweep) -> dict[str, Any]:
    """What a sweep's file says, as a job file says it."""
    sweep.leave_out(data, _KNOWN)
    _parameters(data.get("parameters") or {}, sweep, "")
    metric = data.get("metric") or {}
    if "name" not in metric:
        raise JobError("metric: a job needs one; write metric: {name: loss, goal: minimize}")
    method = str(data.get("method", "bayes"))
    if method not in _SEARCHERS:
        raise JobError(f"method {method!r} is none of {', '.join(_SEARCHERS)}")
    limits: dict[str, Any] = {}
    if data.get("run_cap") is not None:
        limits["trials"] = int(data["run_cap"])
    if metric.get("target") is not None:
        limits["target"] = metric["target"]
    job: dict[str, Any] = {
        "command": _command(data, sweep),
        "objective": {"metric": metric["name"], "goal": metric.get("goal", "minimize")},
        "space": sweep.space,
        "searcher": _SEARCHERS[method],
        "limits": limits,
    }
    if data.get("name"):
        job["name"] = str(data["name"]).replace(" ", "-")
    early = data.get("early_terminate")
    if early:
        rung = {
            "min": early.get("min_iter"),
            "max": early.get("max_iter"),
            "reduction": early.get("eta", 3),
        }
        job["scheduler"] = {
            "asha": {key: value for key, value in rung.items() if value is not None}
        }
        sweep.lost.append(
            "early_terminate is the scheduler asha, with its rungs, not W&B's brackets"
        )
    return job


def _parameters(parameters: Mapping[str, Any], sweep: Sweep, prefix: str) -> None:
    for name, spec in parameters.items():
        if isinstance(spec, Mapping) and "parameters" in spec:
            _parameters(spec["parameters"], sweep, f"{prefix}{name}.")
        else:
            sweep.add(f"{prefix}{name}", _parameter(f"{prefix}{name}", spec, sweep))


def _parameter(name: str, spec: Any, sweep: Sweep) -> Any:
    if not isinstance(spec, Mapping):
        raise JobError(f"parameters.{name}: value, values, or min and max are needed, not {spec!r}")
    kind = spec.get("distribution")
    if "value" in spec:
        return {"value": spec["value"]}
    if "values" in spec:
        choice: dict[str, Any] = {"choice": list(spec["values"])}
        if spec.get("probabilities"):
            choice["prior"] = list(spec["probabilities"])
        return choice
    if kind in ("normal", "q_normal", "log_normal", "q_log_normal"):
        centre, deviation = numbers(name, spec.get("mu", 0), spec.get("sigma", 1))
        return sweep.normal(name, centre, deviation, log="log" in kind)
    low, high = spec.get("min"), spec.get("max")
    if kind is None:
        kind = "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"
    ends = numbers(name, low, high)
    if kind == "int_uniform":
        return {"int": [int(end) for end in ends]}
    if kind in ("uniform", "q_uniform"):
        return {"float": ends, **({"step": spec.get("q", 1)} if kind == "q_uniform" else {})}
    if "log_uniform" not in kind:
        raise JobError(
            f"parameters.{name}: the distribution {kind!r} has no place in a space; write a range of its own"
        )
    if kind.startswith("q_"):
        sweep.lost.append(f"{name} is not rounded to multiples of q")
    return {
        "float": ends if kind.endswith("_values") else [math.exp(end) for end in ends],
        "log": True,
    }


def _command(data: Mapping[str, Any], sweep: Sweep) -> list[str]:
    arguments = {
        "${args}": [f"--{literal(there)}={{{here}}}" for there, here in sweep.names.items()],
        "${args_no_hyphens}": [
            f"{literal(there)}={{{here}}}" for there, here in sweep.names.items()
        ],
        "${interpreter}": ["python"],
        "${program}": [literal(str(data.get("program", "")))],
        "${env}": [],
    }
    words: list[str] = []
    for word in data.get("command") or _COMMAND:
        if str(word).startswith("${") and word not in arguments:
            raise JobError(
                f"command: {word} has no place in a job; write the arguments out, such as --lr={{lr}}"
            )
        words += arguments.get(str(word), [literal(str(word))])
    if not any(words):
        raise JobError("program: a job needs the program that runs a trial")
    return words


def __getattr__(name: str) -> Any:
    """`WandbLogger` (and `TRACKER`, which it is): loaded once it is asked for, with W&B's package."""
    if name not in ("WandbLogger", "TRACKER"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tunesmith.integrations.wandb_runs import WandbLogger

    return WandbLogger
