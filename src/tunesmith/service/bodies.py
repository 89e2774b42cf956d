"""What requests and answers carry: JSON, read strictly."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from tunesmith.service.problems import Problem


async def read(request: Request, kind: Any) -> Any:
    """The body of a request. Raises Problem."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Problem(422, "invalid", f"the body: {error}") from None


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(data), status, headers, "application/json")
