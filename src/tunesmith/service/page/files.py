"""The page's files: each under a name with its digest, compressed once, for a browser to keep."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final
from urllib.parse import quote

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
#: Those that are needed before a module runs.
_STATIC: Final = re.compile(r'\bfrom "\./([a-z-]+\.mjs)"')
#: What `encodeURIComponent` leaves as it is, beside letters, digits and what `quote` leaves, too.
_AS_THEY_ARE: Final = "!*'()"
#: Widths of a screen as `overview.mjs` tells them apart.
_WIDE: Final = ' media="(min-width: 760.02px)"'
_NARROW: Final = ' media="(max-width: 760px)"'


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
        imports = {name: _STATIC.findall(text) for name, text in raw.items()}
        #: For each module the links to it and to all that it imports, for a browser to fetch at once.
        self._modules = {
            name: "".join(
                f'<link rel="modulepreload" href="static/{self._named(one)}">'
                for one in _closure(name, imports)
            )
            for name in raw
            if name.endswith(".mjs")
        }
        self._shell = re.sub(
            r"static/([a-z-]+\.\w+)", lambda match: f"static/{self._named(match[1])}", self._shell
        )

    def _named(self, name: str) -> str:
        stem, _, ending = name.rpartition(".")
        return f"{stem}.{self._digest}.{ending}"

    def shell(self, status: int = 200, asked: Mapping[str, str] | None = None) -> Response:
        """The page; what the view that is `asked` for needs is named in it, so that a browser asks for all of it at once."""
        asked = {} if asked is None else asked
        first = "overview" if asked.get("study") else "studies"
        view = f"{asked.get('view') or first}.mjs"
        links = self._modules["app.mjs"] + self._modules.get(view, "")
        links += "".join(
            f'<link rel="preload" as="fetch" crossorigin href="{escape(path)}"{media}>'
            for path, media in _data(asked)
            if status == 200
        )
        page = self._shell.replace("<!-- what comes next -->", links)
        return Response(page, status, media_type="text/html; charset=utf-8")

    def answer(self, request: Request, name: str) -> Response | None:
        """None if there is no such file."""
        if name not in self._files:
            return None
        plain, packed, kind = self._files[name]
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=kind)
        return Response(plain, headers=headers, media_type=kind)


def _closure(name: str, imports: Mapping[str, list[str]]) -> list[str]:
    """A module and all that it imports, in the order in which they are found."""
    found = [name]
    for one in found:  # it grows meanwhile
        found += [other for other in imports[one] if other not in found]
    return found


def _data(asked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What the modules ask for first, letter by letter as they do, and on which screens."""
    yield "page/me", ""
    if study := asked.get("study"):
        here = f"page/studies/{quote(study, safe=_AS_THEY_ARE)}"
        yield f"{here}/live", ""
        if not asked.get("view"):
            yield f"{here}/report?first=true", _WIDE
            yield f"{here}/report?narrow=true&first=true", _NARROW
    elif not any(asked.values()):
        yield "page/studies?sort=last&begin=0", ""
