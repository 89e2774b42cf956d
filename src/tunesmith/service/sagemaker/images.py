"""What a request's image, data, places and machine come to here: the plan of a training, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tunesmith.core.errors import JobError, StudyError
from tunesmith.run.pattern import Pattern
from tunesmith.service.sagemaker import algorithms, objects
from tunesmith.service.sagemaker.configuration import Configuration, Image
from tunesmith.service.sagemaker.plan import DRIVERS, Training
from tunesmith.service.sagemaker.protocol import invalid
from tunesmith.service.sagemaker.shapes import (
    Algorithm,
    Channel,
    TrainingAlgorithm,
    TuningResources,
)

#: Below it are a training's folders, wherever it runs.
BASE: Final = "/opt/ml"
#: What version 3 of the SDK has containers begin with.
_SHELL: Final = ["/bin/bash"]
_TRAIN: Final = (
    f"chmod +x {BASE}/input/data/{DRIVERS}/sm_train.sh && {BASE}/input/data/{DRIVERS}/sm_train.sh"
)


def training(
    one: Any,
    hyperparameters: Mapping[str, str],
    machines: TuningResources | None,
    configuration: Configuration,
) -> Training:
    """The plan for a definition or a training job. Raises Fault for what cannot be had here."""
    _refuse(one, configuration)
    name, image = _image(one.AlgorithmSpecification, configuration)
    _check_machines(one, image, configuration)
    defined = {
        metric.Name: check_pattern(metric.Name, metric.Regex)
        for metric in one.AlgorithmSpecification.MetricDefinitions
    }
    if image.algorithm is not None:
        algorithms.check(image.algorithm)
        algorithms.check_names(image.algorithm, hyperparameters)
        known = algorithms.metrics(image.algorithm)
    else:
        known = {metric: check_pattern(metric, text) for metric, text in image.metrics.items()}
    for channel in one.InputDataConfig or ():
        _check_channel(channel, one.AlgorithmSpecification.TrainingInputMode, configuration)
    _reach(one.OutputDataConfig.S3OutputPath, configuration)
    checkpoints = one.CheckpointConfig
    if checkpoints is not None:
        _reach(checkpoints.S3Uri, configuration)
        path = checkpoints.LocalPath
        if not path.startswith(f"{BASE}/") or ".." in path.split("/"):
            raise invalid(
                f"CheckpointConfig: LocalPath is below {BASE}, such as {BASE}/checkpoints, not {path!r}"
            )
    stopping = one.StoppingCondition
    if stopping.MaxWaitTimeInSeconds is not None:
        if not one.EnableManagedSpotTraining:
            raise invalid("MaxWaitTimeInSeconds is for EnableManagedSpotTraining")
        if stopping.MaxWaitTimeInSeconds < (stopping.MaxRuntimeInSeconds or 1):
            raise invalid("MaxWaitTimeInSeconds is at least MaxRuntimeInSeconds")
    elif one.EnableManagedSpotTraining:
        raise invalid("EnableManagedSpotTraining needs MaxWaitTimeInSeconds")
    return Training(
        image=name,
        hyperparameters=dict(hyperparameters),
        parameters={},
        command=image.command,
        script=image.script,
        algorithm=image.algorithm,
        cwd=image.cwd,
        environment={**image.environment, **one.Environment},
        metrics={**known, **defined},
        channels=[msgspec.to_builtins(channel) for channel in one.InputDataConfig or ()],
        output=one.OutputDataConfig.S3OutputPath.rstrip("/"),
        compressed=one.OutputDataConfig.CompressionType == "GZIP",
        resources=_resources(one, machines),
        max_runtime_s=stopping.MaxRuntimeInSeconds,
        max_wait_s=stopping.MaxWaitTimeInSeconds,
        checkpoints=None if checkpoints is None else checkpoints.S3Uri.rstrip("/"),
        checkpoint_path=f"{BASE}/checkpoints" if checkpoints is None else checkpoints.LocalPath,
    )


def worded(run: Training, algorithm: TrainingAlgorithm) -> Training:
    """A training job's plan with the words that its request has for the container. Raises Fault."""
    entry, words = algorithm.ContainerEntrypoint, algorithm.ContainerArguments or []
    channels = [channel["ChannelName"] for channel in run.channels]
    theirs = entry == _SHELL and words[1:2] == [_TRAIN]
    if run.script is not None and theirs and DRIVERS in channels:
        return msgspec.structs.replace(run, drivers=True)
    if entry:
        raise invalid(
            "ContainerEntrypoint: what runs is what the service's operator says of the image; leave it out"
        )
    if words and run.command is None:
        raise invalid("ContainerArguments: no command stands for this image; leave them out")
    return msgspec.structs.replace(run, command=[*run.command, *words]) if run.command else run


