from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.recipes.images.pictures import SHAPES, shapes

from tunesmith.core.errors import JobError
from tunesmith.recipes.images import pictures
from tunesmith.recipes.images.data import Shape
from tunesmith.recipes.images.reading import read, read_unlabelled
from tunesmith.recipes.images.tones import Tones


def save(path: Path, array: object, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array))
    (image.convert(mode) if mode else image).save(path)
    return path


def grey(value: int = 100, side: int = 8) -> NDArray[Any]:
    return np.full((side, side), value, dtype=np.uint8)


def folder(tmp_path: Path, classes: dict[str, int], side: int = 8) -> Path:
    """Each of its images has a grey of its own."""
    for c, (name, count) in enumerate(classes.items()):
        (tmp_path / name).mkdir()
        for k in range(count):
            save(tmp_path / name / f"{k:02}.png", grey(10 * k + c, side))
    return tmp_path


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    images = read(shapes(tmp_path / "set", each=3))
    assert images.pixels.shape == (9, 3, 24, 24)
    assert images.pixels.dtype == np.uint8
    assert images.classes == SHAPES
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert images.names[4] == "cross/001.png"
    assert images.notices == ()


def test_grey_images_have_one_channel_and_their_values(tmp_path: Path) -> None:
    images = read(folder(tmp_path, {"a": 3, "b": 4}))
    assert images.pixels.shape == (7, 1, 8, 8)
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 1, 11, 21, 31]


def test_images_of_other_sizes_get_the_commonest_one_and_it_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 3, "b": 3}, side=10)
    save(root / "a" / "wide.png", np.full((10, 20), 99, dtype=np.uint8))
    images = read(root)
    assert images.pixels.shape == (7, 1, 10, 10)
    assert images.notices == (
        "1 of 7 images have another size than 10x10 pixels, the commonest one, and were resized to it",
    )


def test_large_images_are_shrunk(tmp_path: Path) -> None:
    for k in range(6):
        save(tmp_path / "ab"[k % 2] / f"{k}.jpg", np.full((150, 300, 3), 40 * k, dtype=np.uint8))
    images = read(tmp_path)
    assert images.pixels.shape == (6, 3, 64, 128)
    assert images.notices == ("images were shrunk from 300x150 to 128x64 pixels",)


def test_depth_transparency_and_direction(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    half = np.full((8, 8), 32768, dtype=np.uint16)
    Image.fromarray(half).save(tmp_path / "a" / "deep.png")
    clear = np.zeros((8, 8, 4), dtype=np.uint8)
    save(tmp_path / "a" / "clear.png", clear)
    images = read(tmp_path)
    at = {name: images.pixels[k] for k, name in enumerate(images.names)}
    assert at["a/deep.png"].max() == pytest.approx(127.5, abs=0.01)
    assert at["a/clear.png"].min() == 255, "what is transparent is white"
    assert at["b/02.png"].shape == (3, 8, 8), "grey ones get three channels"
    assert "7 of 8 images are grey, the others have colours" in images.notices

    sideways = Image.fromarray(
        np.repeat(np.array([[0], [255]], dtype=np.uint8), 8, axis=1).repeat(4, axis=0)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    sideways.save(tmp_path / "turned.png", exif=exif)
    turned = read_unlabelled(tmp_path / "turned.png", Shape(1, 8, 8, 255.0)).pixels[0, 0]
    assert turned[:, 0].min() == 255
    assert turned[:, 7].max() == 0


def test_few_broken_files_are_left_out_and_many_are_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 20, "b": 20})
    (root / "a" / "torn.png").write_bytes((root / "a" / "01.png").read_bytes()[:40])
    (root / "b" / "text.png").write_text("no image")
    images = read(root)
    assert len(images.labels) == 40
    (notice,) = images.notices
    assert "2 of 42 image files" in notice
    assert "a/torn.png" in notice
    assert "b/text.png (it is no image)" in notice
    for k in range(5):
        (root / "a" / f"empty{k}.png").touch()
    with pytest.raises(JobError, match=r"7 of 47 image files .* a/empty0.png .* and 2 more; mend"):
        read(root)


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({}, "has no folders of classes"),
        ({"a": 0, "b": 0}, r"has no images: its folders \(a, b\)"),
        ({"a": 5}, "all 5 images of .* are of one class, 'a'"),
        ({"a": 1}, "the only image of .* is of one class, 'a'"),
        ({"a": 5, "b": 1}, r"classes of .* with fewer than 3 images: b \(1\)"),
        ({"a": 1, "b": 1}, r"a \(1\), b \(1\)"),
        ({"train": 3, "test": 3}, r"is split already \(its folders are test, train\)"),
    ],
)
def test_folders_that_cannot_be_learnt_from(
    tmp_path: Path, classes: dict[str, int], says: str
) -> None:
    with pytest.raises(JobError, match=says):
        read(folder(tmp_path, classes))


