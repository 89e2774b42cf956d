"""Image files in folders: below any depth and behind links, without what systems and programs hide there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

#: What a JPEG, a PNG and so on is called; matched without regard to case.
SUFFIXES: Final = frozenset(
    {
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp",
        ".jp2", ".j2k", ".jpx", ".jpf", ".bmp", ".dib", ".gif", ".webp", ".avif", ".tif", ".tiff",
        ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".tga", ".pcx", ".ico",
    }
)  # fmt: skip
#: Images, but of formats that Pillow does not read, or not as pixels.
FOREIGN: Final = frozenset(
    {
        ".heic", ".heif", ".svg", ".psd", ".eps", ".pdf", ".raw", ".dng", ".cr2", ".cr3", ".nef",
        ".arw", ".exr", ".hdr", ".dcm", ".nii", ".mp4", ".mov", ".avi", ".jxl", ".npy",
    }
)  # fmt: skip
#: What Windows, macOS, network drives and Python put beside images, in lower case; names that begin with a dot are
#: hidden anyway.
SYSTEM: Final = frozenset(
    {
        "__macosx", "@eadir", "@__thumb", "@recycle", "@recently-snapshot", "#recycle", "#snapshot",
        "$recycle.bin", "system volume information", "lost+found", "lost.dir", "found.000",
        "network trash folder", "temporary items", "__pycache__", "thumbs.db", "ehthumbs.db",
        "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info", "pspbrwse.jbf",
    }
)  # fmt: skip

#: Files that are counted in a hidden folder at most: it may be another project's whole history.
LOOKED_AT: Final = 10_000

_Identity = tuple[int, int]


@dataclass(frozen=True)
class Listing:
    """The files of a folder and below, in order.

    `images` and `others` by their names; `hidden`: folders that were passed over, and how many images are in
    each; `loops`: links to a folder that they are in; `again`: links to folders that are listed already.
    """

    images: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    hidden: dict[Path, int] = field(default_factory=dict)
    loops: list[Path] = field(default_factory=list)
    again: list[Path] = field(default_factory=list)

    def add(self, more: Listing) -> None:
        """Add what is in another folder."""
        self.images.extend(more.images)
        self.others.extend(more.others)
        self.hidden.update(more.hidden)
        self.loops.extend(more.loops)
        self.again.extend(more.again)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is nobody's data: hidden, or a system's own."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def readable(path: Path, root: Path) -> str:
    """A path below `root` as a text that can be written; bytes that are no UTF-8 show as such (``\\xe9``)."""
    name = os.fsencode(path.relative_to(root))
    return name.decode("utf-8", "backslashreplace")


def listing(folder: Path) -> Listing:
    """What is in `folder` and below, links to files and folders included. Raises OSError."""
    whole = Listing()
    above = {*folder.absolute().parents, *folder.resolve().parents}
    _list(folder, frozenset(map(_identity, above)), set(), whole)
    return whole


def hidden_images(folder: Path) -> int:
    """How many images are in a folder that is passed over, of its first `LOOKED_AT` files; a link is not followed."""
    if folder.is_symlink():
        return 0
    names = (name for _, _, names in os.walk(folder) for name in names)
    some = islice(names, LOOKED_AT)
    return sum(is_image(Path(name)) and not is_hidden(name) for name in some)


def _identity(path: Path) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino


def _list(folder: Path, above: frozenset[_Identity], listed: set[_Identity], into: Listing) -> None:
    """Add what is in `folder`, which is in the folders `above`; `listed` are those that have been added."""
    here = _identity(folder)
    if here in above:
        into.loops.append(folder)
        return
    if here in listed:
        into.again.append(folder)
        return
    listed.add(here)
    for path in sorted(folder.iterdir()):
        if is_hidden(path.name):
            if path.is_dir() and (images := hidden_images(path)):
                into.hidden[path] = images
        elif path.is_dir():
            _list(path, above | {here}, listed, into)
        elif is_image(path) and (path.is_file() or path.is_symlink()):  # one to nowhere is broken
            into.images.append(path)
        else:
            into.others.append(path)
