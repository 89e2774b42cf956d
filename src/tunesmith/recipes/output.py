"""The folder that a fit writes into, whatever its recipe.

OUTPUT/fit.json      what its search is about; written first, and a search that goes on has to agree with it
       study.db      the study
       model.json    what the model is, and which file holds it; written last, so that a model is there whole,
                     or is still the one before
       report.html   the evidence
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np

from tunesmith import streams
from tunesmith.analysis.versions import differences
from tunesmith.core.errors import (
    ConfigError,
    JobError,
    StudyError,
    StudyNotFound,
    TunesmithError,
    did_you_mean,
    shown,
)
from tunesmith.core.incumbent import ranking
from tunesmith.core.program import Fingerprint
from tunesmith.core.space.space import Space
from tunesmith.core.study import check_edit
from tunesmith.core.trial import ENDED, State
from tunesmith.files import write_json
from tunesmith.tuning.study import Study
from tunesmith.tuning.versions import OnChange, check_on_change

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = TypeVar("P", bound="Plan")

PLAN: Final = "fit.json"
ABOUT: Final = "model.json"
REPORT: Final = "report.html"
#: The study's name.
STUDY: Final = "fit"
#: The final fits, the model's file and the report take some seconds, however short the search is (s).
REST_S: Final = 5.0
#: So many configs are tried again where the data have changed.
AGAIN: Final = 5


def say_if(progress: bool | None) -> Callable[[str], None]:
    """Says things on stderr; with None, where that is a terminal."""

    def say(text: str) -> None:
        stream = streams.err()
        if progress or (progress is None and stream.interactive):
            stream.line(text)

    return say


def beside(data: Path) -> Path:
    """The output folder for a file or folder, if none is named: NAME-model beside it."""
    data = data if data.name not in ("", "..") else data.resolve()
    name = data.name if data.is_dir() else data.name.split(".")[0]
    return data.with_name(f"{name}-model")


def search_s(limit_s: float, share: float, spent_s: float) -> float:
    """How long a search may take: whole seconds, so that the same call later is hardly an edit of the study.

    `share` of the limit, but for at least `REST_S` for what comes after.
    """
    return max(1.0, float(np.floor(min(share * limit_s, limit_s - REST_S) - spent_s)))


# -- the plan -----------------------------------------------------------------------------------


class Plan(Protocol):
    """What a search is about. `digest`: of all data; `parts`: of each part of it, to say what has changed; `spent_s`:
    how long was searched before it changed."""

    @property
    def digest(self) -> str: ...
    @property
    def parts(self) -> Mapping[str, str]: ...
    @property
    def spent_s(self) -> float: ...


@dataclass(frozen=True)
class Settled(Generic[P]):
    """Where a search goes on or begins, by which plan; `changed`: its data have, and its results no longer count."""

    folder: Path
    plan: P
    changed: bool = False


def settle(
    folder: Path,
    recipe: str,
    wanted: P,
    same: Mapping[str, str],
    on_change: OnChange,
    say: Callable[[str], None],
) -> Settled[P]:
    """The plan that the search in `folder` began with, or `wanted`. Nothing is written.

    `same`: the fields that have to agree, and what to call them; ``{}`` stands for the value. `on_change`: what
    becomes of a search that began with other data: "refuse", "continue" (see `start_over`), or "new", a search in
    NAME-2. Raises JobError if the folder is about something else.
    """
    check_on_change(on_change)
    data = same.get("digest", "data")
    for number in itertools.count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            begun = _begun(place, recipe, wanted, {k: v for k, v in same.items() if k != "digest"})
        except JobError:
            if on_change == "new" and (place / PLAN).is_file():
                continue
            raise
        if begun is None:
            if number > 1:
                say(f"{folder} has another search; this one is in {place}")
            return Settled(place, wanted)
        if begun.digest == wanted.digest:
            say(f"going on with the search in {place}")
            return Settled(place, begun)
        if on_change == "new":
            continue
        what = _what_changed(begun, wanted)
        if on_change == "continue":
            say(
                f"the search in {place} was on another {data}{what}\nits results no longer count; its best configs "
                "are tried first"
            )
            return Settled(place, wanted, changed=True)
        raise JobError(
            f"{place} has a search on another {data}{what}\nand its results would not compare; "
            f"on_change='new' (--on-change new) searches in {folder.name}-2, 'continue' goes on here with its best "
            "configs; or name another output"
        )
    raise AssertionError


def _what_changed(begun: Plan, wanted: Plan) -> str:
    """In lines, as far as it is known of what it was."""
    if not begun.parts:
        return ","
    lines = differences(begun.parts, Fingerprint(wanted.parts))
    return ":" + "".join(f"\n  {line}" for line in lines)


def _begun(folder: Path, recipe: str, wanted: P, same: Mapping[str, str]) -> P | None:
    """The plan of the search in `folder`; None if there is none. Raises JobError for another one than `wanted`."""
    file = folder / PLAN
    if folder.exists() and not folder.is_dir():
        raise JobError(f"{folder} is a file; output names a folder to write into")
    if not file.exists():
        if folder.exists() and any(folder.iterdir()):
            raise JobError(
                f"the folder {folder} is there already, with other things in it; name another output"
            )
        return None
    try:
        fields = json.loads(file.read_text())
        other = fields.pop("recipe")
        begun = type(wanted)(**fields) if other == recipe else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JobError(
            f"{file} is broken ({error}); delete {folder}, or name another output"
        ) from None
    differs = f"recipe ({other})" if begun is None else None
    for field, called in same.items():
        if begun is not None and getattr(begun, field) not in (None, getattr(wanted, field)):
            differs = differs or called.format(getattr(begun, field))
    if begun is None or differs:
        raise JobError(
            f"{folder} has a search with another {differs}, and its results would not compare; name another "
            "output, or delete that folder"
        )
    return begun


def start_over(storage: str | Path, space: Space) -> float:
    """Begin a search anew whose data have changed: its results are retracted, and its best configs are the first of
    those that wait. How long it has taken so far (s)."""
    try:
        study = Study.open(STUDY, storage=storage)
    except (StudyNotFound, FileNotFoundError):
        return 0.0
    with study:
        try:
            check_edit(study.space, space)
        except StudyError as error:
            raise JobError(
                f"the data have changed too much for the search to go on ({error}); on_change='new' (--on-change new) "
                "searches anew"
            ) from None
        ledger = study.result().ledger
        done = np.flatnonzero(ledger.feasible())
        ranked = done[ranking(ledger.column("losses")[done])]
        best = [ledger.config(number) for number in ranked[:AGAIN].tolist()]
        for trial in study.trials:
            if trial.state is State.PAUSED:
                study.cancel(trial)
            elif trial.state in ENDED and not trial.retracted:
                study.retract(trial, why="it was on the data as they were before")
        for config in best:
            with suppress(ConfigError):
                study.enqueue(space.filled(config), why="the best before the data changed")
        return ledger.worked_s


def keep(folder: Path, recipe: str, plan: DataclassInstance) -> None:
    """Write the plan down."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / PLAN, {"recipe": recipe, **asdict(plan)})
    except OSError as error:
        raise JobError(
            f"cannot write into {folder} ({error.strerror}); name another output"
        ) from None


