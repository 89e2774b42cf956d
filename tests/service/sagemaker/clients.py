"""A service for SageMaker's clients, and boto3, unchanged, that talks to it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import boto3
import botocore.config
import psutil
from tests.service.running import Service

KEY: Final = "AKIAEXAMPLE"
SECRET: Final = "an/example+secret" * 2
ROLE: Final = "arn:aws:iam::123456789012:role/SageMaker"
METRIC: Final = "validation:loss"

#: A program as containers have one: it reads /opt/ml, prints a metric and leaves a model.
PROGRAM: Final = """\
    import json, os, pathlib, signal, sys, time
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    given = json.loads((base / "input/config/hyperparameters.json").read_text())
    if given.get("waits"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("loss=5.0", flush=True)
        (base / "model" / "waited").touch()
        time.sleep(100)
    if given.get("fails"):
        (base / "output" / "failure").write_text("no such luck")
        sys.exit(3)
    x = float(given.get("x", 1))
    for epoch in range(3):
        print(f"epoch {epoch} loss={x * x / (epoch + 1)}", flush=True)
    (base / "model" / "weights.json").write_text(json.dumps(given))
"""


class Cloud:
    """The service, its bucket, and a client."""

    def __init__(self, folder: Path, storage: str | Path = "", **more: Any) -> None:
        self.folder, self.bucket = folder, folder / "bucket"
        (self.bucket / "data").mkdir(parents=True)
        (self.bucket / "data" / "train.csv").write_text("1,2\n")
        program = folder / "program.py"
        program.write_text(dedent(PROGRAM))
        self.path = folder / "sagemaker.yaml"
        images = {
            "local/train": {"command": [sys.executable, str(program)]},
            "*/script:*": {"script": sys.executable},
        }
        described = {
            "keys": {KEY: {"secret": SECRET, "token": "ana"}},
            "images": images,
            "buckets": {"bucket": str(self.bucket)},
            **more,
        }
        self.path.write_text(json.dumps(described))
        self.path.chmod(0o600)
        self.service = Service(storage or folder / "studies.db", "--sagemaker", str(self.path))
        self.service.tokens.create("ana", "submit")
        self.client = self.as_key()

    def as_key(self, key: str = KEY, secret: str = SECRET) -> Any:
        return boto3.client(
            "sagemaker",
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{self.service.port}",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=botocore.config.Config(retries={"max_attempts": 5}),
        )

    def close(self) -> None:
        """End the service, and the jobs that would wait for it to come back."""
        self.service.close()
        end_below(self.folder)

    def tune(self, name: str, *parts: dict[str, Any], **more: Any) -> str:
        """Create a tuning job; its name."""
        self.client.create_hyper_parameter_tuning_job(**request(name, *parts, **more))
        return name

    def described(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return shown

    def over(self, name: str) -> dict[str, Any]:
        """The tuning job once it is over."""
        key, running = "HyperParameterTuningJobStatus", ("InProgress", "Stopping")
        until(lambda: self.described(name)[key] not in running)
        return self.described(name)

    def trainings(self, name: str, **more: Any) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self.client.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100, **more
        )["TrainingJobSummaries"]
        return shown

    def training(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.describe_training_job(TrainingJobName=name)
        return shown


def end_below(folder: Path) -> None:
    """Kill the processes in whose command lines a folder is."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                process.kill()


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 120
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def definition(**more: Any) -> dict[str, Any]:
    algorithm = {
        "TrainingImage": "local/train",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": METRIC, "Regex": "loss=([0-9.]+)"}],
    }
    return {
        "AlgorithmSpecification": algorithm,
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 100},
        **more,
    }


def config(trials: int = 2, parallel: int = 2, **more: Any) -> dict[str, Any]:
    ranges = [{"Name": "x", "MinValue": "1", "MaxValue": "2"}]
    return {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC},
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": trials,
            "MaxParallelTrainingJobs": parallel,
        },
        "ParameterRanges": {"ContinuousParameterRanges": ranges},
        **more,
    }


def request(
    name: str = "job",
    one: dict[str, Any] | None = None,
    how: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": how or config(),
        "TrainingJobDefinition": one or definition(),
        **more,
    }
