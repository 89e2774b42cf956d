"""Reading images: a folder with a folder for each class, or an ``.npz`` file with ``images`` and ``labels``.

Rules, each said in a notice where it was applied:

- Images of different sizes are resized to the commonest size; sizes beyond 128 pixels are shrunk to that.
- All are grey, or, if one of them has colours, all have three channels.
- Pixels of more than 8 bits are scaled by the range of the whole set; what is transparent gets one ground, on which
  the drawings of all classes are seen: see `tones`.
- At most 1 in 20 files may be broken: these are left out. More are an error.
- A folder without images is no class. Files that are no images, and what is hidden or a system's own, are left out.
- Links to files and folders are followed, but not to a folder that they are in.
- Images that are all nearly equal are an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import count
from tunesmith.recipes.images import arrays, folders, pictures
from tunesmith.recipes.images.class_folders import (
    passed_over,
    read_folder,
    stacked,
    suffixes,
)
from tunesmith.recipes.images.data import (
    LEAST,
    SHORTEST,
    Images,
    Pixels,
    Shape,
    by,
    listed,
    nearly_equal,
    numbered,
)
from tunesmith.recipes.images.folders import readable
from tunesmith.recipes.images.pictures import Header
from tunesmith.recipes.images.tones import (
    GROUNDS,
    WHITE,
    Measured,
    Tones,
    check_unit,
    counts_to_one,
    scale,
    unseen,
)

#: Images to predict with a transparent ground that are looked at for whether anything is seen on them.
LOOKED_AT: Final = 500


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Images to predict: `pixels` and `white` as in `Images`, a row for each of `names` that is not among the
    `broken`, which are files that cannot be read, and why; `notices` say what else is to be known."""

    pixels: Pixels
    white: float
    names: tuple[str, ...]
    broken: Mapping[str, str]
    notices: tuple[str, ...] = ()


def read(data: str | Path) -> Images:
    """The labelled images of a folder or ``.npz`` file. Raises JobError."""
    path = Path(data)
    try:
        if path.is_dir():
            return _checked(path, read_folder(path))
        if path.suffix.lower() == ".npz" and path.exists():
            return _checked(path, arrays.read_labelled(path))
        there = path.exists()
    except OSError as error:
        raise JobError(f"{error.filename or path} cannot be read: {error.strerror}") from None
    if not there:
        raise JobError(f"there is no {path}; name a folder of class folders, or an .npz file")
    raise JobError(
        f"{path} is no folder and no .npz file; put the images of each class in a folder of its own "
        "(images/cat/1.png, images/dog/1.png) and name the folder above"
    )


def read_unlabelled(data: str | Path, shape: Shape) -> Unlabelled:
    """The images of a folder (with or without class folders), an ``.npz`` file or one image file, as a
    network for `shape` takes them. Raises JobError."""
    path = Path(data)
    if not path.exists():
        raise JobError(f"there is no {path}; name a folder, an image or an .npz file")
    if path.suffix.lower() == ".npz":
        return _unlabelled_arrays(path, shape)
    notices: list[str] = []
    root, files = (path.parent, [path]) if path.is_file() else (path, _listed(path, notices))
    if not files:
        raise JobError(f"{path} has no images: no files that end in {suffixes()}")
    decoded, broken = _decoded(root, files, shape, notices)
    if not decoded:
        why = broken[files[0]]
        many = "" if len(files) == 1 else f"none of {len(files)} files can be read: "
        raise JobError(f"{many}{files[0]} cannot be read: {why}")
    names = tuple(readable(file, root) for file in files)
    failed = {readable(file, root): why for file, why in broken.items()}
    return Unlabelled(stacked(list(decoded.values())), WHITE, names, failed, tuple(notices))


def _listed(folder: Path, notices: list[str]) -> list[Path]:
    """The images in a folder to predict."""
    try:
        there = folders.listing(folder)
    except OSError as error:
        raise JobError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    notices += passed_over(folder, there)
    return there.images


def _decoded(
    root: Path, files: list[Path], shape: Shape, notices: list[str]
) -> tuple[dict[Path, Pixels], dict[Path, str]]:
    """The pixels of files to predict, on the scale and the ground of the model; and why, where there are none."""
    tones = shape.tones
    looks, broken = pictures.headers(files)
    whole = list(looks)
    if tones is None:
        notices += _toned_before(looks)
    else:
        deep = [file for file, look in looks.items() if look.depth != "byte"]
        clear = [file for file, look in looks.items() if look.clear and look.depth == "byte"]
        measured, immeasurable = pictures.measure([*deep, *clear[:LOOKED_AT]])
        broken |= immeasurable
        whole = [file for file in looks if file not in broken]
        notices += _toned(root, looks, measured, tones)
    size = (shape.width, shape.height)
    decoded, undecodable = pictures.decode(whole, size, grey=shape.channels == 1, tones=tones)
    broken |= undecodable
    return decoded, {file: broken[file] for file in files if file in broken}


