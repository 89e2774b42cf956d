"""Reading images: a folder with a folder for each class, or an ``.npz`` file with ``images`` and ``labels``.

Rules, each said in a notice where it was applied:

- Images of different sizes are resized to the commonest size; sizes beyond 128 pixels are shrunk to that.
- All are grey, or, if one of them has colours, all have three channels; what is transparent becomes white.
- At most 1 in 20 files may be broken: these are left out. More are an error.
- A folder without images is no class; files that are no images are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.recipes.images import arrays, pictures
from tunesmith.recipes.images.data import (
    LEAST,
    SHORTEST,
    Images,
    Pixels,
    Shape,
    Size,
    by,
    limited,
    listed,
    numbered,
    shrunk,
)
from tunesmith.recipes.images.pictures import SUFFIXES, Header

#: One broken file in so many is left out; more are an error.
BROKEN: Final = 20
#: Numbers up to 1 that are so many times less than white are no dark pixels, but count from 0 to 1.
DARK: Final = 100
#: Numbers so many times as large as white are in another unit, too.
BRIGHT: Final = 4
_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Images to predict: `pixels` and `white` as in `Images`, a row for each of `names` that is not among the
    `broken`, which are files that cannot be read, and why."""

    pixels: Pixels
    white: float
    names: tuple[str, ...]
    broken: Mapping[str, str]


def read(data: str | Path) -> Images:
    """The labelled images of a folder or ``.npz`` file. Raises JobError."""
    path = Path(data)
    try:
        if path.is_dir():
            return _checked(path, _read_folder(path))
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
        pixels, _ = arrays.read_arrays(path, labelled=False)
        if pixels.dtype == np.uint8:
            white = arrays.white_of(pixels)
        else:
            white = shape.white
            _check_unit(path, float(pixels.max()), white)
        return Unlabelled(_fitted(path, pixels, shape), white, numbered(pixels), {})
    root, files = (path, pictures.files(path)[0]) if path.is_dir() else (path.parent, [path])
    if not files:
        raise JobError(f"{path} has no images: no files that end in {_suffixes()}")
    size = (shape.width, shape.height)
    decoded, broken = pictures.decode(files, size, grey=shape.channels == 1)
    if not decoded:
        why = broken[files[0]]
        many = "" if len(files) == 1 else f"none of {len(files)} files can be read: "
        raise JobError(f"{many}{files[0]} cannot be read: {why}")
    names = tuple(str(file.relative_to(root)) for file in files)
    failed = {str(file.relative_to(root)): why for file, why in broken.items()}
    return Unlabelled(np.stack(list(decoded.values())), 255.0, names, failed)


def _check_unit(path: Path, top: float, white: float) -> None:
    """Raise JobError if numbers up to `top` cannot be pixels of which `white` is a white one."""
    if (0.0 < top <= 1.0 and DARK * top < white) or top > BRIGHT * white:
        raise JobError(
            f"the pixels of {path} are 0 to {top:g}, and those that the model was trained on 0 to {white:g}; bring them "
            "to the same scale, or save them as bytes (uint8)"
        )


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


# -- folders ----------------------------------------------------------------------------------


def _read_folder(root: Path) -> Images:
    notices: list[str] = []
    of_class = _class_folders(root, notices)
    files = [file for of in of_class.values() for file in of]
    looks, unreadable = pictures.headers(files)
    if not looks:
        _check_broken(root, files, unreadable, notices)
    size, grey = _common(looks, notices)
    decoded, undecodable = pictures.decode(list(looks), size, grey=grey)
    _check_broken(root, files, unreadable | undecodable, notices)
    classes = tuple(name for name, of in of_class.items() if any(file in decoded for file in of))
    placed = [(c, f) for c, name in enumerate(classes) for f in of_class[name] if f in decoded]
    return Images(
        np.stack([decoded[file] for _, file in placed]),
        255.0,
        np.array([c for c, _ in placed], dtype=np.int64),
        classes,
        tuple(str(file.relative_to(root)) for _, file in placed),
        tuple(notices),
    )


def _class_folders(root: Path, notices: list[str]) -> dict[str, list[Path]]:
    """The image files of each class; at least one file in all."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    loose = sum(p.suffix.lower() in SUFFIXES for p in root.iterdir())
    if not folders:
        content = f"{_images(loose)}, but no folders" if loose else "no folders"
        raise JobError(
            f"{root} has {content} of classes; put the images of each class in a folder of its own: "
            f"{root}/cat/1.png, {root}/dog/1.png"
        )
    if {folder.name.lower() for folder in folders} <= _SPLITS:
        raise JobError(
            f"{root} is split already (its folders are {listed([f.name for f in folders])}); name one of "
            f"them, such as {folders[-1]}: it is split into training, validation and held-out images here"
        )
    if loose:
        notices.append(f"left out, as they are in no class folder: {_images(loose)} of {root}")
    of_class, others = {}, []
    for folder in folders:
        of_class[folder.name], more = pictures.files(folder)
        others += more
    if not any(of_class.values()):
        raise JobError(
            f"{root} has no images: its folders ({listed(list(of_class))}) have no files that end in "
            f"{_suffixes()}"
        )
    if empty := [name for name, files in of_class.items() if not files]:
        notices.append(f"left out, as folders without images are no classes: {listed(empty)}")
    if others:
        shown = listed([str(p.relative_to(root)) for p in others])
        notices.append(f"left out, as they are no images: {shown}")
    return {name: files for name, files in of_class.items() if files}


def _common(looks: Mapping[Path, Header], notices: list[str]) -> tuple[Size, bool]:
    """The size to bring all to, and whether all are grey."""
    grey = sum(header.grey for header in looks.values())
    size, count = Counter(header.size for header in looks.values()).most_common(1)[0]
    common = limited(size, len(looks), 1 if grey == len(looks) else 3)
    if count < len(looks):
        notices.append(
            f"{len(looks) - count} of {len(looks)} images have another size than {by(size)} pixels, the "
            "commonest one, and were resized to it"
        )
    if common != size:
        notices.append(shrunk(size, common))
    if 0 < grey < len(looks):
        notices.append(f"{grey} of {len(looks)} images are grey, the others have colours")
    return common, grey == len(looks)


def _check_broken(
    root: Path, files: Sequence[Path], broken: Mapping[Path, str], notices: list[str]
) -> None:
    if not broken:
        return
    first = [f"{file.relative_to(root)} ({why})" for file, why in sorted(broken.items())]
    broken_text = (
        f"{len(broken)} of {len(files)} image files in {root} cannot be read: {listed(first)}"
    )
    if len(broken) * BROKEN > len(files):
        raise JobError(f"{broken_text}; mend or remove them (1 in {BROKEN} would be left out)")
    notices.append(f"{broken_text}; they were left out")


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
    return images


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def _suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))
