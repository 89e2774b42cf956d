"""What descriptions and summaries say."""

from __future__ import annotations

import math
from typing import Any, Final

from tunesmith.core.trial import State, Trial
from tunesmith.service.sagemaker import contract, names
from tunesmith.service.sagemaker.plan import Move, Training
from tunesmith.service.sagemaker.standing import OVER, STATUSES, Standing

_LONGEST: Final = 1024


def tuning(standing: Standing, overall: dict[str, Any] | None) -> dict[str, Any]:
    """`DescribeHyperParameterTuningJob`; `overall` is the best of it and of what it was started from."""
    record, plan = standing.record, standing.plan
    request = record.request
    shown: dict[str, Any] = {
        "HyperParameterTuningJobName": record.name,
        "HyperParameterTuningJobArn": names.arn(
            names.TUNING, record.name, record.region, plan.account
        ),
        "HyperParameterTuningJobConfig": request["HyperParameterTuningJobConfig"],
        "HyperParameterTuningJobStatus": standing.status,
        "CreationTime": record.created_at,
        "LastModifiedTime": standing.modified_at,
        "TrainingJobStatusCounters": standing.counters(),
        "ObjectiveStatusCounters": standing.objective_counters(),
        "ConsumedResources": {"RuntimeInSeconds": standing.seconds()},
    }
    if (one := request.get("TrainingJobDefinition")) is not None:
        shown["TrainingJobDefinition"] = _definition(
            one, plan.trainings[one.get("DefinitionName", "")]
        )
    if (several := request.get("TrainingJobDefinitions")) is not None:
        shown["TrainingJobDefinitions"] = [
            _definition(one, plan.trainings[one.get("DefinitionName", "")]) for one in several
        ]
    for name in ("WarmStartConfig", "Autotune"):
        if name in request:
            shown[name] = request[name]
    if standing.ended_at is not None:
        shown["HyperParameterTuningEndTime"] = standing.ended_at
    if standing.why:
        shown["FailureReason"] = standing.why
    best = best_of(standing)
    if best is not None:
        shown["BestTrainingJob"] = best
        if overall is not None:
            shown["OverallBestTrainingJob"] = overall
    details = _completion(standing)
    if details:
        shown["TuningJobCompletionDetails"] = details
    return shown


def _definition(given: dict[str, Any], training: Training) -> dict[str, Any]:
    """A definition as it was given, with what `attach` of the SDK looks for: the machine where training jobs have it, and the
    static hyperparameter by which it knows the metric."""
    static = {**given.get("StaticHyperParameters", {}), "_tuning_objective_metric": training.metric}
    machine = {"ResourceConfig": {"VolumeKmsKeyId": "", **training.resources}}
    return {**machine, **given, "StaticHyperParameters": static}


def _completion(standing: Standing) -> dict[str, Any]:
    ledger = standing.ledger
    if ledger is None:
        return {}
    best = ledger.incumbent
    details: dict[str, Any] = {}
    if best is not None:
        after = ledger.trial(best).ended_at
        ends = ledger.column("ended_at")
        if after is not None:
            details["NumberOfTrainingJobsObjectiveNotImproving"] = int((ends > after).sum())
    if ledger.ended is not None and ledger.ended.why == "converged":
        details["ConvergenceDetectedTime"] = ledger.ended.at
    return details


def best_of(standing: Standing) -> dict[str, Any] | None:
    """The best training's summary."""
    ledger = standing.ledger
    best = None if ledger is None else ledger.incumbent
    return None if best is None else summary(standing, best, int(standing.statuses[best]))


def summary(standing: Standing, number: int, status: int) -> dict[str, Any]:
    """A training of a tuning job; `status` is a place in STATUSES."""
    ledger = standing.ledger
    assert ledger is not None
    trial = ledger.trial(number)
    record, plan = standing.record, standing.plan
    definition, training = plan.training_of(trial.config)
    name = names.training_name(record.name, record.identity, number)
    shown: dict[str, Any] = {
        "TrainingJobName": name,
        "TrainingJobArn": names.arn(names.TRAINING, name, record.region, plan.account),
        "TuningJobName": record.name,
        "CreationTime": trial.created_at,
        "TrainingJobStatus": STATUSES[status],
        "TunedHyperParameters": contract.tuned(training, trial.config),
        "ObjectiveStatus": _objective_status(standing, trial),
    }
    if definition:
        shown["TrainingJobDefinitionName"] = definition
    if trial.started_at is not None:
        shown["TrainingStartTime"] = trial.started_at
    if (ended := ended_at(standing, trial, STATUSES[status])) is not None:
        shown["TrainingEndTime"] = ended
    if shown["ObjectiveStatus"] == "Succeeded" and trial.value is not None:
        shown["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "MetricName": training.metric,
            "Value": trial.value,
            "Type": "Maximize" if ledger.spec.first_objective.goal == "maximize" else "Minimize",
        }
    if STATUSES[status] == "Failed":
        shown["FailureReason"] = failure(standing, trial)
    return shown


def ended_at(standing: Standing, trial: Trial, status: str) -> float | None:
    if status not in OVER:
        return None
    if trial.ended_at is not None:
        return trial.ended_at
    moves = standing.moves.of(trial.number)
    return moves[-1].at if moves else standing.ended_at


def _objective_status(standing: Standing, trial: Trial) -> str:
    if trial.state in (State.COMPLETED, State.STOPPED):
        good = trial.value is not None and math.isfinite(trial.value) and not trial.retracted
        return "Succeeded" if good else "Failed"
    if trial.state.ended or standing.status in OVER:
        return "Failed"
    return "Pending"