def _image(algorithm: Algorithm, configuration: Configuration) -> tuple[str, Image]:
    if algorithm.AlgorithmName is not None:
        raise invalid(
            "AlgorithmName: algorithms of a marketplace are not here; name a TrainingImage"
        )
    name = algorithm.TrainingImage or ""
    image = configuration.image(name)
    if image is None:
        built_in = algorithms.of_image(name)
        if built_in is None:
            raise invalid(
                f"there is nothing here that stands for the image {name!r}; the service's operator may add it under images: in the "
                "file of --sagemaker, as a command, a script or an algorithm"
            )
        image = Image(algorithm=built_in)
    return name, image


def _refuse(one: Any, configuration: Configuration) -> None:
    """Raise Fault for what is asked for and cannot be given."""
    output, machine = one.OutputDataConfig, one.ResourceConfig
    tuning = getattr(one, "HyperParameterTuningResourceConfig", None)
    keys = [output.KmsKeyId, *(m.VolumeKmsKeyId for m in (machine, tuning) if m is not None)]
    asked: list[tuple[str, str, bool]] = [
        ("vpc", "VpcConfig", one.VpcConfig is not None),
        ("kms", "KmsKeyId", any(keys)),
        ("network_isolation", "EnableNetworkIsolation", one.EnableNetworkIsolation),
        (
            "debugger",
            "the debugger, the profiler, TensorBoard's output and remote debugging",
            _debugs(one),
        ),
        ("experiments", "ExperimentConfig", getattr(one, "ExperimentConfig", None) is not None),
    ]
    for word, what, is_there in asked:
        if is_there and word not in configuration.ignore:
            raise invalid(
                f"{what} cannot be had here; leave it out, or let the service's operator say that it does not matter (ignore: [{word}] "
                "in the file of --sagemaker)"
            )
    for name in (
        "ServerlessJobConfig",
        "MlflowConfig",
        "ModelPackageConfig",
        "SessionChainingConfig",
    ):
        if getattr(one, name, None):
            raise invalid(f"{name} cannot be had here; leave it out")
    if one.AlgorithmSpecification.TrainingInputMode == "Pipe":
        raise invalid("TrainingInputMode: Pipe cannot be had here; take File or FastFile")
    if getattr(one.AlgorithmSpecification, "TrainingImageConfig", None):
        raise invalid("TrainingImageConfig: there are no registries here; leave it out")


def _check_machines(one: Any, image: Image, configuration: Configuration) -> None:
    """Raise Fault for several machines, unless they would only share an algorithm's work."""
    machine, tuning = one.ResourceConfig, getattr(one, "HyperParameterTuningResourceConfig", None)
    counts = [m.InstanceCount or 1 for m in (machine, tuning) if m is not None]
    counts += [instance.InstanceCount for instance in (tuning.InstanceConfigs if tuning else ())]
    several = any(count > 1 for count in counts) and image.algorithm is None
    if machine is not None and machine.InstanceGroups:
        raise invalid("InstanceGroups: a training has one machine here; leave them out")
    if several and "instances" not in configuration.ignore:
        raise invalid(
            "InstanceCount: a training has one machine here; set it to 1, or let the service's operator say that it does not matter "
            "(ignore: [instances] in the file of --sagemaker)"
        )


