"""Ask, report and tell over HTTP, for programs in any language; and what people do to a study.

Each worker names itself (`session`): one that asks again before it has told gets the same trial again, so that a lost
answer, or a worker that begins anew, loses none. Everything can be sent again.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tunesmith.core.errors import ConfigError, StudyError, StudyWaits, TransitionError
from tunesmith.core.ledger import Ledger
from tunesmith.core.outcome import outcome_of
from tunesmith.core.space.space import Space
from tunesmith.core.trial import ENDED, Report, State, Trial, alike
from tunesmith.service.bodies import answer, read
from tunesmith.service.gate import require
from tunesmith.service.groups import Groups
from tunesmith.service.news import News
from tunesmith.service.once import Once, key_of
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Scope
from tunesmith.service.wire import MOST_WAIT_S, Wire
from tunesmith.tuning.session import Session
from tunesmith.tuning.spec import writing_as
from tunesmith.tuning.study import Study

T = TypeVar("T")

#: What sessions of this interface have instead of a machine: nobody looks for their processes.
REMOTE: Final = "http"
#: How long a sign of life waits for those who write (s), to hear which of its trials are to stop.
BEAT_S: Final = 0.2
_SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """A request's body: what it does not know is an error."""


class Ask(_Body):
    session: str
    wait: float = 0.0


class Beat(_Body):
    host: str = ""


class Tell(_Body):
    value: float | None = None
    values: list[float] | None = None
    metrics: dict[str, float | None] | None = None
    failed: str | None = None
    attempt: int | None = None


class Point(_Body):
    metrics: dict[str, float | None]
    step: int | None = None


class Points(_Body):
    points: list[Point]
    attempt: int | None = None


class Enqueue(_Body):
    config: dict[str, Any]
    tags: dict[str, str] = {}
    parent: int | None = None
    why: str = ""


class Correct(_Body):
    metrics: dict[str, float]
    why: str


class Retract(_Body):
    why: str
    undo: bool = False


class Annotate(_Body):
    note: str = ""
    tags: dict[str, str] = {}


class Tags(_Body):
    add: list[str] = []
    remove: list[str] = []


class Edit(_Body):
    space: dict[str, Any] | None = None
    searcher: str | dict[str, Any] | None = None
    limits: dict[str, Any] = {}
    constraints: list[str] | None = None
    duplicates: bool | None = None


def etag(ledger: Ledger) -> str:
    return f'"{ledger.cursor}"'


