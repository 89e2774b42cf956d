"""SageMaker's API over HTTP: one address for all operations, beside the service's own."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from tunesmith.core.errors import TunesmithError
from tunesmith.service.audit import address_of
from tunesmith.service.gate import Strangers
from tunesmith.service.problems import Problem
from tunesmith.service.sagemaker import protocol
from tunesmith.service.sagemaker.desk import Desk
from tunesmith.service.sagemaker.operations import Caller, Operations, parse
from tunesmith.service.sagemaker.protocol import Fault
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Scope, Token, Tokens

#: Of targets: SageMaker's own, and that of CloudWatch's logs, which its SDKs show.
_PREFIX: Final = re.compile(r"(?:SageMaker|Logs_20140328)\.")
_LOG: Final = logging.getLogger(__name__)
_THREADS: Final = 8
_WRONG: Final = ("UnrecognizedClientException", "InvalidSignatureException")
_AUDITED: Final = ("control", "submit", "admin")


class Routes:
    """``POST /``, as SageMaker's clients send it."""

    def __init__(self, desk: Desk, tokens: Tokens, strangers: Strangers, studies: Studies) -> None:
        self._desk, self._tokens, self._studies = desk, tokens, studies
        self._strangers = strangers
        #: Of its own: those for models that think may all be thinking.
        self._threads = ThreadPoolExecutor(_THREADS, "sagemaker")
        self._operations = Operations(desk)
        self.router = APIRouter()
        self.router.add_api_route("/", self.act, methods=["POST"], include_in_schema=False)

    def close(self) -> None:
        """Wait for what is being done."""
        self._threads.shutdown(cancel_futures=True)

    async def act(self, request: Request) -> Response:
        """Carry out an operation."""
        try:
            body = await request.body()
            caller = self._caller(request, body)
            target = request.headers.get("x-amz-target", "")
            prefix = _PREFIX.match(target)
            if prefix is None:
                raise Fault("UnknownOperationException", "X-Amz-Target is SageMaker.OPERATION")
            operation = self._operations.named(target[prefix.end() :])
            self._require(request, caller.token, operation.scope)
            asked, raw = parse(operation, body)
            work = partial(operation.call, asked, caller, raw)
            loop = asyncio.get_running_loop()
            return protocol.answer(await loop.run_in_executor(self._threads, work))
        except Fault as fault:
            return self._counted(request, fault).answer
        except TunesmithError as error:
            return _fault(Problem.of(error, str(self._studies.storage or ""))).answer
        except Problem as problem:
            return _fault(problem).answer
        except Exception:  # noqa: BLE001 (clients know of no other shape)
            _LOG.exception("an operation of SageMaker's failed")
            return Fault("InternalFailure", "the service failed; its log says where").answer

    def _counted(self, request: Request, fault: Fault) -> Fault:
        """What is answered: where too many wrong keys and signatures have come from an address, that."""
        if fault.code in _WRONG:
            try:
                self._strangers.count(address_of(request.scope))
            except Problem as problem:
                return Fault("ThrottlingException", problem.detail)
        return fault

    def _caller(self, request: Request, body: bytes) -> Caller:
        """Who has signed a request. Raises Fault."""
        signature = protocol.signature_of(request.headers)
        key = self._desk.configuration.keys.get(signature.key)
        if key is None:
            raise Fault(
                "UnrecognizedClientException",
                "The security token included in the request is invalid: there is no such access key here (AWS_ACCESS_KEY_ID)",
            )
        protocol.check(signature, key.secret, request.headers, body, time.time())
        valid = [
            one for one in self._tokens.all() if key.token in (one.id, one.name) and not one.cookie
        ]
        if not valid:
            raise Fault(
                "UnrecognizedClientException",
                f"the token {key.token!r} of this access key is not valid (any more)",
            )
        token = valid[-1]
        request.state.token = token
        return Caller(token, signature.region)

    def _require(self, request: Request, token: Token, scope: Scope) -> None:
        if not token.may(scope):
            raise Fault(
                "AccessDeniedException",
                f"that takes a token of scope {scope!r}; this access key's is for {token.scope!r}",
            )
        if scope in _AUDITED:
            request.state.audited = True


def _fault(problem: Problem) -> Fault:
    """A problem as clients know it: what may be over soon, they try again."""
    return Fault(
        "InternalFailure" if problem.status >= 500 else "ValidationException", problem.detail
    )
