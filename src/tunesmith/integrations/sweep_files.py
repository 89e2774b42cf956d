"""Whose sweep file a file is, by what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.errors import TextError
from tunesmith.core.text import read_yaml
from tunesmith.integrations import katib, nni, wandb
from tunesmith.tuning.job import LARGEST, Job, load_job


def load(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Job:
    """A job file, or a sweep file of W&B, Katib or NNI, whose losses are said. Raises JobError."""
    reader = _reader(Path(path))
    return load_job(path, overrides) if reader is None else reader(path, overrides, say)


def _reader(path: Path) -> Callable[..., Job] | None:
    """Who reads the file; None for a job file, and for what cannot be read, which `load_job` explains."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        data = read_yaml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, TextError):
        return None
    if not isinstance(data, Mapping) or "space" in data:
        return None
    if data.get("kind") == "Experiment" and "kubeflow" in str(data.get("apiVersion")):
        return katib.read_sweep
    if "trialCommand" in data:
        return nni.read_sweep
    if "parameters" in data and ("program" in data or "method" in data):
        return wandb.read_sweep
    return None
