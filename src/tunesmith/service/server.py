"""`tunesmith serve`: the service as a process."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from tunesmith.core.errors import StudyError
from tunesmith.service.app import make
from tunesmith.service.audit import Audit
from tunesmith.service.gate import LOOPBACK
from tunesmith.service.jobs import container
from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.login import Login
from tunesmith.service.protocol import limits
from tunesmith.service.sagemaker.configuration import Configuration, load
from tunesmith.service.sagemaker.desk import Desk
from tunesmith.service.studies import Studies
from tunesmith.service.tokens import Tokens
from tunesmith.store import Location, Store
from tunesmith.tuning.place import state_of

if TYPE_CHECKING:
    from tunesmith.service.vizier.rpc import Endpoint

#: How long requests that run may take once the service is told to end (s).
GRACE_S: Final = 5
#: Every so many full collections of garbage are whole.
_WHOLE: Final = 100


@dataclass(frozen=True)
class Address:
    """Where a service listens, and what it is called."""

    host: str = "127.0.0.1"
    port: int = 8765
    #: The names in its users' addresses, beside `host` and those of loopback.
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    #: The addresses of proxies that see to TLS, and whose word on who asks is believed.
    proxies: tuple[str, ...] = ()
    tokens: bool = True
    #: How many jobs run at a time; None: none are taken.
    jobs: int | None = None
    #: Whether these may run in containers; how long (s) those that are over are kept (None: for ever).
    containers: bool = False
    keep_jobs_s: float | None = None
    #: The file that says how SageMaker's clients are served; None: they are not.
    sagemaker: Path | None = None
    #: Where OSS Vizier's clients are served; None: they are not.
    vizier: str | None = None

    def __post_init__(self) -> None:
        loopback = self.host in LOOPBACK
        _check_certificate(self.certificate, self.key)
        if not (loopback or self.certificate or self.proxies):
            raise StudyError(
                f"--host {self.host}: others could read the tokens on their way; give --tls-cert and --tls-key, or "
                "--behind-proxy ADDRESS if a proxy there sees to TLS, or leave it at 127.0.0.1 and use an SSH tunnel"
            )
        if not self.tokens and (not loopback or self.proxies or self.names):
            raise StudyError(
                "--no-token is for 127.0.0.1 alone: everybody who can reach the port may do anything"
            )
        if self.jobs is None and (self.containers or self.keep_jobs_s is not None):
            raise StudyError(
                "--containers and --keep-jobs are about jobs; allow them with --jobs N"
            )
        if self.jobs is not None and not self.tokens:
            raise StudyError(
                "--jobs runs others' programs here, which takes tokens; leave --no-token out"
            )
        if self.sagemaker is not None and not self.tokens:
            raise StudyError("--sagemaker's access keys stand for tokens; leave --no-token out")

    @property
    def url(self) -> str:
        name = self.names[0] if self.names else self.host
        name = f"[{name}]" if ":" in name else name
        return f"{'http' if self.certificate is None else 'https'}://{name}:{self.port}"

    @property
    def url_here(self) -> str:
        """Where its own host reaches it: a certificate is for its names alone."""
        here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        here = f"[{here}]" if ":" in here and not here.startswith("[") else here
        return self.url if self.certificate else f"http://{here}:{self.port}"


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise StudyError(
            "--tls-cert and --tls-key belong together: the certificate and its private key"
        )
    if certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except OSError as error:  # those of ssl are such, too
            raise StudyError(
                f"--tls-cert {certificate} and --tls-key {key} cannot be used ({error}): they are PEM files, and the key is that "
                "of the certificate"
            ) from None


class _Server(uvicorn.Server):
    """Tells streams that it ends, which uvicorn would wait for."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)


def _shorten_pauses() -> None:
    """Leave out of the full collections of garbage what has survived one, but for every hundredth: each goes through all
    histories (70 ms for 20,000 trials), while nobody is answered."""
    collections = itertools.count(1)

    def after(phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            if next(collections) % _WHOLE:
                gc.freeze()
            else:
                gc.unfreeze()

    gc.callbacks.append(after)


def serve(
    store: Store,
    storage: Location,
    address: Address,
    say: Callable[[str], None],
    *,
    access_log: bool = False,
) -> None:
    """Serve `store` until a signal comes; `say` is told where, and with `access_log` of each request. Raises StudyError, OSError."""
    with ExitStack() as closing:  # what does not come to be served is ended all the same
        listening = closing.enter_context(_listen(address))
        port: int = listening.getsockname()[1]
        address = replace(address, port=port)
        state = state_of(storage)
        tokens = Tokens(state / "tokens.json")
        login = Login(tokens, f"tunesmith_{port}")
        endpoint = None if address.vizier is None else _endpoint(address.vizier, address)
        configuration = None if address.sagemaker is None else load(address.sagemaker)
        jobs = desk = None
        if address.jobs is not None:
            jobs = Jobs(
                state / "jobs", tokens, address.url_here, address.jobs, keep_s=address.keep_jobs_s,
                containers=container.find() if address.containers else None,
            )  # fmt: skip
            closing.callback(jobs.close)
            jobs.start()
        if address.sagemaker is not None and configuration is not None:
            desk = _desk(address.sagemaker, configuration, state, tokens, address, closing)
        app = make(
            store,
            storage=storage,
            tokens=tokens,
            login=login,
            audit=Audit(state / "audit.log"),
            jobs=jobs,
            sagemaker=desk,
            vizier=endpoint,
            say=say,
            hosts=(address.host, *address.names),
            secure=address.certificate is not None,
            proxies=address.proxies,
            open_to_all=not address.tokens,
            log=say if access_log else None,
        )
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=address.certificate,
            ssl_keyfile=None if address.key is None else str(address.key),
            ssl_version=ssl.PROTOCOL_TLS_SERVER,
            **limits(),
        )
        say(
            f"tunesmith serves {storage}: {address.url}/"
            + (f"?code={login.code()}" if address.tokens else "")
        )
        _shorten_pauses()
        server = _Server(config, app.studies.end)
        runner = closing.enter_context(asyncio.Runner(loop_factory=config.get_loop_factory()))
        runner.run(server.serve(sockets=[listening]))


def _endpoint(where: str, address: Address) -> Endpoint:
    """Where Vizier's clients are served, if that can be. Raises StudyError."""
    try:
        from tunesmith.service.vizier.rpc import Endpoint
    except ImportError as error:
        raise StudyError(
            f"--vizier needs grpcio and protobuf ({error}); pip install 'tunesmith[serve,vizier]'"
        ) from None
    return Endpoint(where, address.certificate, address.key).ready()


def _desk(
    path: Path,
    configuration: Configuration,
    state: Path,
    tokens: Tokens,
    address: Address,
    closing: ExitStack,
) -> Callable[[Studies], Desk]:
    """What takes the jobs of SageMaker's clients; `closing` ends what is begun for it. Raises StudyError."""
    folder = state / "sagemaker"
    jobs = Jobs(folder / "jobs", tokens, address.url_here, configuration.at_a_time)
    closing.callback(jobs.close)
    jobs.start()

    def begin(studies: Studies) -> Desk:
        desk = Desk(folder, path, configuration, jobs, studies)
        desk.start()
        return desk

    return begin


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # with its protocol: for others asyncio leaves Nagle's algorithm on, which costs 40 ms an answer
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        raise StudyError(
            f"cannot listen at {address.host}:{address.port}: {error.strerror or error}; is another one "
            "running there? --port N takes another port, --port 0 any that is free"
        ) from None
    listening.listen(2048)
    return listening