class Api:
    """The routes of the verbs of `Study`."""

    def __init__(self, studies: Studies, news: News, wire: Wire, groups: Groups) -> None:
        self._studies, self._news, self._wire = studies, news, wire
        self._once, self._groups = Once(), groups
        self.router = APIRouter(prefix="/api/v1/studies/{name}", tags=["studies"])
        add = self.router.add_api_route
        one = "/trials/{number}"
        add("/ask", self.ask, methods=["POST"])
        add("/sessions/{session}", self.beat, methods=["PUT"])
        add(f"{one}/tell", self.tell, methods=["POST"])
        add(f"{one}/reports", self.report, methods=["POST"])
        add("/trials", self.enqueue, methods=["POST"], status_code=201)
        add("", self.edit, methods=["PATCH"])
        add("/stop", self.stop, methods=["POST"])
        add("/tags", self.tag, methods=["POST"])
        add("/resume", self.resume, methods=["POST"])
        add(f"{one}/cancel", self.cancel, methods=["POST"])
        add(f"{one}/correct", self.correct, methods=["POST"])
        add(f"{one}/retract", self.retract, methods=["POST"])
        add(f"{one}/annotate", self.annotate, methods=["POST"])

    async def _do(self, request: Request, scope: Scope, name: str, call: Callable[[Study], T]) -> T:
        """What `call` makes of the study, written as by the token's owner; see `Groups.do`."""
        token = require(request, scope, name)

        def work(study: Study) -> T:
            with writing_as(token.name):
                return call(study)

        return await self._groups.do(name, work)

    # -- ask, report, tell ----------------------------------------------------------------------

    async def ask(self, name: str, request: Request) -> Response:
        """The next trial to run, begun; the same one until it is told. 204: none may begin before others have ended, ask
        again; 410: the study is over. With `wait`, it is waited for so long (s)."""
        require(request, "work", name)
        wanted: Ask = await read(request, Ask)
        session = _session(wanted.session, request)
        until = asyncio.get_running_loop().time() + min(max(wanted.wait, 0.0), MOST_WAIT_S)
        while True:
            try:
                trial = await self._ask(name, session, f"{session.id} {id(request)}")
            except StudyWaits:
                left_s = until - asyncio.get_running_loop().time()
                cursor = await self._studies.quick(self._studies.store.cursor, name)
                if left_s <= 0 or not await self._news.wait(name, cursor, left_s):
                    return Response(status_code=204, headers={"Retry-After": "1"})
            else:
                return answer(trial)

    async def _ask(self, name: str, session: Session, turn: str) -> Mapping[str, Any]:
        """A model is asked by one at a time, in one of few threads: others would only be told the same."""

        def at_once(study: Study) -> Mapping[str, Any] | None:
            trial = self._studies.ask_at_once(study, session)
            return None if trial is None else _shown(trial)

        shown = await self._groups.do(name, at_once)
        if shown is not None:
            return shown

        async with self._wire.asking.turn(name, turn, 2 * MOST_WAIT_S):
            trial, cursor = await self._studies.think(self._studies.ask, name, session)
        self._news.tell(name, cursor)
        return _shown(trial)

    async def beat(self, name: str, session: str, request: Request) -> Response:
        """A sign of life of a session, and which of its trials are to stop. One that has given one, and gives none for two
        minutes, loses its trials to others; one that never did keeps them."""
        require(request, "work", name)
        await read(request, Beat)
        who = _session(session, request)

        def look() -> dict[str, str]:
            self._studies.store.beat(name, who.id)
            study = self._studies.study(name)
            if not study._journal.lock.acquire(timeout=BEAT_S):  # noqa: SLF001
                return {}  # a history is read: the next sign of life hears of what is to stop
            try:
                ledger = study._refresh()  # noqa: SLF001
                mine = [n for n, running in ledger.running.items() if running.session == who.id]
                return {str(n): why for n in mine if (why := _stops(study, n))}
            finally:
                study._journal.lock.release()  # noqa: SLF001

        return answer({"stop": await self._studies.quick(look)})

    async def report(self, name: str, number: int, request: Request) -> Response:
        """Metrics of a running trial at steps; whether it is to go on or to stop, and why. What is sent again is stored once;
        points without a step only with an Idempotency-Key."""
        told: Points = await read(request, Points)
        key = await key_of(request)

        def report(study: Study) -> dict[str, Any]:
            with study._journal.lock:  # noqa: SLF001
                ledger = study._refresh()  # noqa: SLF001
                running = ledger.running.get(number)
                if key and running is not None and running.key == key:
                    known = running.keyed  # by a service that was killed before it answered
                else:
                    known = _stored(ledger.curves.back(number), told.points)
                for point in told.points[known:]:
                    _check_attempt(study._refresh(), number, told.attempt)  # noqa: SLF001
                    study._report(number, point.step, _numbers(point), key)  # noqa: SLF001
                why = _stops(study, number)
            return {"decision": "stop" if why else "continue", "why": why}

        async def make() -> Response:
            return answer(await self._do(request, "work", name, report))

        return await self._once.do(request, make)

    async def tell(self, name: str, number: int, request: Request) -> Response:
        """How a trial ended: `value`, `values`, `metrics`, or why it `failed`; nothing: its last report counts."""
        told: Tell = await read(request, Tell)
        ways = [told.value, told.values, told.metrics, told.failed]
        if sum(way is not None for way in ways) > 1:
            raise Problem(422, "invalid", "give one of value, values, metrics and failed")
        result: Any = told.value if told.value is not None else told.values
        if told.metrics is not None:
            result = {k: math.nan if v is None else v for k, v in told.metrics.items()}

        def tell(study: Study) -> Trial:
            with study._journal.lock:  # noqa: SLF001
                ledger = study._ledger  # noqa: SLF001
                if ledger.state(number) in ENDED and _same_end(ledger, number, told, result):
                    return ledger.trial(number)
                _check_attempt(ledger, number, told.attempt)
                try:
                    return study.tell(ledger.trial(number), result, failed=told.failed)
                except TransitionError:  # others write to the store, too
                    ledger = study._refresh()  # noqa: SLF001
                    if ledger.state(number) in ENDED and _same_end(ledger, number, told, result):
                        return ledger.trial(number)
                    raise

        return answer(_shown(await self._do(request, "work", name, tell)))

    # -- by hand --------------------------------------------------------------------------------

    async def enqueue(self, name: str, request: Request) -> Response:
        """Put a config at the end of the queue; what it leaves out takes its default."""
        wanted: Enqueue = await read(request, Enqueue)
        key = await key_of(request)

        async def make() -> Response:
            trial = await self._do(request, "work", name, lambda study: study._enqueue(  # noqa: SLF001
                wanted.config, tags=wanted.tags, parent=wanted.parent, why=wanted.why, key=key
            ))  # fmt: skip
            return answer(_shown(trial), 201)

        return await self._once.do(request, make)

    async def edit(self, name: str, request: Request) -> Response:
        """Change limits, space, searcher, constraints; those that are named. With If-Match (the ETag of the study), only if
        nothing has happened since."""
        wanted: Edit = await read(request, Edit)
        match = request.headers.get("if-match")

        def edit(study: Study) -> str:
            with study._journal.lock:  # noqa: SLF001
                ledger = study._refresh()  # noqa: SLF001
                if match not in (None, "*", etag(ledger)):
                    raise Problem(
                        412,
                        "Conflict",
                        "the study has changed since; read it again",
                        {"ETag": etag(ledger)},
                    )
                space = None if wanted.space is None else Space.from_dict(wanted.space)
                try:
                    study.edit(
                        space=space, searcher=wanted.searcher, duplicates=wanted.duplicates,
                        constraints=wanted.constraints, **wanted.limits,
                    )  # fmt: skip
                except (TypeError, KeyError) as error:
                    raise StudyError(f"this cannot be edited: {error}") from None
                return etag(study._journal.ledger)  # noqa: SLF001

        return Response(
            status_code=204, headers={"ETag": await self._do(request, "control", name, edit)}
        )

    async def stop(self, name: str, request: Request) -> Response:
        """No new trials for who asks over this interface, until it is resumed (a program that is started again, `tunesmith run` or the
        library, resumes it); those that run get their grace."""
        await self._do(request, "control", name, lambda study: study.stop())
        return Response(status_code=202)

    async def tag(self, name: str, request: Request) -> Response:
        """Add tags to the study, and take others away; those it has then."""
        told: Tags = await read(request, Tags)
        tags = await self._do(
            request, "control", name, lambda study: study.tag(*told.add, remove=told.remove)
        )
        return answer({"tags": tags})

    async def resume(self, name: str, request: Request) -> Response:
        """A study that was stopped takes trials again; one that goes on anyway is left alone. 409 while it is still
        stopping, 410 where a limit has ended it that still holds: edit that."""
        resumed = await self._do(request, "control", name, lambda study: study.resume())
        return answer({"resumed": resumed})

    async def cancel(self, name: str, number: int, request: Request) -> Response:
        """Cancel a waiting trial, or one that somebody asked for and will not tell."""
        trial = await self._do(request, "control", name, lambda study: study.cancel(number))
        return answer(_shown(trial))

    async def correct(self, name: str, number: int, request: Request) -> Response:
        """Mend a result; the old one stays in the log."""
        told: Correct = await read(request, Correct)
        trial = await self._do(
            request, "control", name, lambda study: study.correct(number, told.metrics, why=told.why)
        )  # fmt: skip
        return answer(_shown(trial))

    async def retract(self, name: str, number: int, request: Request) -> Response:
        """Take a result out of consideration, or back in (`undo`)."""
        told: Retract = await read(request, Retract)
        trial = await self._do(
            request, "control", name, lambda study: study.retract(number, why=told.why, undo=told.undo)
        )  # fmt: skip
        return answer(_shown(trial))

    async def annotate(self, name: str, number: int, request: Request) -> Response:
        """Add a note or tags."""
        told: Annotate = await read(request, Annotate)
        trial = await self._do(
            request, "work", name, lambda study: study.annotate(number, told.note, told.tags)
        )  # fmt: skip
        return answer(_shown(trial))


