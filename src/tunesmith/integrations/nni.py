"""NNI: an experiment's YAML file as a job.

    run_job(read_sweep("config.yaml"))

Needs nothing of NNI's. What a program asks and reports there is not heard here: it reads its values from the arguments ``--name value``, or from the file that ``{config_file}`` names, and calls
``tunesmith.report(default=...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import JobError, SpaceError, shown
from tunesmith.core.text import read_mapping
from tunesmith.integrations.sweeps import Sweep, literal, numbers, read
from tunesmith.tuning.job import Job

_SEARCHERS: Final = {
    "random": "random", "gridsearch": "grid", "tpe": "tpe", "evolution": "evolution", "anneal": "auto", "smac": "auto",
    "gp": "auto", "metis": "auto",
}  # fmt: skip
#: How many numbers a range of each kind needs.
_RANGES: Final = {
    "randint": 2, "uniform": 2, "quniform": 3, "loguniform": 2, "qloguniform": 2, "normal": 2, "qnormal": 2, "lognormal": 2,
    "qlognormal": 2,
}  # fmt: skip
_KNOWN: Final = {
    "experimentName", "searchSpace", "searchSpaceFile", "trialCommand", "trialCodeDirectory", "trialConcurrency", "maxTrialNumber",
    "maxExperimentDuration", "tuner", "assessor",
}  # fmt: skip


def read_sweep(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """As `tunesmith.integrations.wandb.read_sweep`."""
    return read(path, lambda data, sweep: convert(data, sweep, Path(path).parent), overrides, say)


def convert(data: Mapping[str, Any], sweep: Sweep, folder: Path = Path()) -> dict[str, Any]:
    """What an experiment's file says, as a job file says it."""
    sweep.leave_out(data, _KNOWN)
    space = data.get("searchSpace")
    if space is None and data.get("searchSpaceFile"):
        space = _read_space(folder / str(data["searchSpaceFile"]))
    if not space:
        raise JobError(
            "searchSpace: a job needs the parameters, or the name of their file in searchSpaceFile"
        )
    if not data.get("trialCommand"):
        raise JobError("trialCommand: a job needs the program that runs a trial")
    _parameters(space, sweep, "", None)
    tuner = data.get("tuner") or {}
    name = str(tuner.get("name", "tpe")).lower()
    if name not in _SEARCHERS:
        sweep.lost.append(f"the tuner {tuner.get('name')} is searched by auto")
    mode = (tuner.get("classArgs") or {}).get("optimize_mode", "maximize")
    limits = {
        "trials": data.get("maxTrialNumber"),
        "parallel": data.get("trialConcurrency"),
        "time": data.get("maxExperimentDuration"),
    }
    sweep.lost.append(
        "nni.get_next_parameter() and nni.report_*() are not heard: read the arguments, and call tunesmith.report(default=...)"
    )
    job = {
        "name": str(data["experimentName"]).replace(" ", "-")
        if data.get("experimentName")
        else None,
        "command": literal(str(data["trialCommand"])) + " {args}",
        "cwd": data.get("trialCodeDirectory"),
        "objective": {"metric": "default", "goal": mode},
        "space": sweep.space,
        "searcher": _SEARCHERS.get(name, "auto"),
        "limits": {key: value for key, value in limits.items() if value is not None},
    }
    if data.get("assessor"):
        job["scheduler"] = "median"
        if str(data["assessor"].get("name", "")).lower() != "medianstop":
            sweep.lost.append(
                f"the assessor {data['assessor'].get('name')} is the scheduler median"
            )
    return {key: value for key, value in job.items() if value is not None}


def _read_space(path: Path) -> Mapping[str, Any]:
    try:
        return read_mapping(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise JobError(f"searchSpaceFile: there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise JobError(f"searchSpaceFile: {path} cannot be read: {error}") from None
    except SpaceError as error:
        raise JobError(f"searchSpaceFile: {error}") from None


def _parameters(
    space: Mapping[str, Any], sweep: Sweep, prefix: str, when: Mapping[str, Any] | None
) -> None:
    for name, spec in space.items():
        if name != "_name":
            _parameter(f"{prefix}{name}", spec, sweep, when)


def _parameter(name: str, spec: Any, sweep: Sweep, when: Mapping[str, Any] | None) -> None:
    kind = spec.get("_type") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str):
        raise JobError(f"{name}: _type and _value are needed, not {shown(spec)}")
    value = spec.get("_value")
    if not isinstance(value, list):
        raise JobError(f"{name}: _value is a list, not {shown(value)}")
    nested = ["_name" in v for v in value if isinstance(v, Mapping)]
    if kind == "choice" and any(nested):
        if len(nested) < len(value) or not all(nested):
            raise JobError(
                f"{name}: each choice has a _name where one has, unlike in {shown(value)}"
            )
        here = sweep.add(name, {"choice": [v["_name"] for v in value]}, when=when)
        for branch in value:
            _parameters(branch, sweep, f"{name}.", {here: branch["_name"]})
        return
    sweep.add(name, _described(name, kind, value, sweep), when=when)


def _described(name: str, kind: Any, value: list[Any], sweep: Sweep) -> dict[str, Any]:
    if kind == "choice":
        return {"choice": list(value)}
    if kind not in _RANGES:
        raise JobError(f"{name}: there is no _type {kind!r}")
    if len(value) < _RANGES[kind]:
        raise JobError(f"{name}: _value of {kind} is {_RANGES[kind]} numbers, not {shown(value)}")
    ends = numbers(name, *value)
    if kind == "randint":
        return {"int": [int(ends[0]), int(ends[1]) - 1]}
    if kind in ("uniform", "quniform"):
        return {"float": ends[:2], **({"step": ends[2]} if kind == "quniform" else {})}
    if kind in ("loguniform", "qloguniform"):
        if kind == "qloguniform":
            sweep.lost.append(f"{name} is not rounded to multiples of q")
        return {"float": ends[:2], "log": True}
    return sweep.normal(name, ends[0], ends[1], log="log" in kind)
