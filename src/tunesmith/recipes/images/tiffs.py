"""TIFF files that Pillow does not read, or not right: floating point of 16 or 64 bits or in colour, and the like."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes.images.tones import Depth

#: What TIFF files begin with.
STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Tags: the size, bits of a value, how white is stored, the direction of the image, whether colours are apart, whether values
#: have a sign.
_WIDTH: Final = 256
_HEIGHT: Final = 257
_BITS: Final = 258
_WHITE: Final = 262
_DIRECTION: Final = 274
_PLANES: Final = 284
_SIGN: Final = 339


@dataclass(frozen=True, eq=False)
class Values:
    """An image that is no `PIL.Image`: (1 or 3, height, width), and its opacity from 0 to 1, (height, width)."""

    values: NDArray[np.float64]
    alpha: NDArray[np.float64] | None
    depth: Depth
    several: bool


def read(file: Path, most_pixels: int | None) -> Values:
    """The first page of a file. Raises ValueError."""
    if find_spec("tifffile") is None:
        raise ValueError("it is a kind of TIFF that needs tifffile: pip install tifffile")
    try:
        array, axes, direction, inverted, several = _page(file, most_pixels)
    except Exception as error:  # noqa: BLE001 (tifffile raises many kinds for broken files)
        raise ValueError(f"it is a TIFF that cannot be read: {error}") from None
    array = {"YX": lambda: array[..., None], "SYX": lambda: np.moveaxis(array, 0, -1)}.get(
        axes, lambda: array
    )()
    if array.ndim != 3 or array.shape[2] > 4:
        raise ValueError(f"it has the shape {array.shape}, and is no image of 1 to 4 channels")
    if array.dtype.kind not in "uif":
        raise ValueError(f"its pixels are {array.dtype}, and have to be numbers")
    top = float(np.iinfo(array.dtype).max) if array.dtype.kind in "ui" else 1.0
    whole = np.moveaxis(turned(array, direction), -1, 0).astype(np.float64)
    if not np.isfinite(whole).all():
        raise ValueError("it has pixels that are NaN or infinite")
    alpha = whole[-1] / top if len(whole) in (2, 4) else None
    values = whole[:-1] if alpha is not None else whole
    values = top - values if inverted else values
    depth: Depth = (
        "float" if array.dtype.kind == "f" else "byte" if array.dtype == np.uint8 else "integer"
    )
    return Values(values, alpha, depth, several)


def _page(file: Path, most_pixels: int | None) -> tuple[NDArray[Any], str, int, bool, bool]:
    """The first page's array, its axes and direction, whether its white is 0, and whether there are more pages."""
    with import_module("tifffile").TiffFile(file) as tiff:
        page = tiff.pages[0]
        width, height = page.imagewidth, page.imagelength
        if most_pixels is not None and width * height > most_pixels:
            raise ValueError(f"Image size ({width}x{height} pixels) exceeds the limit")
        direction = page.tags.get(_DIRECTION)
        return (
            page.asarray(),
            str(page.axes),
            1 if direction is None else int(direction.value),
            int(page.photometric) == 0,
            len(tiff.pages) > 1,
        )


def turned(array: NDArray[Any], direction: int) -> NDArray[Any]:
    """An image, (height, width, ..), as EXIF's direction says that it is to be seen."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    seen: NDArray[Any] = turns.get(direction, lambda a: a)(array)
    return seen


# -- what Pillow opens, but gets wrong --------------------------------------------------------


def is_misread(image: Any) -> bool:
    """Whether Pillow takes values of 16 bits, a plane for each colour, for bytes, or bytes with a sign for such
    without."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (8,))
    sign = tags.get(_SIGN, (1,))
    planes = 16 in bits and len(bits) > 1 and tags.get(_PLANES, 1) == 2
    return planes or (8 in bits and 2 in sign)


def stored_size(image: Any) -> tuple[int, int]:
    """An image's (width, height) before it is turned: of a TIFF, Pillow says them afterwards since version 11."""
    tags = getattr(image, "tag_v2", {})
    size: tuple[int, int] = image.size
    return (tags[_WIDTH], tags[_HEIGHT]) if _WIDTH in tags and _HEIGHT in tags else size


def is_unsigned(image: Any) -> bool:
    """Whether the highest of an image's 32 bits is none for a sign, which Pillow takes it for."""
    tags = getattr(image, "tag_v2", {})
    unsigned: bool = tags.get(_SIGN, (1,))[0] == 1 and tags.get(_BITS, (0,))[0] == 32
    return image.mode == "I" and unsigned


def is_inverted(image: Any) -> bool:
    """Whether an image of more than 8 bits has its white at 0, which Pillow leaves so."""
    return getattr(image, "tag_v2", {}).get(_WHITE) == 0