@contextmanager
def begin(folder: Path, recipe: str, plan: DataclassInstance) -> Iterator[None]:
    """Write the plan down for the search in the block. What is written into a new or empty folder goes again if there
    is none: where the call made no sense, nothing is left."""
    there = folder.exists()
    fresh = not there or not any(folder.iterdir())
    keep(folder, recipe, plan)
    try:
        yield
    except TunesmithError:
        if fresh and not any(folder.glob("*.db")):
            _clear(folder)
            if not there:
                folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


# -- the result ---------------------------------------------------------------------------------


def put(folder: Path, draft: Path, name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Give the file `draft` its name, NAME-HASH.KIND for a `name` of ``NAME.KIND``, and describe it; what the
    description says, which is `about` and the file."""
    stem, _, kind = name.partition(".")
    file = f"{stem}-{hashlib.sha256(draft.read_bytes()).hexdigest()[:12]}.{kind}"
    draft.replace(folder / file)
    whole = {**about, "file": file}
    write_json(folder / ABOUT, whole)
    for old in folder.glob(f"{stem}-*"):
        if old.name != file:
            old.unlink()
    return whole


def own_file(folder: Path, about: Mapping[str, Any]) -> Path:
    """The file that a description names, which lies in the model's own folder. Raises JobError."""
    folder = folder if folder.is_dir() else folder.parent
    name = about["file"]
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name or "\\" in name:
        raise JobError(
            f"{folder / ABOUT} names the file {shown(name)}; a model's file lies beside its {ABOUT}, "
            "and nothing else is opened"
        )
    file = folder / name
    if file.exists() and file.resolve().parent != folder.resolve():
        raise JobError(
            f"{file} is a link to a file outside the model's folder; copy that file here"
        )
    if not file.exists():
        raise JobError(f"{file} is gone; fit the model again, or put it back")
    if not file.is_file():
        raise JobError(f"{file} is no file; fit the model again")
    return file


def read_about(folder: Path) -> dict[str, Any]:
    """What a model's description says; ``recipe`` and ``version`` are there. Raises JobError."""
    file = folder / ABOUT if folder.is_dir() else folder
    if file.name != ABOUT or not file.exists():
        near = [p.parent.name for p in folder.parent.glob(f"*/{ABOUT}")]
        unfinished = (
            " (a search that did not end: run the same fit again)" * (folder / PLAN).exists()
        )
        raise JobError(
            f"there is no model in {folder}{unfinished or did_you_mean(folder.name, near)}: `tunesmith fit` writes "
            f"a folder with a {ABOUT}"
        )
    try:
        about: dict[str, Any] = json.loads(file.read_text())
        about["recipe"], about["version"] + 0, about["file"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise JobError(f"{file} is broken ({error}); fit the model again") from None
    return about


def checked(folder: Path, recipe: str, version: int) -> dict[str, Any]:
    """The description of a model of this recipe. Raises JobError for another one's, or a newer one."""
    about = read_about(folder)
    if about["recipe"] != recipe:
        raise JobError(f"{folder} holds a model of recipe {about['recipe']!r}, not {recipe!r}")
    if about["version"] > version:
        raise JobError(f"{folder} was written by a newer tunesmith; update this one")
    return about
