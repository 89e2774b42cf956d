"""Tokens over HTTP, for whoever may make them."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tunesmith.service.bodies import answer, read
from tunesmith.service.gate import require
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Tokens


class _New(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    scope: str = "work"
    days: float | None = None
    studies: tuple[str, ...] | None = None


class Accounts:
    """The routes by which whoever has the scope ``admin`` makes and revokes tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"])
        self.router.add_api_route("", self.all, methods=["GET"])
        self.router.add_api_route("", self.create, methods=["POST"], status_code=201)
        self.router.add_api_route("/{which}", self.revoke, methods=["DELETE"], status_code=204)

    async def all(self, request: Request) -> Response:
        """The valid tokens, without their secrets."""
        require(request, "admin")
        shown = [msgspec.structs.replace(token, hash="") for token in self._tokens.all()]
        return answer({"tokens": shown})

    async def create(self, request: Request) -> Response:
        """A new token; its secret is in this answer alone."""
        admin = require(request, "admin")
        new: _New = await read(request, _New)
        if admin.studies is not None:
            raise Problem(403, "scope", "a token for some studies makes no others")
        secret, token = self._tokens.create(new.name, new.scope, days=new.days, studies=new.studies)
        return answer(
            {"id": token.id, "name": token.name, "scope": token.scope, "token": secret}, 201
        )

    async def revoke(self, which: str, request: Request) -> Response:
        """A token of this id, or all of this name, are valid no more."""
        require(request, "admin")
        self._tokens.revoke(which)
        return Response(status_code=204)