def test_an_empty_class_folder_is_left_out_and_loose_images_too(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 3, "b": 3, "c": 0})
    save(root / "loose.png", grey())
    (root / ".hidden").mkdir()
    images = read(root)
    assert images.classes == ("a", "b")
    assert "left out, as folders without images are no classes: c" in images.notices
    assert any("no class folder: 1 image of" in notice for notice in images.notices)


def test_tiny_images_and_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    with pytest.raises(JobError, match="3x3 pixels; they have to be 4x4"):
        read(folder(tmp_path / "tiny", {"a": 3, "b": 3}, side=3))
    (tmp_path / "data.csv").write_text("a,b\n")
    with pytest.raises(JobError, match=r"no folder and no .npz file"):
        read(tmp_path / "data.csv")
    with pytest.raises(JobError, match=r"there is no .*/nowhere"):
        read(tmp_path / "nowhere")


def test_images_to_predict_get_the_size_and_channels_of_the_model(tmp_path: Path) -> None:
    save(tmp_path / "a" / "one.png", np.full((20, 30, 3), 50, dtype=np.uint8))
    (tmp_path / "torn.png").write_text("")
    found = read_unlabelled(tmp_path, Shape(1, 8, 9, 255.0))
    assert found.names == ("a/one.png", "torn.png")
    assert found.pixels.shape == (1, 1, 8, 9)
    assert list(found.broken) == ["torn.png"]
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 8, 9, 3)))
    with pytest.raises(
        JobError, match="are in colour; those that the model was trained on are grey"
    ):
        read_unlabelled(tmp_path / "set.npz", Shape(1, 8, 9, 255.0))
    with pytest.raises(JobError, match=r"/torn.png cannot be read: it is no image"):
        read_unlabelled(tmp_path / "torn.png", Shape(1, 8, 9, 255.0))


@pytest.mark.parametrize(
    ("top", "white"), [(1.0, 255.0), (0.4, 65535.0), (255.0, 1.0), (4095.0, 255.0)]
)
def test_pixels_in_another_unit_are_refused(tmp_path: Path, top: float, white: float) -> None:
    images = np.linspace(0, top, 128, dtype=np.float32).reshape(2, 8, 8)
    np.savez(tmp_path / "set.npz", images=images)
    says = f"are 0 to {top:g}, and those that the model was trained on 0 to {white:g}; bring them"
    with pytest.raises(JobError, match=says):
        read_unlabelled(tmp_path / "set.npz", Shape(1, 8, 8, white))


@pytest.mark.parametrize(
    ("top", "white"),
    [(1.0, 1.0), (0.1, 1.0), (90.0, 255.0), (300.0, 255.0), (0.5, 3.0), (0.0, 255.0)],
)
def test_dark_and_bright_pixels_are_taken_as_they_are(
    tmp_path: Path, top: float, white: float
) -> None:
    np.savez(tmp_path / "set.npz", images=np.full((2, 8, 8), top))
    found = read_unlabelled(tmp_path / "set.npz", Shape(1, 8, 8, white))
    assert found.white == white
    assert found.pixels.max() == np.float32(top)


def test_files_that_are_no_images_are_left_out_and_named(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 3, "b": 3, "c": 0})
    (root / "a" / "notes.txt").write_text("a note")
    (root / "c" / "photo.heic").write_bytes(b"of another format")
    (root / "b" / ".DS_Store").touch()
    images = read(root)
    assert len(images.labels) == 6
    assert (
        "left out, as they do not end as images do (.png, .jpg, ..): a/notes.txt" in images.notices
    )
    (notice,) = (n for n in images.notices if "photo.heic" in n)
    assert "their formats are not read here: c/photo.heic; PNG" in notice


