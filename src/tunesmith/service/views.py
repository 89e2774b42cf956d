"""What a study is, over HTTP: for programs in any language. The page has routes of its own."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tunesmith.core.errors import StudyError, StudyNotFound, did_you_mean
from tunesmith.core.trial import State
from tunesmith.service.bodies import answer
from tunesmith.service.gate import EVERYBODY, require, token_of
from tunesmith.service.labelled import Labelled, activity_of
from tunesmith.service.news import News
from tunesmith.service.page.readings import Reading, Readings
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.wire import Wire
from tunesmith.store.base import Summary
from tunesmith.tuning.result import Result
from tunesmith.tuning.study import Study

T = TypeVar("T")

#: Rows in one answer.
MOST: Final = 1000
#: A longer answer is compressed where that is understood (bytes).
_SMALL: Final = 1000
#: How long a stream lasts (s): who comes back is looked at anew. And how often it says that it lives.
_LASTS_S: Final = 50.0
_ALIVE_S: Final = 15.0
_TYPES: Final = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson"}
_WIDTH: Final = 720
#: Figures that a model is fitted for.
_MODELLED: Final = frozenset({"slice", "contour", "doubt"})

Limit = Annotated[int, Query(ge=1, le=MOST)]
Place = Annotated[int, Query(ge=0)]


class Views:
    """The routes that change nothing."""

    def __init__(
        self, studies: Studies, news: News, wire: Wire, readings: Readings, labelled: Labelled
    ) -> None:
        self._studies, self._news, self._wire, self._readings = studies, news, wire, readings
        self._labelled = labelled
        self.router = APIRouter(prefix="/api/v1", tags=["studies"])
        add = self.router.add_api_route
        one = "/studies/{name}"
        add("/whoami", self.whoami, methods=["GET"])
        add("/studies", self.studies, methods=["GET"])
        add(one, self.study, methods=["GET"])
        add(f"{one}/trials", self.trials, methods=["GET"])
        add(f"{one}/trials/{{number}}", self.trial, methods=["GET"])
        add(f"{one}/export", self.export, methods=["GET"])
        add(f"{one}/report", self.report, methods=["GET"])
        add(f"{one}/figures/{{figure}}", self.figure, methods=["GET"])
        add(f"{one}/stream", self.stream, methods=["GET"])

    async def _of(self, request: Request, name: str, look: Callable[[Result], T]) -> T:
        """What `look` makes of the study in a moment, of the history by which asks and tells are decided; in one of few
        threads."""
        require(request, "read", name)

        def locked(study: Study) -> T:
            with study._journal.lock:  # noqa: SLF001
                return look(study.result())

        return await self._studies.think(self._studies.look, name, locked)

    async def _apart(self, request: Request, name: str, look: Callable[[Result], T]) -> T:
        """What `look` makes of the study, which may take seconds: of the page's history, so that only other such looks wait."""
        require(request, "read", name)

        def apart() -> T:
            with self._readings.of(name).result() as result:
                return look(result)

        return await self._studies.think(apart)

    async def whoami(self, request: Request) -> Response:
        """Whose token this is, and what it may; `author` is whose name is in the events that it writes, if anybody's."""
        token = token_of(request)
        author = None if token is EVERYBODY else token.name
        return answer(
            {"name": token.name, "scope": token.scope, "studies": token.studies, "author": author}
        )

    async def studies(
        self,
        request: Request,
        q: str = "",
        after: str = "",
        limit: Limit = 100,
        tag: str = "",
        owner: str = "",
    ) -> Response:
        """The studies, oldest first, in pages: `next` is the `after` of the next one. `q` is a part of their names."""
        token = token_of(request)
        store = self._studies.store

        def page() -> dict[str, Any]:
            if tag or owner:
                every = activity_of(store)
                names = [one.name for one in self._labelled.fitting(every, tag, owner)]
            else:
                names = store.names()
            names = [name for name in names if token.sees(name) and q in name]
            begin = names.index(after) + 1 if after in names else 0
            part = names[begin : begin + limit]
            listed = [_glance(store.summary(name)) for name in part]
            more = begin + limit < len(names)
            return {"studies": listed, "next": part[-1] if more else None}

        return answer(await self._studies.think(page))

    async def study(self, name: str, request: Request) -> Response:
        """A study: its spec as it is now, counts, its best trial, why it ended. The ETag is for If-Match."""

        def look(result: Result) -> tuple[int, dict[str, Any]]:
            from tunesmith.tuning.table import json_safe

            ledger = result.ledger
            best = None if ledger.incumbent is None else ledger.trial(ledger.incumbent).to_dict()
            return ledger.cursor, {
                "name": name,
                "spec": ledger.spec.to_dict(),
                "cursor": ledger.cursor,
                "counts": {str(state): n for state, n in ledger.counts.items() if n},
                "ended": None if ledger.ended is None else {"why": ledger.ended.why, "detail": ledger.ended.detail},
                "best": json_safe(best),
                "cost": result.cost,
            }  # fmt: skip

        cursor, shown = await self._of(request, name, look)
        return answer(shown, headers={"ETag": f'"{cursor}"'})

    async def trials(
        self,
        name: str,
        request: Request,
        state: Annotated[list[str] | None, Query()] = None,
        where: Annotated[str | None, Query(max_length=2000)] = None,
        sort: str | None = None,
        begin: Place = 0,
        limit: Limit = 100,
    ) -> Response:
        """A table of trials, as `tunesmith trials` has it: `where` is an expression (``loss < 0.1 and state == "completed"``), `sort`
        a column (``value``, ``-lr``); `next` is the `begin` of the next page."""
        from tunesmith.tuning.table import json_safe, select

        def look(result: Result) -> dict[str, Any]:
            made = select(
                result, sort=sort, states=state or (), where=where, limit=begin + limit + 1
            )
            rows = [
                {key: json_safe(cell) for key, cell in row.items()}
                for row in made[begin : begin + limit]
            ]
            return {"trials": rows, "next": begin + limit if len(made) > begin + limit else None}

        return _packed(request, await self._apart(request, name, look))

    async def trial(self, name: str, number: int, request: Request) -> Response:
        """A trial in full: config, reports, why it was suggested, how it ended."""
        from tunesmith.tuning.table import json_safe

        if number < 0:
            raise Problem(404, "StudyError", "trials are numbered from 0")
        shown = await self._of(
            request, name, lambda result: json_safe(result.ledger.trial(number).to_dict())
        )
        return _packed(request, shown)

    async def export(
        self,
        name: str,
        request: Request,
        form: Annotated[Literal["csv", "json", "jsonl"], Query(alias="format")] = "csv",
    ) -> Response:
        """All trials as a table (CSV, JSON lines), or the study with everything (JSON)."""

        def look(result: Result) -> str:
            out = io.StringIO()
            {"csv": result.write_csv, "json": result.write_json, "jsonl": result.write_json_lines}[
                form
            ](out)
            return out.getvalue()

        text = await self._apart(request, name, look)
        packed = await self._studies.think(_gzipped, request, text.encode(), _TYPES[form])
        packed.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
        return packed

    async def report(self, name: str, request: Request) -> Response:
        """The report, as one page of HTML."""
        from tunesmith.analysis.report import report

        text = await self._apart(request, name, lambda result: report(result.ledger))
        packed = await self._studies.think(_gzipped, request, text.encode(), "text/html")
        # its style and script are its own, and it may ask for nothing else
        packed.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts; "
            "frame-ancestors 'none'"
        )
        packed.headers["Content-Disposition"] = f'attachment; filename="{name}.html"'
        return packed

    async def figure(
        self,
        name: str,
        figure: str,
        request: Request,
        form: Annotated[Literal["json", "svg"], Query(alias="as")] = "json",
        parameter: str = "",
        other: str = "",
    ) -> Response:
        """A figure of the report (best, curves, cost, parallel; slice of a `parameter`, contour and doubt over it and an `other`
        one): what is drawn as JSON, or drawn. The model of the last three may lack the newest tenth of the trials, as on the page."""
        require(request, "read", name)

        def apart() -> Mapping[str, Any]:
            return _figure(self._readings.of(name), figure, parameter, other)

        made = await self._studies.think(apart)
        if form == "json":
            return _packed(request, made)
        from tunesmith.analysis import svg

        return _gzipped(request, svg.draw(made, _WIDTH).encode(), "image/svg+xml")  # type: ignore[arg-type]

    async def stream(self, name: str, request: Request, after: Place = 0) -> Response:
        """Events as they happen (server-sent events); their ids are their numbers, so that Last-Event-ID goes on behind
        the last one. Ends after a while: come back. 429: a token has 20 at a time."""
        token = require(request, "read", name)
        last = request.headers.get("last-event-id", "")
        if last.isascii() and last.isdigit() and len(last) < 16:
            after = int(last)
        await self._studies.quick(self._studies.store.cursor, name)  # raises where there is none
        return self._news.streams.answer(token, self._events(request, name, after))

    async def _events(self, request: Request, name: str, cursor: int) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        until = clock() + _LASTS_S
        yield "retry: 1000\n\n"
        try:
            while (
                clock() < until and not self._studies.ending and not await request.is_disconnected()
            ):
                if await self._news.wait(name, cursor, _ALIVE_S):
                    lines, _ = await self._studies.quick(self._wire.read, name, cursor, None, MOST)
                    for line in lines:
                        cursor += 1
                        yield f"id: {cursor}\ndata: {line}\n\n"
                else:
                    yield ": still here\n\n"
        except StudyNotFound:
            return


