"""Azure Machine Learning: a sweep job's YAML file as a job: its trials' command runs here, not in Azure.

    run_job(read_sweep("sweep.yaml"))

Needs nothing of Azure's. Metrics are those that the program logs by `mlflow.log_metric`, as Azure hears them, or reports by
``tunesmith.report``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.core.errors import did_you_mean, shown
from tunesmith.core.space.parameter import MAX_INT, parameter_from_dict
from tunesmith.core.study import Strategy
from tunesmith.integrations.azure_trial import LOGGED, Trial, checked, dotted, mapping
from tunesmith.integrations.sweeps import DEVIATIONS, Sweep, read
from tunesmith.schedule import make
from tunesmith.tuning.job import Job
from tunesmith.tuning.job_mistakes import Located, Path_

_KNOWN: Final = {
    "$schema", "type", "name", "display_name", "experiment_name", "description", "sampling_algorithm", "search_space", "objective",
    "early_termination", "limits", "trial", "inputs", "outputs", "compute",
}  # fmt: skip
_LIMITS: Final = ("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout")
#: What Azure takes where nothing is said.
_TRIALS: Final = 1000
#: What each distribution is described by.
_NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "randint": ("upper",), "uniform": ("min_value", "max_value"), "quniform": ("min_value", "max_value", "q"),
    "loguniform": ("min_value", "max_value"), "qloguniform": ("min_value", "max_value", "q"), "normal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"), "lognormal": ("mu", "sigma"), "qlognormal": ("mu", "sigma", "q"),
}  # fmt: skip
#: Larger powers of e are hardly meant, and soon none that a double holds.
_EXPONENT: Final = 200.0


def read_sweep(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """As `tunesmith.integrations.wandb.read_sweep`."""
    return read(path, lambda data, sweep: convert(data, sweep, Path(path).parent), overrides, say)


def convert(data: Mapping[str, Any], sweep: Sweep, folder: Path = Path()) -> dict[str, Any]:
    """What a sweep job says, as a job file says it. Raises Located."""
    sweep.leave_out(data, _KNOWN)
    if data.get("compute"):
        sweep.lost.append(
            f"compute {data['compute']} needs Azure: trials run on this machine, or by --on on a cluster"
        )
    for name, written in mapping(data, "search_space").items():
        where: Path_ = ("search_space", name)
        described = _parameter(where, written, sweep)
        checked(where, lambda name=name, d=described: parameter_from_dict(str(name), d))  # type: ignore[misc]
        sweep.add(str(name), described)
    if not sweep.space:
        raise Located(("search_space",), "search_space: a sweep needs at least one hyperparameter")
    metric, goal = _objective(data)
    searcher, seed = _sampling(data, sweep)
    job: dict[str, Any] = {
        "name": _name(data),
        "command": "",
        "shell": True,
        "objective": {"metric": metric, "goal": goal},
        "metrics": {metric: {"mlflow": LOGGED, "name": metric}},
        "space": sweep.space,
        "searcher": searcher,
        "seed": seed,
        "scheduler": _policy(data, sweep),
        "limits": _limits(data, sweep),
    }
    job |= Trial(data, sweep, folder).described()
    return {key: value for key, value in job.items() if value is not None}


def _name(data: Mapping[str, Any]) -> str | None:
    names = (data.get(key) for key in ("name", "display_name", "experiment_name"))
    name = next((str(name) for name in names if name), "")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or None


def _number(where: Path_, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, str):  # YAML reads 1e-4 as a text, if its reader is old
        try:
            value, number = float(value), True
        except ValueError:
            number = False
    if not number or not math.isfinite(value) or abs(value) > 1e300:
        raise Located(where, f"{dotted(where)} is a number, not {shown(value)}")
    return float(value)


def _whole(where: Path_, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Located(
            where, f"{dotted(where)} is a whole number of at least {least}, not {shown(value)}"
        )
    return value


def _word(where: Path_, value: Any, known: Mapping[str, Any]) -> str:
    word = value.lower() if isinstance(value, str) else ""
    if word not in known:
        hint = did_you_mean(str(value), known)
        raise Located(where, f"{dotted(where)} is {' or '.join(known)}, not {shown(value)}{hint}")
    return word


# -- the space --------------------------------------------------------------------------------


def _parameter(where: Path_, written: Any, sweep: Sweep) -> dict[str, Any]:
    """One parameter, as a job file has it."""
    if not isinstance(written, Mapping):
        raise Located(
            where,
            f"{dotted(where)}: write {{type: uniform, min_value: 0, max_value: 1}}, not {shown(written)}",
        )
    kind = _word((*where, "type"), written.get("type"), {"choice": (), **_NUMBERS})
    wanted = ("values",) if kind == "choice" else _NUMBERS[kind]
    for key in written:
        if key not in wanted and key != "type":
            hint = did_you_mean(str(key), wanted)
            raise Located((*where, key), f"{dotted(where)}: {kind} has no {shown(key)}{hint}")
    for key in wanted:
        if key not in written:
            raise Located(where, f"{dotted(where)}: {kind} needs {' and '.join(wanted)}")
    if kind == "choice":
        return _choice((*where, "values"), written["values"])
    return _range(where, kind, written, sweep)


def _range(where: Path_, kind: str, written: Mapping[str, Any], sweep: Sweep) -> dict[str, Any]:
    """A distribution of numbers."""
    if kind == "randint":
        return {"int": [0, _whole((*where, "upper"), written["upper"], 1) - 1]}
    first, second, *rest = [_number((*where, key), written[key]) for key in _NUMBERS[kind]]
    if rest and rest[0] <= 0:
        raise Located((*where, "q"), f"{dotted(where)}.q is above 0, not {rest[0]:g}")
    log, normal = "log" in kind, kind.endswith("normal")
    if normal and second <= 0:
        raise Located((*where, "sigma"), f"{dotted(where)}.sigma is above 0, not {second:g}")
    width = DEVIATIONS * second
    low, high = (first - width, first + width) if normal else (first, second)
    if low > high:
        raise Located(where, f"{dotted(where)}: min_value {low:g} is above max_value {high:g}")
    for exponent in (low, high) if log else ():
        if abs(exponent) > _EXPONENT:
            raise Located(
                where,
                f"{dotted(where)}: e to the power of {exponent:g} is no number of use: the ends of {kind} are exponents, as "
                "-9.2 is of 0.0001",
            )
    if normal:
        described = sweep.normal(str(where[-1]), first, second, log=log)
    else:
        ends = [math.exp(end) for end in (low, high)] if log else [low, high]
        described = _described("float", ends, log=log, prior=None)
    if not rest:
        return described
    low, high = described["float"]
    prior = described["prior"]["normal"] if normal else None
    return _stepped(where, low, high, rest[0], log=log, prior=prior)


def _choice(where: Path_, values: Any) -> dict[str, Any]:
    if not isinstance(values, list) or not values:
        raise Located(where, f"{dotted(where)} is a list of values, not {shown(values)}")
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    rising = len(numbers) == len(values) > 2 and numbers == sorted(numbers)
    return {"choice": list(values), **({"ordered": True} if rising else {})}


def _stepped(
    where: Path_, low: float, high: float, q: float, *, log: bool, prior: list[float] | None
) -> dict[str, Any]:
    """The multiples of `q` in a range."""
    first, last = math.ceil(low / q - 1e-9), math.floor(high / q + 1e-9)
    if log:
        first = max(first, 1)
    if first > last:
        raise Located(where, f"{dotted(where)}: no multiple of q={q:g} lies in {low:g} .. {high:g}")
    if prior:
        prior = [min(max(prior[0], first * q), last * q), prior[1]]
    digits = max(0, 12 - math.floor(math.log10(q)))
    ends = [round(first * q, digits), round(last * q, digits)]
    if q == int(q) and max(map(abs, ends)) < MAX_INT:
        whole = [int(end) for end in ends]
        return {**_described("int", whole, log=log, prior=prior), "step": int(q)}
    return {**_described("float", ends, log=log, prior=prior), "step": q}


def _described(
    kind: str, ends: list[Any], *, log: bool, prior: list[float] | None
) -> dict[str, Any]:
    options: dict[str, Any] = {"log": True} if log else {}
    return {kind: ends, **options, **({"prior": {"normal": prior}} if prior else {})}


# -- what is searched, and for how long -------------------------------------------------------------


def _objective(data: Mapping[str, Any]) -> tuple[str, str]:
    objective = mapping(data, "objective")
    metric = objective.get("primary_metric")
    if not isinstance(metric, str) or not metric:
        raise Located(
            ("objective", "primary_metric"), "objective.primary_metric: a sweep needs a metric"
        )
    goals = dict.fromkeys(("minimize", "maximize"))
    return metric, _word(("objective", "goal"), objective.get("goal"), goals)


def _sampling(data: Mapping[str, Any], sweep: Sweep) -> tuple[str, int | None]:
    """The searcher, and the seed."""
    written = data.get("sampling_algorithm")
    where: Path_ = ("sampling_algorithm",)
    options: Mapping[str, Any] = written if isinstance(written, Mapping) else {"type": written}
    if isinstance(written, Mapping):
        where = (*where, "type")
    searchers = {"random": "random", "grid": "grid", "bayesian": "auto"}
    kind = _word(where, options.get("type"), searchers)
    known = {"random": ("type", "rule", "seed")}.get(kind, ("type",))
    for key in options:
        if key not in known:
            raise Located(
                ("sampling_algorithm", key), f"sampling_algorithm: {kind} has no {shown(key)} here"
            )
    searcher = searchers[kind]
    rules = {"random": "random", "sobol": "sobol"}
    if options.get("rule") is not None:
        searcher = rules[_word(("sampling_algorithm", "rule"), options["rule"], rules)]
    if kind == "bayesian":
        sweep.lost.append("bayesian sampling is the searcher auto, not Azure's own")
    seed = options.get("seed")
    return searcher, None if seed is None else _whole(("sampling_algorithm", "seed"), seed, 0)


def _policy(data: Mapping[str, Any], sweep: Sweep) -> dict[str, Any] | None:
    """The scheduler that does what an early termination policy does."""
    written = dict(mapping(data, "early_termination"))
    if not written:
        return None
    names = {
        "bandit": ("bandit", {"slack_factor": "factor", "slack_amount": "amount"}),
        "median_stopping": ("median", {}),
        "truncation_selection": ("truncation", {"truncation_percentage": "percent"}),
    }
    kind = _word(("early_termination", "type"), written.pop("type", None), names)
    scheduler, called = names[kind]
    called = {**called, "evaluation_interval": "every", "delay_evaluation": "delay"}
    options: dict[str, Any] = {"spare": 0.0} if kind == "median_stopping" else {}
    for key, value in written.items():
        where: Path_ = ("early_termination", key)
        if key == "exclude_finished_jobs":
            sweep.lost.append(f"early_termination.{key} is not kept: all trials are compared")
            continue
        if key not in called:
            hint = did_you_mean(str(key), called)
            raise Located(where, f"early_termination: {kind} has no {shown(key)}{hint}")
        if called[key] in ("every", "delay"):
            least = 0 if value == 0 or key == "delay_evaluation" else 1
            value = max(_whole(where, value, least), int(key == "evaluation_interval"))
        elif value is None or (value == 0 and key.startswith("slack")):
            continue  # Azure writes 0 for the one of the two that is not meant
        options[called[key]] = value
    if kind == "truncation_selection" and "percent" not in options:
        raise Located(("early_termination",), "early_termination: truncation_percentage is missing")
    if kind == "bandit" and ("factor" in options) == ("amount" in options):
        raise Located(
            ("early_termination",),
            "early_termination: bandit needs slack_factor or slack_amount, above 0, and not both",
        )
    checked(("early_termination",), lambda: make(Strategy(scheduler, options)))
    return {scheduler: options}


def _limits(data: Mapping[str, Any], sweep: Sweep) -> dict[str, Any]:
    limits = mapping(data, "limits")
    for key in limits:
        if key not in _LIMITS:
            hint = did_you_mean(str(key), _LIMITS)
            raise Located(("limits", key), f"limits: there is no {shown(key)}{hint}")
    given = {
        key: _whole(("limits", key), value, 1) for key, value in limits.items() if value is not None
    }
    if "max_concurrent_trials" not in given:
        sweep.lost.append("without max_concurrent_trials one trial runs at a time")
    kept = {
        "trials": given.get("max_total_trials", _TRIALS),
        "parallel": given.get("max_concurrent_trials"),
        "time": given.get("timeout"),
        "trial_time": given.get("trial_timeout"),
    }
    return {name: value for name, value in kept.items() if value is not None}
