"""The scale of pixel values: one for a whole set of images, kept with the model and used again at predict.

Pixels of 8 bits are 0 (black) to 255 (white). What has more bits, or is floating point, says nowhere what white
is, and how bright an image is compared with others may be what matters. So all such images of a set are scaled by
the least and the largest value of the set, not each by its own. What is transparent is put on one ground, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError

Depth = Literal["byte", "integer", "float"]
Range = tuple[float, float]

#: White, as all pixels that come out of files are scaled.
WHITE: Final = 255.0
#: Grounds for what is transparent, the first one that will do.
GROUNDS: Final[Mapping[int, str]] = {255: "white", 0: "black", 128: "grey"}
#: Mean difference to the ground, 0 to 1, of a drawing that is seen well on it, ...
SEEN: Final = 0.1
#: ... and of one that is not seen at all.
UNSEEN: Final = 0.01
#: The share of a class's images for which a ground need not do.
FEW: Final = 0.05
#: An image with a smaller share of transparent pixels has no transparent ground.
CLEAR: Final = 0.01
#: Pixels by which an image's contrast is estimated.
LOOKED_AT: Final = 4096
#: Numbers up to 1 that are so many times less than white are no dark pixels, but count from 0 to 1.
DARK: Final = 100
#: Numbers so many times as large as white are in another unit, too.
BRIGHT: Final = 4
#: If all but a few pixels are within such a share of the range, it is said.
NARROW: Final = 1 / 20
#: What the depths are called.
_CALLED: Final[Mapping[Depth, str]] = {
    "byte": "pixels of 8 bits",
    "integer": "pixels of more than 8 bits",
    "float": "floating-point pixels",
}


class Measured(NamedTuple):
    """An image's least and largest value, the same without the outermost 1 in 200 pixels at each end (and
    without the least value, if that is negative), and its contrast to each of `GROUNDS`, 0 to 1: NaN where all is
    transparent, and without a transparent ground None."""

    low: float
    high: float
    inner: Range
    contrasts: tuple[float, ...] | None


@dataclass(frozen=True)
class Tones:
    """What black and white are in image files, by their depth, and the grey that transparent pixels get, 0 to 255.

    `integer`, `floating`: the values that become 0 and 255, None if the set had no such images. `byte`: whether it
    had any of 8 bits.
    """

    ground: int = 255
    byte: bool = True
    integer: Range | None = None
    floating: Range | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Tones:
        """From JSON. Raises AttributeError, IndexError, KeyError, TypeError or ValueError."""
        ranges = {
            name: (float(fields[name][0]), float(fields[name][1]))
            for name in ("integer", "floating")
            if fields.get(name) is not None
        }
        if not all(-math.inf < black < white < math.inf for black, white in ranges.values()):
            raise ValueError(f"black and white are {ranges}")
        if fields["ground"] not in GROUNDS:
            raise ValueError(f"the ground is {fields['ground']!r}")
        return cls(**{**fields, **ranges})

    @property
    def deep(self) -> bool:
        """Whether any image of the set has more than 8 bits."""
        return self.integer is not None or self.floating is not None

    def range_of(self, depth: Depth) -> Range | None:
        """What is black and what is white in images of a depth, which the set may not have had; None if nobody
        knows."""
        if depth == "byte":
            return (0.0, WHITE) if self.byte else None
        first, second = self.integer, self.floating
        if depth == "float":
            first, second = second, first
        if first is not None or not self.byte:
            return first or second
        return (0.0, 65535.0) if depth == "integer" else None

    def problem(self, depth: Depth, low: float, high: float) -> str | None:
        """Why an image of a depth, whose values are from `low` to `high`, is not on the scale of the set."""
        scale = self.range_of(depth)
        if scale is None:
            others = next(d for d in _CALLED if self._had(d))
            return (
                f"it has {_CALLED[depth]}, and the model was trained on {_CALLED[others]}, so that nobody knows what "
                "is white in it; convert it to the same"
            )
        black, white = scale
        span = white - black
        if high > black + BRIGHT * span or low < white - BRIGHT * span:
            return (
                f"its pixels are {low:g} to {high:g}, and those that the model was trained on {black:g} to {white:g}; "
                "bring them to the same scale"
            )
        return None

    def _had(self, depth: Depth) -> bool:
        return {
            "byte": self.byte,
            "integer": self.integer is not None,
            "float": self.floating is not None,
        }[depth]


USUAL: Final = Tones()


def tones_of(
    depths: Mapping[Path, Depth],
    measured: Mapping[Path, Measured],
    class_of: Mapping[Path, str],
) -> tuple[Tones, list[str]]:
    """The tones for a set of files, and what to say of them. `measured` are all that are deeper than 8 bits, and
    enough of those that may be transparent."""
    notices: list[str] = []
    ground = _ground(measured, class_of, notices)
    deep = {
        depth: [measured[p] for p, d in depths.items() if d == depth and p in measured]
        for depth in ("integer", "float")
    }
    ranges: dict[str, Range] = {
        depth: (min(m.low for m in of), max(m.high for m in of)) for depth, of in deep.items() if of
    }
    byte = any(depth == "byte" for depth in depths.values())
    if not ranges:
        return Tones(ground), notices
    units = {_unit(depth, high) for depth, (_, high) in ranges.items()} | (
        {WHITE} if byte else set()
    )
    every = [m for of in deep.values() for m in of]
    total = f"{len(every)} of {len(depths)} images"
    if len(units) == 1 and not byte:
        black, white = min(m.low for m in every), max(m.high for m in every)
        white = white if white > black else black + 1.0
        ranges = dict.fromkeys(ranges, (black, white))
        notices.append(
            f"{total} have {_called(ranges)}: in all of them, {black:g} is black and {white:g} is white, and so it "
            "is when the model predicts"
        )
        notices += _outliers(depths, measured, (black, white))
    else:
        ranges = {
            depth: (min(0.0, low), _unit(depth, high)) for depth, (low, high) in ranges.items()
        }
        for depth, (black, white) in ranges.items():
            notices.append(
                f"{len(deep[depth])} of {len(depths)} images have {_called([depth])}, others have not: in the former, "
                f"{black:g} is black and {white:g} is white"
            )
    return Tones(ground, byte, ranges.get("integer"), ranges.get("float")), notices


def scale(values: NDArray[Any], black: float, white: float) -> NDArray[np.float32]:
    """Pixels of which `black` becomes 0 and `white` 255."""
    scaled = (values.astype(np.float64) - black) * (WHITE / (white - black))
    return scaled.astype(np.float32)


def counts_to_one(top: float, white: float) -> bool:
    """Whether pixels up to `top` are from 0 to 1, and a white one would be far more."""
    return 0.0 < top <= 1.0 and DARK * top < white


def check_unit(what: str, top: float, white: float) -> None:
    """Raise JobError if numbers up to `top` cannot be pixels of which `white` is a white one."""
    if counts_to_one(top, white) or top > BRIGHT * white:
        raise JobError(
            f"the pixels of {what} are 0 to {top:g}, and those that the model was trained on 0 to {white:g}; bring them "
            "to the same scale, or save them as bytes (uint8)"
        )


def _unit(depth: str, high: float) -> float:
    """What is white by custom, if the largest value of a set is `high`."""
    customary = (WHITE, 65535.0) if depth == "integer" else (1.0, WHITE, 65535.0)
    slack = 1.0 if depth == "integer" else 1.5  # resampling overshoots
    return next((white for white in customary if high <= slack * white), high)


def _called(depths: Any) -> str:
    return " or ".join(_CALLED[depth] for depth in depths)


def _outliers(
    depths: Mapping[Path, Depth], measured: Mapping[Path, Measured], scale: Range
) -> list[str]:
    """A notice, if a few pixels are so far from all others that these come out nearly equal."""
    deep = {path: measured[path] for path, depth in depths.items() if depth != "byte"}
    lows, highs = zip(*(m.inner for m in deep.values()), strict=True)
    low, high = min(lows), max(highs)
    few, instead = "some pixels", "give them a usual value"
    if high - low >= NARROW * (scale[1] - scale[0]):  # whole images, then
        low = float(np.quantile(lows, FEW, method="higher"))
        high = float(np.quantile(highs, 1.0 - FEW, method="lower"))
        few, instead = "a few images", "leave them out"
    if high - low >= NARROW * (scale[1] - scale[0]):
        return []
    above = scale[1] - high > low - scale[0]
    extreme = (max if above else min)(deep, key=lambda p: deep[p].high if above else deep[p].low)
    notice = (
        f"but for {few}, all pixels are {low:g} to {high:g}: those set the scale (see {extreme.name}); if they "
        f"stand for what is missing or faulty, {instead}"
    )
    return [notice]


# -- what is transparent ----------------------------------------------------------------------


def _ground(
    measured: Mapping[Path, Measured], class_of: Mapping[Path, str], notices: list[str]
) -> int:
    """The ground on which drawings of every class are seen."""
    contrasts: dict[str, list[tuple[float, ...]]] = {}
    for path, image in measured.items():
        if image.contrasts is not None and np.isfinite(image.contrasts).all():
            contrasts.setdefault(class_of[path], []).append(image.contrasts)
    if not contrasts:
        return 255
    worst = np.min([np.quantile(of, FEW, axis=0) for of in contrasts.values()], axis=0)
    place = 0 if worst[0] >= SEEN else int(np.argmax(worst))
    ground = list(GROUNDS)[place]
    seen = "" if place == 0 else ", on which they are seen best"
    notices.append(
        f"there are images with a transparent ground: it is taken as {GROUNDS[ground]}{seen}, and so it is when the "
        "model predicts"
    )
    return ground


def contrasts_of(colours: NDArray[Any], alpha: NDArray[Any]) -> tuple[float, ...] | None:
    """How far the pixels of an image, (channels, height, width) from 0 to 255, are from each of `GROUNDS`, weighted by
    their opacity `alpha`, (height, width) from 0 to 1: see `Measured`."""
    step = max(1, int((alpha.size / LOOKED_AT) ** 0.5))
    if (alpha[::step, ::step] > 0).any():  # or there is a small thing between them
        colours, alpha = colours[:, ::step, ::step], alpha[::step, ::step]
    if (alpha < 0.5).mean() < CLEAR:
        return None
    visible = alpha > 0
    weights = alpha[visible]
    if not len(weights):
        return (np.nan,) * len(GROUNDS)
    lightest, darkest = (of(colours[:, visible], axis=0).astype(float) for of in (np.max, np.min))
    distances = (np.maximum(lightest - ground, ground - darkest) for ground in GROUNDS)
    return tuple(float(np.average(far, weights=weights) / WHITE) for far in distances)


def unseen(measured: Mapping[Path, Measured], ground: int) -> Sequence[Path]:
    """Images of which nothing is seen on a ground."""
    place = list(GROUNDS).index(ground)
    return [
        path
        for path, image in measured.items()
        if image.contrasts is not None and not image.contrasts[place] > UNSEEN
    ]
