"""Batches of an epoch: which images each has, and how they are changed.

The images lie on the device, and are changed there. What is drawn at random is drawn here, from one stream in one
order, so that a seed gives the same batches on every device. On a GPU they are made ahead in a thread, and sent without
waiting: nothing keeps the GPU idle between two steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.random import Generator as Random
from numpy.typing import NDArray

from tunesmith.recipes.images.augment import distortion, mixture

T = TypeVar("T")
Config = Mapping[str, Any]

#: Batches that are made ahead.
AHEAD: Final = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors on the device: `places`, (n,), of images; `affine`, (n, 2, 3), as `augment.distort` takes it, or None;
    `partners`, (n,), which each image is blended with, and `weight`, the image's own share, or None for no blend."""

    places: Any
    affine: Any
    partners: Any
    weight: float

    def __len__(self) -> int:
        return len(self.places)


def batch_count(images: int, batch_size: int) -> int:
    """Into how many batches of nearly the same size the images go: none is much smaller than asked for, which
    batch normalisation would suffer from."""
    return max(1, round(images / batch_size))


def batches(
    images: tuple[int, ...], config: Config, rng: Random, device: Any
) -> Generator[Batch, None, None]:
    """The batches of an epoch on images of the shape (n, channels, height, width)."""
    drawn = _drawn(images, config, rng, device)
    return ahead(drawn, AHEAD) if device.type == "cuda" else drawn


def ahead(items: Iterator[T], count: int) -> Generator[T, None, None]:
    """The same items, `count` of which are made before they are asked for, one after the other in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(count))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item


def _drawn(
    images: tuple[int, ...], config: Config, rng: Random, device: Any
) -> Generator[Batch, None, None]:
    count, _, height, width = images
    order = rng.permutation(count)
    for places in np.array_split(order, batch_count(count, config["batch_size"])):
        affine = distortion(len(places), height, width, config, rng)
        blend = mixture(len(places), config, rng)
        yield Batch(
            _sent(places, device),
            None if affine is None else _sent(affine.astype(np.float32), device),
            None if blend is None else _sent(blend[1], device),
            1.0 if blend is None else blend[0],
        )


def _sent(array: NDArray[Any], device: Any) -> Any:
    """An array as a tensor on the device, which may still be on its way."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
