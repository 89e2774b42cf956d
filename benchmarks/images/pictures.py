"""Images for the benchmark, drawn on the spot: five shapes, each filled plainly or with stripes, among clutter and noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = ("disc", "square", "triangle", "ring", "cross")
CLASSES = tuple(f"{shape}, {fill}" for shape in SHAPES for fill in ("plain", "striped"))


def draw(count: int, side: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images, (count, side, side, 3), and their labels, places in `CLASSES`."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = np.empty((count, side, side, 3), dtype=np.uint8)
    for k, label in enumerate(labels):
        image = rng.uniform(40, 215, 3) + rng.normal(0, 25, (side, side, 3))
        for _ in range(3):  # clutter: bars in other colours
            inside = _inside("bar", rng, side, 0.08)
            image[inside] = rng.uniform(0, 255, 3)
        shape = _inside(SHAPES[label // 2], rng, side, rng.uniform(0.18, 0.34))
        colour = rng.uniform(0, 255, 3)
        y, x = np.mgrid[:side, :side]
        turn = rng.uniform(0, np.pi)
        waves = np.sin((x * np.cos(turn) + y * np.sin(turn)) * rng.uniform(1.2, 2.0))
        fill = np.where(waves[..., None] > 0, colour, 255 - colour) if label % 2 else colour
        image = np.where(shape[..., None], fill + rng.normal(0, 20, (side, side, 3)), image)
        images[k] = np.clip(image, 0, 255)
    return images, labels


def _inside(shape: str, rng: np.random.Generator, side: int, size: float) -> NDArray[Any]:
    """Which pixels are in a shape somewhere near the middle, turned at random."""
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.35, 0.65, 2)[:, None, None]
    turn = rng.uniform(0, 2 * np.pi)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    radius = np.hypot(x, y)
    inside: dict[str, Any] = {
        "disc": radius < size,
        "ring": (radius < size) & (radius > size / 2),
        "square": np.maximum(abs(x), abs(y)) < size * 0.85,
        "triangle": (y > -size / 2) & (2 * abs(x) + y < size),
        "cross": (np.minimum(abs(x), abs(y)) < size / 3.5) & (np.maximum(abs(x), abs(y)) < size),
        "bar": (abs(y) < size / 2) & (abs(x) < 0.4),
    }
    mask: NDArray[Any] = inside[shape]
    return mask


def save(path: Path, count: int, side: int, seed: int) -> Path:
    """An ``.npz`` file that the recipe reads."""
    images, labels = draw(count, side, seed)
    np.savez(path, images=images, labels=np.array(CLASSES)[labels])
    return path
