"""Whose sweep file a file is, by what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.integrations import azure, katib, nni, sagemaker, sweeps, wandb
from tunesmith.integrations.sweeps import Sweep
from tunesmith.tuning.job import Job


def load(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """A job file, or a sweep file of Azure, SageMaker, W&B, Katib or NNI, whose losses are said. Raises JobError."""
    folder = Path(path).parent
    return sweeps.read(path, lambda data, sweep: _converted(data, sweep, folder), overrides, say)


def _converted(data: Mapping[str, Any], sweep: Sweep, folder: Path) -> dict[str, Any]:
    """As a job file says it; a job file's own words stay as they are."""
    if "space" not in data:
        if data.get("kind") == "Experiment" and "kubeflow" in str(data.get("apiVersion")):
            return katib.convert(data, sweep)
        if data.get("type") == "sweep" or ("search_space" in data and "trial" in data):
            return azure.convert(data, sweep, folder)
        if "HyperParameterTuningJobConfig" in data:
            return sagemaker.convert(data, sweep)
        if "trialCommand" in data:
            return nni.convert(data, sweep, folder)
        if "parameters" in data and ("program" in data or "method" in data):
            return wandb.convert(data, sweep)
    return dict(data)
