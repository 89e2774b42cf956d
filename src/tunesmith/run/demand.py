"""What one trial needs of a cluster: cores, GPUs, memory, labels of nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tunesmith.core.errors import StudyError, did_you_mean, shown
from tunesmith.core.quantity import show_bytes, size_bytes


@dataclass(frozen=True, slots=True)
class Demand:
    """``resources={"cpu": 2, "gpu": 0.5, "memory": "8GiB", "label": {"market": "spot"}}``. Raises StudyError."""

    cpu: float = 1.0
    gpu: float = 0.0
    #: In bytes; what the trial is promised, not what it is held to (that is the limit `trial_memory`).
    memory: int | None = None
    #: Labels that its node has.
    label: Mapping[str, str] = field(default_factory=dict)
    #: Resources of the cluster's own, by name.
    custom: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for amount in ("cpu", "gpu"):
            object.__setattr__(self, amount, _amount(getattr(self, amount), amount))
        if self.gpu > 1 and self.gpu != int(self.gpu):
            raise StudyError(
                f"resources: gpu is a fraction below 1 or a whole number, not {self.gpu:g}"
            )
        if self.memory is not None:
            object.__setattr__(self, "memory", size_bytes(self.memory, "resources: memory"))
        for name, value in self.custom.items():
            _amount(value, f"custom: {name}")
        for name, text in self.label.items():
            if not isinstance(text, str) or not isinstance(name, str):
                raise StudyError(
                    f"resources: a label is a name and a text, not {shown(name)}: {shown(text)}"
                )

    @classmethod
    def of(cls, resources: Mapping[str, Any] | None, gpus_per_trial: float = 0.0) -> Demand:
        """What users write. Raises StudyError."""
        if resources is None:
            return cls(gpu=gpus_per_trial)
        if not isinstance(resources, Mapping):
            raise StudyError(
                f"resources are names and amounts, {{'cpu': 2, 'gpu': 0.5}}, not {shown(resources)}"
            )
        known = [f.name for f in fields(cls)]
        for name in resources:
            if name not in known:
                hint = did_you_mean(str(name), known)
                raise StudyError(
                    f"resources have no {name!r}{hint}; those of the cluster's own stand under custom: "
                    f"{{{name}: {resources[name]!r}}}"
                )
        for name in ("label", "custom"):
            if not isinstance(resources.get(name, {}), Mapping):
                raise StudyError(
                    f"resources: {name} has names and values, {name}: {{market: spot}}, not {shown(resources[name])}"
                )
        if gpus_per_trial and "gpu" in resources:
            raise StudyError(
                "resources: gpu and gpus_per_trial say the same; leave one of them out"
            )
        return cls(**{"gpu": gpus_per_trial, **resources})

    @property
    def threads(self) -> int:
        """How many threads its numerical libraries may start."""
        return max(1, int(self.cpu))

    def __str__(self) -> str:
        parts = [f"{self.cpu:g} CPU"]
        parts += [f"{self.gpu:g} GPU"] if self.gpu else []
        parts += [f"{show_bytes(self.memory)} of memory"] if self.memory is not None else []
        parts += [f"{amount:g} {name}" for name, amount in self.custom.items()]
        parts += [f"a node with {name}={value}" for name, value in self.label.items()]
        return ", ".join(parts)


def _amount(value: Any, name: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise StudyError(f"resources: {name} is a number of at least 0, not {shown(value)}")
    return float(value)
