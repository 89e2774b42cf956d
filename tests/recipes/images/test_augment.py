from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.images import augment
from tunesmith.recipes.images.augment import distortion, mixture, resize
from tunesmith.recipes.images.network import Scale

NOTHING = {"flip": "none", "rotation": 0.0, "crop": 0.0, "mixup": 0.0}


def ramp(n: int = 4, height: int = 8, width: int = 8, channels: int = 1) -> torch.Tensor:
    """Images in which every pixel is different."""
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


def distort(images: torch.Tensor, config: dict[str, Any], rng: np.random.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    affine = distortion(n, height, width, config, rng)
    return augment.distort(images, None if affine is None else torch.from_numpy(affine).to(images))


def mix(
    images: torch.Tensor, targets: torch.Tensor, config: dict[str, Any], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    weight, partners = mixture(len(images), config, rng) or (1.0, None)
    return augment.mix(images, targets, weight, partners)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_nothing_asked_for_is_nothing_done() -> None:
    images = ramp()
    assert distort(images, NOTHING, rng()) is images
    targets = torch.eye(4)
    assert mix(images, targets, NOTHING, rng()) == (images, targets)


@pytest.mark.parametrize(
    ("flip", "axes"), [("horizontal", [[], [3]]), ("both", [[], [2], [3], [2, 3]])]
)
def test_flips_are_mirror_images_half_of_the_time(flip: str, axes: list[list[int]]) -> None:
    images = ramp(64, 8, 6, 3)
    flipped = distort(images, NOTHING | {"flip": flip}, rng())
    seen = np.zeros(len(axes))
    for k in range(len(images)):
        same = [torch.allclose(images[k : k + 1].flip(a), flipped[k], atol=1e-5) for a in axes]
        assert sum(same) == 1
        seen += same
    assert seen.min() > 64 / len(axes) / 3


def test_a_crop_shifts_by_whole_pixels_and_mirrors_at_the_edge() -> None:
    images = ramp(32, 8, 8)
    cropped = distort(images, NOTHING | {"crop": 0.25}, rng())
    found = set()
    for image, moved in zip(images[:, 0], cropped[:, 0], strict=True):
        bordered = np.pad(image.numpy(), 2, mode="symmetric")
        shifts = [
            (i - 2, j - 2)
            for i in range(5)
            for j in range(5)
            if np.allclose(bordered[i : i + 8, j : j + 8], moved, atol=1e-5)
        ]
        assert len(shifts) == 1
        found.add(shifts[0])
    assert len(found) > 10


def test_a_turned_image_keeps_its_shape_whatever_the_sides() -> None:
    """In the middle, where no mirror images come into view."""
    y, x = torch.meshgrid(torch.arange(20) - 9.5, torch.arange(40) - 19.5, indexing="ij")
    disc = torch.exp(-(x * x + y * y) / 20).expand(16, 1, 20, 40)
    bar = torch.exp(-(x * x / 20 + y * y / 5)).expand(16, 1, 20, 40)
    for image, same in ((disc, True), (bar, False)):
        turned = distort(image, NOTHING | {"rotation": 90.0}, rng())[:, :, 2:18, 12:28]
        assert ((turned - image[:, :, 2:18, 12:28]).abs().mean() < 0.01) == same
        assert abs(turned.sum((1, 2, 3)) - image[0].sum()).max() < 2


@given(st.integers(0, 2**32), st.floats(0, 0.25), st.floats(0, 30))
@settings(max_examples=20, deadline=None)
def test_the_same_stream_gives_the_same_images_within_the_same_bounds(
    seed: int, crop: float, rotation: float
) -> None:
    config = {"flip": "both", "rotation": rotation, "crop": crop, "mixup": 0.0}
    first, again = (distort(ramp(), config, rng(seed)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.min() >= -1e-5
    assert first.max() <= 1 + 1e-5


def test_mixup_blends_images_and_targets_alike() -> None:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 1, 4, 4)
    targets = torch.eye(5)
    x, y = mix(images, targets, {"mixup": 0.4}, rng(3))
    assert torch.allclose(y.sum(1), torch.ones(5))
    assert torch.allclose(y @ torch.arange(5.0), x[:, 0, 0, 0])
    assert not torch.allclose(y, targets)


def test_resizing_is_to_the_shorter_side_and_keeps_the_type() -> None:
    images = torch.full((3, 1, 10, 20), 200, dtype=torch.uint8)
    small = resize(images, 5)
    assert small.shape == (3, 1, 5, 10)
    assert small.dtype == torch.uint8
    assert (small == 200).all()
    assert resize(images, 10) is images


def test_scaling_is_by_the_training_images_or_by_each_image() -> None:
    images = ramp(50, channels=3) * torch.tensor([0.1, 0.5, 1.0])[:, None, None]
    every = Scale({"binarize": False, "scaling": "all"}, 3)
    every.measure([images[:20], images[20:]])
    out = every(images)
    assert out.mean((0, 2, 3)).abs().max() < 1e-4
    assert (out.std((0, 2, 3)) - 1).abs().max() < 0.05
    each = Scale({"binarize": False, "scaling": "each"}, 3)(images)
    assert each.mean((1, 2, 3)).abs().max() < 1e-4
    plain = Scale({"binarize": True, "threshold": 0.3, "scaling": "none"}, 3)
    assert torch.equal(plain.eval()(images), (images > 0.3).float())
    assert torch.equal(plain.train()(images), images)  # black and white by then, or blends of such
