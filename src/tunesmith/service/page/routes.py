"""The page's own routes: its files, what it shows, in JSON, and what is done by hand. What programs use is the API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tunesmith.service.gate import require, token_of
from tunesmith.service.page import axes, forms, listing, overview, steering, trial
from tunesmith.service.page.files import StaticFiles
from tunesmith.service.page.readings import Reading, Readings
from tunesmith.service.page.studies import Overviews
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import SCOPES
from tunesmith.tuning.spec import writing_as
from tunesmith.tuning.study import Study

Text = Annotated[str, Query(max_length=2000)]
Number = Annotated[int, Query(ge=0, le=2**40)]


Look = Callable[[Request, str, Callable[[Reading], Any]], Awaitable[Any]]


def router(studies: Studies) -> APIRouter:
    """The page's routes; who asks has been let in by `tunesmith.service.gate`."""
    page = APIRouter(include_in_schema=False)
    readings = Readings(studies.store)

    async def about(request: Request, name: str, look: Callable[[Reading], Any]) -> Any:
        require(request, "read", name)
        return await studies.think(lambda: look(readings.of(name)))

    _files(page)
    _list(page, studies)
    _moments(page, about)
    _trials(page, about)
    _steering(page, studies, about)
    return page


def _files(page: APIRouter) -> None:
    files = StaticFiles()

    @page.get("/")
    async def shell() -> Response:
        return files.shell()

    @page.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        made = files.answer(request, name)
        if made is None:
            raise Problem(404, "http", f"there is no file {name!r}")
        return made


def _list(page: APIRouter, studies: Studies) -> None:
    overviews = Overviews(studies.store)

    @page.get("/page/me")
    async def me(request: Request) -> Response:
        token = token_of(request)
        may = [scope for scope in SCOPES if token.may(scope)]
        return _json({"name": token.name, "scope": token.scope, "may": may})

    @page.get("/page/studies")
    async def every(
        request: Request, q: Text = "", sort: Text = "last", begin: Number = 0
    ) -> Response:
        token = require(request, "read")
        return _json(await studies.think(overviews.page, q, sort, begin, token.sees))

    @page.get("/page/lines")
    async def lines(
        request: Request, name: Annotated[list[str], Query(max_length=100)]
    ) -> Response:
        token = require(request, "read")
        return _json(await studies.think(overviews.lines, [n for n in name if token.sees(n)]))


def _moments(page: APIRouter, about: Look) -> None:
    @page.get("/page/studies/{name}/live")
    async def live(request: Request, name: str) -> Response:
        return _json(await about(request, name, overview.live))

    @page.get("/page/studies/{name}/report")
    async def report(request: Request, name: str) -> Response:
        return _json(await about(request, name, overview.report))

    @page.get("/page/studies/{name}/journal")
    async def journal(
        request: Request, name: str, before: Number | None = None, reports: bool = True
    ) -> Response:
        look = partial(trial.journal, before=before, reports=reports)
        return _json(await about(request, name, look))


def _trials(page: APIRouter, about: Look) -> None:
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
        return _json(await about(request, name, partial(listing.page_of, part=part, names=names)))

    @page.get("/page/studies/{name}/trials.csv")
    async def csv(request: Request, name: str, where: Text = "") -> Response:
        text = await about(request, name, partial(listing.csv_of, where=where))
        return Response(text, media_type="text/csv; charset=utf-8")

    @page.get("/page/studies/{name}/trials/{number}")
    async def one(request: Request, name: str, number: int) -> Response:
        return _json(await about(request, name, partial(trial.trial_of, number=number)))

    @page.get("/page/studies/{name}/axes")
    async def lined(request: Request, name: str, where: Text = "") -> Response:
        packed = await about(request, name, partial(axes.packed, where=where))
        return Response(packed, media_type="application/octet-stream")


def _steering(page: APIRouter, studies: Studies, about: Look) -> None:
    async def act(request: Request, name: str, verb: Callable[..., Any], *arguments: Any) -> Any:
        token = require(request, "control", name)
        body = await _body(request)

        def acted(study: Study) -> Any:
            with writing_as(token.name):
                return verb(study, *arguments, body)

        return await studies.think(studies.on, name, acted)

    @page.get("/page/studies/{name}/form")
    async def form(request: Request, name: str) -> Response:
        return _json(await about(request, name, forms.form_of))

    @page.post("/page/studies/{name}/preview")
    async def preview(request: Request, name: str) -> Response:
        wanted = await _body(request)
        return _json(await about(request, name, partial(forms.preview, wanted=wanted)))

    @page.post("/page/studies/{name}/{verb}")
    async def steer(request: Request, name: str, verb: str) -> Response:
        return _json(await act(request, name, _verb(steering.STUDY, verb)))

    @page.post("/page/studies/{name}/trials/{number}/{verb}")
    async def mend(request: Request, name: str, number: int, verb: str) -> Response:
        return _json(await act(request, name, _verb(steering.TRIAL, verb), number))


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


def _json(value: Any) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(text.encode("utf-8", "replace"), media_type="application/json")
