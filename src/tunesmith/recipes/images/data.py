"""Labelled images of one size as arrays, and which of them are for what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: The longer side of what is kept of an image; a network gets at most that.
LONGEST: Final = 128
#: The shorter side of the smallest image that a convolution says anything about.
SHORTEST: Final = 4
#: All images together, as bytes: many are shrunk further.
MOST_BYTES: Final = 1 << 30
#: Fewest images of a class: one to train with, one to validate with, one held out.
LEAST: Final = 3
#: Names shown in a message.
SHOWN: Final = 5

Pixels = NDArray[Any]
Places = NDArray[np.int64]
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size.

    `pixels`: (n, channels, height, width), uint8 or float32; `white`: the value of a white pixel;
    `labels`: (n,), places in `classes`; `names`: where each image comes from.
    """

    pixels: Pixels
    white: float
    labels: Places
    classes: tuple[str, ...]
    names: tuple[str, ...]
    notices: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same images and labels."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.white, self.classes)).encode())
        for array in (self.pixels, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def take(self, places: Places) -> Images:
        """Some of the images."""
        names = tuple(self.names[k] for k in places)
        return replace(self, pixels=self.pixels[places], labels=self.labels[places], names=names)


@dataclass(frozen=True)
class Shape:
    """What a network was trained on: `channels` of `height` x `width`, `white` as in `Images`."""

    channels: int
    height: int
    width: int
    white: float


@dataclass(frozen=True, eq=False)
class Split:
    """Which images are for what: places in `Images`, in order."""

    train: Places
    validation: Places
    test: Places


def split(labels: Places, seed: int, validation: float = 0.2, test: float = 0.15) -> Split:
    """A random split of `labels`, (n,), in the same shares for each class, with an image each at least."""
    rng = np.random.default_rng([seed, 0x5011])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        of = rng.permutation(np.flatnonzero(labels == label)).tolist()
        held, checked = (max(1, round(share * len(of))) for share in (test, validation))
        chosen = (of[held + checked :], of[held : held + checked], of[:held])
        for part, places in zip(parts, chosen, strict=True):
            part += places
    train, checked_with, held_out = (np.array(sorted(part), dtype=np.int64) for part in parts)
    return Split(train, checked_with, held_out)


def sample(labels: Places, count: int, seed: int) -> Places:
    """About `count` random places in `labels`, in the same shares for each class, `LEAST` of each at least."""
    rng = np.random.default_rng([seed, 0x5012])
    chosen: list[int] = []
    for label in np.unique(labels):
        of = np.flatnonzero(labels == label)
        count_here = min(len(of), max(LEAST, round(count * len(of) / len(labels))))
        chosen += rng.permutation(of)[:count_here].tolist()
    return np.array(sorted(chosen), dtype=np.int64)


# -- sizes and words --------------------------------------------------------------------------


def limited(size: Size, images: int, channels: int) -> Size:
    """The (width, height) that so many images are kept at: see `LONGEST` and `MOST_BYTES`."""
    shrink = min(1.0, LONGEST / max(size))
    pixels = images * channels * size[0] * size[1] * shrink**2
    shrink *= min(1.0, (MOST_BYTES / pixels) ** 0.5)
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def shrunk(size: Size, to: Size) -> str:
    """A notice."""
    return f"images were shrunk from {by(size)} to {by(to)} pixels"


def numbered(pixels: Pixels) -> tuple[str, ...]:
    return tuple(f"image {k}" for k in range(len(pixels)))


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
