from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.recipes.images.reading import read


@pytest.mark.parametrize(
    ("images", "labels", "shape", "white"),
    [
        (np.zeros((6, 8, 9), dtype=np.uint8), [0, 1] * 3, (6, 1, 8, 9), 255.0),
        (np.ones((6, 8, 9, 3)), [0.0, 1.0] * 3, (6, 3, 8, 9), 1.0),
        (np.full((6, 8, 9), 16), list("abbaab"), (6, 1, 8, 9), 16.0),
        (np.ones((6, 8, 9), dtype=bool), [b"a", b"b"] * 3, (6, 1, 8, 9), 1.0),
    ],
)
def test_arrays(
    tmp_path: Path, images: NDArray[Any], labels: list[Any], shape: tuple[int, ...], white: float
) -> None:
    images[::2] = images.max() if images.any() else 200
    images[1::2] = 0
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    found = read(tmp_path / "set.npz")
    assert found.pixels.shape == shape
    assert found.white == white
    assert (found.pixels[::2] == images.max()).all()
    assert len(found.classes) == 2


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.zeros(3)}, r"no array images and no labels \(it has: x\)"),
        ({"images": np.zeros((4, 8, 8)), "labels": [0, 1, 0]}, "4 images and 3 labels"),
        ({"images": np.zeros((2, 8, 8)), "labels": [0.0, np.nan]}, "1 labels .* missing"),
        ({"images": np.zeros((2, 8, 8)), "labels": [0.5, 1.5]}, "numbers such as 0.5"),
        ({"images": np.zeros((2, 8, 8)), "labels": [1j, 2j]}, "labels .* are complex"),
        ({"images": np.full((2, 8, 8), np.nan), "labels": [0, 1]}, "2 images .* NaN"),
        ({"images": np.full((2, 8, 8), -1.0), "labels": [0, 1]}, "pixels below 0"),
        ({"images": np.zeros((2, 64)), "labels": [0, 1]}, r"have the shape \(2, 64\)"),
        ({"images": np.zeros((0, 8, 8)), "labels": []}, r"have the shape \(0, 8, 8\)"),
        ({"images": np.full((2, 8, 8), "a"), "labels": [0, 1]}, "they have to be numbers"),
        ({"images": np.zeros((6, 8, 8)), "labels": [0] * 6}, "of one class, '0'"),
        ({"images": np.zeros((6, 8, 8)), "labels": np.eye(6)}, r"labels .* shape \(6, 6\)"),
        ({"images": np.zeros((6, 8, 8)), "labels": 3}, r"labels .* shape \(\)"),
        ({"images": np.zeros((6, 8, 8), dtype=object), "labels": [0] * 6}, "are Python objects"),
        ({"images": np.zeros((6, 2, 2)), "labels": [0, 1] * 3}, "are 2x2 pixels"),
    ],
)
def test_arrays_that_cannot_be_learnt_from(
    tmp_path: Path, arrays: dict[str, Any], says: str
) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(JobError, match=says):
        read(tmp_path / "set.npz")


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_text("no arrays")
    with pytest.raises(JobError, match=r"cannot be read as an .npz file"):
        read(tmp_path / "set.npz")


def test_what_a_header_promises_is_checked_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    side = psutil.virtual_memory().total
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("labels.npy", "w") as file:
            npy.write_array(file, np.array([0, 1] * 3))
        with archive.open("images.npy", "w") as file:
            promised = {"descr": "|u1", "fortran_order": False, "shape": (6, 1, side)}
            npy.write_array_header_1_0(file, promised)
    with pytest.raises(JobError, match=r"the images of .* take .*iB, and .*iB of memory are free"):
        read(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=np.zeros((6, 8, 8)), labels=[0, 1] * 3)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(JobError, match=r"cannot be read as an .npz file"):
        read(path)
