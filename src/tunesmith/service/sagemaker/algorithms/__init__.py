"""Programs of our own that stand for SageMaker's built-in algorithms: their hyperparameters' and metrics' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tunesmith.core.errors import did_you_mean
from tunesmith.service.sagemaker.protocol import invalid

#: By algorithm: its metrics.
_METRICS: Final[Mapping[str, tuple[str, ...]]] = {}
#: The names of SageMaker's images, without registry and version, and what they are.
_IMAGES: Final[Mapping[str, str]] = {}
_NUMBER: Final = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?|nan|inf)"
_REPOSITORY: Final = re.compile(r"(?:.*/)?([a-z0-9-]+)(?:[:@].*)?")


def check(name: str) -> None:
    """Raise Fault for what is no algorithm."""
    if name not in _METRICS:
        raise invalid(f"there is no built-in algorithm {name!r}{did_you_mean(name, _METRICS)}")


def metrics(name: str) -> dict[str, str]:
    """By metric of an algorithm: the regular expression that finds it in what the algorithm prints."""
    return {metric: f"{re.escape(metric)}={_NUMBER}" for metric in _METRICS[name]}


def of_image(image: str) -> str | None:
    """The algorithm of one of SageMaker's images."""
    match = _REPOSITORY.fullmatch(image)
    return None if match is None else _IMAGES.get(match[1])
