"""What counts as an image of a folder, and what is passed over and said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunesmith.core.errors import JobError
from tunesmith.recipes.images.data import Shape
from tunesmith.recipes.images.folders import SUFFIXES
from tunesmith.recipes.images.reading import read, read_unlabelled
from tunesmith.recipes.images.tones import Tones

SHAPE = Shape(1, 8, 8, 255.0, Tones())


def put(path: Path, seed: int = 0, kind: str | None = None) -> Path:
    """An image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(path, format=kind)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of six images."""
    for k in range(12):
        put(tmp_path / "set" / "ab"[k % 2] / f"{k:02}.png", k)
    return tmp_path / "set"


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints", ".thumbnails", ".git", "@eaDir", "@EADIR", "__MACOSX", "$RECYCLE.BIN",
        "System Volume Information", "lost+found", "#recycle",
    ],
)  # fmt: skip
@pytest.mark.parametrize("below", [".", "a", "a/deeper"])
def test_hidden_and_system_folders_are_passed_over_and_it_is_said(
    root: Path, name: str, below: str
) -> None:
    for k in range(5):
        put(root / below / name / f"copy{k}.png", k)
        put(root / below / name / "b" / f"copy{k}.png", k)
    images = read(root)
    assert images.classes == ("a", "b")
    assert len(images.labels) == 12
    where = Path(below, name)
    notice = f"left out, as they are in hidden or system folders: 10 images ({where})"
    assert images.notices == (notice,)
    predicted = read_unlabelled(root, SHAPE)
    assert predicted.names == images.names
    assert predicted.notices == (notice,)
    assert len(read_unlabelled(root / where, SHAPE).names) == 10, "it was asked for by its name"


def test_files_of_systems_are_nobodys_data(root: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "._00.png", "Icon\r"):
        (root / "a" / name).write_bytes(b"of a system")
        (root / name).write_bytes(b"of a system")
    put(root / "a" / ".hidden.png")
    (root / ".empty").mkdir()
    (root / "__MACOSX" / "a").mkdir(parents=True)
    (root / "__MACOSX" / "a" / "._00.png").write_bytes(b"of a system")
    images = read(root)
    assert len(images.labels) == 12
    assert images.notices == ()
    assert len(read_unlabelled(root, SHAPE).names) == 12


def test_where_all_images_are_hidden_the_error_says_so(tmp_path: Path) -> None:
    put(tmp_path / "a" / ".cache" / "0.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(
        JobError, match=r"has no images.*hidden or system folders: 1 image \(a/.cache"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jfif", "JPEG"), (".JFIF", "JPEG"), (".jpe", "JPEG"), (".pjpeg", "JPEG"), (".JPG", "JPEG"),
        (".dib", "DIB"), (".pnm", "PPM"), (".tga", "TGA"), (".pcx", "PCX"), (".jp2", "JPEG2000"),
        (".png", "JPEG"), (".avif", "AVIF"), (".ico", "ICO"),
    ],
)  # fmt: skip
def test_images_by_whatever_name(root: Path, suffix: str, kind: str) -> None:
    from PIL import features

    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    assert suffix.lower() in SUFFIXES
    for k in range(12):
        (root / "ab"[k % 2] / f"{k:02}.png").unlink()
        put(root / "ab"[k % 2] / f"{k:02}{suffix}", k, kind)
    images = read(root)
    assert len(images.labels) == 12
    assert images.notices == ()
    assert len(read_unlabelled(root / "a" / f"00{suffix}", SHAPE).names) == 1


def test_links_to_files_and_folders_are_followed(root: Path, tmp_path: Path) -> None:
    plain = read(root)
    (root / "a").rename(tmp_path / "elsewhere")
    (root / "a").mkdir()
    (root / "a" / "batch").symlink_to(tmp_path / "elsewhere")
    (root / "b").rename(tmp_path / "far")
    (root / "b").symlink_to(tmp_path / "far")
    put(tmp_path / "single.png", 99)
    (root / "b" / "one.png").symlink_to(tmp_path / "single.png")
    images = read(root)
    assert images.classes == ("a", "b")
    assert len(images.labels) == 13
    assert images.names[0] == "a/batch/00.png"
    assert images.names[-1] == "b/one.png"
    assert np.array_equal(images.pixels[:12], plain.pixels)
    assert images.notices == ()
    assert read_unlabelled(root, SHAPE).names == images.names


def test_links_that_lead_back_are_refused(root: Path) -> None:
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "b" / "deep").mkdir()
    (root / "b" / "deep" / "x").symlink_to("../..", target_is_directory=True)
    (root / "a" / "snake.png").symlink_to(root / "a" / "snake.png")
    (root / "a" / "snake").symlink_to(root / "a" / "snake")
    for k in range(20, 40):
        put(root / "ab"[k % 2] / f"{k:02}.png", k)
    images = read(root)
    assert len(images.labels) == 32
    assert len(set(images.names)) == 32
    loops = "left out, as they are links to a folder that they are in: a/self, a/up, b/deep/x"
    assert loops in images.notices
    assert any("a/snake.png" in notice and "cannot be read" in notice for notice in images.notices)
    predicted = read_unlabelled(root / "a", SHAPE)
    assert len(predicted.names) == 17
    assert list(predicted.broken) == ["snake.png"]


def test_a_link_to_nowhere_is_a_broken_file(root: Path) -> None:
    (root / "a" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(
        JobError, match=r"1 of 13 .* a/gone.png \(it is a link to what is not there\)"
    ):
        read(root)


def test_a_folder_that_is_linked_twice_is_read_once(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "more" / "0.png", 50)
    for name in ("x", "y"):
        (root / "a" / name).symlink_to(tmp_path / "more")
    images = read(root)
    assert len(images.labels) == 13
    assert images.notices == ("left out, as they are links to folders that are read already: a/y",)


def test_copies_are_named_and_so_are_classes_of_hardly_anything_else(root: Path) -> None:
    put(root / "a" / "copy.png", 0)
    (notice,) = read(root).notices
    assert notice == (
        "copies of other images, kept together when the set is split: 1 image (a/copy.png and a/00.png)"
    )
    for k in range(4):
        put(root / "c" / f"{k}.png", 77)
    more = read(root).notices
    assert len(more) == 2
    assert "classes of fewer than 3 different images" in more[1]
    assert more[1].endswith(": c (1)")


def test_an_image_in_two_classes_is_named(root: Path) -> None:
    os.link(root / "a" / "00.png", root / "b" / "same.png")
    (notice,) = read(root).notices
    assert notice.startswith("the same image in two classes")
    assert "1 image (b/same.png and a/00.png)" in notice


def test_names_that_are_no_utf_8_can_be_written(root: Path) -> None:
    put(root / "a" / os.fsdecode(b"caf\xe9.png"), 50)
    (root / "a" / os.fsdecode(b"not\xe9.txt")).touch()
    images = read(root)
    assert "a/caf\\xe9.png" in images.names
    assert "a/not\\xe9.txt" in images.notices[0]
    assert "a/caf\\xe9.png" in read_unlabelled(root, SHAPE).names
    "".join([*images.names, *images.notices]).encode()


def test_what_is_neither_file_nor_folder_is_not_opened(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe.png")
    images = read(root)
    assert len(images.labels) == 12
    assert "a/pipe.png" in images.notices[0]


def test_formats_that_are_not_read_are_named_as_such(root: Path) -> None:
    (root / "a" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    for k in range(40):
        put(root / "ab"[k % 2] / f"more{k}.png", 100 + k)
    (root / "b" / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (root / "b" / "colours.tif").write_bytes(b"II*\0" + bytes(40))
    images = read(root)
    formats, broken = images.notices
    assert "their formats are not read here: a/phone.heic" in formats
    assert "b/phone.jpg (it is an image of a format that is not read here (heic))" in broken
    assert "b/colours.tif (it is a TIFF that cannot be read" in broken