def _glance(s: Summary) -> dict[str, Any]:
    return {
        "name": s.name,
        "created_at": s.created_at,
        "tags": s.spec.tags,
        "owner": s.spec.owner,
        "objectives": s.spec.to_dict()["objectives"],
        "cursor": s.cursor,
        "counts": {str(state): n for state, n in s.counts.items() if n},
        "running": s.counts.get(State.RUNNING, 0),
        "best": s.best,
        "best_value": s.best_value,
    }


def _figure(reading: Reading, figure: str, parameter: str, other: str) -> Mapping[str, Any]:
    """What is drawn; a model is fitted while nobody waits for the history. Raises Problem, StudyError."""
    from tunesmith.analysis import contours, parallel, parameters, progress
    from tunesmith.analysis.landscape import Landscape
    from tunesmith.analysis.trials import TrialArrays
    from tunesmith.service.page.predicted import model_of

    def needed() -> Landscape:
        if isinstance(model, str):
            raise StudyError(model)
        return model

    def sliced(trials: TrialArrays) -> Any:
        space = trials.ledger.spec.space
        if parameter not in space:
            raise StudyError(f"slice needs a parameter{did_you_mean(parameter, space)}")
        return parameters.slice_of(trials, parameter, None if isinstance(model, str) else model)

    kinds: dict[str, Callable[[TrialArrays], Any]] = {
        "best": progress.best_so_far,
        "curves": progress.curves,
        "cost": progress.cost,
        "parallel": parallel.parallel,
        "slice": sliced,
        "contour": lambda trials: contours.contour(trials, parameter, other, needed()),
        "doubt": lambda trials: contours.doubt(trials, parameter, other, needed()),
    }
    if figure not in kinds:
        raise Problem(404, "http", f"there is no figure {figure!r}{did_you_mean(figure, kinds)}")
    model = model_of(reading, 0) if figure in _MODELLED else ""
    with reading.result() as result:
        made: Mapping[str, Any] = kinds[figure](TrialArrays(result.ledger))
        return made


def _packed(request: Request, data: Any) -> Response:
    return _gzipped(
        request, json.dumps(data, default=_plain, allow_nan=False).encode(), "application/json"
    )


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _gzipped(request: Request, body: bytes, kind: str) -> Response:
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5)
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, kind)
