"""The files that a job needs, as a list of paths and SHA-256 digests: what is sent to a service, and what one accepts."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

from tunesmith.core.errors import JobError, shown
from tunesmith.core.quantity import show_bytes
from tunesmith.tuning.ignored import Ignored

#: The longest file, all of them together (bytes), and how many there may be.
MOST_FILE: Final = 32 << 20
MOST_BYTES: Final = 256 << 20
MOST_FILES: Final = 5000
_LONGEST_PATH: Final = 500
_LONGEST_PART: Final = 200
_LONGEST_NAME: Final = 100
_DEEPEST: Final = 20
_LEAVE_OUT: Final = "name what is not needed in a .gitignore, and let the program read large data from where the service runs"
_TOO_MUCH: Final = "copy the folder to where the service runs, and run `tunesmith fit` there"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a parcel; `path` is relative, with slashes."""

    path: str
    sha256: str
    size: int
    executable: bool = False

    def to_dict(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class _Rule(Protocol):
    """What is left out of a folder."""

    def has(self, path: Path, directory: bool) -> bool: ...
    def within(self, folder: Path) -> _Rule: ...


class _Hidden:
    """Names that begin with a dot."""

    def has(self, path: Path, directory: bool) -> bool:
        return path.name.startswith(".")

    def within(self, folder: Path) -> _Hidden:
        return self


def pack(folder: Path) -> list[File]:
    """The files in `folder` that no .gitignore leaves out, nor git itself. Raises JobError, OSError."""
    return _gather(folder, Ignored.above(folder), "", _LEAVE_OUT)


def pack_data(folder: Path) -> list[File]:
    """All files in a folder of data, as files in a folder of its name; but those that are hidden. Raises JobError, OSError."""
    return _gather(folder, _Hidden(), f"{folder.resolve().name}/", _TOO_MUCH)


def _gather(folder: Path, rule: _Rule, within: str, hint: str) -> list[File]:
    files: list[File] = []
    total = 0
    for path in _walk(folder, rule):
        file = read(path, f"{within}{path.relative_to(folder).as_posix()}", hint)[0]
        total += file.size
        if total > MOST_BYTES or len(files) >= MOST_FILES:
            raise JobError(
                f"{folder} has more than {MOST_FILES} files or {show_bytes(MOST_BYTES)}; {hint}"
            )
        files.append(file)
    if not files:
        raise JobError(f"{folder} has no files")
    check(files)
    return files


def file_at(path: Path, name: str) -> File:
    """The file at `path`, called `name` where it is sent to. Raises JobError, OSError."""
    return read(path, name)[0]


def read(path: Path, name: str, hint: str = _LEAVE_OUT) -> tuple[File, bytes]:
    """The same, and its contents: it may change meanwhile. Raises JobError, OSError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise JobError(f"{path} is no file")
    size, contents = status.st_size, b""
    if size <= MOST_FILE:
        contents = path.read_bytes()
        size = len(contents)
    if size > MOST_FILE:
        raise JobError(
            f"{name} has {show_bytes(size)}, and a file that is sent at most "
            f"{show_bytes(MOST_FILE)}; {hint}"
        )
    executable = bool(status.st_mode & stat.S_IXUSR)
    return File(name, sha256(contents).hexdigest(), size, executable), contents


def _walk(folder: Path, rule: _Rule) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        directory = entry.is_dir(follow_symlinks=False)
        if rule.has(path, directory):
            continue
        if directory:
            yield from _walk(path, rule.within(path))
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            kind = "a link" if entry.is_symlink() else "no regular file"
            raise JobError(
                f"{path} is {kind}, and only files and folders are sent; put the file itself there, or, if it is not needed, "
                + ("take it away" if isinstance(rule, _Hidden) else "name it in a .gitignore")
            )


def check(files: Sequence[File]) -> None:
    """Raise JobError for what is no list of files that can be put into a folder, and nowhere else."""
    if not files:
        raise JobError("there are no files")
    if len(files) > MOST_FILES:
        raise JobError(f"there are {len(files)} files, and at most {MOST_FILES} are taken")
    for file in files:
        check_path(file.path)
        if len(file.sha256) != 64 or not set(file.sha256) <= set("0123456789abcdef"):
            raise JobError(f"{file.path}: {shown(file.sha256)} is no SHA-256 in small hexadecimal")
        if not 0 <= file.size <= MOST_FILE:
            raise JobError(f"{file.path}: a file has at most {show_bytes(MOST_FILE)}")
    if (total := sum(file.size for file in files)) > MOST_BYTES:
        raise JobError(
            f"the files have {show_bytes(total)}, and at most {show_bytes(MOST_BYTES)} are taken"
        )
    _check_doubles(file.path for file in files)


def check_path(path: str) -> None:
    """Raise JobError for what is no path within a folder."""
    parts = path.split("/")
    if (
        not path
        or len(path) > _LONGEST_PATH
        or len(parts) > _DEEPEST
        or any(part in ("", ".", "..") for part in parts)
        or any(len(part.encode(errors="replace")) > _LONGEST_PART for part in parts)
        or "\\" in path
        or ":" in parts[0]
        or not path.isprintable()
        or parts[0].casefold() == ".git"
    ):
        raise JobError(
            f"{shown(path)} is no path of a file that is sent: those are relative, with slashes, at most {_DEEPEST} folders "
            f"deep and {_LONGEST_PATH} characters long, without '.', '..', backslashes and control characters"
        )


def check_name(name: str) -> None:
    """Raise JobError for what cannot be the name of a folder."""
    if "/" in name or len(name) > _LONGEST_NAME:
        raise JobError(
            f"{shown(name)} is no name: those have no slashes and at most {_LONGEST_NAME} characters"
        )
    check_path(name)


def _check_doubles(paths: Iterable[str]) -> None:
    """Raise JobError for paths that some file systems cannot tell apart, and for files that are folders of others."""
    spelled: dict[str, str] = {}
    whole: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            prefix = "/".join(parts[:end])
            alike = unicodedata.normalize("NFC", prefix).casefold()
            if spelled.setdefault(alike, prefix) != prefix:
                raise JobError(
                    f"{shown(prefix)} and {shown(spelled[alike])} are the same to some file systems; name one otherwise"
                )
            if end < len(parts):
                folders.add(prefix)
        if path in whole:
            raise JobError(f"{shown(path)} is there twice")
        whole.add(path)
    if both := whole & folders:
        raise JobError(f"{shown(min(both))} is a file and a folder")
