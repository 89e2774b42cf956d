"""Labelled images of one size as arrays, and which of them are for what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.program import digest
from tunesmith.recipes.images.tones import USUAL, Tones

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

#: Images of bytes in which no pixel differs by more, and ...
NEAR: Final = 8
#: ... whose parts differ by less, in standard deviations, are nearly equal (levels of 255).
EQUAL: Final = 0.5
#: Pixels that are no bytes are told apart so many times more finely.
FINER: Final = 100

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
    tones: Tones = USUAL

    @property
    def fingerprint(self) -> str:
        """The same for the same images and labels."""
        total = hashlib.sha256(repr((self.pixels.shape, self.white, self.classes)).encode())
        for array in (self.pixels, self.labels):
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()[:16]

    @property
    def parts(self) -> dict[str, str]:
        """A digest of each class, by which a change is named."""
        out = {"images": f"{len(self.labels):,}", "size": "x".join(map(str, self.pixels.shape[1:]))}
        for k, name in enumerate(self.classes):
            own = self.pixels[self.labels == k]
            out[f"class {name}"] = (
                f"digest {digest(np.ascontiguousarray(own).data)} {len(own):,} images"
            )
        return out

    @cached_property
    def groups(self) -> Places:
        """(n,): the same number for images whose pixels are the same."""
        numbers: dict[bytes, int] = {}
        digests = (hashlib.sha256(np.ascontiguousarray(p).data).digest() for p in self.pixels)
        return np.array([numbers.setdefault(d, len(numbers)) for d in digests], dtype=np.int64)

    def take(self, places: Places) -> Images:
        """Some of the images."""
        names = tuple(self.names[k] for k in places)
        return replace(self, pixels=self.pixels[places], labels=self.labels[places], names=names)


@dataclass(frozen=True)
class Shape:
    """What a network was trained on: `channels` of `height` x `width`, `white` and `tones` as in `Images`; models
    before version 2 had no tones."""

    channels: int
    height: int
    width: int
    white: float
    tones: Tones | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Shape:
        """From JSON. Raises AttributeError, IndexError, KeyError, TypeError or ValueError."""
        shape = cls(**fields)
        return shape if shape.tones is None else replace(shape, tones=Tones.of(fields["tones"]))


@dataclass(frozen=True, eq=False)
class Split:
    """Which images are for what: places in `Images`, in order."""

    train: Places
    validation: Places
    test: Places


def split(
    labels: Places,
    seed: int,
    groups: Places | None = None,
    validation: float = 0.2,
    test: float = 0.15,
) -> Split:
    """A random split of `labels`, (n,), in the same shares for each class, with an image each at least. Images of one
    of the `groups`, (n,), are in one part, but for a class with fewer than three groups."""
    rng = np.random.default_rng([seed, 0x5011])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        of = rng.permutation(np.flatnonzero(labels == label)).tolist()
        held, checked = (max(1, round(share * len(of))) for share in (test, validation))
        if groups is None or len(np.unique(groups[of])) == len(of):
            chosen = (of[held + checked :], of[held : held + checked], of[:held])
        else:
            chosen = _whole_groups(of, groups, held, checked)
        for part, places in zip(parts, chosen, strict=True):
            part += places
    train, checked_with, held_out = (np.array(sorted(part), dtype=np.int64) for part in parts)
    return Split(train, checked_with, held_out)


def _whole_groups(
    of: Sequence[int], groups: Places, held: int, checked: int
) -> tuple[list[int], list[int], list[int]]:
    """The same three parts of images `of` a class, and about the same sizes, without groups in two of them."""
    together: dict[int, list[int]] = {}
    for place in of:
        together.setdefault(int(groups[place]), []).append(place)
    if len(together) < LEAST:
        return list(of[held + checked :]), list(of[held : held + checked]), list(of[:held])
    # The largest is to train with: it might be most of the class. One is left for each part that has none.
    largest = max(together.values(), key=len)
    parts: tuple[list[int], list[int], list[int]] = (list(largest), [], [])
    left = [group for group in together.values() if group is not largest]
    wanted = {2: held, 1: checked}
    for k, group in enumerate(left):
        needy = [part for part in wanted if not parts[part]]
        if len(left) - k <= len(needy):
            parts[needy[0]].extend(group)
            continue
        room = [p for p, size in wanted.items() if len(parts[p]) + len(group) <= size]
        parts[room[0] if room else 0].extend(group)
    return parts


def nearly_equal(pixels: Pixels, white: float) -> bool:
    """Whether there is nothing by which images could be told apart: no pixel differs much, and averaged over parts of
    the image, as noise is, none differs at all."""
    level = white / 255.0 if pixels.dtype == np.uint8 else white / 255.0 / FINER
    spread = pixels.max(0).astype(np.float64) - pixels.min(0)
    if spread.max() > NEAR * level:
        return False
    height, width = pixels.shape[2:]
    rows, columns = (np.arange(0, side, max(1, side // 4)) for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), rows, 2), columns, 3)
    counts = np.add.reduceat(np.add.reduceat(np.ones((height, width)), rows, 0), columns, 1)
    return bool((sums / counts).std(0).max() < EQUAL * level)


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