def _debugs(one: Any) -> bool:
    """Whether rules are to be watched, or a training is to be looked into; hooks without them change nothing that a client sees."""
    remote = getattr(one, "RemoteDebugConfig", None) or {}
    return bool(
        getattr(one, "DebugRuleConfigurations", None)
        or getattr(one, "ProfilerRuleConfigurations", None)
        or getattr(one, "TensorBoardOutputConfig", None)
        or remote.get("EnableRemoteDebug")
    )


def _check_channel(channel: Channel, mode: str, configuration: Configuration) -> None:
    name, source = channel.ChannelName, channel.DataSource.S3DataSource
    if (channel.InputMode or mode) == "Pipe":
        raise invalid(f"channel {name}: Pipe cannot be had here; take File or FastFile")
    if channel.RecordWrapperType != "None":
        raise invalid(f"channel {name}: RecordWrapperType cannot be had here; leave it out")
    if channel.ShuffleConfig is not None:
        raise invalid(
            f"channel {name}: ShuffleConfig has no effect on File and FastFile; leave it out"
        )
    if source is None:
        raise invalid(f"channel {name}: data comes from an S3DataSource here")
    if source.S3DataType not in ("S3Prefix", "ManifestFile"):
        raise invalid(
            f"channel {name}: S3DataType is S3Prefix or ManifestFile here, not {source.S3DataType}"
        )
    if source.AttributeNames or source.InstanceGroupNames or source.HubAccessConfig:
        raise invalid(
            f"channel {name}: AttributeNames, InstanceGroupNames and HubAccessConfig have no effect here"
        )
    if name in (".", ".."):
        raise invalid(f"{name!r} is no name for a channel")
    _reach(source.S3Uri, configuration)


def _reach(uri: str, configuration: Configuration) -> None:
    try:
        objects.place(uri, configuration)
    except StudyError as error:
        raise invalid(str(error)) from None


def _resources(one: Any, tuning: TuningResources | None) -> dict[str, Any]:
    """As `ResourceConfig` in descriptions, where clients look for it."""
    machine = one.ResourceConfig
    if machine is not None:
        found = {
            "InstanceType": machine.InstanceType,
            "InstanceCount": machine.InstanceCount,
            "VolumeSizeInGB": machine.VolumeSizeInGB,
        }
    elif tuning is not None and tuning.InstanceConfigs:
        found = msgspec.to_builtins(tuning.InstanceConfigs[0])
    elif tuning is not None:
        found = {
            "InstanceType": tuning.InstanceType,
            "InstanceCount": tuning.InstanceCount,
            "VolumeSizeInGB": tuning.VolumeSizeInGB,
        }
    else:
        found = {}
    defaults = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    return {name: found.get(name) or default for name, default in defaults.items()}


def check_pattern(metric: str, text: str) -> str:
    """A metric's regular expression as it is used: its first group has the value. Raises Fault."""
    try:
        return Pattern.of(metric, first_group(text)).text
    except JobError as error:
        raise invalid(f"MetricDefinitions: {error}".replace("metrics: ", "")) from None


def first_group(text: str) -> str:
    """The expression with its first group as the one that has the value, where there are several."""
    starts: list[int] = []
    i, inside = 0, False
    while i < len(text):
        if text[i] == "\\":
            i += 1
        elif inside:
            inside = text[i] != "]"
        elif text[i] == "[":
            inside = True
            negated = text[i + 1 : i + 2] == "^"
            if text[i + 1 + negated : i + 2 + negated] == "]":  # the first one is a character
                i += 1 + negated
        elif text[i] == "(" and text[i + 1 : i + 2] != "?":
            starts.append(i)
        i += 1
    if len(starts) < 2 or "(?P<value>" in text:
        return text
    return f"{text[: starts[0]]}(?P<value>{text[starts[0] + 1 :]}"
