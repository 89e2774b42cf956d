"""Studies of a service (`tunesmith serve`), by its HTTP interface.

A transaction is what `writing` buffers, sent as one append; the service lets writers wait for one another while they decide,
and compare-and-set is what it builds on. A connection that breaks is made again, and what was asked is asked once
more: an append whose answer was lost is recognised by its events.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import msgspec

from tunesmith.core import codec
from tunesmith.core.errors import (
    Conflict,
    StoreError,
    StudyExists,
    StudyNotFound,
    TunesmithError,
)
from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import Cost, State
from tunesmith.store.base import Head, Lease, Summary
from tunesmith.store.line import Gone, Line
from tunesmith.store.location import Service
from tunesmith.store.turn import AskingTurn

#: How long one request waits for news or a turn (s), and how long one waits for a turn to ask.
_WAIT_S: Final = 20.0
_ASKING_S: Final = 120.0
#: Events in one answer.
_PAGE: Final = 5000


class _Transaction(threading.local):
    """What a thread has appended in its block of `writing`, and where that begins."""

    study: str | None = None
    pid = 0
    turn = ""
    has_turn = False
    start: int | None = None
    batch: list[Event]


class HttpStore:
    """A `Store` at the other end of a line. Threads do not wait for one another, but where the service lets them."""

    shared = True
    distant = True

    def __init__(self, location: Service) -> None:
        self.where = str(location)
        self._line = Line(location)
        self._request = self._line.request
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self._mine = _Transaction()
        self._asking: dict[str, _RequestedTurn] = {}
        who = self._request(
            "GET", "/whoami"
        ).data  # raises what is wrong with the service, or with us
        #: Who writes, as the service knows us; "" where it asks nobody.
        self.author: str = who.get("author") or ""

    def _of(self, name: str) -> str:
        """What tells the study from another one of its name; asked for once. Raises StudyNotFound."""
        if name not in self._ids:
            self._created(name)
        return self._ids[name]

    def _created(self, name: str) -> tuple[StudySpec, float]:
        data = self._request("GET", f"{_path(name)}/created").data
        self._ids[name] = data["id"]
        return codec.decode_spec(json.dumps(data["spec"])), float(data["created_at"])

    def identity(self, name: str, *, anew: bool = False) -> str:
        """What tells the study from an earlier or later one of its name: as far as is known, or asked for `anew`. Raises
        StudyNotFound."""
        if anew:
            self._created(name)
        return self._of(name)

    # -- studies ------------------------------------------------------------------------------

    def create(self, spec: StudySpec, at: float) -> None:
        lost: list[bool] = []
        try:
            self._request("POST", "/studies", {"spec": spec.to_dict(), "at": at}, lost=lost)
        except StudyExists:
            if not lost:
                raise
            there, made_at = self._created(spec.name)
            # the service knows by whose token it was made
            if made_at != at or replace(there, owner="") != replace(spec, owner=""):
                raise

    def load(self, name: str) -> StudySpec:
        return self._created(name)[0]

    def made_at(self, name: str) -> float:
        return self._created(name)[1]

    def names(self) -> list[str]:
        names: list[str] = self._request("GET", "/names").data["names"]
        return names

    def now(self) -> float:
        """The time by the service's clock (s since the epoch)."""
        return float(self._request("GET", "/now").data["now"])

    def delete(self, name: str) -> None:
        lost: list[bool] = []
        try:
            self._request("DELETE", _path(name), lost=lost, of=self._of(name))
        except StudyNotFound:
            if not lost:
                raise
        finally:
            self._ids.pop(name, None)

    # -- events -------------------------------------------------------------------------------

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        mine = self._mine
        if mine.study is not None:  # within another block: it ends with that one
            yield
            return
        self._of(name)
        mine.study, mine.pid, mine.turn = name, os.getpid(), uuid.uuid4().hex
        mine.start, mine.batch, mine.has_turn = None, [], False
        try:
            yield
            if mine.batch:
                assert mine.start is not None
                turn, mine.has_turn = mine.turn, False
                self._append(name, mine.batch, mine.start, turn)
        finally:
            mine.study = None
            if mine.has_turn:
                with suppress(StoreError):
                    turn = {"holder": mine.turn}
                    self._request("DELETE", f"{_path(name)}/turns/write", turn, patience_s=0)

    def _buffer(self, name: str) -> _Transaction | None:
        """The thread's transaction, if it is one of this study."""
        mine = self._mine
        if mine.study != name:
            return None
        if mine.pid != os.getpid():
            raise StoreError(
                f"{self.where}: this process was forked within a transaction, which is the other one's; open the store "
                "again in the new process"
            )
        return mine

    def append(self, name: str, batch: Sequence[Event], expect: int) -> int:
        mine = self._buffer(name)
        if mine is None:
            return self._append(name, batch, expect)
        if mine.start is None:
            mine.start = expect
        if expect != mine.start + len(mine.batch):
            raise Conflict(f"study {name!r} is not at event {expect}")
        mine.batch += batch
        return expect + len(batch)

    def _append(self, name: str, batch: Sequence[Event], expect: int, turn: str = "") -> int:
        body = "\n".join(map(codec.encode, batch)).encode()
        lost: list[bool] = []
        try:
            self._request(
                "POST", f"{_path(name)}/events", body=body, lost=lost, expect=expect, of=self._of(name), turn=turn
            )  # fmt: skip
        except Conflict:
            if not (lost and self._holds(name, batch, expect)):
                raise
        except Gone as gone:
            raise self._gone(name, gone) from None
        return expect + len(batch)

    def _gone(self, name: str, gone: Gone) -> StudyNotFound:
        self._ids.pop(name, None)
        return StudyNotFound(str(gone))

    def _holds(self, name: str, batch: Sequence[Event], expect: int) -> bool:
        """Whether `batch` is stored behind `expect`: its answer was lost, and its texts say so."""
        answer = self._request("GET", f"{_path(name)}/events", after=expect, limit=len(batch))
        return bool(batch) and answer.body.decode().split("\n") == [*map(codec.encode, batch)]

    def changes(self, name: str, cursor: int = 0, trial: int | None = None) -> Iterable[Event]:
        mine = self._buffer(name)
        first, last = self._page(name, cursor, trial, mine)
        if mine is not None and mine.batch:
            assert mine.start is not None
            unsent = mine.batch[max(0, cursor - mine.start) :]
            return [*first, *(e for e in unsent if trial in (None, getattr(e, "trial", None)))]
        if trial is not None or len(first) < _PAGE:
            return first
        return self._pages(name, first, cursor + len(first), last)

    def _page(
        self, name: str, cursor: int, trial: int | None, mine: _Transaction | None = None
    ) -> tuple[list[Event], int]:
        turn = ""
        if mine is not None and not mine.has_turn and not mine.batch:
            turn = mine.turn
        try:
            answer = self._request(
                "GET", f"{_path(name)}/events", after=cursor, trial=trial, of=self._of(name), turn=turn
            )  # fmt: skip
        except Gone as gone:  # who has read the one must not go on with the other
            error = self._gone(name, gone)
            if cursor:
                raise error from None
            return self._page(name, cursor, trial, mine)
        if mine is not None and turn:
            mine.has_turn = answer.headers.get("tunesmith-turn") == "1"
        texts = answer.body.decode().split("\n") if answer.body else []
        return codec.decode_many(texts), int(answer.headers["tunesmith-cursor"])

    def _pages(self, name: str, page: list[Event], cursor: int, last: int) -> Iterator[Event]:
        yield from page
        while len(page) == _PAGE:
            page, last = self._page(name, cursor, None)
            yield from page
            cursor += len(page)
        if last < cursor:
            raise StudyNotFound(f"study {name!r} in {self.where} was deleted while it was read")

    def cursor(self, name: str) -> int:
        mine = self._buffer(name)
        if mine is not None and mine.start is not None:
            return mine.start + len(mine.batch)
        turn = "" if mine is None or mine.has_turn else mine.turn
        try:
            answer = self._request(
                "GET", f"{_path(name)}/events", limit=0, of=self._of(name), turn=turn
            )
        except Gone as gone:
            raise self._gone(name, gone) from None
        if mine is not None and turn:
            mine.has_turn = answer.headers.get("tunesmith-turn") == "1"
        return int(answer.headers["tunesmith-cursor"])

    def wait(self, name: str, cursor: int, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, until - time.monotonic())
            answer = self._request(
                "GET", f"{_path(name)}/events", after=cursor, limit=0, wait=round(min(left_s, _WAIT_S), 3)
            )  # fmt: skip
            if int(answer.headers["tunesmith-cursor"]) > cursor:
                return True
            if time.monotonic() >= until:
                return False

    def summary(self, name: str) -> Summary:
        data = self._request("GET", f"{_path(name)}/summary").data
        return Summary(
            data["name"],
            data["created_at"],
            codec.decode_spec(json.dumps(data["spec"])),
            data["cursor"],
            {State(state): n for state, n in data["counts"].items()},
            data["best"],
            data["best_value"],
        )

    def verify(self, name: str) -> str | None:
        problem: str | None = self._request("POST", f"{_path(name)}/verify").data["problem"]
        return problem

    # -- leases and turns -----------------------------------------------------------------------

    def asking(self, name: str) -> AbstractContextManager[object]:
        with self._lock:
            turn = self._asking.get(name)
            if turn is None or turn.pid != os.getpid():
                turn = self._asking[name] = _RequestedTurn(self, name)
            return turn

    def lease(
        self, name: str, holder: str, ttl_s: float, *, instead_of: str | None = None
    ) -> Lease:
        wanted = {"holder": holder, "ttl_s": ttl_s, "instead_of": instead_of}
        data = self._request("PUT", f"{_path(name)}/lease", wanted).data
        return Lease(data["holder"], data["until"])

    def release(self, name: str, holder: str) -> None:
        self._request("DELETE", f"{_path(name)}/lease", {"holder": holder})

    def beat(self, name: str, session: str) -> None:
        self._request("PUT", f"{_path(name)}/beats/{quote(session, safe='')}")

    def silent_s(self, name: str) -> dict[str, float]:
        silent: dict[str, float] = self._request("GET", f"{_path(name)}/beats").data
        return silent

    # -- a look at some trials ------------------------------------------------------------------

    def heads(self, name: str) -> list[Head]:
        rows = self._request("GET", f"{_path(name)}/heads").data
        return [Head(number, State(state), value) for number, state, value in rows]

    def part(self, name: str, trials: Sequence[int]) -> Iterable[tuple[int, Event]]:
        body = self._request("POST", f"{_path(name)}/part", [*map(int, trials)]).body.decode()
        rows = [line.partition(" ")[::2] for line in body.split("\n") if line]
        decoded = codec.decode_many(text for _, text in rows)
        return [(int(seq), event) for (seq, _), event in zip(rows, decoded, strict=True)]

    def time_of(self, name: str, number: int) -> float:
        return float(self._request("GET", f"{_path(name)}/times/{int(number)}").data["at"])

    def costs(self, name: str) -> Iterable[Cost]:
        rows = self._request("GET", f"{_path(name)}/costs").body
        return msgspec.json.decode(rows, type=list[Cost])

    def close(self) -> None:
        self._line.close()


class _RequestedTurn(AskingTurn):
    """Who may ask, among all that use the service. Where the turn cannot be had, or not within its time, all go on
    without."""

    def __init__(self, store: HttpStore, name: str) -> None:
        super().__init__()
        self._store, self._path = store, f"{_path(name)}/turns/ask"
        self._holder = uuid.uuid4().hex

    def _take(self) -> None:
        until = time.monotonic() + _ASKING_S
        while time.monotonic() < until:
            wanted = {"holder": self._holder, "wait_s": _WAIT_S}
            if self._store._request("POST", self._path, wanted).data["granted"]:  # noqa: SLF001
                return

    def _give(self) -> None:
        with suppress(TunesmithError):
            mine = {"holder": self._holder}
            self._store._request("DELETE", self._path, mine, patience_s=0)  # noqa: SLF001


def _path(name: str) -> str:
    return f"/studies/{quote(name, safe='')}"
