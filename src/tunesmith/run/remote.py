"""Checkpoints at a URL (fsspec): copies of what trials write on their hosts, so that they go on at another one.

s3://bucket/tuning/digits/.study                       which study's they are
s3://bucket/tuning/digits/000012/checkpoints.json      the manifest: which are whole, and whose attempt wrote them
                                 step-9-6f0c2a9d1b34/   a checkpoint's files; no two uploads share a folder

A checkpoint is uploaded file by file, and is there once the manifest names it. An attempt that others took for dead may
still run: it finds a later one's manifest, and leaves that alone. Where there are those of another study of this name (one that
was deleted, or is in another database), this one's are beside, in ``digits-5f0c2a9d``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from queue import Queue
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import ExecutorError
from tunesmith.core.trial import State
from tunesmith.run.checkpoint import complete
from tunesmith.run.claim import SIGN

_MANIFEST: Final = "checkpoints.json"
_PROBE: Final = ".tunesmith"
#: How often what has to be there is asked for, and how long to wait in between (s).
_TRIES: Final = 3
_PAUSE_S: Final = 1.0
#: How long a trial that leaves this host waits for its checkpoint to be there (s).
SETTLE_S: Final = 60.0
#: File systems that have folders to be made; the others are object stores.
_WITH_FOLDERS: Final = frozenset({"file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs", "dav", "webdav"})  # fmt: skip


class _Saved(NamedTuple):
    """A checkpoint in a manifest; without a step, the files that a program keeps in a form of its own."""

    step: int | None
    folder: str
    stamp: str
    files: dict[str, int]


class _Manifest(NamedTuple):
    attempt: int
    saved: list[_Saved]


class Remote:
    """The checkpoints of a study's trials at a URL. All but `upload` wait for the other side.

    Raises ExecutorError where the URL cannot be used.
    """

    def __init__(self, url: str, identity: str = "") -> None:
        self.url = url
        self._identity = identity
        self._files, self._base = _file_system(url)
        self._found: str | None = None
        #: The trials that run here, and their attempts: nobody else writes their checkpoints.
        self._mine: dict[int, int] = {}
        #: What was fetched, by trial and step: the folder there, and the stamp here.
        self._fetched: dict[tuple[int, int], tuple[str, str]] = {}
        self._there: set[int] | None = None
        self._failed: dict[int, tuple[Path, State, Exception]] = {}
        self._news: list[str] = []
        self._work: Queue[tuple[int, Path, State] | None] = Queue()
        self._thread: threading.Thread | None = None

    # -- what the study's process asks for ---------------------------------------------------------

    def check(self) -> None:
        """Raise ExecutorError unless files can be written, read and removed there; make the folder this study's."""
        try:
            path = f"{self._root}/{_PROBE}-{uuid.uuid4().hex[:8]}"
            self._write(path, b"tunesmith")
            assert self._files.cat_file(path) == b"tunesmith"
            self._files.rm(path)
            if self._identity and self._signed(self._root) != self._identity:
                self._write(f"{self._root}/{SIGN}", self._identity.encode())
                if self._signed(self._root) != self._identity:  # another study was as quick
                    self._found = None
                    self._write(f"{self._root}/{SIGN}", self._identity.encode())
        except Exception as error:
            raise ExecutorError(
                f"checkpoints cannot be kept in {self.url}: {_words(error)}; let it be written there, or name another "
                "place with trials="
            ) from error

    def begin(self, number: int, attempt: int, directory: Path) -> None:
        """Let an attempt at a trial begin here with what is there; in a first one, with nothing."""
        self._mine[number] = attempt
        if attempt:
            self.fetch(number, directory)
        elif number in self.trials():
            self.remove([number])

    def fetch(self, number: int, directory: Path) -> None:
        """Bring the checkpoints that are not in `directory`, a trial's, yet.

        Raises ExecutorError where they cannot be had; one that is damaged there is passed over.
        """
        for left in range(_TRIES)[::-1]:
            try:
                manifest = self._manifest(number)
                for saved in manifest.saved if manifest else ():
                    self._bring(number, saved, directory)
                return
            except Exception as error:
                if not left:
                    raise ExecutorError(
                        f"the checkpoints of trial {number} cannot be fetched from {self.url}: {_words(error)}; it waits to "
                        "be run where they can"
                    ) from error
                time.sleep(_PAUSE_S)

    def upload(self, number: int, directory: Path, state: State) -> None:
        """Have what is whole in `directory`, a trial's, copied, and what is not there any more removed; by and by, in
        the order of the calls. What a program keeps in a form of its own is whole when the trial does not run."""
        if number in self._mine:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, daemon=True, name="tunesmith-upload"
                )
                self._thread.start()
            self._work.put((number, directory, state))

    def settle(self, timeout_s: float = SETTLE_S) -> None:
        """Wait until all is there that was to be uploaded, or `timeout_s` have passed; try what failed once more."""
        for number, (directory, state, _) in list(self._failed.items()):
            self.upload(number, directory, state)
        deadline = time.monotonic() + timeout_s
        while self._work.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def trials(self) -> set[int]:
        """The trials of which there was anything when it was last looked."""
        if self._there is None:
            self.look()
        return self._there or set()

    def look(self) -> None:
        """List the trials that are there; what cannot be listed now, later is."""
        try:
            self._files.invalidate_cache()
            names = [
                str(path).rstrip("/").rpartition("/")[2]
                for path in self._files.ls(self._root, detail=False)
            ]
            self._there = {int(name) for name in names if name.isdigit()}
        except FileNotFoundError:
            self._there = set()
        except Exception as error:  # noqa: BLE001
            self._news.append(f"{self.url} cannot be listed: {_words(error)}")

    def remove(self, numbers: list[int]) -> None:
        """Remove all of these trials; what cannot be removed stays."""
        for number in numbers:
            try:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(self._path(number, _MANIFEST))
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm(self._path(number), recursive=True)
                (self._there or set()).discard(number)
            except Exception as error:  # noqa: BLE001
                self._news.append(
                    f"checkpoints of trial {number} stay in {self.url}: {_words(error)}"
                )

    def news(self) -> list[str]:
        """What went wrong since this was last asked, each thing once."""
        news, self._news = self._news, []
        return list(dict.fromkeys(news))

    def close(self) -> None:
        """Wait for what is under way, and end. What could not be uploaded stays on this host, and is news."""
        if self._thread is not None:
            self.settle()
            if left := self._work.unfinished_tasks:
                self._news.append(
                    f"{left} copies to {self.url} did not end in time: those checkpoints are on this host alone"
                )
            self._work.put(None)
            for number, (directory, _, error) in list(self._failed.items()):
                self._news.append(
                    f"the checkpoints of trial {number} are on this host alone, in {directory}: {_words(error)}"
                )

    # -- the thread that uploads --------------------------------------------------------------------

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            number, directory, state = work
            try:
                self._upload(number, directory, state)
                self._failed.pop(number, None)
            except Exception as error:  # noqa: BLE001
                if number not in self._failed:
                    self._news.append(
                        f"the checkpoints of trial {number} could not be copied to {self.url} ({_words(error)}); that is "
                        f"tried again, and they are in {directory}"
                    )
                self._failed[number] = directory, state, error
            finally:
                self._work.task_done()

    def _upload(self, number: int, directory: Path, state: State) -> None:
        attempt = self._mine[number]
        before = self._manifest(number)
        if before is not None and before.attempt > attempt:
            return  # it runs elsewhere now
        saved = [*self._whole(number, directory, before.saved if before else [], state)]
        if not saved:
            if before is not None and state.ended:
                self.remove([number])
            return
        if before != _Manifest(attempt, saved):
            content = {"attempt": attempt, "saved": [one._asdict() for one in saved]}
            self._write(self._path(number, _MANIFEST), json.dumps(content).encode())
            if self._there is not None:
                self._there.add(number)
        there = {one.folder for one in before.saved} if before else set()
        if state is not State.RUNNING:  # what was copied, and then not named, goes too
            self._files.invalidate_cache()
            there |= {
                str(path).rstrip("/").rpartition("/")[2]
                for path in self._files.ls(self._path(number), detail=False)
            }
        for name in there - {one.folder for one in saved} - {_MANIFEST}:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm(self._path(number, name), recursive=True)

    def _whole(
        self, number: int, directory: Path, before: list[_Saved], state: State
    ) -> Iterator[_Saved]:
        """What is whole in a trial's folder, uploaded where it is not there yet."""
        there = {one.step: one for one in before}
        for step, path in complete(directory):
            old = there.get(step)
            try:
                stamp = _stamp(path)
                if old is not None and (
                    old.stamp == stamp or self._fetched.get((number, step)) == (old.folder, stamp)
                ):
                    yield old
                else:
                    copied = self._copied(number, step, path, _files_in(path), stamp)
                    if _stamp(path) == stamp:  # it was there, whole, all the time
                        yield copied
            except FileNotFoundError:
                if path.exists():
                    raise  # else it was removed meanwhile: nobody needs it
        own = there.get(None)
        if state is State.RUNNING:
            if own is not None:
                yield own
            return
        files = [p for p in _files_in(directory) if not p.parts[0].startswith((".", "step-"))]
        if files:
            stamp = f"{max((directory / p).stat().st_mtime_ns for p in files)}"
            same = own is not None and (own.stamp, {*own.files}) == (stamp, {*map(str, files)})
            yield own if same and own else self._copied(number, None, directory, files, stamp)

    def _copied(
        self, number: int, step: int | None, source: Path, files: list[Path], stamp: str
    ) -> _Saved:
        name = "own" if step is None else f"step-{step}"
        folder = f"{name}-{uuid.uuid4().hex[:12]}"
        sizes = {}
        for file in files:
            target = self._path(number, folder, file.as_posix())
            self._make_folder(target)
            self._files.put_file(str(source / file), target)
            sizes[file.as_posix()] = (source / file).stat().st_size
        return _Saved(step, folder, stamp, sizes)

    # -- files there --------------------------------------------------------------------------------

    @property
    def _root(self) -> str:
        """The folder of the study: the one of its name, unless that is another's."""
        if self._found is None:
            own = f"{self._base}-{blake2b(self._identity.encode(), digest_size=4).hexdigest()}"
            if not self._identity or (
                self._signed(own) != self._identity
                and self._signed(self._base) in (None, self._identity)
            ):
                own = self._base
            self._found = own
        return self._found

    def _signed(self, root: str) -> str | None:
        """Which study's a folder is; None where it does not say so."""
        self._files.invalidate_cache()
        try:
            content: bytes = self._files.cat_file(f"{root}/{SIGN}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content.decode("utf-8", "replace")

    def _path(self, number: int, *parts: str) -> str:
        return "/".join([self._root, f"{number:06d}", *parts])

    def _make_folder(self, path: str) -> None:
        if _protocols(self._files) & _WITH_FOLDERS:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _write(self, path: str, content: bytes) -> None:
        """Write a small file, at once: a program that dies meanwhile leaves the old one."""
        self._make_folder(path)
        if _protocols(self._files) & _WITH_FOLDERS:
            draft = f"{path}.{uuid.uuid4().hex[:8]}"
            self._files.pipe_file(draft, content)
            self._files.mv(draft, path)
        else:  # an object appears when all of it is there
            self._files.pipe_file(path, content)

    def _manifest(self, number: int) -> _Manifest | None:
        path = self._path(number, _MANIFEST)
        self._files.invalidate_cache()
        try:
            content = json.loads(self._files.cat_file(path))
            return _Manifest(content["attempt"], [_Saved(**one) for one in content["saved"]])
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # or it is none of ours
            return None

    def _bring(self, number: int, saved: _Saved, directory: Path) -> None:
        """Fetch a checkpoint, unless one of its step is here."""
        for name in saved.files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"{name!r} leads out of the trial's folder")
        path = directory if saved.step is None else directory / f"step-{saved.step:d}"
        if saved.step is not None and path.is_dir():
            return
        draft = directory / f".{os.getpid()}-{threading.get_ident()}.fetched"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            for name, size in saved.files.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(self._path(number, saved.folder, name), str(draft / name))
                if (draft / name).stat().st_size != size:
                    raise FileNotFoundError(f"{name} is not whole")
            if saved.step is None:
                for name in saved.files:
                    if not (path / name).exists():
                        (path / name).parent.mkdir(parents=True, exist_ok=True)
                        (draft / name).replace(path / name)
                return
            with contextlib.suppress(OSError):  # another process has just fetched it
                draft.replace(path)
            self._fetched[number, saved.step] = saved.folder, _stamp(path)
        except FileNotFoundError as error:
            manifest = self._manifest(number)
            if manifest is None or saved not in manifest.saved:
                raise  # it was removed meanwhile: there is a later one
            self._news.append(
                f"the checkpoint of trial {number} at {saved.step} in {self.url} is damaged ({_words(error)}); another "
                "one is taken"
            )
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it. Raises ExecutorError."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(url.rstrip("/"))  # type: ignore[no-any-return]
    except ImportError as error:
        missing = "pip install 'tunesmith[remote]'" if error.name == "fsspec" else str(error)
        text = f"trials={url} needs a package that is not installed: {missing}"
        raise ExecutorError(text) from error
    except Exception as error:
        raise ExecutorError(f"trials={url} cannot be used: {_words(error)}") from error


def _protocols(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else {*files.protocol}


def _files_in(directory: Path) -> list[Path]:
    """The files below a folder, by their paths in it."""
    found = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    return sorted(found)


def _stamp(path: Path) -> str:
    """What a folder is known by: a checkpoint never changes, and one of the same step is another folder."""
    facts = path.stat()
    return f"{socket.gethostname()}/{facts.st_dev}/{facts.st_ino}/{facts.st_mtime_ns}"


def _words(error: Exception) -> str:
    """An error of a file system, in one line."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name
