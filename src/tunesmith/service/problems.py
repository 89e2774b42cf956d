"""Errors as answers: RFC 9457, with the sentences that the library has."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tunesmith.core import errors
from tunesmith.core.errors import TunesmithError

#: The status of each kind of error; of several that fit the first.
_STATUS: Final[tuple[tuple[type[TunesmithError], int], ...]] = (
    (errors.StudyNotFound, 404),
    (errors.StudyExists, 409),
    (errors.StudyBusy, 409),
    (errors.StudyOver, 410),
    (errors.StudyWaits, 409),
    (errors.TransitionError, 409),
    (errors.Conflict, 412),
    (errors.StrategyNotAllowed, 403),
    (errors.StoreReadOnly, 403),
    (errors.StoreLocked, 503),
    (errors.StoreUnreachable, 503),
    (errors.StoreInterrupted, 503),
    (errors.StoreFull, 507),
    (errors.StoreVersionError, 409),
    (errors.StoreError, 500),
    (errors.ExecutorError, 500),
    (TunesmithError, 422),
)


class Problem(Exception):
    """An answer that is an error; `code` is the name of one of `tunesmith.core.errors`, or a word."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.more = headers or {}, more

    @property
    def answer(self) -> Response:
        body = {
            "type": "about:blank",
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        return Response(
            json.dumps({**body, **self.more}),
            self.status,
            self.headers,
            "application/problem+json",
        )

    @classmethod
    def ours(cls) -> Problem:
        """The answer for an error that is ours to mend."""
        return cls(500, "internal", "the service failed; its log says where")

    @classmethod
    def of(cls, error: TunesmithError, where: str = "") -> Problem:
        """The answer for an error of the library; `where`, the place of the store, is nobody's business."""
        text = str(error).replace(where, "this service") if where else str(error)
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        headers = {"Retry-After": "1"} if status == 503 else {}
        return cls(status, type(error).__name__, text, headers)


def answer_errors(app: FastAPI, where: str) -> None:
    """Let `app` answer every error as a problem; for `where` see `Problem.of`."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.answer

    @app.exception_handler(TunesmithError)
    async def ours(_: Request, error: TunesmithError) -> Response:
        return Problem.of(error, where).answer

    @app.exception_handler(HTTPException)
    async def routing(_: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return Problem(error.status_code, "http", str(error.detail), headers).answer

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        wrong = [
            {"pointer": "/" + "/".join(map(str, one["loc"])), "detail": one["msg"]}
            for one in error.errors()
        ]
        sentence = "; ".join(f"{one['pointer']}: {one['detail']}" for one in wrong[:5])
        return Problem(422, "invalid", sentence, errors=wrong[:20]).answer

    @app.exception_handler(Exception)
    async def ours_to_mend(_: Request, __: Exception) -> Response:
        return Problem.ours().answer
