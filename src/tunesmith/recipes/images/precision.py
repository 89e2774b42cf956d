"""Mixed precision: the forward pass in 16 bits, where a device has units for that; weights stay in 32.

Micikevicius et al., "Mixed precision training" (ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch

#: The least compute capability of a GPU with units for a precision.
CAPABLE: Final = {"bfloat16": (8, 0), "float16": (7, 0)}


def precisions(device: Any) -> tuple[str, ...]:
    """What there is to choose from on a device, the usual one first."""
    if device.type != "cuda":
        return ("float32",)
    capability = torch.cuda.get_device_capability(device)
    return ("float32", *[name for name, least in CAPABLE.items() if capability >= least][:1])


@dataclass(frozen=True, eq=False)
class Precision:
    """How a network is trained: in float32, bfloat16 or float16, which needs its losses scaled."""

    dtype: Any
    scaler: Any

    @classmethod
    def of(cls, config: Mapping[str, Any], device: Any) -> Precision:
        """The one that a config says; without a word about it, float32."""
        name = config.get("precision", "float32")
        scaler = torch.amp.GradScaler(device.type) if name == "float16" else None
        return cls(getattr(torch, name), scaler)

    @property
    def mixed(self) -> bool:
        return self.dtype is not torch.float32

    def prepare(self, model: Any) -> None:
        """Let the weights of `model` lie as the units for 16 bits want them."""
        if self.mixed:
            model.to(memory_format=torch.channels_last)

    def arranged(self, images: Any) -> Any:
        return images.contiguous(memory_format=torch.channels_last) if self.mixed else images

    def cast(self, device: Any) -> Any:
        """A context for the forward pass."""
        return torch.autocast(device.type, dtype=self.dtype) if self.mixed else nullcontext()

    def step(self, loss: Any, optimizer: Any) -> None:
        """Backward, and a step of the optimizer."""
        if self.scaler is None:
            loss.backward()
            optimizer.step()
            return
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()

    def state(self) -> dict[str, Any]:
        """What `load` takes to go on."""
        return {} if self.scaler is None else dict(self.scaler.state_dict())

    def load(self, state: Mapping[str, Any] | None) -> None:
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)