def failure(standing: Standing, trial: Trial) -> str:
    """Why a training failed: in its own words, else in ours."""
    moves = standing.moves.of(trial.number)
    if moves and moves[-1].end == "Failed" and moves[-1].message:
        return moves[-1].message
    text = "" if trial.reason is None else f"{trial.reason.message}\n{trial.reason.output}".strip()
    return (text or standing.why)[:_LONGEST]


# -- a training ---------------------------------------------------------------------------------


def training(standing: Standing, number: int | None) -> dict[str, Any]:
    """`DescribeTrainingJob`: of a trial; None for a training job that has not begun."""
    record, plan, ledger = standing.record, standing.plan, standing.ledger
    trial = None if number is None or ledger is None else ledger.trial(number)
    if plan.tuning:
        assert trial is not None
        name = names.training_name(record.name, record.identity, trial.number)
        definition, run = plan.training_of(trial.config)
        given = _given(record.request, definition)
        status = STATUSES[int(standing.statuses[trial.number])]
    else:
        name, given = record.name, record.request
        run = next(iter(plan.trainings.values()))
        status = alone(standing, trial)
    hyperparameters = dict(run.hyperparameters)
    if trial is not None:
        hyperparameters |= contract.tuned(run, trial.config)
    moves = [] if trial is None else standing.moves.of(trial.number)
    output = {"KmsKeyId": "", **given["OutputDataConfig"]}
    where = f"{run.output}/{name}/output"
    shown: dict[str, Any] = {
        "TrainingJobName": name,
        "TrainingJobArn": names.arn(names.TRAINING, name, record.region, plan.account),
        "ModelArtifacts": {
            "S3ModelArtifacts": f"{where}/model.tar.gz" if run.compressed else f"{where}/model/"
        },
        "TrainingJobStatus": status,
        "SecondaryStatus": _secondary(status, moves),
        "HyperParameters": hyperparameters,
        "AlgorithmSpecification": {
            **given["AlgorithmSpecification"],
            "MetricDefinitions": [
                {"Name": key, "Regex": text} for key, text in run.metrics.items()
            ],
        },
        "RoleArn": given["RoleArn"],
        "OutputDataConfig": output,
        "ResourceConfig": {"VolumeKmsKeyId": "", **run.resources},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400, **given.get("StoppingCondition", {})},
        "CreationTime": record.created_at if trial is None or not plan.tuning else trial.created_at,
        "LastModifiedTime": moves[-1].at if moves else standing.modified_at,
        "SecondaryStatusTransitions": _transitions(moves),
        "EnableNetworkIsolation": given.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": given.get(
            "EnableInterContainerTrafficEncryption", False
        ),
        "EnableManagedSpotTraining": given.get("EnableManagedSpotTraining", False),
        "Environment": given.get("Environment", {}),
    }
    if plan.tuning:
        shown["TuningJobArn"] = names.arn(names.TUNING, record.name, record.region, plan.account)
    for key in (
        "InputDataConfig",
        "VpcConfig",
        "CheckpointConfig",
        "RetryStrategy",
        "DebugHookConfig",
        "ProfilerConfig",
    ):
        if key in given:
            shown[key] = given[key]
    if run.checkpoints is not None and plan.tuning:
        shown["CheckpointConfig"] = {
            "S3Uri": f"{run.checkpoints}/{name}",
            "LocalPath": run.checkpoint_path,
        }
    if trial is not None:
        _add_times(shown, standing, trial, status)
    if status == "Failed":
        shown["FailureReason"] = failure(standing, trial) if trial is not None else standing.why
    if moves and moves[-1].metrics:
        shown["FinalMetricDataList"] = [
            {"MetricName": key, "Value": value, "Timestamp": at}
            for key, (value, at) in moves[-1].metrics.items()
        ]
    return shown


def trainings(standing: Standing) -> list[dict[str, Any]]:
    """`training` of each that there is."""
    if not standing.plan.tuning:
        return [training(standing, 0 if standing.size else None)]
    return [training(standing, number) for number in range(standing.size)]


def alone(standing: Standing, trial: Trial | None) -> str:
    """The status of a training job that no tuning job has."""
    if trial is None:
        status = standing.status
        return {"Completed": "Failed"}.get(status, status)
    return STATUSES[int(standing.statuses[trial.number])]


def _given(request: dict[str, Any], definition: str) -> dict[str, Any]:
    one: dict[str, Any] | None = request.get("TrainingJobDefinition")
    if one is not None:
        return one
    several: list[dict[str, Any]] = request["TrainingJobDefinitions"]
    return next((d for d in several if d.get("DefinitionName", "") == definition), several[0])


def _secondary(status: str, moves: list[Move]) -> str:
    if status in ("Failed", "Completed", "Stopping"):
        return status
    if status == "Stopped":
        return moves[-1].secondary if moves and moves[-1].end == "Stopped" else "Stopped"
    if not moves:
        return "Pending" if status == "InProgress" else status
    return "Restarting" if moves[-1].end else moves[-1].secondary


def _transitions(moves: list[Move]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for move, after in zip(moves, [*moves, None][1:], strict=True):
        one = {"Status": move.secondary, "StartTime": move.at, "StatusMessage": move.message}
        if after is not None or move.end:
            one["EndTime"] = move.at if after is None else after.at
        shown.append(one)
    return shown


def _add_times(shown: dict[str, Any], standing: Standing, trial: Trial, status: str) -> None:
    if trial.started_at is not None:
        shown["TrainingStartTime"] = trial.started_at
    end = ended_at(standing, trial, status)
    if end is not None:
        shown["TrainingEndTime"] = end
        if trial.started_at is not None:
            seconds = max(1, math.ceil(end - trial.started_at))
            shown["TrainingTimeInSeconds"] = shown["BillableTimeInSeconds"] = seconds
