"""Images that are changed while a network is trained, many at a time, on whatever device they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional

Config = Mapping[str, Any]
#: Images that are resized at a time.
CHUNK: Final = 1024


def resize(images: Any, side: int) -> Any:
    """`images`, (n, channels, height, width), with a shorter side of `side` pixels, in their own type."""
    height, width = images.shape[2:]
    factor = side / min(height, width)
    size = (round(height * factor), round(width * factor))
    if size == (height, width):
        return images
    zoom = functional.interpolate
    out = images.new_empty((*images.shape[:2], *size))
    for at in range(0, len(images), CHUNK):
        part = images[at : at + CHUNK].float()
        part = zoom(part, size, mode="bilinear", align_corners=False, antialias=True)
        out[at : at + CHUNK] = part if images.is_floating_point() else part.round().clamp(0, 255)
    return out


def distortion(
    n: int, height: int, width: int, config: Config, rng: Generator
) -> NDArray[np.float64] | None:
    """How n images are flipped, turned and cropped at random, for `distort`: (n, 2, 3); None for not at all.

    A crop is one of the image with a border of ``crop`` of its side.
    """
    flip, degrees = config["flip"], config["rotation"]
    borders = np.round(config["crop"] * np.array([width, height])).astype(int)
    if flip == "none" and not degrees and not borders.any():
        return None
    affine = _affine(n, height / width, flip, degrees, rng)
    shifts = rng.integers(-borders, borders + 1, size=(n, 2))
    affine[:, :, 2] = 2.0 * shifts / np.array([width, height])
    return affine


def distort(images: Any, affine: Any) -> Any:
    """Images, (n, channels, height, width), each flipped, turned and cropped in one go, as `affine`, (n, 2, 3), says.

    What comes into view in this way is its mirror image.
    """
    if affine is None:
        return images
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _affine(
    n: int, aspect: float, flip: str, degrees: float, rng: Generator
) -> NDArray[np.float64]:
    """For each of n images the matrix (2, 3) from places in the new image to places in the old one, both
    from -1 to 1; `aspect` is height by width."""
    angle = np.radians(rng.uniform(-degrees, degrees, n))
    mirror = np.where(rng.random((n, 2)) < 0.5, -1.0, 1.0)
    mirror[:, 1] = mirror[:, 1] if flip == "both" else 1.0
    mirror[:, 0] = mirror[:, 0] if flip != "none" else 1.0
    affine = np.zeros((n, 2, 3))
    affine[:, 0, 0] = np.cos(angle) * mirror[:, 0]
    affine[:, 0, 1] = -np.sin(angle) * aspect * mirror[:, 1]
    affine[:, 1, 0] = np.sin(angle) / aspect * mirror[:, 0]
    affine[:, 1, 1] = np.cos(angle) * mirror[:, 1]
    return affine


def mixture(n: int, config: Config, rng: Generator) -> tuple[float, NDArray[np.int64]] | None:
    """How n images are blended at random: each image's own share, and whom it is blended with, (n,); None for not
    at all.

    Zhang et al., "mixup: beyond empirical risk minimization" (ICLR 2018), with one weight a batch, drawn from
    Beta(alpha, alpha), where alpha is ``mixup``.
    """
    if config["mixup"] <= 0:
        return None
    return float(rng.beta(config["mixup"], config["mixup"])), rng.permutation(n)


def mix(images: Any, targets: Any, weight: float, partners: Any) -> tuple[Any, Any]:
    """Every image blended with another one, and their targets, (n, classes), likewise: see `mixture`."""
    if partners is None:
        return images, targets
    return (
        weight * images + (1 - weight) * images[partners],
        weight * targets + (1 - weight) * targets[partners],
    )
