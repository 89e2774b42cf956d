"""Vertex AI's Vizier over HTTP, as its client sends it with ``transport="rest"``: at the service's own address."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from fastapi import APIRouter, Request
from google.protobuf import json_format
from starlette.responses import Response

from tunesmith.service.gate import token_of
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.service.vizier import messages
from tunesmith.service.vizier.desk import Desk
from tunesmith.service.vizier.names import invalid
from tunesmith.service.vizier.statuses import STATUSES, status_of

T = TypeVar("T")

#: How long a request for suggestions waits (s): clients give up after 5.
WAIT_S: Final = 2.5
#: So many bytes are read, or written as JSON, on the event loop.
_AT_ONCE: Final = 32 << 10
#: Vertex AI's numbers of algorithms: its clients send these for words.
_ALGORITHMS: Final = {0: "ALGORITHM_UNSPECIFIED", 2: "GRID_SEARCH", 3: "RANDOM_SEARCH"}
_PARENT: Final = "projects/[^/:]+/locations/[^/:]+"
_STUDY: Final = f"{_PARENT}/studies/[^/:]+"
_TRIAL: Final = f"{_STUDY}/trials/[^/:]+"
_OPERATION: Final = f"{_STUDY}/operations/[^/:]+"
_PATH: Final = re.compile(r"/(v1|v1beta1)/(.+)")


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    operation: str
    #: The field that the path is, and the one that the body is (``*``: all others).
    named: str
    body: str = ""


def _route(method: str, path: str, operation: str, named: str, body: str = "") -> _Route:
    """`path`: the resource, and behind | what is done with it."""
    resource, _, verb = path.partition("|")
    return _Route(method, re.compile(f"({resource}){verb}"), operation, named, body)


_ROUTES: Final = (
    _route("POST", f"{_PARENT}|/studies", "CreateStudy", "parent", "study"),
    _route("GET", f"{_PARENT}|/studies", "ListStudies", "parent"),
    _route("POST", f"{_PARENT}|/studies:lookup", "LookupStudy", "parent", "*"),
    _route("GET", _STUDY, "GetStudy", "name"),
    _route("DELETE", _STUDY, "DeleteStudy", "name"),
    _route("POST", f"{_STUDY}|/trials", "CreateTrial", "parent", "trial"),
    _route("GET", f"{_STUDY}|/trials", "ListTrials", "parent"),
    _route("POST", f"{_STUDY}|/trials:suggest", "SuggestTrials", "parent", "*"),
    _route("POST", f"{_STUDY}|/trials:listOptimalTrials", "ListOptimalTrials", "parent", "*"),
    _route("GET", _TRIAL, "GetTrial", "name"),
    _route("DELETE", _TRIAL, "DeleteTrial", "name"),
    _route("POST", f"{_TRIAL}|:addTrialMeasurement", "AddTrialMeasurement", "trial_name", "*"),
    _route("POST", f"{_TRIAL}|:complete", "CompleteTrial", "name", "*"),
    _route("POST", f"{_TRIAL}|:stop", "StopTrial", "name", "*"),
    _route("POST", f"{_TRIAL}|:checkTrialEarlyStoppingState", "CheckTrialEarlyStoppingState", "trial_name", "*"),
    _route("GET", _OPERATION, "GetOperation", "name"),
    _route("POST", f"{_OPERATION}|:wait", "GetOperation", "name", "ignored"),
)  # fmt: skip
_PAGES: Final = {
    "pageSize": "page_size", "page_size": "page_size", "pageToken": "page_token", "page_token": "page_token",
}  # fmt: skip
#: What takes a token beyond `work`: it is in the audit log.
_AUDITED: Final = ("DeleteStudy", "DeleteTrial")


class Rest:
    """The routes below /v1/projects."""

    def __init__(self, desk: Desk, studies: Studies, where: str) -> None:
        self._studies, self._where = studies, where
        self._calls = desk.calls(WAIT_S)
        self.router = APIRouter()
        methods = ["GET", "POST", "DELETE", "PATCH", "PUT"]
        for version in ("v1", "v1beta1"):
            self.router.add_api_route(
                f"/{version}/projects/{{rest:path}}",
                self.act,
                methods=methods,
                include_in_schema=False,
            )

    async def act(self, request: Request) -> Response:
        """Carry out an operation."""
        try:
            match = _PATH.fullmatch(request.url.path)
            assert match is not None
            route, named = _find(request.method, match[2])
            body = await request.body()
            asked = await self._apart(
                len(body), partial(_read, route, named, body, request.query_params)
            )
            if route.operation in _AUDITED:
                request.state.audited = True
            made = await self._calls[route.operation](token_of(request), asked)
            return await self._apart(
                made.ByteSize(), lambda: _json(_shown(route.operation, made, match[1], named))
            )
        except Exception as error:  # noqa: BLE001 (a client is told what it is to know)
            status, text = status_of(error, self._where)
            code = STATUSES[status][1]
            return _json({"error": {"code": code, "message": text, "status": status}}, code)

    async def _apart(self, size: int, call: Callable[[], T]) -> T:
        """What `call` makes of so many bytes: of many, in a thread, so that nobody else waits for it."""
        return call() if size <= _AT_ONCE else await self._studies.think(call)


def _find(method: str, path: str) -> tuple[_Route, str]:
    """What is asked for, and of which resource. Raises Problem."""
    for route in _ROUTES:
        if route.method == method and (match := route.path.fullmatch(path)):
            return route, match[1]
    raise Problem(
        501,
        "unknown",
        f"{method} {path[:200]} is none of Vizier's operations; of Vertex AI only Vizier's studies and trials are served here",
    )


def _read(route: _Route, named: str, body: bytes, query: Mapping[str, str]) -> Any:
    """Raises Problem."""
    given: dict[str, Any] = {}
    if route.body not in ("", "ignored"):
        try:
            read = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise invalid(f"the body is no JSON: {error}") from None
        if not isinstance(read, dict):
            raise invalid("the body is an object")
        given = read if route.body == "*" else {route.body: read}
    elif route.operation in ("ListStudies", "ListTrials"):
        given = {_PAGES[name]: value for name, value in query.items() if name in _PAGES}
    made = messages.of(f"{route.operation}Request")()
    try:
        json_format.ParseDict(_worded(given), made, max_recursion_depth=100)
    except (json_format.ParseError, RecursionError, ValueError, TypeError, AttributeError) as error:
        raise invalid(f"this is no {route.operation}Request: {error}"[:500]) from None
    setattr(made, route.named, named)
    return made


def _worded(given: dict[str, Any]) -> dict[str, Any]:
    """A request with the word of its algorithm instead of its number."""
    study = given.get("study")
    if isinstance(study, dict):
        for name in ("studySpec", "study_spec"):
            described = study.get(name)
            if isinstance(described, dict) and type(described.get("algorithm")) is int:
                number = described["algorithm"]
                described["algorithm"] = _ALGORITHMS.get(number, str(number))
    return given


def _shown(operation: str, made: Any, version: str, named: str) -> dict[str, Any]:
    """A message as JSON; what Vertex AI has as operations is one that is done."""
    if operation in ("SuggestTrials", "GetOperation"):
        shown: dict[str, Any] = {"name": made.name, "done": made.done}
        if made.done:
            answer = messages.of("SuggestTrialsResponse").FromString(made.response.value)
            shown["response"] = _typed(answer, "SuggestTrialsResponse", version)
        return shown
    if operation == "CheckTrialEarlyStoppingState":
        response = _typed(made, "CheckTrialEarlyStoppingStateResponse", version)
        return {"name": f"{named}/operations/stopping", "done": True, "response": response}
    return dict(json_format.MessageToDict(made))


def _typed(message: Any, name: str, version: str) -> dict[str, Any]:
    kind = f"type.googleapis.com/google.cloud.aiplatform.{version}.{name}"
    return {"@type": kind, **json_format.MessageToDict(message)}


def _json(data: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(data), status, media_type="application/json")
