"""The web page, to watch studies and steer them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from tunesmith.service.studies import Studies


def router(studies: Studies) -> APIRouter:
    """The page's routes; who asks has been let in by `tunesmith.service.gate`."""
    page = APIRouter(include_in_schema=False)

    @page.get("/")
    async def start() -> HTMLResponse:
        names = await studies.quick(studies.store.names)
        return HTMLResponse(f"<!doctype html><title>tunesmith</title><p>{len(names)} studies</p>")

    @page.get("/login")
    async def login() -> HTMLResponse:
        text = "<!doctype html><title>tunesmith</title><p>A token is needed: see <code>tunesmith token</code>."
        return HTMLResponse(text, 401)

    return page
