"""A tuning job as a study: what its request says, as a job file and the plan of its trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tunesmith.integrations.sagemaker import WIDE
from tunesmith.service.sagemaker import algorithms, images
from tunesmith.service.sagemaker.configuration import Configuration
from tunesmith.service.sagemaker.names import parameter_names
from tunesmith.service.sagemaker.plan import Training
from tunesmith.service.sagemaker.protocol import Fault, invalid
from tunesmith.service.sagemaker.shapes import (
    CreateTuning,
    Definition,
    Objective,
    Range,
    Ranges,
    TuningConfig,
)

#: The study's metric where definitions name different ones.
COMMON: Final = "objective"
#: The parameter that says which of several definitions a trial is of.
WHICH: Final = "definition"
#: How long a training may take to end (s): SageMaker's 120, and the time for what it leaves.
GRACE_S: Final = 150
#: Whose value Hyperband takes for the longest run, as SageMaker does; the last is XGBoost's and LightGBM's.
EPOCHS: Final = (
    "epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs", "num_round", "num_boost_round",
)  # fmt: skip
_MOST_EPOCHS: Final = 20_000
_STRATEGIES: Final[Mapping[str, Any]] = {
    "Bayesian": "auto", "Random": "random", "Hyperband": "auto", "Grid": "grid",
}  # fmt: skip


class Study(NamedTuple):
    """A tuning job's study: its job file without name and command, and its trainings."""

    job: dict[str, Any]
    trainings: dict[str, Training]
    which: str | None


def study_of(
    asked: CreateTuning,
    configuration: Configuration,
    inherited: Mapping[str, str],
) -> Study:
    """`inherited` are metrics and regular expressions of the tuning jobs that it starts from. Raises Fault."""
    config = asked.HyperParameterTuningJobConfig
    definitions = _definitions(asked)
    objectives = [_objective(config, one, len(definitions) > 1) for one in definitions]
    if len({one.Type for one in objectives}) > 1:
        raise invalid(
            "TuningObjective: all definitions have the same Type, as one of them all is the best"
        )
    metrics = {one.MetricName for one in objectives}
    metric = metrics.pop() if len(metrics) == 1 else COMMON
    if metric == "step":
        raise invalid("an objective cannot be called 'step' here; name the metric otherwise")
    space: dict[str, Any] = {}
    trainings: dict[str, Training] = {}
    several = len(definitions) > 1
    steps = _resource(config, definitions)
    for number, (one, objective) in enumerate(zip(definitions, objectives, strict=True)):
        name = one.DefinitionName or ""
        ranges = (one.HyperParameterRanges if several or one.HyperParameterRanges else None) or (
            config.ParameterRanges or Ranges()
        )
        described = _parameters(ranges, asked.Autotune is not None)
        if both := sorted(described.keys() & one.StaticHyperParameters.keys()):
            raise invalid(
                f"the hyperparameter {both[0]!r} is static and to be tuned; leave one of them out"
            )
        names = parameter_names(described, f"{_plain(name)}." if several else "")
        for parameter, hyperparameter in names.items():
            what = dict(described[hyperparameter])
            space[parameter] = what | ({"when": {WHICH: name}} if several else {})
        most = steps[number] if config.Strategy == "Hyperband" else None
        trainings[name] = _training(one, objective, names, configuration, inherited, most)
    if not space:
        raise invalid(
            "ParameterRanges: there is no hyperparameter to tune; name the ranges of one at least"
        )
    if config.Strategy == "Grid":
        _check_grid(space)
    if several:
        space = {WHICH: {"choice": list(trainings)}, **space}
    goal = "maximize" if objectives[0].Type == "Maximize" else "minimize"
    job: dict[str, Any] = {
        "objective": {"metric": metric, "goal": goal},
        "space": space,
        "searcher": _STRATEGIES[config.Strategy],
        "limits": _limits(asked, definitions, space, configuration),
    }
    if (scheduler := _scheduler(asked, steps)) is not None:
        job["scheduler"] = scheduler
    if config.RandomSeed is not None:
        job["seed"] = config.RandomSeed
    return Study(job, trainings, WHICH if several else None)


