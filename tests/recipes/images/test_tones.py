"""Brightness that carries meaning survives, and what is drawn on a transparent ground is seen."""

from __future__ import annotations

import struct
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from tunesmith.core.errors import JobError
from tunesmith.recipes.images.data import Images, Shape
from tunesmith.recipes.images.reading import read, read_unlabelled

Array = NDArray[Any]
SIDE = 8


def put(path: Path, array: Array, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def dim_and_bright(root: Path, dtype: str, dim: float, bright: float, suffix: str = "tif") -> Path:
    """Noise below two levels, which are all that differs between the classes."""
    rng = np.random.default_rng(0)
    for k in range(12):
        noise = rng.uniform(0.8, 1.0, (SIDE, SIDE))
        level, name = (dim, "dim") if k % 2 else (bright, "bright")
        put(root / name / f"{k:02}.{suffix}", (noise * level).astype(dtype))
    return root


def shape_of(images: Images) -> Shape:
    """What a model keeps of its images, as it is read back from JSON."""
    _, channels, height, width = images.pixels.shape
    shape = Shape(channels, height, width, images.white, images.tones)
    assert Shape.of(asdict(shape)) == shape
    return shape


def means(images: Images) -> dict[str, float]:
    return {c: images.pixels[images.labels == k].mean() for k, c in enumerate(images.classes)}


@pytest.mark.parametrize(
    ("dtype", "dim", "bright", "suffix"),
    [
        ("float32", 50, 200, "tif"),
        ("float32", 0.2, 0.8, "tiff"),
        ("float32", 1e-4, 4e-4, "tif"),
        ("float32", -900, -100, "tif"),
        ("uint16", 900, 4000, "png"),
        ("uint16", 900, 4000, "tif"),
        ("uint16", 90, 250, "tif"),
        ("int32", 100_000, 900_000, "tif"),
        ("int32", -1000, 3000, "tif"),
    ],
)
def test_one_scale_for_all_images_of_a_set(
    tmp_path: Path, dtype: str, dim: float, bright: float, suffix: str
) -> None:
    root = dim_and_bright(tmp_path / "set", dtype, dim, bright, suffix)
    images = read(root)
    assert images.pixels.dtype == np.float32, "nothing is rounded away"
    assert images.white == 255.0
    assert images.pixels.min() == pytest.approx(0, abs=1e-3)
    assert images.pixels.max() == pytest.approx(255, abs=1e-3)
    of = means(images)
    assert of["bright"] - of["dim"] > 100
    (notice,) = images.notices
    assert "12 of 12 images have" in notice
    assert "is black and" in notice
    again = read_unlabelled(root, shape_of(images))
    assert np.array_equal(again.pixels, images.pixels)
    one = read_unlabelled(root / images.names[3], shape_of(images))
    assert np.array_equal(one.pixels[0], images.pixels[3])
    assert again.notices == ()


def test_values_that_fill_32_bits_have_no_sign(tmp_path: Path) -> None:
    low, high = 1_000_000_000, 4_000_000_000
    for k in range(8):
        array = np.full((SIDE, SIDE), high if k % 2 else low, dtype=np.uint32)
        path = tmp_path / "ab"[k % 2] / f"{k}.tif"
        put(path, array.view(np.int32))
        tiff = (
            path.read_bytes()
        )  # Pillow writes them as signed: 339 is the tag, 3 the type, 1 the count
        path.write_bytes(
            tiff.replace(struct.pack("<HHLL", 339, 3, 1, 2), struct.pack("<HHLL", 339, 3, 1, 1))
        )
    images = read(tmp_path)
    assert images.tones.integer == (low, high)
    assert means(images) == {"a": 0, "b": 255}


def png(values: Array) -> bytes:
    """A PNG of 16 bits: grey with opacity, colours, or colours with opacity, (height, width, 2 to 4)."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {2: 4, 3: 2, 4: 6}[channels]
    pieces = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in pieces
    )


def tiff(values: Array, order: str = "<") -> bytes:
    """A TIFF of 16 bits in colour, (height, width, 3)."""
    height, width, _ = values.shape
    body = values.astype(f"{order}u2").tobytes()
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8 + len(body)), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(body)),
    ]  # fmt: skip
    start = struct.pack(f"{order}HL", 42, 8 + len(body) + 6)
    entries = b"".join(
        struct.pack(f"{order}HHL", tag, kind, count)
        + (
            struct.pack(f"{order}HH", value, 0)
            if (kind, count) == (3, 1)
            else struct.pack(f"{order}L", value)
        )
        for tag, kind, count, value in tags
    )
    bits = struct.pack(f"{order}HHH", 16, 16, 16)
    head = b"II" if order == "<" else b"MM"
    return head + start + body + bits + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    "write", ["png", "png with opacity", "grey with opacity", "tiff <", "tiff >"]
)
def test_both_bytes_of_16_bits_are_read_in_colours_too(tmp_path: Path, write: str) -> None:
    rng = np.random.default_rng(1)
    raw = {}
    for k in range(12):
        level = 300 if k % 2 else 900  # of 65,535: 1 or 3 in the higher byte
        values = rng.integers(0, level, (SIDE, 9, 3))
        values[..., 2] = values[..., 0] if write.startswith("grey") else values[..., 2]
        values[0, 0], values[0, 1] = 0, level
        opaque = np.full((SIDE, 9, 1), 65535)
        if write == "grey with opacity":
            body = png(np.concatenate([values[..., :1], opaque], -1))
            values = values[..., :1].repeat(3, -1)
        elif write == "png with opacity":
            body = png(np.concatenate([values, opaque], -1))
        else:
            body = png(values) if write == "png" else tiff(values, write[-1])
        name = f"{'ab'[k % 2]}/{k:02}.{'tif' if 'tiff' in write else 'png'}"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
        raw[name] = values
    images = read(tmp_path)
    assert images.tones.integer == (0, 900)
    for name, pixels in zip(images.names, images.pixels, strict=True):
        expected = raw[name].transpose(2, 0, 1) / 900 * 255
        assert pixels.astype(float) == pytest.approx(expected[: len(pixels)], abs=1e-3)


def test_deep_images_among_others_are_scaled_by_what_is_white_by_custom(tmp_path: Path) -> None:
    for k in range(6):
        put(tmp_path / "ab"[k % 2] / f"{k}.png", np.full((SIDE, SIDE), 40 * k, dtype=np.uint8))
    put(tmp_path / "a" / "deep.png", np.full((SIDE, SIDE), 13107, dtype=np.uint16))
    put(tmp_path / "b" / "float.tif", np.full((SIDE, SIDE), 0.4, dtype=np.float32))
    images = read(tmp_path)
    at = {name: float(images.pixels[k].mean()) for k, name in enumerate(images.names)}
    assert at["a/deep.png"] == pytest.approx(51, abs=1e-3)
    assert at["b/float.tif"] == pytest.approx(102, abs=1e-3)
    assert at["b/3.png"] == 120
    assert any("1 of 8 images have pixels of more than 8 bits" in n for n in images.notices)
    assert np.array_equal(read_unlabelled(tmp_path, shape_of(images)).pixels, images.pixels)


def test_a_few_extreme_pixels_are_named(tmp_path: Path) -> None:
    root = dim_and_bright(tmp_path / "set", "float32", 50, 200)
    faulty = np.asarray(Image.open(root / "dim" / "03.tif")).copy()
    faulty[0, 0] = -9999
    Image.fromarray(faulty).save(root / "dim" / "03.tif")
    images = read(root)
    (notice,) = (n for n in images.notices if "but for some pixels" in n)
    assert "see 03.tif" in notice
    assert "all pixels are 40" in notice
    of = means(images)
    assert of["bright"] - of["dim"] > 1, "and yet they are not the same"


def test_a_value_that_stands_for_what_is_missing_is_named(tmp_path: Path) -> None:
    root = dim_and_bright(tmp_path / "set", "float32", 50, 200)
    for file in root.glob("*/*.tif"):
        pixels = np.asarray(Image.open(file)).copy()
        pixels[:, : SIDE // 4] = -9999
        Image.fromarray(pixels).save(file)
    (notice,) = (n for n in read(root).notices if "but for some pixels" in n)
    assert "all pixels are 40" in notice


def test_an_image_that_sets_the_scale_of_all_others_is_named(tmp_path: Path) -> None:
    root = dim_and_bright(tmp_path / "set", "float32", 50, 200)
    faulty = np.asarray(Image.open(root / "dim" / "03.tif")) * np.float32(1e6)
    Image.fromarray(faulty).save(root / "dim" / "03.tif")
    (notice,) = (n for n in read(root).notices if "but for a few images" in n)
    assert "see 03.tif" in notice
    assert "leave them out" in notice


def test_what_is_predicted_has_to_be_on_the_scale_of_training(tmp_path: Path) -> None:
    shape = shape_of(read(dim_and_bright(tmp_path / "set", "float32", 50, 200)))
    new = tmp_path / "new"
    rng = np.random.default_rng(2)
    good = rng.uniform(40, 250, (SIDE, SIDE)).astype(np.float32)
    put(new / "good.tif", good)
    put(new / "far.tif", good * 100)
    put(new / "bytes.png", good.astype(np.uint8))
    images = read_unlabelled(new, shape)
    assert list(images.names) == ["bytes.png", "far.tif", "good.tif"]
    assert "8 bits, and the model was trained on floating-point" in images.broken["bytes.png"]
    assert "those that the model was trained on 40" in images.broken["far.tif"]
    assert images.pixels.max() > 255, "what is brighter than white stays brighter"
    assert "2 images with pixels beyond those of training" in images.notices[0]
    with pytest.raises(JobError, match=r"are 0 to 0\.9\d*, and those .* 0 to 199"):
        read_unlabelled(put(tmp_path / "unit.tif", good / good.max() * 0.99), shape)


def test_deep_images_for_a_model_of_bytes(tmp_path: Path) -> None:
    for k in range(6):
        put(
            tmp_path / "set" / "ab"[k % 2] / f"{k}.png",
            np.full((SIDE, SIDE), 40 * k, dtype=np.uint8),
        )
    shape = shape_of(read(tmp_path / "set"))
    deep = read_unlabelled(
        put(tmp_path / "deep.png", np.full((SIDE, SIDE), 13107, dtype=np.uint16)), shape
    )
    assert deep.pixels.max() == pytest.approx(51, abs=1e-3)
    assert "65,535 is taken as white" in deep.notices[0]
    with pytest.raises(JobError, match="has floating-point pixels, and the model was trained on"):
        read_unlabelled(put(tmp_path / "f.tif", np.ones((SIDE, SIDE), dtype=np.float32)), shape)


def test_a_model_from_before_scales_as_it_did(tmp_path: Path) -> None:
    old = Shape(1, SIDE, SIDE, 255.0)
    ramp = np.linspace(0, 200, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    pixels = read_unlabelled(put(tmp_path / "f.tif", ramp), old).pixels
    assert pixels.dtype == np.uint8
    assert pixels.max() == 255
    half = np.full((SIDE, SIDE), 32768, dtype=np.uint16)
    assert read_unlabelled(put(tmp_path / "i.png", half), old).pixels.max() == 128


def test_arrays_and_files_of_the_same_values_are_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 4000, (8, SIDE, SIDE)).astype(np.uint16)
    np.savez(tmp_path / "set.npz", images=values, labels=[0, 1] * 4)
    images = read(tmp_path / "set.npz")
    for k, image in enumerate(values):
        put(tmp_path / "files" / f"{k}.png", image)
    files = read_unlabelled(tmp_path / "files", shape_of(images))
    expected = images.pixels / images.white
    assert files.pixels / files.white == pytest.approx(expected, abs=1e-6)

    for k, image in enumerate(values):
        put(tmp_path / "classes" / "ab"[k % 2] / f"{k}.png", image)
    by_files = read(tmp_path / "classes")
    arrays = read_unlabelled(tmp_path / "set.npz", shape_of(by_files))
    order = [int(Path(name).stem) for name in by_files.names]
    assert arrays.pixels[order] == pytest.approx(by_files.pixels, abs=1e-3)


# -- transparent ground -----------------------------------------------------------------------


def drawing(kind: int, ink: str | int, mode: str = "RGBA") -> Image.Image:
    """A disc or a line on a transparent ground."""
    alpha = Image.new("L", (16, 16), 0)
    draw = ImageDraw.Draw(alpha)
    (draw.ellipse if kind else draw.line)((2, 2, 13, 13), fill=255)
    image = Image.new("L" if mode == "LA" else "RGB", (16, 16), ink)
    image.putalpha(alpha)
    return image


def icons(root: Path, inks: list[Any], mode: str = "RGBA", suffix: str = "png") -> Path:
    for k in range(16):
        image = drawing(k % 2, inks[k // 2 % len(inks)], mode)
        path = root / ("line", "disc")[k % 2] / f"{k:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode == "P":
            paper = Image.new("P", image.size, 0)
            paper.putpalette([*ImageColor.getrgb(inks[k // 2 % len(inks)]), *range(21)])
            paper.paste(7, mask=image.getchannel("A").point(lambda a: 255 - a))
            paper.save(path, transparency=7)
        else:
            image.save(path)
    return root


@pytest.mark.parametrize(
    ("inks", "mode", "suffix", "ground"),
    [
        (["white"], "RGBA", "png", 0),
        (["white"], "RGBA", "webp", 0),
        (["white"], "P", "png", 0),
        (["white"], "P", "gif", 0),
        ([255], "LA", "png", 0),
        (["black"], "RGBA", "png", 255),
        ([0], "LA", "png", 255),
        (["black"], "P", "png", 255),
        (["yellow"], "RGBA", "png", 255),
        (["white", "black"], "RGBA", "png", 128),
        (["#808080"], "RGBA", "png", 255),
    ],
)
def test_the_ground_is_one_on_which_drawings_are_seen(
    tmp_path: Path, inks: list[Any], mode: str, suffix: str, ground: int
) -> None:
    root = icons(tmp_path / "icons", inks, mode, suffix)
    images = read(root)
    assert images.tones.ground == ground
    corners = images.pixels[:, :, 0, 0]
    assert (abs(corners.astype(int) - ground) <= 1).all()
    assert (np.ptp(images.pixels.reshape(16, -1), axis=1) > 100).all(), "each shows something"
    word = {255: "white", 0: "black", 128: "grey"}[ground]
    assert any(f"transparent ground: it is taken as {word}" in n for n in images.notices)
    again = read_unlabelled(root, shape_of(images))
    assert np.array_equal(again.pixels, images.pixels)
    assert again.notices == ()


def test_deep_drawings_on_a_transparent_ground_are_seen(tmp_path: Path) -> None:
    for k in range(8):
        alpha = np.asarray(drawing(k % 2, "white"))[..., 3:] / 255
        ink = np.full((16, 16, 1), 60_000 + k)
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        body = png(np.concatenate([ink.repeat(3, -1), alpha * 65535], -1))
        (tmp_path / "ab"[k % 2] / f"{k}.png").write_bytes(body)
    images = read(tmp_path)
    assert images.tones.ground == 0
    assert (np.ptp(images.pixels.reshape(8, -1), axis=1) > 0).any()


def test_a_class_whose_drawings_are_few_is_seen_too(tmp_path: Path) -> None:
    root = icons(tmp_path / "icons", ["black"])
    for k in range(3):
        (root / "rare").mkdir(exist_ok=True)
        drawing(k % 2, "white").save(root / "rare" / f"{k}.png")
    assert read(root).tones.ground == 128


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_colour_that_stands_for_transparent(tmp_path: Path, mode: str) -> None:
    clear: Any = 7 if mode == "L" else (7, 7, 7)
    for k in range(16):
        paper = Image.new("L", (16, 16), 7)
        draw = ImageDraw.Draw(paper)
        (draw.ellipse if k % 2 else draw.line)((2, 2, 13, 13), fill=255)
        path = tmp_path / "ab"[k % 2] / f"{k:02}.png"
        path.parent.mkdir(exist_ok=True)
        paper.convert(mode).save(path, transparency=clear)
    images = read(tmp_path)
    assert images.tones.ground == 0
    assert images.pixels.shape[1] == len(mode)
    assert sorted(np.unique(images.pixels).tolist()) == [0, 255]


def test_drawings_that_the_models_ground_hides_are_named(tmp_path: Path) -> None:
    shape = shape_of(read(icons(tmp_path / "icons", ["black"])))
    white = icons(tmp_path / "new", ["white"])
    images = read_unlabelled(white, shape)
    assert "nothing is seen on 16 images with a transparent ground" in images.notices[0]
    assert "is white for this model" in images.notices[0]


# -- nothing to be told apart -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["blank", "noise", "float", "transparent", "arrays"])
def test_images_that_are_all_nearly_equal_are_an_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(4)
    root = tmp_path / "set"
    for k in range(12):
        path = root / "ab"[k % 2] / f"{k}"
        if kind == "float":
            put(path.with_suffix(".tif"), np.full((16, 16), 7.5, dtype=np.float32))
        elif kind == "transparent":
            put(path.with_suffix(".png"), np.zeros((16, 16, 4), dtype=np.uint8))
        else:
            noise = rng.integers(253, 256, (16, 16)) if kind == "noise" else np.full((16, 16), 255)
            put(path.with_suffix(".png"), noise.astype(np.uint8))
    if kind == "arrays":
        root = tmp_path / "set.npz"
        np.savez(root, images=np.full((12, 8, 8), 3.0), labels=[0, 1] * 6)
    with pytest.raises(JobError, match=r"12 images of .* come out nearly equal"):
        read(root)


def test_images_that_hardly_differ_are_no_error(tmp_path: Path) -> None:
    faint = 1.0 + np.arange(12)[:, None, None] * np.full((12, 8, 8), 1e-4)
    np.savez(tmp_path / "set.npz", images=faint, labels=[0, 1] * 6)
    assert len(read(tmp_path / "set.npz").labels) == 12
