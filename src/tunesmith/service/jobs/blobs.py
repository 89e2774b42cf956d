"""Files by their contents: each is kept once, under its SHA-256."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from tunesmith.core.errors import JobError
from tunesmith.core.quantity import show_bytes
from tunesmith.service.problems import Problem
from tunesmith.tuning.parcel import MOST_FILE, File, read

#: What all blobs together may take (bytes); those that were longest not used are forgotten for new ones.
MOST_ALL: Final = 4 << 30
#: One that was used so lately (s) is not forgotten: its job may still be on its way.
_FRESH_S: Final = 3600.0
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The files of a folder that have their digests as names."""

    def __init__(self, folder: Path, most: int = MOST_ALL) -> None:
        self._folder = folder
        self._most = most
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for draft in folder.glob(".draft-*"):  # of a service that was killed
            draft.unlink(missing_ok=True)
        self._counting = threading.Lock()
        self._bytes = sum(path.stat().st_size for path in folder.iterdir())

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be. Raises Problem for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise Problem(
                422, "invalid", "a blob is named by its SHA-256, 64 small hexadecimal digits"
            )
        return self._folder / digest

    def has(self, digest: str) -> bool:
        """Whether it is there; if so it stays for a while."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def missing(self, files: list[File]) -> list[str]:
        return sorted({file.sha256 for file in files if not self.has(file.sha256)})

    async def put(self, digest: str, body: AsyncIterator[bytes]) -> None:
        """Keep what comes as `body`, if that is its digest. Raises Problem."""
        path = self.path(digest)
        if self.has(digest):
            return
        draft = self._draft()
        hashing, size = sha256(), 0
        try:
            with os.fdopen(os.open(draft, _NEW, 0o600), "wb") as file:
                async for part in body:
                    size += len(part)
                    if size > MOST_FILE:
                        raise Problem(
                            413, "too_long", f"a file has {show_bytes(MOST_FILE)} at most"
                        )
                    self._make_room(size)
                    hashing.update(part)
                    file.write(part)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            if hashing.hexdigest() != digest:
                raise Problem(422, "digest", "the body has another SHA-256 than its address says")
            self._take(draft, path, size)
        finally:
            draft.unlink(missing_ok=True)

    def keep(self, path: Path, name: str) -> File:
        """Keep a file of this machine; as which file of a parcel, called `name`. Raises JobError, OSError."""
        file, contents = read(path, name)
        if not self.has(file.sha256):
            self._make_room(file.size)
            draft = self._draft()
            try:
                draft.write_bytes(contents)
                self._take(draft, self.path(file.sha256), file.size)
            finally:
                draft.unlink(missing_ok=True)
        return file

    def _draft(self) -> Path:
        """A new name: the same blob may come twice at once."""
        return self._folder / f".draft-{os.urandom(8).hex()}"

    def _take(self, draft: Path, path: Path, size: int) -> None:
        with self._counting:
            if not path.exists():
                self._bytes += size
            draft.replace(path)

    def _make_room(self, size: int) -> None:
        """Forget blobs until `size` bytes more are few enough. Raises Problem."""
        with self._counting:
            if self._bytes + size <= self._most:
                return
            blobs = (path for path in self._folder.iterdir() if _DIGEST.fullmatch(path.name))
            old = sorted((path.stat().st_mtime, path) for path in blobs)
            for used_at, path in old:
                if used_at > time.time() - _FRESH_S:
                    break
                self._bytes -= path.stat().st_size
                path.unlink()
                if self._bytes + size <= self._most:
                    return
        raise Problem(
            507,
            "full",
            "the service has no room for more files at the moment; try again in an hour",
        )

    def lay_out(self, files: list[File], folder: Path) -> None:
        """Make `folder`, and the files in it: readable and writable for us alone, and executable if they are.
        Raises JobError, OSError."""
        folder.mkdir(mode=0o700)
        for file in files:
            place = folder / file.path
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            contents = self.path(file.sha256).read_bytes()
            if len(contents) != file.size or sha256(contents).hexdigest() != file.sha256:
                raise JobError(f"{file.path} has not the size or contents that the list says")
            mode = 0o700 if file.executable else 0o600
            with os.fdopen(os.open(place, _NEW, mode), "wb") as written:
                written.write(contents)
