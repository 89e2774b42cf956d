"""TIFF files of many kinds give the values that were written, or say why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tests.recipes.images.test_tones import shape_of

from tunesmith.recipes.images import tiffs
from tunesmith.recipes.images.data import Images, Shape
from tunesmith.recipes.images.reading import read, read_unlabelled

tifffile = pytest.importorskip("tifffile")

Array = NDArray[Any]
GREY: dict[str, Any] = {"photometric": "minisblack"}
COLOUR: dict[str, Any] = {"photometric": "rgb"}
APART: dict[str, Any] = COLOUR | {"planarconfig": "separate"}


def values(colours: int, seed: int) -> Array:
    """(20, 30, colours), from 0 to 4000, both among them."""
    array = np.random.default_rng(seed).integers(0, 4000, (20, 30, colours))
    array[0, 0], array[0, 1] = 0, 4000
    return array


def written(root: Path, arrays: list[Array], **options: Any) -> Images:
    for k, array in enumerate(arrays):
        (root / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / "ab"[k % 2] / f"{k}.tif", array, **options)
    return read(root)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int16", "int32", "uint32", "uint16", "int64", "uint64"]
)
@pytest.mark.parametrize("order", "<>")
def test_grey_of_every_type(tmp_path: Path, dtype: str, order: str) -> None:
    raw = [values(1, k)[..., 0] for k in range(6)]
    images = written(tmp_path, [a.astype(dtype) for a in raw], byteorder=order, **GREY)
    assert images.tones.range_of("float" if dtype.startswith("f") else "integer") == (0, 4000)
    for name, pixels in zip(images.names, images.pixels, strict=True):
        expected = raw[int(Path(name).stem)] / 4000 * 255
        assert pixels[0] == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(read_unlabelled(tmp_path, shape_of(images)).pixels, images.pixels)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint16", COLOUR),
        ("uint16", COLOUR | {"compression": "deflate"}),
        ("uint16", COLOUR | {"rowsperstrip": 4}),
        ("uint16", COLOUR | {"tile": (16, 16)}),
        ("uint16", COLOUR | {"byteorder": ">"}),
        ("uint16", COLOUR | {"byteorder": ">", "compression": "deflate"}),
        ("uint16", COLOUR | {"bigtiff": True}),
        ("uint16", APART),
        ("float32", COLOUR),
        ("float32", APART),
        ("float64", COLOUR),
    ],
)
def test_colours_of_more_than_8_bits(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    raw = [values(3, k).astype(dtype) for k in range(6)]
    apart = "planarconfig" in options
    arrays = [np.ascontiguousarray(np.moveaxis(a, -1, 0)) if apart else a for a in raw]
    images = written(tmp_path, arrays, **options)
    for name, pixels in zip(images.names, images.pixels, strict=True):
        expected = np.moveaxis(raw[int(Path(name).stem)], -1, 0) / 4000 * 255
        assert pixels.astype(float) == pytest.approx(expected, abs=1e-3)


def test_bytes_with_a_sign(tmp_path: Path) -> None:
    raw = [(values(1, k)[..., 0] // 20 - 100).astype("int8") for k in range(6)]
    images = written(tmp_path, raw, **GREY)
    assert images.tones.integer == (-100, 100)


def test_white_at_zero_is_white(tmp_path: Path) -> None:
    """Among others, for which it is black."""
    raw = [values(1, k)[..., 0].astype("uint16") for k in range(6)]
    images = written(tmp_path / "set", raw, **GREY)
    tifffile.imwrite(tmp_path / "inverted.tif", 65535 - raw[0], photometric="miniswhite")
    same = read_unlabelled(tmp_path / "inverted.tif", shape_of(images))
    assert same.pixels[0] == pytest.approx(images.pixels[0], abs=1e-3)


def test_transparency_of_16_bits(tmp_path: Path) -> None:
    raw = []
    for k in range(6):
        array = values(1, k) + 60_000
        opacity = np.zeros((20, 30, 1), dtype=int)
        opacity[5:15, 5:25] = 65535
        raw.append(np.concatenate([array, opacity], -1).astype("uint16"))
    images = written(tmp_path, raw, extrasamples=["unassalpha"], **GREY)
    assert images.tones.ground == 0
    assert images.pixels[:, 0, 0, 0].max() == 0
    assert images.pixels.max() > 250


@pytest.mark.parametrize("direction", range(1, 9))
def test_directions_are_those_of_exif(direction: int) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(array)
    image.getexif()[0x0112] = direction
    assert np.array_equal(
        tiffs.turned(array, direction), np.asarray(ImageOps.exif_transpose(image))
    )


def test_pages_and_frames_beside_the_first_are_named(tmp_path: Path) -> None:
    raw = [values(1, k)[..., 0].astype("uint16") for k in range(6)]
    written(tmp_path / "set", raw, **GREY)
    tifffile.imwrite(tmp_path / "set" / "a" / "0.tif", np.stack([raw[0], raw[1]]), **GREY)
    frames = [Image.fromarray((a >> 4).astype(np.uint8)) for a in raw]
    frames[0].save(tmp_path / "set" / "b" / "moving.gif", save_all=True, append_images=frames[1:])
    images = read(tmp_path / "set")
    assert len(images.labels) == 7
    assert (
        "2 images with several pages or frames, of which the first is taken: 0.tif, moving.gif"
        in (images.notices)
    )


def test_a_file_that_is_torn_or_of_too_many_channels_is_broken(tmp_path: Path) -> None:
    raw = [values(1, k)[..., 0].astype("float64") for k in range(50)]
    written(tmp_path, raw, **GREY)
    whole = (tmp_path / "a" / "0.tif").read_bytes()
    (tmp_path / "a" / "torn.tif").write_bytes(whole[:400])
    tifffile.imwrite(tmp_path / "b" / "five.tif", values(5, 0).astype("float64"), **GREY)
    images = read(tmp_path)
    assert len(images.labels) in (50, 51)
    (notice,) = (n for n in images.notices if "cannot be read" in n)
    assert "torn.tif" in notice


def test_models_from_before_say_that_they_level_floating_point(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "f.tif", values(1, 0)[..., 0].astype("float32"), **GREY)
    images = read_unlabelled(tmp_path, Shape(1, 20, 30, 255.0))
    assert "the model is of an earlier version" in images.notices[0]
