"""The network that a config describes: stages of convolutions, each with its pooling, and a head.

Every weight's shape follows from the group `model` alone, not from the size of the images: what the
last stage leaves is averaged to a grid of fixed size. So values of the groups `optimizer` and `data`
may change in the middle of a training (population-based training does that).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from torch import nn

Config = Mapping[str, Any]
#: What is added to a deviation, of pixels from 0 to 1, that may be 0.
LEAST: Final = 1e-3


def left(side: int, config: Config) -> list[int]:
    """How many pixels are left of a `side`: after the convolutions, then after the pooling, of each stage.

    What `tunesmith.recipes.images.space` says in its relations; a network can be built if all are above 0.
    """
    k, same = config["filter_size"], config["padding"] == "same"
    out: list[int] = []
    for _ in range(config["depth"]):
        for c in range(config["convolutions"]):
            stride = config["stride"] if c == 0 else 1
            side = (side + (k - 1 if same else 0) - k) // stride + 1
        out.append(side)
        if config["pooling"] != "none":
            side //= config["pool_size"]
            out.append(side)
    return out


def build(config: Config, channels: int, classes: int) -> Any:
    """An ``nn.Module`` from (n, channels, height, width), values as `Scale` takes them, to (n, classes)."""
    parts: list[Any] = [Scale(config, channels)]
    width = channels
    for stage in range(config["depth"]):
        filters = round(config["filters"] * config["widening"] ** stage)
        for c in range(config["convolutions"]):
            stride = config["stride"] if c == 0 else 1
            parts += _convolution(config, width, filters, stride)
            width = filters
        parts += _pooling(config)
    grid = config["grid"]
    parts += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
    if config["dropout"] > 0:
        parts.append(nn.Dropout(config["dropout"]))
    parts.append(nn.Linear(width * grid * grid, classes))
    return nn.Sequential(*parts)


def _convolution(config: Config, width: int, filters: int, stride: int) -> list[Any]:
    k, norm = config["filter_size"], config["norm"]
    padding = k // 2 if config["padding"] == "same" else 0
    layers = [
        nn.Conv2d(width, filters, k, stride=stride, padding=padding, bias=norm == "none"),
    ]
    if norm == "batch":
        layers.append(nn.BatchNorm2d(filters))
    elif norm == "layer":
        layers.append(nn.GroupNorm(1, filters))
    activations = {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.1),
        "silu": nn.SiLU,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
    }
    return [*layers, activations[config["activation"]]()]


def _pooling(config: Config) -> list[Any]:
    if config["pooling"] == "none":
        return []
    kind = nn.MaxPool2d if config["pooling"] == "max" else nn.AvgPool2d
    return [kind(config["pool_size"])]


class Scale(nn.Module):  # type: ignore[misc]
    """The first layer: binarizes and scales pixels that are 0 (black) to 1 (white).

    In training they are taken as `black_or_white` has left them: blends of such images are grey.
    Its `mean` and `deviation`, (channels,), are those of the training images once `measure` has been
    called; they are saved with the weights.
    """

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.threshold: float | None = config["threshold"] if config["binarize"] else None
        self.scaling: str = config["scaling"]
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, x: Any) -> Any:
        if not self.training:
            x = self.black_or_white(x)
        if self.scaling == "each":
            mean = x.mean((1, 2, 3), keepdim=True)
            return (x - mean) / (x.std((1, 2, 3), keepdim=True) + LEAST)
        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]

    def black_or_white(self, x: Any) -> Any:
        return x if self.threshold is None else (x > self.threshold).to(x.dtype)

    def measure(self, batches: Iterable[Any]) -> None:
        """Take mean and deviation from batches of training images, where the config has scaling "all"."""
        if self.scaling != "all":
            return
        pixels = 0
        total: Any = 0.0
        squares: Any = 0.0
        for x in batches:
            x = self.black_or_white(x).double()
            pixels += x[:, 0].numel()
            total = total + x.sum((0, 2, 3))
            squares = squares + (x * x).sum((0, 2, 3))
        mean = total / pixels
        self.mean.copy_(mean)
        self.deviation.copy_((squares / pixels - mean * mean).clamp(min=0).sqrt() + LEAST)
