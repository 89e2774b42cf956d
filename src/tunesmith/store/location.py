"""Where studies are kept: a file, the URL of a database or of a service, and where when nobody says so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, quote, unquote

from tunesmith.core.errors import StoreError
from tunesmith.store.base import Store

DEFAULT_STORAGE: Final = "tunesmith.db"
STORAGE_VARIABLE: Final = "TUNESMITH_STORAGE"
#: The schema of a database that has tunesmith's tables, if its URL names no other.
DEFAULT_SCHEMA: Final = "tunesmith"

_POSTGRESQL: Final = ("postgresql", "postgres")
_HTTP: Final = ("http", "https")
#: The token for services whose URL has none.
TOKEN_VARIABLE: Final = "TUNESMITH_TOKEN"  # noqa: S105 (its name)
#: The scheme of a URL; one slash only where it has been made a `Path` on its way.
_DRIVE: Final = re.compile(r"^([A-Za-z]):\\+")
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(//?)")
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_EXAMPLE: Final = "postgresql://user@host/database"
_SERVICE: Final = "http://host:8765"


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database, by its URL. What it is as text, wherever it is shown or written, has no password."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        _ = self.schema, self.parameters  # raises what is wrong with it

    def __str__(self) -> str:
        user = quote(self._parts.user) + "@" if self._parts.user else ""
        schema = "" if self.schema == DEFAULT_SCHEMA else f"?schema={self.schema}"
        return f"postgresql://{user}{self._parts.hosts}/{quote(self._parts.database)}{schema}"

    def __repr__(self) -> str:
        return f"<Database {self}>"

    @cached_property
    def schema(self) -> str:
        """The schema with tunesmith's tables."""
        schema = self._parts.options.get("schema", DEFAULT_SCHEMA)
        if not _SCHEMA.fullmatch(schema):
            raise StoreError(
                f"{schema!r} is no schema that can be used; take small letters, digits and _, such as schema=tuning"
            )
        return schema

    @cached_property
    def trials(self) -> Path:
        """The folder for the files of its studies' trials: ``?trials=FOLDER``, else one here, named after it."""
        which = f"{self._parts.hosts}/{self._parts.database}/{self.schema}"
        return self._parts.folder(self._parts.database or "postgresql", which)

    @property
    def names_trials(self) -> bool:
        """Whether ``?trials=`` names a folder."""
        return self._parts.names_folder

    @property
    def trials_url(self) -> str | None:
        """Where checkpoints are copied to, with ``?trials=s3://...`` or another URL; None with a folder."""
        return self._parts.trials_url

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """What to connect with, as libpq calls it; what is not named, libpq takes from its own environment."""
        hosts = [_host(unquote(host)) for host in self._parts.hosts.split(",")]
        parameters = {
            "user": self._parts.user,
            "password": self._parts.password,
            "dbname": self._parts.database,
            "host": ",".join(host for host, _ in hosts),
            "port": ",".join(port for _, port in hosts) if any(port for _, port in hosts) else "",
            **{k: v for k, v in self._parts.options.items() if k not in ("schema", "trials")},
        }
        return {name: value for name, value in parameters.items() if value}

    @cached_property
    def _parts(self) -> _Parts:
        return _taken_apart(self.url)


@dataclass(frozen=True)
class _Parts:
    """A URL, taken apart."""

    user: str
    password: str = field(repr=False)
    hosts: str
    database: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def trials_url(self) -> str | None:
        trials = self.options.get("trials", "")
        return trials.rstrip("/") if "://" in trials else None

    @property
    def names_folder(self) -> bool:
        return "trials" in self.options and self.trials_url is None

    def folder(self, name: str, which: str) -> Path:
        """The folder for trials that the URL names, or one here that is called after it."""
        if self.names_folder:
            return Path(self.options["trials"]).expanduser().absolute()
        digest = blake2b(which.encode(), digest_size=4).hexdigest()
        return Path(f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}-{digest}.trials").absolute()


def _host(text: str, example: str | None = None) -> tuple[str, str]:
    """A host and its port; either may be empty."""
    bracketed = re.fullmatch(r"\[(.*)\](?::(.*))?", text)
    host, port = (bracketed[1], bracketed[2] or "") if bracketed else text.partition(":")[::2]
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise StoreError(
            f"{port!r} is no port; write the URL as "
            + (example or f"{_EXAMPLE} or postgresql://user@host:5432/database")
        )
    return host, port