def _definitions(asked: CreateTuning) -> list[Definition]:
    one, several = asked.TrainingJobDefinition, asked.TrainingJobDefinitions
    if (one is None) == (several is None):
        raise invalid(
            "exactly one of TrainingJobDefinition and TrainingJobDefinitions says what is trained"
        )
    definitions = [one] if one is not None else list(several or ())
    if len(definitions) > 1:
        names = [definition.DefinitionName for definition in definitions]
        if None in names or len({_plain(name or "") for name in names}) < len(names):
            raise invalid("TrainingJobDefinitions: each has a DefinitionName of its own")
    return definitions


def _plain(name: str) -> str:
    return next(iter(parameter_names([name])))


def _objective(config: TuningConfig, one: Definition, several: bool) -> Objective:
    objective = one.TuningObjective or config.HyperParameterTuningJobObjective
    if several and config.HyperParameterTuningJobObjective is not None:
        raise invalid(
            "with several TrainingJobDefinitions each has its own TuningObjective, and there is no HyperParameterTuningJobObjective"
        )
    if several and config.ParameterRanges is not None:
        raise invalid(
            "with several TrainingJobDefinitions each has its own HyperParameterRanges, and there are no ParameterRanges"
        )
    if objective is None:
        where = "TuningObjective" if several else "HyperParameterTuningJobObjective"
        raise invalid(f"{where} is missing: {{Type: Minimize, MetricName: ...}}")
    return objective


# -- the space ----------------------------------------------------------------------------------