def bomb(side: int) -> bytes:
    """A PNG of some hundred bytes that says that it has side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in pieces
    )


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_dimensions_that_would_fill_the_memory_are_refused(tmp_path: Path, side: int) -> None:
    root = folder(tmp_path, {"a": 20, "b": 20})
    (root / "a" / "bomb.png").write_bytes(bomb(side))
    images = read(root)
    assert len(images.labels) == 40
    (notice,) = images.notices
    assert "1 of 41 image files" in notice
    assert "a/bomb.png (Image size" in notice
    with pytest.raises(JobError, match=r"bomb.png cannot be read: Image size"):
        read_unlabelled(root / "a" / "bomb.png", Shape(1, 8, 8, 255.0))


def test_pixels_that_are_nan_make_a_file_a_broken_one(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": 20, "b": 20})
    torn = np.full((8, 8), 0.5, dtype=np.float32)
    Image.fromarray(torn).save(root / "a" / "whole.tiff")
    torn[0, 0] = np.nan
    Image.fromarray(torn).save(root / "a" / "torn.tiff")
    images = read(root)
    assert len(images.labels) == 41
    assert "a/torn.tiff (it has pixels that are NaN or infinite)" in images.notices[1]


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(JobError, match=rf"{tmp_path} cannot be read: Permission denied"):
        read(tmp_path)


def test_the_example_writes_what_is_read(tmp_path: Path) -> None:
    program = Path(__file__).parents[3] / "examples" / "images" / "write_digits.py"
    subprocess.run([sys.executable, program, tmp_path / "digits"], check=True)
    images = read(tmp_path / "digits")
    assert images.pixels.shape == (1797, 1, 8, 8)
    assert images.classes == tuple("0123456789")
    assert images.notices == ()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("CMYK", "jpg"), ("CMYK", "tif"), ("YCbCr", "tif"), ("LAB", "tif"), ("RGBA", "webp"), ("P", "gif"),
        ("P", "png"), ("RGB", "bmp"), ("RGB", "jpg"),
    ],
)  # fmt: skip
def test_colours_of_every_mode_are_those_that_were_meant(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    from PIL import ImageCms

    colours = [(200, 40, 40), (40, 160, 60), (60, 60, 190), (210, 200, 60)]
    for k in range(8):
        image = Image.new("RGB", (16, 16), colours[k % 4])
        image.paste((250, 250, 250), (0, 0, 16, 2 + k))
        if mode == "LAB":
            profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
            changed = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
            assert changed is not None
            image = changed
        else:
            image = image.convert(mode)
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        options: dict[str, Any] = {"quality": 95} if suffix in ("jpg", "webp") else {}
        image.save(tmp_path / "ab"[k % 2] / f"{k}.{suffix}", **options)
    images = read(tmp_path)
    for name, pixels in zip(images.names, images.pixels, strict=True):
        middle = pixels[:, 13, 3:13].mean(1)
        assert middle == pytest.approx(colours[int(Path(name).stem) % 4], abs=16), name
    assert images.notices == ()


@pytest.mark.parametrize("direction", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "deflate.tif", "16.tif", "float.tif"])
def test_images_are_seen_upright_whatever_their_direction(
    tmp_path: Path, direction: int, suffix: str
) -> None:
    upright = np.full((16, 24), 40, dtype=np.uint8)
    upright[:8, :8] = 240
    back = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[direction]  # fmt: skip
    stored = Image.fromarray(upright)
    stored = stored if back is None else stored.transpose(back)
    options: dict[str, Any] = {}
    tones = Tones()
    if suffix == "16.tif":
        stored = Image.fromarray(np.asarray(stored).astype(np.uint16))
        tones = Tones(integer=(0.0, 255.0))
    elif suffix == "float.tif":
        stored, tones = stored.convert("F"), Tones(floating=(0.0, 255.0))
    elif suffix == "deflate.tif":
        options = {"compression": "tiff_deflate"}
    exif = Image.Exif()
    exif[0x0112] = direction
    stored.save(tmp_path / f"x.{suffix}", exif=exif, **options)
    (header,) = pictures.headers([tmp_path / f"x.{suffix}"])[0].values()
    assert header.size == (24, 16)
    seen = read_unlabelled(tmp_path / f"x.{suffix}", Shape(1, 16, 24, 255.0, tones)).pixels[0, 0]
    assert abs(seen.astype(int) - upright).mean() < 8
