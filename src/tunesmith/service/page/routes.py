"""The page's own routes: its files, what it shows, in JSON, and what is done by hand. What programs use is the API."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tunesmith.service.gate import LOGIN, require, token_of
from tunesmith.service.labelled import Labelled
from tunesmith.service.news import News
from tunesmith.service.page import (
    axes,
    comparison,
    curves,
    forms,
    influence,
    listing,
    output,
    overview,
    predicted,
    steering,
    timeline,
    trial,
)
from tunesmith.service.page.files import StaticFiles
from tunesmith.service.page.hints import hints
from tunesmith.service.page.readings import Reading, Readings
from tunesmith.service.page.studies import Overviews, row_of
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import SCOPES
from tunesmith.tuning.spec import writing_as
from tunesmith.tuning.study import Study

#: Looks at a time.
LOOKS: Final = 4
#: Shorter answers (bytes) are not compressed.
SMALL: Final = 1000

Text = Annotated[str, Query(max_length=2000)]
Number = Annotated[int, Query(ge=0, le=2**40)]


Make = Callable[[Request, Callable[[], Any]], Awaitable[Response]]
Look = Callable[[Request, str, Callable[[Reading], Any]], Awaitable[Response]]


def router(
    studies: Studies, news: News, readings: Readings, labelled: Labelled, *, jobs: bool = False
) -> APIRouter:
    """The page's routes; who asks has been let in by `tunesmith.service.gate`. `jobs`: the service runs programs."""
    page = APIRouter(include_in_schema=False)
    looks = ThreadPoolExecutor(LOOKS, "looks")

    async def look(request: Request, make: Callable[[], Any]) -> Response:
        """What `make` makes, in a thread that suggestions do not wait for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(looks, lambda: answer(request, make()))

    async def about(request: Request, name: str, make: Callable[[Reading], Any]) -> Response:
        require(request, "read", name)
        return await look(request, lambda: make(readings.of(name)))

    async def modelled(request: Request, name: str, make: Callable[[Reading], Any]) -> Response:
        """The same, in a thread for models: no look waits for one."""
        require(request, "read", name)
        return await studies.think(lambda: answer(request, make(readings.of(name))))

    _files(page)
    _list(page, studies, labelled, look, jobs=jobs)
    _moments(page, about)
    _trials(page, studies, about)
    _figures(page, about, modelled)
    _steering(page, studies, about)

    @page.get("/page/compare")
    async def compared(
        request: Request, name: Annotated[list[str], Query(min_length=1, max_length=5)]
    ) -> Response:
        for one in name:
            require(request, "read", one)
        return await look(request, lambda: comparison.compare(readings, name))

    @page.get("/page/studies/{name}/hints")
    async def hinted(request: Request, name: str, after: Number = 0) -> Response:
        require(request, "read", name)
        await studies.quick(studies.store.cursor, name)  # raises where there is no such study
        return hints(request, studies, news, name, after)

    return page


def _files(page: APIRouter) -> None:
    files = StaticFiles()

    @page.get("/")
    async def shell(request: Request) -> Response:
        return files.shell(asked=request.query_params)

    @page.get(LOGIN)
    async def login() -> Response:
        return files.shell(401)  # it finds that it may see nothing, and asks for a token

    @page.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        made = files.answer(request, name)
        if made is None:
            raise Problem(404, "http", f"there is no file {name!r}")
        return made


def _list(page: APIRouter, studies: Studies, labelled: Labelled, look: Make, *, jobs: bool) -> None:
    overviews = Overviews(studies.store, labelled)

    @page.get("/page/me")
    async def me(request: Request) -> Response:
        token = token_of(request)
        may = [scope for scope in SCOPES if token.may(scope)]
        return answer(
            request,
            {"id": token.id, "name": token.name, "scope": token.scope, "may": may, "jobs": jobs},
        )

    @page.get("/page/studies")
    async def every(
        request: Request,
        q: Text = "",
        sort: Text = "last",
        begin: Number = 0,
        tag: Text = "",
        owner: Text = "",
    ) -> Response:
        token = require(request, "read")
        return await look(request, lambda: overviews.page(q, sort, begin, token.sees, tag, owner))

    @page.get("/page/labels")
    async def labels(request: Request) -> Response:
        token = require(request, "read")
        return await look(request, lambda: overviews.labels(token.sees))

    @page.get("/page/lines")
    async def lines(
        request: Request, name: Annotated[list[str], Query(max_length=100)]
    ) -> Response:
        token = require(request, "read")
        seen = [n for n in name if token.sees(n)]
        return await look(request, lambda: overviews.lines(seen))

    @page.get("/page/studies/{name}/glance")
    async def glance(request: Request, name: str) -> Response:
        require(request, "read", name)  # not behind looks that wait for a history
        return await studies.quick(lambda: answer(request, row_of(studies.store.summary(name))))


def _moments(page: APIRouter, about: Look) -> None:
    @page.get("/page/studies/{name}/live")
    async def live(request: Request, name: str) -> Response:
        return await about(request, name, overview.live)

    @page.get("/page/studies/{name}/report")
    async def report(
        request: Request, name: str, narrow: bool = False, first: bool = False
    ) -> Response:
        return await about(request, name, partial(overview.report, narrow=narrow, first=first))

    @page.get("/page/studies/{name}/journal")
    async def journal(
        request: Request, name: str, before: Number | None = None, reports: bool = True
    ) -> Response:
        look = partial(trial.journal, before=before, reports=reports)
        return await about(request, name, look)


def _trials(page: APIRouter, studies: Studies, about: Look) -> None:
    @page.get("/page/studies/{name}/trials")
    async def trials(
        request: Request,
        name: str,
        sort: Text = "-number",
        where: Text = "",
        begin: Number = 0,
        count: Annotated[int, Query(ge=0, le=listing.MOST)] = 100,
        seen: Number | None = None,
        columns: Text = "",
    ) -> Response:
        part = listing.Part(sort or "-number", where, begin, count, seen)
        names = [column for column in columns.split(",") if column]
        return await about(request, name, partial(listing.page_of, part=part, names=names))

    @page.get("/page/studies/{name}/trials.csv")
    async def csv(request: Request, name: str, where: Text = "") -> Response:
        return await about(request, name, partial(listing.csv_of, where=where))

    @page.get("/page/studies/{name}/trials/{number}")
    async def one(request: Request, name: str, number: int) -> Response:
        return await about(request, name, partial(trial.trial_of, number=number))

    @page.get("/page/studies/{name}/trials/{number}/output")
    async def printed(request: Request, name: str, number: int) -> Response:
        look = partial(output.output_of, storage=studies.storage, number=number)
        return await about(request, name, look)

    @page.get("/page/studies/{name}/axes")
    async def lined(request: Request, name: str, where: Text = "") -> Response:
        return await about(request, name, partial(axes.packed, where=where))


def _figures(page: APIRouter, about: Look, modelled: Look) -> None:
    @page.get("/page/studies/{name}/curves")
    async def curved(
        request: Request, name: str, metric: Text = "", where: Text = "", timed: bool = False
    ) -> Response:
        look = partial(curves.curves_of, metric=metric, where=where, timed=timed)
        return await about(request, name, look)

    @page.get("/page/studies/{name}/timeline")
    async def lanes(
        request: Request, name: str, since: Annotated[float | None, Query(gt=0, le=1e9)] = None
    ) -> Response:
        return await about(request, name, partial(timeline.timeline, since_s=since))

    @page.get("/page/studies/{name}/influence")
    async def influenced(request: Request, name: str, objective: Number = 0) -> Response:
        return await about(request, name, partial(influence.influence, objective=objective))

    @page.get("/page/studies/{name}/predicted")
    async def predict(
        request: Request,
        name: str,
        objective: Number = 0,
        of: Annotated[list[Text] | None, Query(max_length=100)] = None,
    ) -> Response:
        make = partial(predicted.slices, objective=objective, names=of or [])
        return await modelled(request, name, make)

    @page.get("/page/studies/{name}/contour")
    async def contoured(
        request: Request, name: str, x: Text, y: Text, objective: Number = 0
    ) -> Response:
        return await modelled(
            request, name, partial(predicted.contour, objective=objective, x=x, y=y)
        )


def _steering(page: APIRouter, studies: Studies, about: Look) -> None:
    async def act(
        request: Request, name: str, verb: Callable[..., Any], *arguments: Any
    ) -> Response:
        token = require(request, "work" if verb in steering.WORK else "control", name)
        body = await _body(request)

        def acted(study: Study) -> Response:
            with writing_as(token.name):
                return answer(request, verb(study, *arguments, body))

        return await studies.think(studies.on, name, acted)

    @page.get("/page/studies/{name}/form")
    async def form(request: Request, name: str) -> Response:
        return await about(request, name, forms.form_of)

    @page.post("/page/studies/{name}/preview")
    async def preview(request: Request, name: str) -> Response:
        wanted = await _body(request)
        return await about(request, name, partial(forms.preview, wanted=wanted))

    @page.post("/page/studies/{name}/{verb}")
    async def steer(request: Request, name: str, verb: str) -> Response:
        return await act(request, name, _verb(steering.STUDY, verb))

    @page.post("/page/studies/{name}/trials/{number}/{verb}")
    async def mend(request: Request, name: str, number: int, verb: str) -> Response:
        return await act(request, name, _verb(steering.TRIAL, verb), number)


def _verb(verbs: dict[str, Any], name: str) -> Any:
    if name not in verbs:
        raise Problem(404, "http", f"there is no such verb: {name!r}")
    return verbs[name]


async def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object. Raises Problem."""
    try:
        body = msgspec.json.decode(await request.body() or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise Problem(422, "invalid", f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(422, "invalid", "the body is a JSON object")
    return body


def answer(request: Request, value: dict[str, Any] | str | bytes) -> Response:
    """JSON, a table as CSV, or bytes; compressed where that is wanted and worth it. No answer here has a secret in it."""
    if isinstance(value, bytes):
        body, kind = value, "application/octet-stream"
    elif isinstance(value, str):
        body, kind = value.encode("utf-8", "replace"), "text/csv; charset=utf-8"
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        body, kind = text.encode("utf-8", "replace"), "application/json"
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        # places on axes hardly compress, and everything else does at once
        body = gzip.compress(body, 1 if isinstance(value, bytes) else 5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type=kind)
