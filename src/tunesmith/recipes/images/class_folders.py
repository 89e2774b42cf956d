"""The images of a folder with a folder for each class, on one size, depth, scale and ground."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import count
from tunesmith.recipes.images import folders, pictures
from tunesmith.recipes.images.data import Images, Pixels, Size, by, limited, listed, shrunk
from tunesmith.recipes.images.folders import FOREIGN, SUFFIXES, Listing, readable
from tunesmith.recipes.images.pictures import Header
from tunesmith.recipes.images.tones import WHITE, Tones, tones_of, unseen

#: One broken file in so many is left out; more are an error.
BROKEN: Final = 20
#: Images of all classes by which the ground of what is transparent is chosen, but at least so many of each.
GROUNDED: Final = 500
GROUNDED_OF_EACH: Final = 20
_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read_folder(root: Path) -> Images:
    notices: list[str] = []
    of_class = _of_class(root, notices)
    files = [file for of in of_class.values() for file in of]
    looks, broken = pictures.headers(files)
    if not looks:
        _check_broken(root, files, broken, notices)
    size, grey = _common(looks, notices)
    tones = _tones(looks, of_class, broken, notices)
    whole = [file for file in looks if file not in broken]
    decoded, undecodable = pictures.decode(whole, size, grey=grey, tones=tones)
    _check_broken(root, files, broken | undecodable, notices)
    classes = tuple(name for name, of in of_class.items() if any(file in decoded for file in of))
    placed = [(c, f) for c, name in enumerate(classes) for f in of_class[name] if f in decoded]
    return Images(
        stacked([decoded[file] for _, file in placed]),
        WHITE,
        np.array([c for c, _ in placed], dtype=np.int64),
        classes,
        tuple(readable(file, root) for _, file in placed),
        tuple(notices),
        tones,
    )


def stacked(pixels: Sequence[Pixels]) -> Pixels:
    """Images as one array, of float32 if any is."""
    return np.stack(pixels, dtype=np.result_type(*{p.dtype for p in pixels}))


def _tones(
    looks: Mapping[Path, Header],
    of_class: Mapping[str, Sequence[Path]],
    broken: dict[Path, str],
    notices: list[str],
) -> Tones:
    """The tones of a set; what cannot be measured is added to the `broken`."""
    class_of = {file: name for name, files in of_class.items() for file in files}
    clear = []
    for files in of_class.values():
        mine = [f for f in files if f in looks and looks[f].clear and looks[f].depth == "byte"]
        some = max(GROUNDED_OF_EACH, GROUNDED // len(of_class))
        clear += mine[:: max(1, len(mine) // some)]
    deep = [file for file, look in looks.items() if look.depth != "byte"]
    measured, immeasurable = pictures.measure([*deep, *clear])
    broken |= immeasurable
    depths = {file: look.depth for file, look in looks.items() if file not in immeasurable}
    tones, more = tones_of(depths, measured, class_of)
    if blank := unseen(measured, tones.ground):
        more.append(
            f"nothing is seen on {count(len(blank), 'image')} of {len(measured)} that were looked at: {listed([p.name for p in blank])}"
        )
    notices += more
    return tones


def _of_class(root: Path, notices: list[str]) -> dict[str, list[Path]]:
    """The image files of each class; at least one file in all."""
    within = sorted(root.iterdir())
    classes = [p for p in within if p.is_dir() and not folders.is_hidden(p.name)]
    loose = sum(folders.is_image(p) and not folders.is_hidden(p.name) for p in within)
    if not classes:
        content = f"{count(loose, 'image')}, but no folders" if loose else "no folders"
        raise JobError(
            f"{root} has {content} of classes; put the images of each class in a folder of its own: "
            f"{root}/cat/1.png, {root}/dog/1.png"
        )
    if {folder.name.lower() for folder in classes} <= _SPLITS:
        raise JobError(
            f"{root} is split already (its folders are {listed([f.name for f in classes])}); name one of "
            f"them, such as {classes[-1]}: it is split into training, validation and held-out images here"
        )
    if loose:
        notices.append(
            f"left out, as they are in no class folder: {count(loose, 'image')} of {root}"
        )
    of_class = {readable(folder, root): folders.listing(folder) for folder in classes}
    whole = Listing(
        hidden={
            p: n for p in within if folders.is_hidden(p.name) and (n := folders.hidden_images(p))
        }
    )
    for of in of_class.values():
        whole.add(of)
    left_out = passed_over(root, whole)
    if not whole.images:
        more = "".join(f"; {notice}" for notice in left_out)
        raise JobError(
            f"{root} has no images: its folders ({listed(list(of_class))}) have no files that end in "
            f"{suffixes()}{more}"
        )
    if empty := [name for name, of in of_class.items() if not of.images]:
        notices.append(f"left out, as folders without images are no classes: {listed(empty)}")
    notices += left_out
    return {name: of.images for name, of in of_class.items() if of.images}


def passed_over(root: Path, there: Listing) -> list[str]:
    """What is in a folder and not read, and why."""

    def shown(paths: Sequence[Path]) -> str:
        return listed([readable(path, root) for path in paths])

    foreign = [path for path in there.others if path.suffix.lower() in FOREIGN]
    strange = [path for path in there.others if path not in set(foreign)]
    notices = []
    if strange:
        notices.append(
            f"left out, as they do not end as images do (.png, .jpg, ..): {shown(strange)}"
        )
    if foreign:
        notices.append(
            f"left out, as their formats are not read here: {shown(foreign)}; PNG, JPEG, TIFF and others are"
        )
    if there.hidden:
        notices.append(
            f"left out, as they are in hidden or system folders: {count(sum(there.hidden.values()), 'image')} "
            f"({shown(list(there.hidden))})"
        )
    if there.loops:
        notices.append(
            f"left out, as they are links to a folder that they are in: {shown(there.loops)}"
        )
    if there.again:
        notices.append(
            f"left out, as they are links to folders that are read already: {shown(there.again)}"
        )
    return notices


def _common(looks: Mapping[Path, Header], notices: list[str]) -> tuple[Size, bool]:
    """The size to bring all to, and whether all are grey."""
    grey = sum(header.grey for header in looks.values())
    size, alike = Counter(header.size for header in looks.values()).most_common(1)[0]
    each = 4 if any(header.depth != "byte" for header in looks.values()) else 1
    common = limited(size, len(looks), each * (1 if grey == len(looks) else 3))
    if alike < len(looks):
        notices.append(
            f"{len(looks) - alike} of {len(looks)} images have another size than {by(size)} pixels, the "
            "commonest one, and were resized to it"
        )
    if common != size:
        notices.append(shrunk(size, common))
    if several := [path.name for path, header in looks.items() if header.several]:
        notices.append(
            f"{count(len(several), 'image')} with several pages or frames, of which the first is taken: {listed(several)}"
        )
    if 0 < grey < len(looks):
        notices.append(f"{grey} of {len(looks)} images are grey, the others have colours")
    return common, grey == len(looks)


def _check_broken(
    root: Path, files: Sequence[Path], broken: Mapping[Path, str], notices: list[str]
) -> None:
    if not broken:
        return
    first = [f"{readable(file, root)} ({why})" for file, why in sorted(broken.items())]
    broken_text = (
        f"{len(broken)} of {len(files)} image files in {root} cannot be read: {listed(first)}"
    )
    if len(broken) * BROKEN > len(files):
        raise JobError(f"{broken_text}; mend or remove them (1 in {BROKEN} would be left out)")
    notices.append(f"{broken_text}; they were left out")


def suffixes() -> str:
    """What images end in, for a message."""
    return ", ".join(sorted(SUFFIXES))
