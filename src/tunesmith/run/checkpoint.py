"""Checkpoint storage: saved states from which trials resume, each a folder that is written atomically.

000012/checkpoint/step-9/             complete: it never changes again
                  .step-18.draft/     being written, or torn: ignored
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import stat
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tunesmith.core.outcome import whole
from tunesmith.run.folder import FULL

_NAME: Final = re.compile(r"step-(-?\d+)")
_PICKLE: Final = "state.pkl"
_TORCH: Final = "state.pt"


class Checkpoint(NamedTuple):
    """A complete checkpoint: the step up to which the trial had been trained, and its folder."""

    step: int
    path: Path


def complete(directory: Path) -> list[Checkpoint]:
    """The complete checkpoints in `directory`, by step; [] if it is not there."""
    try:
        names = [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = ((_NAME.fullmatch(name), name) for name in names)
    return sorted(Checkpoint(int(match[1]), directory / name) for match, name in matches if match)


def newest_first(directory: Path, reported: int | None = None) -> list[Checkpoint]:
    """The complete checkpoints, the newest first, without those beyond the last `reported` step: whoever
    went on from there would leave out a report."""
    checkpoints = complete(directory)
    return [c for c in reversed(checkpoints) if reported is None or c.step <= reported]


class Skipped(Exception):
    """There is no room for a checkpoint."""


@contextlib.contextmanager
def writing(directory: Path, step: int) -> Iterator[Path]:
    """A new folder to write the files of a checkpoint into; complete when the block ends.

    A block that raises leaves nothing. If there is no room (a full disk, a study's `disk` limit), the
    checkpoint is given up with a warning, and the program goes on. Raises ValueError for what is no step.
    """
    if whole(step) is None:
        raise ValueError(f"a checkpoint's step is a whole number, not {step!r}")
    draft, path = directory / f".step-{int(step)}.draft", directory / f"step-{int(step)}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        full = directory.parent.parent / FULL
        try:
            draft.mkdir(parents=True)
            yield draft
            if full.is_file():
                raise Skipped(full.read_text())
            _settle(draft, path)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise Skipped(str(error)) from None
    except Skipped as skipped:
        text = f"the checkpoint at step {step} was not kept: {skipped}"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


#: ENOSPC, EDQUOT, EFBIG
_NO_ROOM: Final = frozenset({28, 122, 27})


def _settle(draft: Path, path: Path) -> None:
    """Give a written folder its name, once its files have reached the disk."""
    for file in draft.rglob("*"):
        if file.is_file():
            _sync(file)
    if path.exists():  # the same step again, in a later attempt
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        path.replace(old)
        draft.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        draft.replace(path)
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a checkpoint: it has lost its name before the first of its files is gone. Raises nothing."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.replace(old)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def save(directory: Path, state: Any, step: int) -> None:
    """Write a checkpoint that holds one Python object: torch's format if the program uses torch."""
    with writing(directory, step) as folder:
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.save(state, folder / _TORCH)
            return
        import cloudpickle

        with (folder / _PICKLE).open("wb") as file:
            cloudpickle.dump(state, file)


def restore(
    directory: Path, reported: int | None = None, *, weights_only: bool = False
) -> tuple[int, Any] | None:
    """The step and the object of the first of `newest_first` that can be read; None if there is none.

    Tensors come back in the computer's main memory. A file can run any code as it is read, unless `weights_only`: so only
    what lies in this folder itself is read, no link out of it, and nothing that is another user's.
    """
    for step, path in newest_first(directory, reported):
        try:
            return step, _load(path, weights_only)
        except Exception as error:  # noqa: BLE001 (a damaged file may raise anything)
            text = f"the checkpoint {path} cannot be read ({error!r}); another one is taken"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
    return None


def _load(path: Path, weights_only: bool) -> Any:
    if not weights_only:
        _refuse_strangers(path)
    if (path / _TORCH).is_file():
        import torch

        return torch.load(path / _TORCH, map_location="cpu", weights_only=weights_only)
    if not (path / _PICKLE).is_file():
        raise FileNotFoundError(f"it was not written by save(): read its files in {path} yourself")
    if weights_only:
        raise ValueError("it is a pickle, which can run any code")
    with (path / _PICKLE).open("rb") as file:
        return pickle.load(file)  # noqa: S301 (the trial's own: see `_refuse_strangers`)


def _refuse_strangers(path: Path) -> None:
    """Raise PermissionError for a checkpoint that is another user's, or lies elsewhere: a trial's own code wrote its
    own, as it runs anyway."""
    for place in (
        path,
        *(path / name for name in (_TORCH, _PICKLE) if os.path.lexists(path / name)),
    ):
        facts = place.lstat()
        if stat.S_ISLNK(facts.st_mode):
            why = "is a link: what is read here lies in the trial's own folder"
        elif os.geteuid() != 0 and facts.st_uid not in (os.geteuid(), 0):
            why = f"belongs to another user ({facts.st_uid})"
        else:
            continue
        raise PermissionError(
            f"{place.name} {why}, and reading it could run any code; restore(weights_only=True) reads torch states alone"
        )


def inherit(parent: Path, child: Path, reported: int | None = None) -> Checkpoint | None:
    """Let `child`, a trial's folder for checkpoints, begin with the first of `newest_first` of another's.

    Complete checkpoints never change: their files are linked, not copied, where that can be. What a
    program keeps in its folder in a form of its own is copied.
    """
    checkpoints = newest_first(parent, reported)
    if checkpoints:
        step, path = checkpoints[0]
        if (child / path.name).is_dir():  # an earlier attempt has it already
            return Checkpoint(step, child / path.name)
        draft = child / f".{path.name}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(path, draft, copy_function=_link)
        draft.replace(child / path.name)
        return Checkpoint(step, child / path.name)
    if parent.is_dir():
        shutil.copytree(parent, child, dirs_exist_ok=True)
    return None


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
