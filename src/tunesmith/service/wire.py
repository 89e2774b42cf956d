"""The store as others see it: `tunesmith.store.http` is at the other end of these routes.

Events go as lines of the JSON that is stored, so that the chain of digests holds at both ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from tunesmith.core import codec, events
from tunesmith.core.errors import StoreVersionError, StudyError, StudyExists, TunesmithError
from tunesmith.core.events import Event
from tunesmith.core.study import StudySpec
from tunesmith.core.trial import OURSELVES
from tunesmith.service.bodies import answer, read
from tunesmith.service.gate import require, token_of
from tunesmith.service.news import News
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Token
from tunesmith.service.turns import ASKING_S, WRITING_S, Turns
from tunesmith.store.base import Tabular

#: Events in one answer, and the longest one (bytes).
PAGE: Final = 5000
LONGEST: Final = 1 << 20
#: The longest that a request waits (s): proxies end it at 30 or 60.
MOST_WAIT_S: Final = 25.0
NDJSON: Final = "application/x-ndjson"
CURSOR: Final = "Tunesmith-Cursor"
TURN: Final = "Tunesmith-Turn"

#: What only a token of scope ``control`` may append; ``work`` is for all others.
_STEERING: Final = (events.Edited, events.Corrected, events.Retracted, events.StopRequested)

#: What databases can count to.
_MOST: Final = 2**31 - 1
Count = Annotated[int, Query(ge=0, le=_MOST)]


class _New(msgspec.Struct, forbid_unknown_fields=True):
    spec: dict[str, Any]
    at: float


class _Lease(msgspec.Struct, forbid_unknown_fields=True):
    holder: str
    ttl_s: float = 0.0
    instead_of: str | None = None


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    holder: str
    wait_s: float = 0.0


class Wire:
    """The routes of the store's verbs."""

    def __init__(self, studies: Studies, news: News) -> None:
        self._studies, self._news = studies, news
        self.writing, self.asking = Turns(WRITING_S), Turns(ASKING_S)
        self.router = APIRouter(prefix="/api/v1", tags=["store"])
        add = self.router.add_api_route
        one = "/studies/{name}"
        add("/names", self.names, methods=["GET"])
        add("/now", self.now, methods=["GET"])
        add("/studies", self.create, methods=["POST"], status_code=201)
        add(f"{one}/created", self.created, methods=["GET"])
        add(one, self.delete, methods=["DELETE"], status_code=204)
        add(f"{one}/events", self.events, methods=["GET"])
        add(f"{one}/events", self.append, methods=["POST"])
        add(f"{one}/summary", self.summary, methods=["GET"])
        add(f"{one}/lease", self.lease, methods=["PUT"])
        add(f"{one}/lease", self.release, methods=["DELETE"], status_code=204)
        add(f"{one}/beats", self.beats, methods=["GET"])
        add(f"{one}/beats/{{session}}", self.beat, methods=["PUT"], status_code=204)
        add(f"{one}/turns/{{kind}}", self.take, methods=["POST"])
        add(f"{one}/turns/{{kind}}", self.give, methods=["DELETE"], status_code=204)
        add(f"{one}/verify", self.verify, methods=["POST"])
        add(f"{one}/heads", self.heads, methods=["GET"])
        add(f"{one}/part", self.part, methods=["POST"])
        add(f"{one}/times/{{number}}", self.time_of, methods=["GET"])
        add(f"{one}/costs", self.costs, methods=["GET"])

    # -- studies --------------------------------------------------------------------------------

    async def names(self, request: Request) -> Response:
        """The studies' names, oldest first."""
        token = token_of(request)
        names = await self._studies.quick(self._studies.store.names)
        return answer({"names": [name for name in names if token.sees(name)]})

    async def now(self, request: Request) -> Response:
        """The time by the service's clock (s since the epoch)."""
        token_of(request)
        return answer({"now": self._studies.clock()})

    async def create(self, request: Request) -> Response:
        """Make an empty study of a `StudySpec`. With the header Idempotency-Key it may be sent again."""
        require(request, "work")
        new: _New = await read(request, _New)
        try:
            spec = StudySpec.from_dict(new.spec)
        except (KeyError, TypeError, AttributeError) as error:
            raise Problem(422, "StudyError", f"this is no study: {error!r}") from None
        token = require(request, "work", spec.name)
        self._check_time(new.at)
        if not token.may("admin"):  # who may bring others' studies
            spec = replace(spec, owner=token.owner or token.name)
        try:
            await self._studies.quick(self._studies.store.create, spec, new.at)
        except StudyExists:
            made = await self._studies.quick(self._studies.origin, spec.name)
            again = "idempotency-key" in request.headers and made.created_at == new.at
            if not (again and made.spec == spec):
                raise
        return answer({"name": spec.name}, 201)

    async def created(self, name: str, request: Request) -> Response:
        """The study as it was created (edits are events), and what tells it from later ones of its name."""
        require(request, "read", name)
        origin = await self._studies.quick(self._studies.origin, name)
        spec = {"spec": origin.spec.to_dict(), "created_at": origin.created_at, "id": origin.id}
        return answer(spec)

    async def delete(self, name: str, request: Request, of: str = "") -> Response:
        """Remove a study and all its events."""
        require(request, "control", name)
        await self._check_same(name, of)
        await self._studies.quick(self._studies.delete, name)
        return Response(status_code=204)

    async def summary(self, name: str, request: Request) -> Response:
        """The study at a glance."""
        require(request, "read", name)
        s = await self._studies.quick(self._studies.store.summary, name)
        counts = {str(state): n for state, n in s.counts.items()}
        return answer(
            {
                "name": s.name, "created_at": s.created_at, "spec": s.spec.to_dict(), "cursor": s.cursor,
                "counts": counts, "best": s.best, "best_value": s.best_value,
            }
        )  # fmt: skip

    async def verify(self, name: str, request: Request) -> Response:
        """What has been tampered with, or null: reads the whole history."""
        require(request, "read", name)
        return answer({"problem": await self._studies.think(self._studies.store.verify, name)})

    # -- events ---------------------------------------------------------------------------------

    async def events(
        self,
        name: str,
        request: Request,
        after: Count = 0,
        trial: Annotated[int | None, Query(ge=0, le=_MOST)] = None,
        limit: Annotated[int, Query(ge=0, le=PAGE)] = PAGE,
        wait: Annotated[float, Query(ge=0)] = 0.0,
        of: str = "",
        turn: str = "",
    ) -> Response:
        """The events after a cursor, as lines of JSON; the last event's number is in the header Tunesmith-Cursor.

        With `wait`, an answer comes when there is one, or after so long (s); with `turn`, when it is this one's turn to write.
        """
        require(request, "work" if turn else "read", name)
        await self._check_same(name, of)
        headers = {}
        if turn:
            headers[TURN] = str(int(await self.writing.take(name, turn, WRITING_S)))
        elif wait:
            await self._news.wait(name, after, min(wait, MOST_WAIT_S))
        lines, cursor = await self._studies.quick(self.read, name, after, trial, limit)
        headers[CURSOR] = str(cursor)
        return Response("\n".join(lines), 200, headers, NDJSON)

    def read(self, name: str, after: int, trial: int | None, limit: int) -> tuple[list[str], int]:
        """Some events as text, and how far the history goes, or how far these do where there are more of them."""
        store = self._studies.store
        if not limit:
            return [], store.cursor(name)
        history = store.changes(name, after, trial)
        if trial is not None:
            return [*map(codec.encode, history)], store.cursor(name)
        lines = [*map(codec.encode, itertools.islice(history, limit))]
        cursor = after + len(lines)
        return lines, max(cursor, store.cursor(name)) if len(lines) < limit else cursor

    async def append(
        self,
        name: str,
        request: Request,
        expect: Count,
        of: str = "",
        turn: str = "",
    ) -> Response:
        """Append events behind the cursor `expect`: all of them or none. They are folded first, so that none is stored
        that does not follow from the history. Ends the turn of that name."""
        token = require(request, "work", name)
        try:
            body = await request.body()
            await self._check_same(name, of)
            batch = self._decoded(body)
            _check_author(token, batch)
            if any(isinstance(event, _STEERING) and not _learns(event) for event in batch):
                require(request, "control", name)
            if any(map(_learns, batch)):
                study = await self._studies.quick(self._studies.store.load, name)
                if not study.learned:
                    require(request, "control", name)
            holder = turn or f"append {id(request)}"
            await self.writing.take(name, holder, WRITING_S)
            try:
                cursor = await self._studies.quick(self._studies.append, name, batch, expect)
            finally:
                self.writing.give(name, holder)
        finally:
            if turn:
                self.writing.give(name, turn)
        self._news.tell(name, cursor)
        return answer({"cursor": cursor})

    def _decoded(self, body: bytes) -> Sequence[Event]:
        batch = []
        for line in body.split(b"\n"):
            if not line:
                continue
            if len(line) > LONGEST:
                raise Problem(413, "too_long", f"an event has {LONGEST >> 20} MiB at most")
            try:
                batch.append(codec.decode(line.decode()))
            except UnicodeDecodeError as error:
                raise Problem(422, "StudyError", f"an event is no UTF-8: {error}") from None
            except (TunesmithError, ValueError) as error:
                if _is_unknown_kind(line):
                    raise StoreVersionError(
                        "this service does not know such an event: it runs an older tunesmith; upgrade it first"
                    ) from None
                raise Problem(422, "StudyError", str(error)) from None
            self._check_time(batch[-1].at)
        return batch

    def _check_time(self, at: float) -> None:
        now = self._studies.clock()
        if not -1.0 <= at <= now + 86400:
            raise StudyError(
                f"the time {at!r} is more than a day ahead of the service's clock ({now:.0f}); set the clock right"
            )

    async def _check_same(self, name: str, of: str) -> None:
        """Raise Problem where the study is not the one that was meant, but a later one of its name."""
        if not of:
            return
        origin = self._studies.known_origin(name)
        if origin is None:
            origin = await self._studies.quick(self._studies.origin, name)
        if origin.id != of:
            raise Problem(
                404,
                "StudyGone",
                f"study {name!r} has been deleted meanwhile, and made anew; open it again",
            )

    # -- leases, signs of life, turns -------------------------------------------------------------

    async def lease(self, name: str, request: Request) -> Response:
        """Take or renew the lease, by the service's clock; who has it."""
        require(request, "work", name)
        wanted: _Lease = await read(request, _Lease)
        if not 0 <= wanted.ttl_s <= 86400:
            raise Problem(422, "invalid", "ttl_s is 0 to 86400 seconds")
        held = await self._studies.quick(
            self._studies.store.lease, name, wanted.holder, wanted.ttl_s, instead_of=wanted.instead_of
        )  # fmt: skip
        return answer({"holder": held.holder, "until": held.until})

    async def release(self, name: str, request: Request) -> Response:
        """Give the lease back."""
        require(request, "work", name)
        lease: _Lease = await read(request, _Lease)
        await self._studies.quick(self._studies.store.release, name, lease.holder)
        return Response(status_code=204)

    async def beats(self, name: str, request: Request) -> Response:
        """How long ago (s) each session gave its last sign of life."""
        require(request, "read", name)
        return answer(await self._studies.quick(self._studies.store.silent_s, name))

    async def beat(self, name: str, session: str, request: Request) -> Response:
        """A sign of life of a session."""
        require(request, "work", name)
        if len(session) > 100:
            raise Problem(422, "invalid", "a session's name has 100 characters at most")
        await self._studies.quick(self._studies.store.beat, name, session)
        return Response(status_code=204)

    async def take(self, name: str, kind: str, request: Request) -> Response:
        """Wait for the turn to ask (``ask``); whether it has come."""
        require(request, "work", name)
        turn: _Turn = await read(request, _Turn)
        await self._studies.quick(
            self._studies.store.cursor, name
        )  # raises if there is no such study
        wait_s = min(max(turn.wait_s, 0.0), MOST_WAIT_S)
        return answer({"granted": await self._turns(kind).take(name, turn.holder, wait_s)})

    async def give(self, name: str, kind: str, request: Request) -> Response:
        """End a turn."""
        require(request, "work", name)
        turn: _Turn = await read(request, _Turn)
        self._turns(kind).give(name, turn.holder)
        return Response(status_code=204)

    def _turns(self, kind: str) -> Turns:
        if kind not in ("ask", "write"):
            raise Problem(404, "http", "turns are for ask and write")
        return self.asking if kind == "ask" else self.writing

    # -- a look at some trials --------------------------------------------------------------------

    @property
    def _tabular(self) -> Tabular:
        store = self._studies.store
        if not isinstance(store, Tabular):
            raise Problem(501, "http", "this service's store has no such view")
        return store

    async def heads(self, name: str, request: Request) -> Response:
        """Every trial's number, state and value."""
        require(request, "read", name)
        heads = await self._studies.think(self._tabular.heads, name)
        return answer([(head.number, str(head.state), head.value) for head in heads])

    async def part(self, name: str, request: Request) -> Response:
        """The events of some trials and of none, each behind its number."""
        require(request, "read", name)
        trials: list[int] = await read(request, list[Annotated[int, msgspec.Meta(ge=0, le=_MOST)]])
        rows = await self._studies.think(self._tabular.part, name, trials)
        return Response("\n".join(f"{n} {codec.encode(e)}" for n, e in rows), media_type=NDJSON)

    async def time_of(
        self, name: str, number: Annotated[int, Path(ge=0, le=_MOST)], request: Request
    ) -> Response:
        """When an event happened; 0 where there is none."""
        require(request, "read", name)
        return answer({"at": await self._studies.quick(self._tabular.time_of, name, number)})

    async def costs(self, name: str, request: Request) -> Response:
        """What every attempt of a trial took."""
        require(request, "read", name)
        return answer([*await self._studies.think(self._tabular.costs, name)])


def _learns(event: Event) -> bool:
    """Whether it is the edit of a space that whoever runs a trial makes of what that asked for: see `core.asking`."""
    return (
        isinstance(event, events.Edited)
        and event.by == OURSELVES
        and event.changes.keys() == {"space"}
    )


def _check_author(token: Token, batch: Sequence[Event]) -> None:
    """Raise Problem for what is written in another's name; an ``admin`` may bring a history as it was."""
    if token.may("admin"):
        return
    for event in batch:
        by = getattr(event, "by", token.name)
        said_by_us = (isinstance(event, events.Annotated) and by == OURSELVES) or _learns(event)
        if by != token.name and not said_by_us:
            raise Problem(
                403,
                "author",
                f"this token is {token.name!r}, and the event says that it is by {by!r}; write it in your own name, which "
                "/whoami says, or with a newer tunesmith",
            )


def _is_unknown_kind(line: bytes) -> bool:
    try:
        kind = msgspec.json.decode(line, type=dict[str, Any]).get("kind")
    except Exception:  # noqa: BLE001 (whatever is wrong with it, that is said elsewhere)
        return False
    return isinstance(kind, str) and kind not in _KINDS


_KINDS: Final = frozenset(str(kind.__struct_config__.tag) for kind in Event.__args__)
