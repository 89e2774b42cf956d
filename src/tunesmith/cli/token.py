"""`tunesmith token`: who may use a service, and for what."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tunesmith.cli.arguments import Json, Storage


def token(
    action: Annotated[str, typer.Argument(metavar="create|list|revoke", help="What to do.")],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The token's name; revoke takes its id, too."),
    ] = None,
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            help="What it may: read; work (ask, report, tell, run studies); control (edit, correct, retract, stop); submit "
            "(run programs); admin (everything). Each may what those before it may.",
        ),
    ] = "work",
    days: Annotated[
        float | None, typer.Option("--days", help="How long it is valid; without, until revoked.")
    ] = None,
    study: Annotated[
        list[str] | None, typer.Option("--study", help="Only for this study; may be repeated.")
    ] = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Make, list and revoke the tokens of a service; run it where the service runs, with the same storage."""
    from tunesmith.cli.arguments import locate
    from tunesmith.cli.tables import print_json, print_table
    from tunesmith.core.errors import StudyError, did_you_mean
    from tunesmith.service.tokens import Tokens
    from tunesmith.store.location import Service
    from tunesmith.tuning.place import state_of

    _, location = locate(None, storage)
    if isinstance(location, Service):
        raise StudyError(
            "tokens are made where the service runs, with the storage that it serves: tunesmith token create NAME "
            "--storage FILE"
        )
    tokens = Tokens(state_of(location) / "tokens.json")
    if action == "create":
        if name is None:
            raise StudyError("say for whom or what the token is: tunesmith token create NAME")
        named = tuple(study) if study else None
        secret, made = tokens.create(name, scope, days=days, studies=named)
        if json:
            print_json({"id": made.id, "name": made.name, "scope": made.scope, "token": secret})
        else:
            typer.echo(secret)
            typer.echo("shown this once; set TUNESMITH_TOKEN to it where it is used", err=True)
    elif action == "revoke":
        if name is None:
            raise StudyError("say which token: tunesmith token revoke NAME")
        for gone in tokens.revoke(name):
            typer.echo(f"revoked {gone.id} ({gone.name})", err=True)
    elif action == "list":
        there = tokens.all()
        if json:
            print_json([{"id": t.id, "name": t.name, "scope": t.scope, "studies": t.studies, "cookie": t.cookie,
                         "created_at": t.created_at, "expires_at": t.expires_at, "used_at": t.used_at} for t in there])  # fmt: skip
            return
        rows = [
            (t.id, f"{t.name} (browser)" if t.cookie else t.name, t.scope, " ".join(t.studies or ["all"]),
             _day(t.created_at), _day(t.expires_at), _day(t.used_at))
            for t in there
        ]  # fmt: skip
        print_table(
            ("id", "name", "scope", "studies", "made", "ends", "last used"),
            rows,
            whole=("id", "scope"),
        )
    else:
        known = ("create", "list", "revoke")
        raise StudyError(f"tunesmith token cannot {action!r}{did_you_mean(action, known)}")


def _day(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