def _parameters(ranges: Ranges, autotune: bool) -> dict[str, dict[str, Any]]:
    """By hyperparameter: the parameter as a job file has it. Raises Fault."""
    found = [
        *((whole.Name, _integer(whole)) for whole in ranges.IntegerParameterRanges),
        *((real.Name, _continuous(real)) for real in ranges.ContinuousParameterRanges),
    ]
    for choice in ranges.CategoricalParameterRanges:
        if len(set(choice.Values)) < len(choice.Values):
            raise invalid(f"{choice.Name}: a value is there twice")
        found.append((choice.Name, {"choice": choice.Values}))
    if ranges.AutoParameters and not autotune:
        raise invalid("AutoParameters need Autotune: {Mode: Enabled}; or give their ranges")
    found += [(auto.Name, _guessed(auto.Name, auto.ValueHint)) for auto in ranges.AutoParameters]
    names = [name for name, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise invalid(f"the hyperparameter {twice!r} has two ranges")
    return dict(found)


def _integer(one: Range) -> dict[str, Any]:
    low, high = _bound(one, "MinValue"), _bound(one, "MaxValue")
    if low != math.floor(low) or high != math.floor(high):
        raise invalid(f"{one.Name}: MinValue and MaxValue of an integer are whole numbers")
    if max(abs(low), abs(high)) >= 2**53:
        raise invalid(f"{one.Name}: whole numbers beyond 2^53 cannot be tuned")
    _check_order(one, low, high)
    if one.ScalingType == "ReverseLogarithmic":
        raise invalid(f"{one.Name}: ReverseLogarithmic is for continuous ranges from 0 to below 1")
    made: dict[str, Any] = {"int": [int(low), int(high)]}
    return made | ({"log": True} if _logarithmic(one, low, high) else {})


def _continuous(one: Range) -> dict[str, Any]:
    low, high = _bound(one, "MinValue"), _bound(one, "MaxValue")
    _check_order(one, low, high)
    made: dict[str, Any] = {"float": [low, high]}
    if one.ScalingType == "ReverseLogarithmic":
        if low < 0 or high >= 1:
            raise invalid(
                f"{one.Name}: ReverseLogarithmic is for continuous ranges from 0 to below 1"
            )
        return made | {"log": "reverse"}
    return made | ({"log": True} if _logarithmic(one, low, high) else {})


def _bound(one: Range, which: str) -> float:
    text: str = getattr(one, which)
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise invalid(
            f"{one.Name}: {which} is a finite number as a text, such as '0.1', not {text[:100]!r}"
        )
    return value


def _check_order(one: Range, low: float, high: float) -> None:
    if low >= high:
        raise invalid(
            f"{one.Name}: MinValue ({one.MinValue}) is below MaxValue ({one.MaxValue}); a fixed value is a static hyperparameter"
        )


def _logarithmic(one: Range, low: float, high: float) -> bool:
    if one.ScalingType == "Logarithmic" and low <= 0:
        raise invalid(
            f"{one.Name}: Logarithmic is for ranges above 0, and MinValue is {one.MinValue}"
        )
    wide = low > 0 and high / low >= WIDE
    return one.ScalingType == "Logarithmic" or (one.ScalingType == "Auto" and wide)


def _guessed(name: str, hint: str) -> dict[str, Any]:
    """The range around a value that somebody thinks good."""
    if hint.lower() in ("true", "false"):
        other = {"true": "false", "false": "true", "True": "False", "False": "True"}
        return {"choice": [hint, other.get(hint, "false" if hint.lower() == "true" else "true")]}
    try:
        value = float(hint)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) >= 2**49:
        raise invalid(
            f"{name}: a ValueHint is a number (or true, false) around which a range is made, not {hint!r}"
        )
    if hint.strip().lstrip("+-").isdigit():
        if value < 1:
            spread = max(1, int(abs(value)) * 10)
            return {"int": [int(value) - spread if value else 0, int(value) + spread]}
        return {"int": [max(1, int(value) // 10), int(value) * 10], "log": True}
    if value == 0:
        return {"float": [0.0, 1.0]}
    if value < 0:
        return {"float": [value * 10, 0.0]}
    if value < 1:
        return {"float": [value / 10, min(value * 10, 1.0)], "log": True}
    return {"float": [value / 10, value * 10], "log": True}


def _check_grid(space: Mapping[str, Any]) -> None:
    if numbers := [name for name, what in space.items() if "choice" not in what]:
        raise invalid(
            f"Grid is for CategoricalParameterRanges alone, and {numbers[0]} is a range of numbers"
        )


# -- what is spent, and who stops ---------------------------------------------------------------


def _limits(
    asked: CreateTuning,
    definitions: Sequence[Definition],
    space: Mapping[str, Any],
    configuration: Configuration,
) -> dict[str, Any]:
    config, auto = asked.HyperParameterTuningJobConfig, asked.Autotune is not None
    spend = config.ResourceLimits
    if spend.MaxParallelTrainingJobs > configuration.parallel:
        raise Fault(
            "ResourceLimitExceeded",
            f"MaxParallelTrainingJobs is {spend.MaxParallelTrainingJobs}, and {configuration.parallel} at most here",
        )
    limits: dict[str, Any] = {
        "parallel": spend.MaxParallelTrainingJobs, "grace": GRACE_S, "trial_silence": "off",
    }  # fmt: skip
    trials = spend.MaxNumberOfTrainingJobs
    if trials is None and auto and config.Strategy != "Grid":
        trials = min(max(20, 10 * len(space)), 100)
    if trials is not None:
        limits["trials"] = trials
    if spend.MaxRuntimeInSeconds is not None:
        limits["time"] = spend.MaxRuntimeInSeconds
    retries = {one.RetryStrategy.MaximumRetryAttempts for one in definitions if one.RetryStrategy}
    if retries:
        limits["retries"] = max(retries)
    done = config.TuningJobCompletionCriteria
    if done is not None:
        if done.TargetObjectiveMetricValue is not None:
            limits["target"] = done.TargetObjectiveMetricValue
        better = done.BestObjectiveNotImproving
        if better is not None and better.MaxNumberOfTrainingJobsNotImproving is not None:
            limits["no_improvement"] = better.MaxNumberOfTrainingJobsNotImproving
    convergence = None if done is None else done.ConvergenceDetected
    enabled = convergence is not None and convergence.CompleteOnConvergence == "Enabled"
    if enabled or (convergence is None and auto and config.Strategy != "Grid"):
        limits["least_gain"] = "noise"
    ends = limits.keys() & {"trials", "time", "target", "no_improvement"}
    if not ends and config.Strategy != "Grid":
        raise invalid(
            "ResourceLimits: nothing would end this tuning job; give MaxNumberOfTrainingJobs, MaxRuntimeInSeconds or a completion "
            "criterion"
        )
    return limits


def _scheduler(asked: CreateTuning, steps: Sequence[int | None]) -> dict[str, Any] | str | None:
    config = asked.HyperParameterTuningJobConfig
    early = config.TrainingJobEarlyStoppingType
    if config.Strategy == "Hyperband":
        if early == "Auto":
            raise invalid(
                "TrainingJobEarlyStoppingType is Off with Hyperband, which stops trainings itself"
            )
        longest = max(step for step in steps if step is not None)
        given = config.StrategyConfig and config.StrategyConfig.HyperbandStrategyConfig
        least = (given.MinResource if given else None) or max(1, longest // 27)
        if longest < 2:
            return None
        least = min(least, longest - 1)
        brackets = min(3, 1 + int(math.log(longest / least, 3) + 1e-9))
        # its stopping form: a training's contract knows no pause
        return {"asha": {"max": longest, "min": least, "brackets": brackets}}
    if early == "Auto" or (
        early is None and asked.Autotune is not None and config.Strategy != "Grid"
    ):
        return "median"
    return None


def _resource(config: TuningConfig, definitions: Sequence[Definition]) -> list[int | None]:
    """How many values of its metric a whole training of each definition has, as Hyperband counts them. Raises Fault."""
    given = config.StrategyConfig and config.StrategyConfig.HyperbandStrategyConfig
    if config.Strategy != "Hyperband":
        if given:
            raise invalid(
                f"HyperbandStrategyConfig has no effect with the strategy {config.Strategy}; leave it out"
            )
        return [None] * len(definitions)
    found: list[int | None] = []
    for one in definitions:
        static = one.StaticHyperParameters
        text = next((static[name] for name in EPOCHS if name in static), None)
        most = given.MaxResource if given else None
        if most is None and text is not None and text.strip('"').isdigit():
            most = int(text.strip('"'))
        if most is None:
            raise invalid(
                "Hyperband needs MaxResource in HyperbandStrategyConfig, or one of the static hyperparameters "
                f"{', '.join(EPOCHS)} to infer it from"
            )
        if not 1 <= most <= _MOST_EPOCHS:
            raise invalid(f"MaxResource is from 1 to {_MOST_EPOCHS}, not {most}")
        if given and given.MinResource and given.MinResource > most:
            raise invalid(f"MinResource ({given.MinResource}) is at most MaxResource ({most})")
        found.append(most)
    return found


# -- a training ---------------------------------------------------------------------------------


def _training(
    one: Definition,
    objective: Objective,
    names: dict[str, str],
    configuration: Configuration,
    inherited: Mapping[str, str],
    most_steps: int | None,
) -> Training:
    if one.ResourceConfig is not None and one.HyperParameterTuningResourceConfig is not None:
        raise invalid("exactly one of ResourceConfig and HyperParameterTuningResourceConfig")
    run = images.training(
        one, one.StaticHyperParameters, one.HyperParameterTuningResourceConfig, configuration
    )
    if run.algorithm is not None:
        algorithms.check_names(run.algorithm, (), names.values())
    metrics = run.metrics or dict(inherited)
    metric = objective.MetricName
    if metric not in metrics:
        known = f"; known are {', '.join(sorted(metrics)[:20])}" if metrics else ""
        raise invalid(
            f"A metric is required for this hyperparameter tuning job objective. MetricDefinitions has no {metric!r}: its Name, and a "
            f"Regex with one group that finds the value in what the training prints{known}"
        )
    return msgspec.structs.replace(
        run,
        metrics=metrics,
        metric=metric,
        parameters=names,
        most_steps=most_steps,
        hyperparameters={**run.hyperparameters, "_tuning_objective_metric": metric},
    )
