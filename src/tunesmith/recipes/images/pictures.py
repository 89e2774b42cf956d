"""Image files as arrays, by Pillow: whatever their format, size, depth, transparency or direction."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.recipes.images.data import Pixels, Size
from tunesmith.run.resources import cores

T = TypeVar("T")

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
)
#: Pillow's modes without colour.
_GREY: Final = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
#: EXIF's tag for the direction of an image, and its values for one that lies on its side.
_DIRECTION: Final = 0x0112
_SIDEWAYS: Final = (5, 6, 7, 8)


class Header(NamedTuple):
    """What a file says before it is decoded: (width, height), and whether it has no colours."""

    size: Size
    grey: bool


def files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The image files in `folder` and below, and the other files; hidden ones aside, in order."""
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if not path.name.startswith(".") and path.is_file():
            (images if path.suffix.lower() in SUFFIXES else others).append(path)
    return images, others


def headers(files: Sequence[Path]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """The header of each file; and why, where there is none."""
    return _each(files, _header)


def decode(
    files: Sequence[Path], size: Size, *, grey: bool
) -> tuple[dict[Path, Pixels], dict[Path, str]]:
    """The pixels of each file at `size`, (channels, height, width) in uint8; and why, where there are none."""
    return _each(files, lambda image: _pixels(image, size, grey=grey))


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Arrays at another size: (n, channels, height, width), uint8 or float32."""
    image = pillow()
    out = np.empty((*pixels.shape[:2], height, width), dtype=pixels.dtype)
    for k, channels in enumerate(pixels):
        for c, plane in enumerate(channels):
            out[k, c] = image.fromarray(plane).resize((width, height), image.Resampling.BILINEAR)
    return out


def pillow() -> Any:
    """The module ``PIL.Image``. Raises JobError if it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise JobError(
            "images need Pillow; install it with: pip install 'tunesmith[images]'"
        ) from None
    return Image


def reason(error: Exception) -> str:
    """Why a file cannot be read, in few words."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it is no image" if "cannot identify image file" in text else text


def _each(files: Sequence[Path], look: Callable[[Any], T]) -> tuple[dict[Path, T], dict[Path, str]]:
    """`look` at each image, opened but not decoded; and why, where that cannot be done."""
    image = pillow()

    def one(file: Path) -> tuple[T | None, str]:
        try:
            with image.open(file) as opened:
                return look(opened), ""
        except Exception as error:  # noqa: BLE001 (Pillow raises many kinds for broken files)
            return None, reason(error)

    decoded: dict[Path, T] = {}
    broken: dict[Path, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")  # of metadata that is not quite right
        warnings.simplefilter("error", image.DecompressionBombWarning)
        for file, (value, why) in zip(files, pool.map(one, files), strict=True):
            if value is None:
                broken[file] = why
            else:
                decoded[file] = value
    return decoded, broken


def _header(image: Any) -> Header:
    width, height = image.size
    sideways = image.getexif().get(_DIRECTION) in _SIDEWAYS
    return Header((height, width) if sideways else (width, height), image.mode in _GREY)


def _pixels(image: Any, size: Size, *, grey: bool) -> Pixels:
    from PIL import Image, ImageOps

    image.draft("L" if grey else "RGB", (max(size), max(size)))  # large JPEGs: a fraction of them
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image, dtype=np.float64)
        if not np.isfinite(deep).all():
            raise ValueError("it has pixels that are NaN or infinite")
        white = 65535.0 if image.mode.startswith("I") else max(1.0, float(deep.max()))
        image = Image.fromarray(np.uint8(np.clip(deep / white, 0.0, 1.0) * 255.0 + 0.5))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    image = image.convert("L" if grey else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    array = np.array(image, dtype=np.uint8)
    return array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))
