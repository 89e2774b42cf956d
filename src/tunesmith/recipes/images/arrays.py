"""Images in an ``.npz`` file: the arrays ``images`` and ``labels``."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.lib import format as npy
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import show_bytes
from tunesmith.recipes.images import pictures
from tunesmith.recipes.images.data import Images, Pixels, limited, listed, numbered, shrunk
from tunesmith.recipes.images.tones import Depth, Tones


def read_labelled(path: Path) -> Images:
    """The images of a file. Raises JobError."""
    pixels, labels = read_arrays(path, labelled=True)
    assert labels is not None
    if len(labels) != len(pixels):
        raise JobError(
            f"{path} has {len(pixels)} images and {len(labels)} labels; it needs one label for each image"
        )
    values, places = np.unique(_class_labels(path, labels), return_inverse=True)
    white, notices = white_of(pixels), []
    height, width = pixels.shape[2:]
    size = limited((width, height), len(pixels), pixels.shape[1] * pixels.itemsize)
    if size != (width, height):
        pixels = pictures.resized(pixels, size[1], size[0])
        notices.append(shrunk((width, height), size))
    return Images(
        pixels,
        white,
        places.reshape(-1).astype(np.int64),
        tuple(str(value) for value in values.tolist()),
        numbered(pixels),
        tuple(notices),
        _tones(pixels, white),
    )


def _tones(pixels: Pixels, white: float) -> Tones:
    """What files have to be on, for a model of these arrays: on the same scale, if it says anything."""
    return (
        Tones() if pixels.dtype == np.uint8 else Tones(integer=(0.0, white), floating=(0.0, white))
    )


def read_arrays(path: Path, *, labelled: bool) -> tuple[Pixels, NDArray[Any] | None]:
    """A file's images as (n, channels, height, width), uint8 or float32, and its labels. Raises JobError."""
    needed = ("images", "labels") if labelled else ("images",)
    try:
        known = _headers(path)
        _check_headers(path, {name: known[name] for name in needed if name in known})
        with np.load(path, allow_pickle=False) as file:
            there = {name: file[name] for name in needed if name in known}
    except JobError:
        raise
    except Exception as error:  # noqa: BLE001 (numpy raises many kinds for other files)
        why = pictures.reason(error)
        raise JobError(f"{path} cannot be read as an .npz file: {why}") from None
    missing = [name for name in needed if name not in there]
    if missing:
        raise JobError(
            f"{path} has no array {' and no '.join(missing)} (it has: {listed(list(known)) or 'nothing'}); "
            "write it with np.savez(path, images=images, labels=labels)"
        )
    labels = there.get("labels")
    if labels is not None and labels.shape[:1] != (labels.size,):
        raise JobError(
            f"the labels of {path} have the shape {labels.shape}; it has to be (images,): a whole number or a text "
            "for each image"
        )
    return _channels_first(path, there["images"]), None if labels is None else labels.reshape(-1)


def depth_of(pixels: Pixels) -> Depth:
    """How deep an array's pixels are."""
    if pixels.dtype == np.uint8:
        return "byte"
    return "integer" if bool((pixels == np.round(pixels)).all()) else "float"


def white_of(pixels: Pixels) -> float:
    """255 for bytes, 1 for numbers up to 1, else the largest there is."""
    return 255.0 if pixels.dtype == np.uint8 else max(1.0, float(pixels.max()))


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The shape and dtype that the file says each of its arrays has."""
    heads = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                version = npy.read_magic(file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(file)
            heads[name.removesuffix(".npy")] = (shape, dtype)
    return heads


def _check_headers(path: Path, arrays: dict[str, tuple[tuple[int, ...], Any]]) -> None:
    """Raise JobError for arrays that are no plain ones, or too large, before anything of them is read."""
    for name, (shape, dtype) in arrays.items():
        if dtype.hasobject:
            raise JobError(
                f"the {name} of {path} are Python objects, which are not read: such a file could run any code. Save "
                "plain arrays: images of one size as numbers, labels as whole numbers or texts"
            )
        size, free = math.prod(shape) * dtype.itemsize, psutil.virtual_memory().available
        if size > free / 2:
            raise JobError(
                f"the {name} of {path}, of the shape {shape}, take {show_bytes(size)}, and {show_bytes(free)} of memory "
                "are free; shrink the images, or leave some out"
            )


def _class_labels(path: Path, labels: NDArray[Any]) -> NDArray[Any]:
    """Labels that are whole numbers or texts."""
    if labels.dtype.kind == "f":
        if missing := int((~np.isfinite(labels)).sum()):
            raise JobError(f"{missing} labels of {path} are missing (NaN); leave these images out")
        fractions = labels[labels != np.round(labels)]
        if len(fractions):
            raise JobError(
                f"the labels of {path} are numbers such as {fractions[0]:g}; images are told apart by "
                "classes here: whole numbers or texts"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind == "S":
        decoded: NDArray[Any] = np.char.decode(labels, "utf-8", "replace")
        return decoded
    if labels.dtype.kind not in "biuU":
        raise JobError(
            f"the labels of {path} are {labels.dtype}; they have to be whole numbers or texts"
        )
    return labels


def _channels_first(path: Path, images: NDArray[Any]) -> Pixels:
    if images.dtype.kind not in "biuf":
        raise JobError(f"the images of {path} are {images.dtype}; they have to be numbers")
    shape = images.shape
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise JobError(
            f"the images of {path} have the shape {shape}; it has to be (images, height, width), or "
            "(images, height, width, 3) in colour"
        )
    if images.dtype.kind == "f":
        unknown = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
        if len(unknown):
            raise JobError(
                f"{len(unknown)} images of {path} have pixels that are NaN or infinite, the first is number "
                f"{unknown[0]}; leave them out"
            )
    if images.min() < 0:
        raise JobError(f"the images of {path} have pixels below 0; black is 0, and lighter is more")
    images = images if images.dtype == np.uint8 else images.astype(np.float32)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
