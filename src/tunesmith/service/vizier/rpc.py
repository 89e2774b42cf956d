"""OSS Vizier's service, as its unchanged client calls it: gRPC at an address of its own.

That client opens its channel without TLS and brings no token. So this door is open at a loopback address, and at a socket of
the operator's, to whoever can reach it; elsewhere it takes TLS and a token, which a client's own stub can bring.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from tunesmith.core.errors import StudyError
from tunesmith.service.audit import Audit
from tunesmith.service.gate import LOOPBACK, Strangers
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Token, Tokens
from tunesmith.service.vizier import messages
from tunesmith.service.vizier.desk import Desk
from tunesmith.service.vizier.statuses import STATUSES, status_of

#: Who asks without a token.
GUEST: Final = Token("", "vizier", "control", "", 0.0)
#: The longest message (bytes), and how many requests wait at a time.
MOST: Final = 4 << 20
_AT_A_TIME: Final = 4096
#: How long a request for suggestions waits (s) before its client is told to ask again.
WAIT_S: Final = 20.0
_UNIX: Final = "unix:"
#: What takes a token beyond `work`.
_AUDITED: Final = ("DeleteStudy", "DeleteTrial", "SetStudyState")
_CODES: Final = {code.name: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Endpoint:
    """Where OSS Vizier's clients are served: HOST:PORT, or unix:PATH."""

    address: str
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if self.unix:
            if not self.address.removeprefix(_UNIX):
                raise StudyError(
                    "--vizier unix:PATH names a socket, such as unix:/run/user/1000/vizier.sock"
                )
        elif not (host and port.isascii() and port.isdigit() and int(port) < 65536):
            raise StudyError(
                f"--vizier {self.address}: it is HOST:PORT, such as 127.0.0.1:6006, or unix:PATH"
            )
        elif not self.here and self.certificate is None:
            raise StudyError(
                f"--vizier {self.address}: its client brings no token and knows no TLS, so others could do anything, and read "
                "everything; leave it at 127.0.0.1 (an SSH tunnel brings others there), or give --tls-cert and --tls-key: "
                "then each call needs a token"
            )

    def ready(self) -> Endpoint:
        """This one, its port chosen where that is 0, if nobody else listens there. Raises StudyError."""
        if self.unix:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.address.removeprefix(_UNIX))
                except (
                    FileNotFoundError,
                    ConnectionRefusedError,
                ):  # none yet, or what a killed one has left
                    return self
                except OSError as error:
                    raise StudyError(
                        f"--vizier {self.address}: {error.strerror or error}"
                    ) from None
            raise StudyError(f"--vizier {self.address}: another one is running there")
        host, _, port = self.address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as error:
                raise StudyError(
                    f"--vizier {self.address}: cannot listen there ({error.strerror or error}); is another one running there? "
                    "Port 0 is any that is free"
                ) from None
            return replace(self, address=f"{host}:{probe.getsockname()[1]}")

    @property
    def unix(self) -> bool:
        return self.address.startswith(_UNIX)

    @property
    def here(self) -> bool:
        """Whether only this machine can reach it."""
        return self.unix or self.address.rpartition(":")[0].strip("[]") in LOOPBACK

    @property
    def said(self) -> str:
        """What its operator is to know."""
        if self.unix:
            return f"{self.address}: for programs of this user alone, which need no token"
        if self.here:
            return (
                f"{self.address}: for every user of this machine, without a token (its client has none); they may do anything "
                "with Vizier's studies. unix:PATH instead is for this user alone"
            )
        return f"{self.address}: by TLS, and with a token (metadata: authorization: Bearer ts_...)"


class Door:
    """The gRPC server."""

    def __init__(
        self,
        endpoint: Endpoint,
        desk: Desk,
        tokens: Tokens,
        strangers: Strangers,
        audit: Audit,
        where: str,
    ) -> None:
        self.endpoint, self._desk = endpoint, desk
        self._tokens, self._strangers = tokens, strangers
        self._audit, self._where = audit, where
        self._server: Any = None

    async def start(self) -> None:
        """Listen. Raises StudyError."""
        endpoint = self.endpoint
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MOST),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=_AT_A_TIME,
        )
        calls = {
            name: grpc.unary_unary_rpc_method_handler(partial(self._answer, name, call))
            for name, call in self._desk.calls(WAIT_S).items()
            if name != "LookupStudy"  # that is Vertex AI's alone
        }
        handler = grpc.method_handlers_generic_handler("vizier.VizierService", calls)
        self._server.add_generic_rpc_handlers((handler,))
        before = os.umask(0o077)  # a socket is its user's alone
        try:
            if endpoint.here:
                self._server.add_insecure_port(endpoint.address)
            else:
                assert endpoint.certificate is not None
                assert endpoint.key is not None
                pair = (endpoint.key.read_bytes(), endpoint.certificate.read_bytes())
                self._server.add_secure_port(endpoint.address, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise StudyError(
                f"--vizier {endpoint.address}: cannot listen there ({error}); is another one running there?"
            ) from None
        finally:
            os.umask(before)
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)

    async def _answer(
        self, name: str, call: Callable[[Token, Any], Awaitable[Any]], body: bytes, context: Any
    ) -> bytes:
        """Carry out a call: what goes over the wire is read here, so that what cannot be read is said."""
        who: Token | None = None
        about = ""
        try:
            who = self._who(context)
            request = _read(name, body)
            if name in _AUDITED:
                about = request.parent if name == "SetStudyState" else request.name
            made = await call(who, request)
            self._note(name, who, context, 200, about)
            return bytes(made.SerializeToString())
        except Exception as error:  # noqa: BLE001 (a client is told what it is to know)
            status, text = status_of(error, self._where)
        self._note(name, who, context, STATUSES[status][1], about)
        await context.abort(_CODES[status], text)
        raise AssertionError

    def _note(self, name: str, who: Token | None, context: Any, status: int, about: str) -> None:
        """Write down what takes more than to work on a study, which one it was about, and what was refused."""
        state = {"token": who, "audited": name in _AUDITED}
        path = f"/vizier.VizierService/{name} {about}".rstrip()
        self._audit.note(
            {"state": state, "client": (context.peer(), 0), "method": "POST", "path": path}, status
        )

    def _who(self, context: Any) -> Token:
        """Raises Problem."""
        given = [
            value for key, value in context.invocation_metadata() or () if key == "authorization"
        ]
        if not given and self.endpoint.here:
            return GUEST
        kind, _, secret = (given[0] if len(given) == 1 else "").partition(" ")
        token = self._tokens.find(secret.strip()) if kind.lower() == "bearer" else None
        if token is None or token.cookie:
            if given:
                self._strangers.count(_address(context.peer()))
            why = "this token is not valid (any more)" if given else "a token is needed"
            raise Problem(
                401,
                "token",
                f"{why}: the metadata are authorization: Bearer ts_..., see `tunesmith token`",
            )
        return token


def _address(peer: str) -> str:
    """The address in gRPC's word for a peer (ipv4:127.0.0.1:5000, ipv6:%5B::1%5D:5000, unix:), as HTTP's requests have it."""
    kind, _, rest = peer.partition(":")
    return unquote(rest).rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else kind


def _read(name: str, body: bytes) -> Any:
    try:
        return messages.of(f"{name}Request").FromString(body)
    except (DecodeError, ValueError, RecursionError):
        raise Problem(422, "invalid", f"this is no {name}Request") from None


assert set(STATUSES) <= set(_CODES)
