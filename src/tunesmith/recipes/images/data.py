"""Reading images: a folder with a folder for each class, or an ``.npz`` file with ``images`` and ``labels``.

Rules, each said in a notice where it was applied:

- Images of different sizes are resized to the commonest size; sizes beyond 128 pixels are shrunk to that.
- All are grey, or, if one of them has colours, all have three channels; what is transparent becomes white.
- At most 1 in 20 files may be broken: these are left out. More are an error.
- A folder without images is no class.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import JobError
from tunesmith.recipes.images import pictures
from tunesmith.recipes.images.pictures import SUFFIXES, Header, Pixels

#: The longer side of what is kept of an image; a network gets at most that.
LONGEST: Final = 128
#: The shorter side of the smallest image that a convolution says anything about.
SHORTEST: Final = 4
#: One broken file in so many is left out; more are an error.
BROKEN: Final = 20
#: Names shown in a message.
SHOWN: Final = 5
#: Fewest images of a class: one to train with, one to validate with, one held out.
LEAST: Final = 3
_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size.

    `pixels`: (n, channels, height, width), uint8 or float32; `white`: the value of a white pixel;
    `labels`: (n,), places in `classes`; `names`: where each image comes from.
    """

    pixels: Pixels
    white: float
    labels: Places
    classes: tuple[str, ...]
    names: tuple[str, ...]
    notices: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same images and labels."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.white, self.classes)).encode())
        for array in (self.pixels, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Shape:
    """What a network was trained on: `channels` of `height` x `width`, `white` as in `Images`."""

    channels: int
    height: int
    width: int
    white: float


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
    if path.is_dir():
        return _checked(_read_folder(path))
    if not path.exists():
        raise JobError(f"there is no {path}; name a folder of class folders, or an .npz file")
    if path.suffix.lower() == ".npz":
        return _checked(_read_npz(path))
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
        pixels, _ = _arrays(path, labelled=False)
        white = _white(pixels) if pixels.dtype == np.uint8 else shape.white
        return Unlabelled(_fitted(path, pixels, shape), white, _numbered(pixels), {})
    root, files = (path, pictures.image_files(path)) if path.is_dir() else (path.parent, [path])
    if not files:
        raise JobError(f"{path} has no images: no files that end in {_suffixes()}")
    size = (shape.width, shape.height)
    found, broken = pictures.decode(files, size, grey=shape.channels == 1)
    if not found:
        why = broken[files[0]]
        raise JobError(f"none of {len(files)} files can be read; {files[0]}: {why}")
    names = tuple(str(file.relative_to(root)) for file in files)
    failed = {str(file.relative_to(root)): why for file, why in broken.items()}
    return Unlabelled(np.stack(list(found.values())), 255.0, names, failed)


# -- folders ----------------------------------------------------------------------------------


def _read_folder(root: Path) -> Images:
    notices: list[str] = []
    of_class = _class_folders(root, notices)
    files = [file for of in of_class.values() for file in of]
    looks, unreadable = pictures.headers(files)
    if not looks:
        _check_broken(root, files, unreadable, notices)
    size, grey = _common(looks, notices)
    found, undecodable = pictures.decode(list(looks), size, grey=grey)
    _check_broken(root, files, unreadable | undecodable, notices)
    classes = tuple(name for name, of in of_class.items() if any(file in found for file in of))
    kept = [(c, f) for c, name in enumerate(classes) for f in of_class[name] if f in found]
    return Images(
        np.stack([found[file] for _, file in kept]),
        255.0,
        np.array([c for c, _ in kept], dtype=np.int64),
        classes,
        tuple(str(file.relative_to(root)) for _, file in kept),
        tuple(notices),
    )


def _class_folders(root: Path, notices: list[str]) -> dict[str, list[Path]]:
    """The image files of each class; at least one file in all."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    loose = sum(p.suffix.lower() in SUFFIXES for p in root.iterdir())
    if not folders:
        found = f"{loose} images, but no folders" if loose else "no folders"
        raise JobError(
            f"{root} has {found} of classes; put the images of each class in a folder of its own: "
            f"{root}/cat/1.png, {root}/dog/1.png"
        )
    if {folder.name.lower() for folder in folders} <= _SPLITS:
        raise JobError(
            f"{root} is split already (its folders are {_listed([f.name for f in folders])}); name one of "
            f"them, such as {folders[-1]}: it is split into training, validation and held-out images here"
        )
    if loose:
        notices.append(f"{loose} images of {root} are in no class folder and were left out")
    of_class = {folder.name: pictures.image_files(folder) for folder in folders}
    if not any(of_class.values()):
        raise JobError(
            f"{root} has no images: its folders ({_listed(list(of_class))}) have no files that end in "
            f"{_suffixes()}"
        )
    if empty := [name for name, files in of_class.items() if not files]:
        notices.append(f"folders without images are no classes and were left out: {_listed(empty)}")
    return {name: files for name, files in of_class.items() if files}


def _common(looks: Mapping[Path, Header], notices: list[str]) -> tuple[tuple[int, int], bool]:
    """The size to bring all to, and whether all are grey."""
    sizes = Counter(header.size for header in looks.values())
    size, count = sizes.most_common(1)[0]
    common = _limited(size)
    if count < len(looks):
        notices.append(
            f"{len(looks) - count} of {len(looks)} images have another size than {_by(size)} pixels, the "
            "commonest one, and were resized to it"
        )
    if common != size:
        notices.append(f"images were shrunk from {_by(size)} to {_by(common)} pixels")
    grey = sum(header.grey for header in looks.values())
    if 0 < grey < len(looks):
        notices.append(f"{grey} of {len(looks)} images are grey, the others have colours")
    return common, grey == len(looks)


def _check_broken(
    root: Path, files: Sequence[Path], broken: Mapping[Path, str], notices: list[str]
) -> None:
    if not broken:
        return
    first = [f"{file.relative_to(root)} ({why})" for file, why in sorted(broken.items())]
    listed = f"{len(broken)} of {len(files)} image files in {root} cannot be read: {_listed(first)}"
    if len(broken) * BROKEN > len(files):
        raise JobError(f"{listed}; mend or remove them (1 in {BROKEN} would be left out)")
    notices.append(f"{listed}; they were left out")


# -- arrays -----------------------------------------------------------------------------------


def _read_npz(path: Path) -> Images:
    pixels, labels = _arrays(path, labelled=True)
    assert labels is not None
    if len(labels) != len(pixels):
        raise JobError(
            f"{path} has {len(pixels)} images and {len(labels)} labels; it needs one label for each image"
        )
    values, places = np.unique(_class_labels(path, labels), return_inverse=True)
    white, notices, names = _white(pixels), [], _numbered(pixels)
    height, width = pixels.shape[2:]
    size = _limited((width, height))
    if size != (width, height):
        pixels = pictures.resized(pixels, size[1], size[0])
        notices.append(f"images were shrunk from {_by((width, height))} to {_by(size)} pixels")
    classes = tuple(str(value) for value in values.tolist())
    return Images(
        pixels, white, places.reshape(-1).astype(np.int64), classes, names, tuple(notices)
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


def _arrays(path: Path, *, labelled: bool) -> tuple[Pixels, NDArray[Any] | None]:
    """A file's images as (n, channels, height, width), uint8 or float32, and its labels."""
    try:
        with np.load(path, allow_pickle=False) as file:
            known = list(file.files)
            there = {name: file[name] for name in ("images", "labels") if name in known}
    except Exception as error:  # noqa: BLE001 (numpy raises many kinds for other files)
        why = pictures.said(error)
        raise JobError(f"{path} cannot be read as an .npz file: {why}") from None
    missing = [n for n in (("images", "labels") if labelled else ("images",)) if n not in there]
    if missing:
        raise JobError(
            f"{path} has no array {' and no '.join(missing)} (it has: {_listed(known) or 'nothing'}); write "
            "it with np.savez(path, images=images, labels=labels)"
        )
    pixels = _channels_first(path, there["images"])
    labels = there.get("labels")
    return pixels, None if labels is None else labels.reshape(-1)


def _channels_first(path: Path, images: NDArray[Any]) -> Pixels:
    if images.dtype.kind not in "biuf":
        raise JobError(f"the images of {path} are {images.dtype}; they have to be numbers")
    given = images.shape
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise JobError(
            f"the images of {path} have the shape {given}; it has to be (images, height, width), or "
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


def _white(pixels: Pixels) -> float:
    """255 for bytes, 1 for numbers up to 1, else the largest there is."""
    return 255.0 if pixels.dtype == np.uint8 else max(1.0, float(pixels.max()))


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


# -- checks and splits ------------------------------------------------------------------------


def _checked(images: Images) -> Images:
    height, width = images.pixels.shape[2:]
    if min(height, width) < SHORTEST:
        raise JobError(
            f"the images are {_by((width, height))} pixels; they have to be {_by((SHORTEST, SHORTEST))} at least"
        )
    if len(images.classes) < 2:
        raise JobError(
            f"all {len(images.labels)} images are of one class, {images.classes[0]!r}; there have to be two classes "
            "at least"
        )
    counts = np.bincount(images.labels, minlength=len(images.classes))
    rare = [f"{images.classes[c]} ({counts[c]})" for c in np.flatnonzero(counts < LEAST)]
    if rare:
        raise JobError(
            f"classes with fewer than {LEAST} images: {_listed(rare)}; each needs one to train with, one to "
            "validate with and one to hold out: add images, or leave the class out"
        )
    return images


@dataclass(frozen=True, eq=False)
class Split:
    """Which images are for what: places in `Images`, in order."""

    train: Places
    validation: Places
    test: Places


def split(labels: Places, seed: int, validation: float = 0.2, test: float = 0.15) -> Split:
    """A random split of `labels`, (n,), in the same shares for each class, with an image each at least."""
    rng = np.random.default_rng([seed, 0x5011])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        of = rng.permutation(np.flatnonzero(labels == label)).tolist()
        held, checked = (max(1, round(share * len(of))) for share in (test, validation))
        chosen = (of[held + checked :], of[held : held + checked], of[:held])
        for part, places in zip(parts, chosen, strict=True):
            part += places
    train, checked_with, held_out = (np.array(sorted(part), dtype=np.int64) for part in parts)
    return Split(train, checked_with, held_out)


# -- words ------------------------------------------------------------------------------------


def _limited(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with a longer side of at most `LONGEST`."""
    shrink = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def _numbered(pixels: Pixels) -> tuple[str, ...]:
    return tuple(f"image {k}" for k in range(len(pixels)))


def _suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
