"""What was asked for, and what has been said of it since: a file for each tuning and training job."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tunesmith.files import drafted
from tunesmith.service.sagemaker.protocol import Fault

Kind: TypeAlias = Literal["tuning", "training"]
KINDS: Final[tuple[Kind, ...]] = ("tuning", "training")


def not_found(kind: Kind, name: str) -> Fault:
    what = "HyperParameterTuningJob" if kind == "tuning" else "TrainingJob"
    return Fault("ResourceNotFound", f"Requested resource not found: there is no {what} {name}")


class Record(Struct, frozen=True, omit_defaults=True):
    """A tuning job, or a training job that no tuning job has."""

    kind: Kind
    name: str
    #: The request, as it came.
    request: dict[str, Any]
    created_at: float
    #: What tells it from an earlier one of its name.
    identity: str
    study: str
    region: str
    #: Who asked: the token's id and name.
    token: str
    by: str
    #: The service's job that runs it; "" until it has one.
    job: str = ""
    #: Since when it is to stop.
    stopping_at: float | None = None
    deleted: bool = False
    tags: dict[str, str] = {}
    #: How it stood at its end, which does not change any more; see `standing.frozen`.
    end: dict[str, Any] | None = None


class Records:
    """All records, in a folder; for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._records: dict[tuple[Kind, str], Record] = {}
        for kind in KINDS:
            (folder / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (folder / kind).glob("*.json"):
                record = msgspec.json.decode(path.read_bytes(), type=Record)
                self._records[kind, record.name] = record

    def all(self, kind: Kind) -> list[Record]:
        """Without the lock, as `find`: whoever looks does not wait for a disk."""
        every = list(self._records.values())
        return [one for one in every if one.kind == kind and not one.deleted]

    def find(self, kind: Kind, name: str, *, deleted: bool = False) -> Record | None:
        record = self._records.get((kind, name))
        return None if record is None or (record.deleted and not deleted) else record

    def add(self, record: Record) -> None:
        """Keep a new one."""
        with self._lock:
            self._write(record)

    def change(self, record: Record, **changes: Any) -> Record:
        """The record as it stands by now, with `changes`."""
        return self.update(record, lambda now: msgspec.structs.replace(now, **changes))

    def remove(self, record: Record) -> None:
        with self._lock:
            del self._records[record.kind, record.name]
            self._path(record).unlink(missing_ok=True)

    def update(self, record: Record, call: Callable[[Record], Record]) -> Record:
        """The record as `call` makes it of how it stands."""
        with self._lock:
            now = self._records[record.kind, record.name]
            if now.identity != record.identity:  # it was deleted, and made anew
                return now
            return self._write(call(now))

    def _path(self, record: Record) -> Path:
        return self._folder / record.kind / f"{record.name}.json"

    def _write(self, record: Record) -> Record:
        with drafted(self._path(record)) as draft, draft.open("wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        self._records[record.kind, record.name] = record
        return record
