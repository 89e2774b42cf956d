"""Sets of images that tests make: circles, squares and crosses in colour, or bright and dark in grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

SHAPES = ("circle", "cross", "square")


def draw(shape: str, rng: np.random.Generator, side: int = 24) -> Array:
    """One figure in a colour of its own on a dark ground with noise: (side, side, 3), uint8."""
    y, x = np.mgrid[:side, :side] - rng.uniform(0.4, 0.6, 2)[:, None, None] * side
    size = side * rng.uniform(0.2, 0.35)
    inside = {
        "circle": x * x + y * y < size * size,
        "square": np.maximum(abs(x), abs(y)) < size,
        "cross": (np.minimum(abs(x), abs(y)) < size / 4) & (np.maximum(abs(x), abs(y)) < size),
    }[shape]
    image = rng.uniform(0, 40, (side, side, 3))
    image[inside] += rng.uniform(100, 200, 3)
    return image.astype(np.uint8)


def shapes(folder: Path, each: int = 8, side: int = 24, seed: int = 0) -> Path:
    """`each` images of each shape, as PNG files."""
    rng = np.random.default_rng(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for k in range(each):
            Image.fromarray(draw(shape, rng, side)).save(folder / shape / f"{k:03}.png")
    return folder


def bright_and_dark(n: int, side: int = 8, seed: int = 0) -> tuple[Array, Array]:
    """Grey images whose left half or right half is brighter: (n, 1, side, side) uint8, and 0 or 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 120, (n, 1, side, side))
    images[labels == 0, :, :, : side // 2] += 80
    images[labels == 1, :, :, side // 2 :] += 80
    return images.astype(np.uint8), labels.astype(np.int64)
