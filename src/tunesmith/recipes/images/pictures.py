"""Image files as arrays, by Pillow: whatever their format, size, depth, transparency or direction."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.recipes.images import tiffs
from tunesmith.recipes.images.data import Pixels, Size
from tunesmith.recipes.images.tiffs import Values
from tunesmith.recipes.images.tones import WHITE, Depth, Measured, Tones, contrasts_of, scale
from tunesmith.run.resources import cores

T = TypeVar("T")

#: Pillow's modes without colour.
_GREY: Final = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
#: Pillow's modes with transparency.
_CLEAR: Final = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})
#: EXIF's tag for the direction of an image, and its values for one that lies on its side.
_DIRECTION: Final = 0x0112
_SIDEWAYS: Final = (5, 6, 7, 8)
#: The shares of the weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them.
_LUMA: Final = np.array([0.299, 0.587, 0.114])[:, None, None]
#: Values by which an image's inner range is estimated.
_VALUES: Final = 4096


class Header(NamedTuple):
    """What a file says before it is decoded: (width, height), whether it has no colours, how deep its pixels are,
    whether some may be transparent, and whether it has more pages or frames."""

    size: Size
    grey: bool
    depth: Depth
    clear: bool
    several: bool


def headers(files: Sequence[Path]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """The header of each file; and why, where there is none."""
    return _each(files, _header)


def measure(files: Sequence[Path]) -> tuple[dict[Path, Measured], dict[Path, str]]:
    """The range and the contrasts of each file; and why, where there are none."""
    return _each(files, _measured)


def decode(
    files: Sequence[Path], size: Size, *, grey: bool, tones: Tones | None
) -> tuple[dict[Path, Pixels], dict[Path, str]]:
    """The pixels of each file at `size`, (channels, height, width) from 0 to 255: uint8, and float32 where the file
    has more than 8 bits; and why, where there are none. Tones are None for models that had none."""
    return _each(files, lambda image: _pixels(image, size, grey=grey, tones=tones))


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
    if isinstance(error, FileNotFoundError):
        return "it is a link to what is not there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it is no image" if "cannot identify image file" in text else text


def _each(files: Sequence[Path], look: Callable[[Any], T]) -> tuple[dict[Path, T], dict[Path, str]]:
    """`look` at each image, opened but not decoded; and why, where that cannot be done."""
    image = pillow()

    def one(file: Path) -> tuple[T | None, str]:
        try:
            return look_at(file), ""
        except Exception as error:  # noqa: BLE001 (Pillow raises many kinds for broken files)
            return None, reason(error)

    def look_at(file: Path) -> T:
        try:
            # by a stream: what Pillow maps from a path, it turns wrongly where a TIFF lies on its side
            with file.open("rb") as stream, image.open(stream) as opened:
                if not tiffs.is_misread(opened):
                    return look(opened)
        except image.UnidentifiedImageError:
            _check_unknown(file)
        return look(tiffs.read(file, image.MAX_IMAGE_PIXELS))

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


def _check_unknown(file: Path) -> None:
    """Raise ValueError for a file that Pillow does not know, unless it is a TIFF."""
    with file.open("rb") as opened:
        start = opened.read(12)
    if start[4:8] == b"ftyp":
        kind = start[8:12].decode(errors="replace")
        raise ValueError(f"it is an image of a format that is not read here ({kind})")
    if start[:4] not in tiffs.STARTS:
        raise ValueError("it is no image")


# -- one image, opened ------------------------------------------------------------------------


def _header(image: Any) -> Header:
    if isinstance(image, Values):
        channels, height, width = image.values.shape
        clear = image.alpha is not None
        return Header((width, height), channels == 1, image.depth, clear, image.several)
    width, height = tiffs.stored_size(image)
    depth, clear = _depth(image), _is_clear(image)  # before metadata is looked for, which loads it
    sideways = image.getexif().get(_DIRECTION) in _SIDEWAYS
    size = (height, width) if sideways else (width, height)
    return Header(size, image.mode in _GREY, depth, clear, _has_several(image))


def _has_several(image: Any) -> bool:
    """Whether only the first of several images is read; a telephone's JPEG has others that are made of it."""
    return bool(getattr(image, "is_animated", False)) and image.format != "MPO"


def _is_clear(image: Any) -> bool:
    if isinstance(image, Values):
        return image.alpha is not None
    return image.mode in _CLEAR or ("transparency" in image.info and _depth(image) == "byte")


def _depth(image: Any) -> Depth:
    if isinstance(image, Values):
        return image.depth
    if image.mode == "F":
        return "float"
    return "integer" if image.mode.startswith("I") or _halved(image) else "byte"


def _halved(image: Any) -> bool:
    """Whether Pillow would drop the lower of two bytes of each value, as it does with colours; it is asked of a file
    that was opened and not loaded."""
    return image.mode in ("RGB", "RGBA", "LA") and any(
        ";16" in _raw_mode(tile) for tile in getattr(image, "tile", ())
    )


