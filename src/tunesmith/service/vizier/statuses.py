"""What Google's interfaces call an error."""

from __future__ import annotations

import logging
from typing import Final

from tunesmith.core.errors import TunesmithError
from tunesmith.service.problems import Problem

_LOG: Final = logging.getLogger("tunesmith.service")
#: By name: gRPC's number, and the status over HTTP.
STATUSES: Final = {
    "INVALID_ARGUMENT": (3, 400),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "UNAUTHENTICATED": (16, 401),
}
_BY_HTTP: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    410: "FAILED_PRECONDITION",
    412: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}


def status_of(error: BaseException, where: str) -> tuple[str, str]:
    """The name of an error's status, and what is said; `where`, the place of the store, is nobody's business."""
    if isinstance(error, TunesmithError):
        error = Problem.of(error, where)
    if not isinstance(error, Problem):
        _LOG.error("an operation of Vizier's failed", exc_info=error)
        error = Problem.ours()
    if error.code == "StudyExists":
        return "ALREADY_EXISTS", error.detail
    name = "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT"
    return _BY_HTTP.get(error.status, name), error.detail
