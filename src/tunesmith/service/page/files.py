"""The page's files: each under a name with its digest, compressed once, for a browser to keep."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
#: How modules name one another.
_IMPORT: Final = re.compile(r'"\./([a-z-]+\.mjs)"')


class StaticFiles:
    """What lies in `static/`, read once. Modules import one another by the names with digests."""

    def __init__(self) -> None:
        folder = files("tunesmith.service.page") / "static"
        raw = {
            entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.is_file()
        }
        self._shell = raw.pop("shell.html")
        whole = sha256("\0".join(f"{name}\0{text}" for name, text in sorted(raw.items())).encode())
        #: One digest for all of them, as they belong together.
        self._digest = whole.hexdigest()[:12]
        self._files: dict[str, tuple[bytes, bytes, str]] = {}
        for name, text in raw.items():
            text = _IMPORT.sub(lambda match: f'"./{self._named(match[1])}"', text)
            encoded = text.encode()
            kind = _TYPES[name.rpartition(".")[2]]
            self._files[self._named(name)] = (encoded, gzip.compress(encoded, 9, mtime=0), kind)
        preload = "".join(
            f'<link rel="modulepreload" href="static/{self._named(name)}">'
            for name in sorted(raw)
            if name.endswith(".mjs")
        )
        shell = re.sub(
            r"static/([a-z-]+\.\w+)", lambda match: f"static/{self._named(match[1])}", self._shell
        )
        self._page = shell.replace("<!-- modules -->", preload).encode()

    def _named(self, name: str) -> str:
        stem, _, ending = name.rpartition(".")
        return f"{stem}.{self._digest}.{ending}"

    def shell(self, status: int = 200) -> Response:
        return Response(self._page, status, media_type="text/html; charset=utf-8")

    def answer(self, request: Request, name: str) -> Response | None:
        """None if there is no such file."""
        if name not in self._files:
            return None
        plain, packed, kind = self._files[name]
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=kind)
        return Response(plain, headers=headers, media_type=kind)