def _session(name: str, request: Request) -> Session:
    if not _SESSION.fullmatch(name):
        raise Problem(422, "invalid", "a session's name has letters, digits and _.:-, 100 at most")
    host = request.client.host if request.client else ""
    return Session(name, host, 0, 0.0, REMOTE, remote=True)


def _shown(trial: Trial) -> Mapping[str, Any]:
    return trial.to_dict()  # numbers that are not finite are null in the answer


def _stops(study: Study, number: int) -> str:
    """Why a running trial is to stop; "" for one that goes on."""
    reason = study._why_stop(number)  # noqa: SLF001
    return "" if reason is None else reason.message or str(reason.kind)


def _check_attempt(ledger: Ledger, number: int, attempt: int | None) -> None:
    ledger.state(number)  # raises where there is no such trial
    if attempt is not None and (there := ledger.attempt(number)) != attempt:
        raise TransitionError(
            f"trial {number} was handed out again (attempt {there}; this is {attempt}), because the session that had asked "
            "for it was not heard of; ask for another one"
        )


def _same_end(ledger: Ledger, number: int, told: Tell, result: Any) -> bool:
    """Whether a trial has ended just as it is told to have."""
    trial = ledger.trial(number)
    if told.attempt not in (None, trial.attempt):
        return False
    if told.failed is not None:
        return (
            trial.state is State.FAILED
            and trial.reason is not None
            and trial.reason.message in told.failed
        )
    if result is None:
        return bool(trial.reports) and trial.state not in (State.CANCELLED, State.FAILED)
    with suppress(ConfigError, StudyError):
        outcome = outcome_of(ledger.spec.objectives, result, {})
        if outcome.reason is not None:  # not finite, as a rule
            return trial.reason is not None and trial.reason.kind is outcome.reason.kind
        return outcome.values is not None and outcome.values == trial.values
    return False


def _numbers(point: Point) -> dict[str, float]:
    return {k: math.nan if v is None else v for k, v in point.metrics.items()}


def _stored(curve: Iterator[Report], points: Sequence[Point]) -> int:
    """How many of `points`, sent again, the trial's last reports are already; `curve` has those newest first."""
    last = list(islice(curve, len(points)))[::-1]
    for n in range(len(last), 0, -1):
        again = zip(last[-n:], points[:n], strict=True)
        if all(r.step == p.step and alike(r.metrics, _numbers(p)) for r, p in again):
            return n
    return 0
