"""The service as an ASGI application."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from tunesmith.service import health, page
from tunesmith.service.accounts import Accounts
from tunesmith.service.api import Api
from tunesmith.service.audit import Audit
from tunesmith.service.gate import EVERYBODY, Gate, Strangers
from tunesmith.service.groups import Groups
from tunesmith.service.health import Counters
from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.jobs.routes import Routes as JobRoutes
from tunesmith.service.labelled import Labelled
from tunesmith.service.login import Login
from tunesmith.service.news import News
from tunesmith.service.problems import answer_errors
from tunesmith.service.sagemaker.desk import Desk
from tunesmith.service.sagemaker.routes import Routes as SageMakerRoutes
from tunesmith.service.shortcut import Shortcut
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Tokens
from tunesmith.service.views import Views
from tunesmith.service.wire import Wire
from tunesmith.store import Location, Store
from tunesmith.version import __version__

if TYPE_CHECKING:
    from tunesmith.service.vizier.rpc import Endpoint

#: How long calls of Vizier's clients may take once the service is told to end (s).
_GRACE_S: Final = 2.0


@dataclass(frozen=True)
class Application:
    """The service, to be called as ASGI has it."""

    gate: Gate
    studies: Studies
    groups: Groups

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate(scope, receive, send)


_PROBLEM: Final[dict[str, Any]] = {
    "description": "What is wrong, in a sentence (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}


def make(
    store: Store,
    *,
    storage: Location | None = None,
    tokens: Tokens | None = None,
    login: Login | None = None,
    audit: Audit | None = None,
    jobs: Jobs | None = None,
    sagemaker: Callable[[Studies], Desk] | None = None,
    vizier: Endpoint | None = None,
    say: Callable[[str], None] = lambda _: None,
    hosts: tuple[str, ...] = (),
    secure: bool = False,
    proxies: tuple[str, ...] = (),
    open_to_all: bool = False,
    log: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Application:
    """The application that serves the studies of `store`, which is at `storage`.

    `tokens` are who may what; `login` has the one-time code and the cookies of the page, `audit` is told who did what. `jobs`,
    which has started, runs programs (None: nobody's). `hosts` are the names under which it is reached, beside those of loopback;
    `sagemaker` makes what takes the jobs of SageMaker's clients, and at `vizier` Vizier's are served, which `say` is told once they are; `secure` says that it is reached by HTTPS; `proxies` are addresses that may say who asks; `open_to_all` lets everybody do
    everything; `log` is given a line of JSON for each request.
    """
    studies, readings = Studies(store, storage, clock=clock), page.Readings(store)
    tokens = Tokens(None) if tokens is None else tokens
    login = Login(tokens) if login is None else login
    audit = Audit(None) if audit is None else audit
    desk = None if sagemaker is None else sagemaker(studies)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        # a daemon: the end of the service does not wait for it
        threading.Thread(target=page.read_ahead, args=[readings], name="ahead", daemon=True).start()
        if door is not None:
            await door.start()
            say(f"Vizier's clients at {door.endpoint.said}")
        yield
        if door is not None:
            await door.stop(_GRACE_S)
        if signed is not None:
            signed.close()
        if desk is not None:
            desk.close()
        if jobs is not None:
            jobs.close()
        studies.close()
        audit.close()

    app = FastAPI(
        title="tunesmith",
        version=__version__,
        lifespan=life,
        redirect_slashes=False,  # it would build an address from the request's Host
        docs_url=None,  # its scripts come from another host
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM, 422: _PROBLEM},
    )
    where = "" if storage is None else str(storage)
    answer_errors(app, where)

    news = News(studies)
    wire = Wire(studies, news)
    counters, strangers = Counters(), Strangers()
    groups = Groups(studies, wire.writing, news)
    labelled = Labelled(store)
    api = Api(studies, news, wire, groups)
    for routes in (api, wire, Views(studies, news, wire, readings, labelled)):  # the busiest first
        app.include_router(routes.router)
    app.include_router(health.router(studies, counters))
    app.include_router(Accounts(tokens).router)
    app.include_router(login.router)
    app.include_router(JobRoutes(jobs, studies).router)
    door = None
    if vizier is not None:
        from tunesmith.service.vizier.desk import Desk as VizierDesk
        from tunesmith.service.vizier.rest import Rest
        from tunesmith.service.vizier.rpc import Door

        vizier_desk = VizierDesk(studies, groups, wire)
        door = Door(vizier, vizier_desk, tokens, strangers, audit, where)
        app.include_router(Rest(vizier_desk, studies, where).router)
    signed = None
    if desk is not None:
        signed = SageMakerRoutes(desk, tokens, strangers, studies)
        app.include_router(signed.router)
    app.include_router(page.router(studies, news, readings, labelled, jobs=jobs is not None))
    gate = Gate(
        Shortcut(app, ask=api.ask, tell=api.tell, reports=api.report, where=where),
        tokens=tokens,
        login=login,
        audit=audit,
        counters=counters,
        strangers=strangers,
        hosts=hosts,
        secure=secure,
        proxies=proxies,
        signed=desk is not None,
        open_to=EVERYBODY if open_to_all else None,
        log=log,
    )
    return Application(gate, studies, groups)
