"""`tunesmith serve`: studies over HTTP, and a page to watch and steer them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.arguments import Storage


def serve(
    storage: Storage = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0: any that is free.")
    ] = 8765,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            "--host-name", metavar="NAME", help="A name by which it is reached; may be repeated."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="The certificate (PEM), for HTTPS."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).")
    ] = None,
    behind_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--behind-proxy",
            metavar="ADDRESS",
            help="A proxy there sees to TLS, and says who asks; may be repeated.",
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Let everybody in who can reach it; for 127.0.0.1 alone."),
    ] = False,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line of JSON for each request to stderr.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Run the jobs of whoever has a token of scope submit, N at a time; without, none are taken.",
        ),
    ] = None,
    containers: Annotated[
        bool,
        typer.Option(
            "--containers",
            help="Let jobs run in containers of images that are here (podman or docker).",
        ),
    ] = False,
    keep_jobs: Annotated[
        str | None,
        typer.Option(
            "--keep-jobs",
            metavar="TIME",
            help="Delete jobs so long after their end, such as 30d; without, never.",
        ),
    ] = None,
    sagemaker: Annotated[
        Path | None,
        typer.Option(
            "--sagemaker",
            metavar="FILE",
            help="Serve SageMaker's clients, too: access keys, images and buckets are in this YAML file.",
        ),
    ] = None,
    vizier: Annotated[
        str | None,
        typer.Option(
            "--vizier",
            metavar="HOST:PORT",
            help="Serve OSS Vizier's clients there, too (gRPC; or at unix:PATH), and Vertex AI Vizier's at the service's own address.",
        ),
    ] = None,
) -> None:
    """Serve studies over HTTP: to programs, and to browsers as a page."""
    from tunesmith.cli.arguments import locate
    from tunesmith.core.errors import StudyError
    from tunesmith.core.quantity import seconds
    from tunesmith.store import Service, open_store

    try:
        from tunesmith.service.server import Address, serve
    except ImportError as error:
        raise StudyError(
            f"the service needs FastAPI and uvicorn ({error}); pip install 'tunesmith[serve]'"
        ) from None
    _, location = locate(None, storage)
    if isinstance(location, Service):
        raise StudyError(
            f"{location} is a service already; name the file or the database that this one is to serve"
        )
    address = Address(
        host, port, tuple(host_name or ()), tls_cert, tls_key, tuple(behind_proxy or ()), not no_token, jobs,
        containers, None if keep_jobs is None else seconds(keep_jobs, "--keep-jobs"), sagemaker, vizier,
    )  # fmt: skip
    serve(
        open_store(location), location, address, lambda line: typer.echo(line, err=True), access_log=access_log
    )  # fmt: skip