def _raw_mode(tile: Any) -> str:
    args = tile[3]
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _measured(image: Any) -> Measured:
    depth, clear = _depth(image), _is_clear(image)
    colours: Pixels | None = None
    alpha: Pixels | None = None
    low, high, inner = 0.0, WHITE, (0.0, WHITE)
    if depth != "byte":
        values, alpha = _deep(image)
        colours = values / max(float(values.max()), 1e-30) * WHITE
        low, high = float(values.min()), float(values.max())
        some = values.ravel()[:: max(1, values.size // _VALUES)]
        if low < 0.0 and (some > low).any():  # -9999, say, stands for what is missing
            some = some[some > low]
        inner = (
            float(np.quantile(some, 0.005, method="higher")),
            float(np.quantile(some, 0.995, method="lower")),
        )
    if not clear:
        return Measured(low, high, inner, None)
    if colours is None or alpha is None:
        layer = np.asarray(_in_bytes(image).convert("RGBA")).transpose(2, 0, 1)
        colours, alpha = layer[:3], layer[3] / WHITE
    return Measured(low, high, inner, contrasts_of(colours, alpha))


def _in_bytes(image: Any) -> Any:
    """An image of 8 bits as one of Pillow's."""
    if not isinstance(image, Values):
        return image
    planes = [*image.values, *([image.alpha * WHITE] if image.alpha is not None else [])]
    array = np.stack(planes, -1).round().astype(np.uint8)
    return pillow().fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _pixels(image: Any, size: Size, *, grey: bool, tones: Tones | None) -> Pixels:
    from PIL import Image, ImageOps

    depth = _depth(image)
    if tones is None and isinstance(image, Values):
        raise ValueError(
            "the model is of an earlier version, which did not read this kind of TIFF; fit it again"
        )
    if tones is None:
        tones = Tones()
        if image.mode.startswith("I") or image.mode == "F":
            image = _own_scale(ImageOps.exif_transpose(image))
    elif depth != "byte":
        return _deep_pixels(image, depth, size, grey=grey, tones=tones)
    elif why := tones.problem("byte", 0.0, WHITE):
        raise ValueError(why)
    image = _in_bytes(image)
    image.draft("L" if grey else "RGB", (max(size), max(size)))  # large JPEGs: a fraction of them
    image = ImageOps.exif_transpose(image)
    if _is_clear(image):
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, (*(tones.ground,) * 3, 255))
        image.alpha_composite(layer)
    image = image.convert("L" if grey else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    array = np.array(image, dtype=np.uint8)
    return array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))


def _own_scale(image: Any) -> Any:
    """An image of more than 8 bits in 8 bits, as models before version 2 had them."""
    deep = _finite(np.asarray(image, dtype=np.float64))
    white = 65535.0 if image.mode.startswith("I") else max(1.0, float(deep.max()))
    return pillow().fromarray(np.uint8(np.clip(deep / white, 0.0, 1.0) * 255.0 + 0.5))


def _deep_pixels(image: Any, depth: Depth, size: Size, *, grey: bool, tones: Tones) -> Pixels:
    values, alpha = _deep(image)
    if why := tones.problem(depth, float(values.min()), float(values.max())):
        raise ValueError(why)
    black_and_white = tones.range_of(depth)
    assert black_and_white is not None, "or there would be a problem"
    planes: Pixels = scale(values, *black_and_white)
    if alpha is not None:
        planes = planes * alpha + tones.ground * (1 - alpha)
    if grey and len(planes) == 3:
        planes = (planes * _LUMA).sum(0, keepdims=True)
    elif not grey and len(planes) == 1:
        planes = np.repeat(planes, 3, axis=0)
    planes = np.ascontiguousarray(planes, dtype=np.float32)
    if planes.shape[:0:-1] != size:
        planes = resized(planes[None], size[1], size[0])[0]
    return planes


def _deep(image: Any) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """The values of an image of more than 8 bits, (1 or 3, height, width), and its opacity from 0 to 1, (height,
    width), if it is one with transparency. Raises ValueError for values that are not finite."""
    from PIL import ImageOps

    if isinstance(image, Values):
        return image.values, image.alpha
    if not _halved(image):
        raw = np.asarray(ImageOps.exif_transpose(image))
        if tiffs.is_unsigned(image):
            raw = raw.astype(np.int32).view(np.uint32)
        if tiffs.is_inverted(image) and image.mode.startswith("I;16"):
            raw = 65535 - raw
        return _finite(raw.astype(np.float64))[None], None
    whole = _both_bytes(image).transpose(2, 0, 1)
    values, alpha = whole[:3], whole[3] / 65535.0 if len(whole) == 4 else None
    if (values[0] == values[1]).all() and (values[0] == values[2]).all():
        values = values[:1]
    return values, alpha


def _both_bytes(image: Any) -> NDArray[np.float64]:
    """The values of 16 bits, (height, width, 3 or 4), of which Pillow keeps the higher byte: decoded a second time,
    in the other order of bytes, they give the lower one."""
    from PIL import Image, ImageOps

    again: Any
    with Image.open(image.fp.name) as again:
        grey = _raw_mode(again.tile[0]).startswith("LA")
        again.tile = [_with(tile, _other_order(tile)) for tile in again.tile]
        if grey:  # taken as four bytes a pixel: those of the value, those of the opacity
            four = np.asarray(ImageOps.exif_transpose(again)).astype(np.float64)
            value, alpha = four[..., 0] * 256 + four[..., 1], four[..., 2] * 256 + four[..., 3]
            return np.stack([value, value, value, alpha], -1)
        low = np.asarray(ImageOps.exif_transpose(again)).astype(np.float64)
    return np.asarray(ImageOps.exif_transpose(image)).astype(np.float64) * 256 + low


def _with(tile: Any, args: Any) -> Any:
    """A tile that is decoded with other arguments; before Pillow 11, tiles are bare tuples."""
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def _other_order(tile: Any) -> Any:
    raw, args = _raw_mode(tile), tile[3]
    if raw.startswith("LA"):
        other = "RGBA"
    else:
        stem, order = raw[:-1], raw[-1]
        native = "L" if sys.byteorder == "little" else "B"
        other = stem + ("B" if (native if order == "N" else order) == "L" else "L")
    return other if isinstance(args, str) else (other, *args[1:])


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(values).all():
        raise ValueError("it has pixels that are NaN or infinite")
    return values