def _toned(
    root: Path, looks: Mapping[Path, Header], measured: Mapping[Path, Measured], tones: Tones
) -> list[str]:
    """What is to be known of the brightness of images to predict. Raises JobError if their floating-point pixels count
    from 0 to 1, and the model's do not."""
    notices = []
    deep = {file: m for file, m in measured.items() if looks[file].depth != "byte"}
    floating = [m.high for file, m in deep.items() if looks[file].depth == "float"]
    usual = tones.range_of("float")
    if floating and usual is not None and counts_to_one(max(floating), usual[1]):
        check_unit(str(root), max(floating), usual[1])
    if not tones.deep and (whole := [f for f in deep if looks[f].depth == "integer"]):
        notices.append(
            f"{count(len(whole), 'image')} of more than 8 bits, which the model was not trained on, were read: 65,535 is taken "
            "as white"
        )
    for depth in ("integer", "float"):
        known = tones.range_of(depth) if tones.deep else None
        if known is None:
            continue
        beyond = [
            readable(file, root)
            for file, m in deep.items()
            if looks[file].depth == depth and (m.low < known[0] or m.high > known[1])
        ]
        if beyond:
            notices.append(
                f"{count(len(beyond), 'image')} with pixels beyond those of training ({known[0]:g} to {known[1]:g}): "
                f"{listed(beyond)}"
            )
    if blank := unseen(measured, tones.ground):
        shown = listed([readable(file, root) for file in blank])
        notices.append(
            f"nothing is seen on {count(len(blank), 'image')} with a transparent ground, which is {GROUNDS[tones.ground]} for this "
            f"model: {shown}"
        )
    return notices


def _toned_before(looks: Mapping[Path, Header]) -> list[str]:
    """What is to be known of images to predict by a model of version 1."""
    floating = sum(look.depth == "float" for look in looks.values())
    notice = (
        f"{count(floating, 'image')} with floating-point pixels: the model is of an earlier version, for which each is as bright "
        "as any other; fit it again"
    )
    return [notice] if floating else []


def _unlabelled_arrays(path: Path, shape: Shape) -> Unlabelled:
    pixels, _ = arrays.read_arrays(path, labelled=False)
    tones, white = shape.tones, shape.white
    scaled = None if tones is None or not tones.deep else tones.range_of(arrays.depth_of(pixels))
    if pixels.dtype == np.uint8:
        white = arrays.white_of(pixels)
    elif scaled is not None:  # a model of files of more than 8 bits, and their values as they are
        check_unit(str(path), float(pixels.max()), scaled[1])
        pixels = scale(pixels, *scaled)
    else:
        check_unit(str(path), float(pixels.max()), white)
    return Unlabelled(_fitted(path, pixels, shape), white, numbered(pixels), {})


def _fitted(path: Path, pixels: Pixels, shape: Shape) -> Pixels:
    """An array's images as a network for `shape` takes them."""
    if pixels.shape[1] != shape.channels:
        have, need = ("in colour" if c == 3 else "grey" for c in (pixels.shape[1], shape.channels))
        raise JobError(
            f"the images of {path} are {have}; those that the model was trained on are {need}"
        )
    if pixels.shape[2:] == (shape.height, shape.width):
        return pixels
    return pictures.resized(pixels, shape.height, shape.width)


def _checked(path: Path, images: Images) -> Images:
    height, width = images.pixels.shape[2:]
    if min(height, width) < SHORTEST:
        raise JobError(
            f"the images of {path} are {by((width, height))} pixels; they have to be "
            f"{by((SHORTEST, SHORTEST))} at least"
        )
    if len(images.classes) < 2:
        n = len(images.labels)
        there = f"all {n} images of {path} are" if n > 1 else f"the only image of {path} is"
        raise JobError(
            f"{there} of one class, {images.classes[0]!r}; there have to be two classes at least"
        )
    counts = np.bincount(images.labels, minlength=len(images.classes))
    rare = [f"{images.classes[c]} ({counts[c]})" for c in np.flatnonzero(counts < LEAST)]
    if rare:
        raise JobError(
            f"classes of {path} with fewer than {LEAST} images: {listed(rare)}; each needs one to train with, one "
            "to validate with and one to hold out: add images, or leave the class out"
        )
    if nearly_equal(images.pixels, images.white):
        raise JobError(
            f"the {count(len(images.labels), 'image')} of {path} come out nearly equal, so that nothing can be learned from "
            f"them{_why_equal(images)}"
        )
    return replace(images, notices=(*images.notices, *_copies(images)))


def _why_equal(images: Images) -> str:
    notices = "".join(f"; {notice}" for notice in images.notices)
    return notices or ": look at some of them in a viewer"


def _copies(images: Images) -> list[str]:
    """What to say of images that are there more than once."""
    first: dict[int, int] = {}
    copies: list[str] = []
    classes: list[str] = []
    for place, group in enumerate(images.groups.tolist()):
        before = first.setdefault(group, place)
        if before != place:
            pair = f"{images.names[place]} and {images.names[before]}"
            (classes if images.labels[before] != images.labels[place] else copies).append(pair)
    notices = []
    if copies:
        notices.append(
            f"copies of other images, kept together when the set is split: {count(len(copies), 'image')} ({listed(copies)})"
        )
    different = [
        len(np.unique(images.groups[images.labels == c])) for c in range(len(images.classes))
    ]
    if few := [f"{images.classes[c]} ({n})" for c, n in enumerate(different) if n < LEAST]:
        notices.append(
            f"classes of fewer than {LEAST} different images, whose copies are in all parts of the split, so that the "
            f"accuracy says nothing of other images: {listed(few)}"
        )
    if classes:
        notices.append(
            "the same image in two classes, so that nobody can be right about both: "
            f"{count(len(classes), 'image')} ({listed(classes)})"
        )
    return notices