@dataclass(frozen=True)
class Service:
    """A service (`tunesmith serve`), by its URL. What it is as text, wherever it is shown or written, has no token."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self._parts.hosts:
            raise StoreError(f"{self}: there is no host in this URL; write it as {_SERVICE}")
        if unknown := self._parts.options.keys() - {"trials"}:
            raise StoreError(
                f"{self}: the URL of a service has no option {min(unknown)!r}; known: trials"
            )
        _host(unquote(self._parts.hosts), _SERVICE)

    def __str__(self) -> str:
        prefix = quote(self.prefix)
        return f"{'https' if self.secure else 'http'}://{self._parts.hosts}{prefix}"

    def __repr__(self) -> str:
        return f"<Service {self}>"

    @cached_property
    def secure(self) -> bool:
        return self.url.partition(":")[0].lower() == "https"

    @cached_property
    def host(self) -> str:
        return _host(unquote(self._parts.hosts), _SERVICE)[0]

    @cached_property
    def port(self) -> int:
        return int(_host(unquote(self._parts.hosts), _SERVICE)[1] or (443 if self.secure else 80))

    @cached_property
    def prefix(self) -> str:
        """The path under which a proxy has it."""
        return f"/{self._parts.database.strip('/')}" if self._parts.database.strip("/") else ""

    @property
    def token(self) -> str:
        """Who we are there: the URL's user or password, else ``$TUNESMITH_TOKEN``."""
        return self._parts.password or self._parts.user or os.environ.get(TOKEN_VARIABLE, "")

    @cached_property
    def trials(self) -> Path:
        """The folder for the files of its studies' trials, as that of a database."""
        return self._parts.folder(self._parts.hosts, str(self))

    @property
    def names_trials(self) -> bool:
        """Whether ``?trials=`` names a folder."""
        return self._parts.names_folder

    @property
    def trials_url(self) -> str | None:
        """Where checkpoints are copied to, as for a database."""
        return self._parts.trials_url

    @cached_property
    def _parts(self) -> _Parts:
        return _taken_apart(self.url)


@dataclass(frozen=True)
class File:
    """A file whose trials keep their files elsewhere: ``sqlite:///study.db?trials=...``; any other one is a plain path."""

    path: Path
    #: A folder, or a URL.
    where: str

    def __post_init__(self) -> None:
        if not self.where:
            raise StoreError(
                f"{self}: trials= names no folder and no URL, such as s3://bucket/tuning"
            )

    def __str__(self) -> str:
        return str(self.path)

    @property
    def trials(self) -> Path | None:
        """The folder for the files of its studies' trials; None for the one beside it."""
        return None if self.trials_url else Path(self.where).expanduser().absolute()

    @property
    def names_trials(self) -> bool:
        """Whether ``?trials=`` names a folder."""
        return self.trials_url is None

    @property
    def trials_url(self) -> str | None:
        """Where checkpoints are copied to, as for a database."""
        return self.where.rstrip("/") if "://" in self.where else None


def _file(url: str, rest: str) -> Path | File:
    """What ``sqlite:///`` and `rest` mean. Raises StoreError."""
    name, query, text = rest.partition("?")
    path = Path(name.removeprefix("/")).expanduser()
    if not query:
        return path
    options = dict(parse_qsl(text, keep_blank_values=True))
    if options.keys() != {"trials"}:
        unknown = min(options.keys() - {"trials"}, default=text)
        raise StoreError(
            f"{url!r}: the URL of a file has no option {unknown!r}; known: trials (a ? in the file's name: name the file "
            "itself, not its URL)"
        )
    return File(path, options["trials"])


def _taken_apart(url: str) -> _Parts:
    rest = url.partition("://")[2]
    head, _, query = rest.partition("?")
    login, _, place = head.rpartition("@")
    user, _, password = login.partition(":")
    hosts, _, database = place.partition("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    return _Parts(unquote(user), unquote(password), hosts, unquote(database), options)


#: Where studies are: a file, a database, or a service.
Location: TypeAlias = Path | File | Database | Service


def default_storage() -> Location:
    """``$TUNESMITH_STORAGE``, or ``tunesmith.db`` in the current folder."""
    location = location_of(os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE)
    assert location is not None
    return location


def file_of(where: str | Location | Store | None) -> Path | None:
    """The file that a location means; None if it is a database, a store, or memory. Raises StoreError."""
    location = location_of(where)
    if isinstance(location, File):
        return location.path
    return location if isinstance(location, Path) else None


def location_of(where: str | Location | Store | None) -> Location | None:
    """What a location means; None if it is a store, or memory.

    Raises StoreError for a URL of another kind; like every error of ours, without its password.
    """
    if isinstance(where, (File, Database, Service)):
        return where
    if not isinstance(where, (str, Path)):
        return None
    text = str(where)
    match = _SCHEME.match(_DRIVE.sub(r"\1:/", text) if os.name != "nt" else text)
    if match is None:
        name, query, trials = text.partition("?trials=")
        if query:
            raise StoreError(f"{text!r}: write it as a URL: sqlite:///{name}?trials={trials}")
        return Path(text).expanduser()
    scheme, slashes = match[1].lower(), match[2]
    kind = scheme.partition("+")[0]
    if kind in ("sqlite", *_POSTGRESQL, *_HTTP) and slashes != "//":
        instead = "name the file itself, such as study.db, or pass" if kind == "sqlite" else "pass"
        raise StoreError(f"{text!r}: {instead} the URL as text")
    if kind == "sqlite":
        return _file(text, text[match.end() :])
    if kind in _POSTGRESQL:
        return Database(text)
    if scheme in _HTTP:
        return Service(text)
    if len(scheme) == 1:
        if os.name == "nt":
            return Path(text)
        rest = text[2:].replace("\\", "/").lstrip("/")
        raise StoreError(
            f"{text} is a path of Windows, which this system does not have; write it as this system does, such as "
            f"/mnt/{scheme}/{rest}"
        )
    instead = f"name a file, such as study.db, a database as {_EXAMPLE}, or a service as {_SERVICE}"
    raise StoreError(f"{text!r}: tunesmith does not know the database {scheme!r}; {instead}")
