"""Objects at ``s3://bucket/key``: files below a folder of this machine, or objects that fsspec reaches."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from tunesmith.core.errors import StudyError
from tunesmith.files import drafted
from tunesmith.service.sagemaker.configuration import Configuration

_SCHEME: Final = "s3://"


class Place(NamedTuple):
    """A bucket's object, or what its objects' names begin with: where it is."""

    #: The path on this machine, if the bucket is a folder.
    path: Path | None
    #: Else fsspec's file system, and the path there.
    system: Any
    key: str


class Found(NamedTuple):
    """An object below a prefix: its name from there on, and itself."""

    name: str
    place: Place


def place(uri: str, configuration: Configuration) -> Place:
    """Where the object at `uri` is. Raises StudyError."""
    if not uri.startswith(_SCHEME):
        raise StudyError(f"{uri}: only s3:// is known here")
    name, _, key = uri.removeprefix(_SCHEME).partition("/")
    bucket = configuration.bucket(name)
    if bucket is None:
        raise StudyError(
            f"{uri}: there is no bucket {name!r} here; its operator may add it under buckets: in the file of --sagemaker"
        )
    parts = PurePosixPath(key).parts
    if ".." in parts or "\0" in key or key.startswith("/"):
        raise StudyError(f"{uri}: a key with '..', a leading slash or NUL names no object here")
    if "://" not in bucket.url:
        return Place(Path(bucket.url).expanduser().joinpath(*parts), None, key)
    try:
        import fsspec
    except ImportError:
        raise StudyError(
            f"{bucket.url} is reached by fsspec, which is not installed; pip install 'tunesmith[remote]'"
        ) from None
    try:
        system, root = fsspec.core.url_to_fs(bucket.url, **bucket.options)
    except (ImportError, ValueError) as error:
        raise StudyError(f"{bucket.url} cannot be reached: {error}") from None
    system.invalidate_cache()
    return Place(None, system, f"{root.rstrip('/')}/{key}".rstrip("/"))


@contextlib.contextmanager
def _reaching(found: Place) -> Iterator[None]:
    """A fault as an OSError that names the object: each client has its own, such as that of a server that does not answer."""
    try:
        yield
    except Exception as error:
        raise OSError(f"{found.key}: {error}") from error


def below(uri: str, configuration: Configuration) -> list[Found]:
    """The objects whose names begin with `uri`, as SageMaker lays them out: below it, if that is a folder; else by the names that they
    have in the folder above. Raises StudyError, and OSError for what cannot be listed."""
    there = place(uri, configuration)
    if there.path is not None:
        return list(_files(there.path, uri.endswith("/")))
    with _reaching(there):
        if there.system.isfile(there.key):
            return [Found(there.key.rpartition("/")[2], there)]
        keys: list[str] = there.system.find(there.key)
        if keys:
            base = there.key.rstrip("/") + "/"
        else:
            base = there.key.rpartition("/")[0] + "/"
            listed: list[str] = there.system.find(base)
            keys = [key for key in listed if key.startswith(there.key)]
    return [Found(key.removeprefix(base), there._replace(key=key)) for key in keys]


def _files(path: Path, folder: bool) -> Iterator[Found]:
    if path.is_dir():
        base, files = path, sorted(path.rglob("*"))
    elif path.is_file() and not folder:
        base, files = path.parent, [path]
    else:
        base = path.parent
        files = [p for p in sorted(base.rglob("*")) if str(p).startswith(str(path))]
    for file in files:
        if file.is_file():
            yield Found(file.relative_to(base).as_posix(), Place(file, None, ""))


def fetch(found: Place, target: Path) -> None:
    """Have the object at `target`. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if found.path is not None:
        target.symlink_to(found.path.absolute())
        return
    with drafted(target) as draft, _reaching(found):
        found.system.get_file(found.key, str(draft))


def text(found: Place) -> str:
    """Raises OSError."""
    if found.path is not None:
        return found.path.read_text(encoding="utf-8")
    with _reaching(found):
        return str(found.system.cat_file(found.key).decode("utf-8"))


def put(file: Path, uri: str, configuration: Configuration) -> None:
    """Keep a file at `uri`, whole or not at all. Raises StudyError, OSError."""
    there = place(uri, configuration)
    if there.path is None:
        with _reaching(there):
            if there.system.protocol in ("file", ("file", "local")):  # others have no folders
                there.system.makedirs(there.key.rpartition("/")[0], exist_ok=True)
            there.system.put_file(str(file), there.key)
        return
    there.path.parent.mkdir(parents=True, exist_ok=True)
    with drafted(there.path) as draft:
        shutil.copyfile(file, draft)
