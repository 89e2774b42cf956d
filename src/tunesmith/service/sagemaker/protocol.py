"""Amazon's JSON protocol: signed requests in, typed errors and answers out.

Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response

#: What signed requests begin with, in their header Authorization.
ALGORITHM: Final = "AWS4-HMAC-SHA256"
TYPE: Final = "application/x-amz-json-1.1"
#: How far a request's clock may be from ours (s).
SKEW_S: Final = 900.0

_PART: Final = re.compile(r"(\w+)=([^,\s]+)")
_CREDENTIAL: Final = re.compile(
    r"([\w-]{1,128})/(\d{8})/([a-z0-9-]{1,64})/(sagemaker|logs)/aws4_request"
)
_TIME: Final = re.compile(r"\d{8}T\d{6}Z")
#: What a signature has to be of, beside the body: what is done where, and when.
_SIGNED: Final = ("host", "x-amz-date", "x-amz-target")
_SPACES: Final = re.compile(r" +")

Code: TypeAlias = Literal[
    "ValidationException",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ResourceInUse",
    "ResourceLimitExceeded",
    "AccessDeniedException",
    "ThrottlingException",
    "InvalidParameterException",
    "UnknownOperationException",
    "SerializationException",
    "InternalFailure",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
]
_STATUS: Final[Mapping[str, int]] = {
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "InvalidSignatureException": 403,
    "InternalFailure": 500,
}


class Fault(Exception):
    """What is answered instead: botocore makes an exception of its type."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code

    @property
    def answer(self) -> Response:
        body = {"__type": self.code, "Message": str(self)}
        return _response(body, _STATUS.get(self.code, 400), {"x-amzn-ErrorType": self.code})


def invalid(message: str) -> Fault:
    """What is wrong with what is asked for."""
    return Fault("ValidationException", message)


def answer(data: Mapping[str, Any] | None) -> Response:
    """An operation's answer; None for one that has no shape."""
    return _response(data, 200, {})


def _response(data: Any, status: int, headers: dict[str, str]) -> Response:
    body = b"" if data is None else msgspec.json.encode(data)
    return Response(body, status, headers, TYPE)


def decode(body: bytes, kind: Any) -> Any:
    """A request's body as a shape. Raises Fault."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Fault("ValidationException", str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError) as error:
        raise Fault("SerializationException", f"the body is no JSON: {error}") from None


class Signature(NamedTuple):
    """What a request's header says of its signature."""

    key: str
    region: str
    day: str
    #: SageMaker's own, or that of CloudWatch's logs.
    service: str
    headers: tuple[str, ...]
    value: str


def signature_of(headers: Headers) -> Signature:
    """Raises Fault."""
    given = headers.getlist("authorization")
    if len(given) != 1 or not given[0].startswith(ALGORITHM + " "):
        raise Fault(
            "MissingAuthenticationTokenException",
            f"requests are signed: Authorization: {ALGORITHM} ..., as AWS's clients do it",
        )
    parts = dict(_PART.findall(given[0]))
    credential = _CREDENTIAL.fullmatch(parts.get("Credential", ""))
    signed = tuple(parts.get("SignedHeaders", "").split(";"))
    if credential is None or not set(_SIGNED) <= set(signed) or "Signature" not in parts:
        raise Fault(
            "InvalidSignatureException",
            "Credential=KEY/DATE/REGION/sagemaker/aws4_request, SignedHeaders with host, x-amz-date and "
            "x-amz-target, and Signature "
            "are needed",
        )
    return Signature(
        credential[1], credential[3], credential[2], credential[4], signed, parts["Signature"]
    )


def check(signature: Signature, secret: str, headers: Headers, body: bytes, now: float) -> None:
    """Raise Fault unless the request was signed with `secret`, lately."""
    time = headers.get("x-amz-date", "")
    if not _TIME.fullmatch(time) or not time.startswith(signature.day):
        raise Fault(
            "InvalidSignatureException", "X-Amz-Date is 20261128T093000Z, of the credential's day"
        )
    try:
        at = datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Fault("InvalidSignatureException", f"X-Amz-Date is no time: {time}") from None
    if abs(at - now) > SKEW_S:
        here = datetime.fromtimestamp(now, UTC)
        raise Fault(
            "InvalidSignatureException",
            f"Signature expired: it is of {time}, and here it is {here:%Y%m%dT%H%M%SZ}; set one of the clocks",
        )
    lines = [
        f"{name}:{','.join(_SPACES.sub(' ', one.strip()) for one in headers.getlist(name))}"
        for name in signature.headers
    ]
    digest = sha256(body).hexdigest()
    request = "\n".join(["POST", "/", "", *lines, "", ";".join(signature.headers), digest])
    scope = f"{signature.day}/{signature.region}/{signature.service}/aws4_request"
    text = "\n".join([ALGORITHM, time, scope, sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (signature.day, signature.region, signature.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(
        hmac.digest(key, text.encode(), "sha256").hex().encode(), signature.value.encode()
    ):
        raise Fault(
            "InvalidSignatureException",
            "The request signature we calculated does not match: AWS_SECRET_ACCESS_KEY is not the one that belongs to this "
            "access key here",
        )
