"""The file of ``tunesmith serve --sagemaker FILE``: who may sign, what stands for images, and where buckets are."""

from __future__ import annotations

import stat
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta, Struct

from tunesmith.core.errors import StudyError, TextError
from tunesmith.core.yaml_text import read

if TYPE_CHECKING:
    from tunesmith.run.executors import Where

#: What is asked for, cannot be given here, and may be left out without a word if the operator says so.
Ignored: TypeAlias = Literal[
    "vpc", "kms", "network_isolation", "debugger", "experiments", "instances"
]


class AccessKey(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests are signed with, and the token, by name or id, whose rights they have."""

    secret: Annotated[str, Meta(min_length=16)]
    token: str


class Image(Struct, frozen=True, forbid_unknown_fields=True):
    """What is run where a request names an image: a program, the entry point that the client sent (`script`, by that Python), or an
    `algorithm` of our own."""

    command: Annotated[list[str], Meta(min_length=1)] | None = None
    script: str | None = None
    algorithm: str | None = None
    #: Where a program runs; without one, in the folder of the code that was sent.
    cwd: str | None = None
    environment: dict[str, str] = {}
    #: Metrics that need no definition in requests, with their regular expressions.
    metrics: dict[str, str] = {}


class Bucket(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a bucket's objects are: below a URL that fsspec knows. ``{bucket}`` stands for its name."""

    url: str
    options: dict[str, Any] = {}


class Configuration(Struct, frozen=True, forbid_unknown_fields=True):
    keys: dict[str, AccessKey]
    #: By name of an image; ``*`` stands for anything in it.
    images: dict[str, Image] = {}
    #: By name of a bucket, ``*`` for any: a folder, or where else.
    buckets: dict[str, str | Bucket] = {}
    account: Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")] = "000000000000"
    #: How many tuning and training jobs run at a time (others wait), and how many trainings of one.
    at_a_time: Annotated[int, Meta(ge=1)] = 4
    parallel: Annotated[int, Meta(ge=1)] = 100
    ignore: list[Ignored] = []
    #: Where trainings run, and what each needs there, as job files say it. Clusters see the service's files at the same paths.
    executor: str | dict[str, dict[str, Any]] = "auto"
    resources: dict[str, Any] | None = None

    @property
    def place(self) -> dict[str, Any]:
        """`executor` and `resources`, for a job file."""
        found: dict[str, Any] = {} if self.executor == "auto" else {"executor": self.executor}
        return found | ({} if self.resources is None else {"resources": self.resources})

    def image(self, name: str) -> Image | None:
        """The entry for an image: the one of its very name, else the first whose pattern fits."""
        if name in self.images:
            return self.images[name]
        return next((one for key, one in self.images.items() if fnmatchcase(name, key)), None)

    def bucket(self, name: str) -> Bucket | None:
        found = self.buckets.get(name, self.buckets.get("*"))
        if found is None:
            return None
        made = Bucket(found) if isinstance(found, str) else found
        return Bucket(made.url.replace("{bucket}", name), made.options)


def load(path: Path) -> Configuration:
    """What a file says, checked as a service does as it starts. Raises StudyError."""
    from tunesmith.run.executors import of_program
    from tunesmith.run.program import Program

    made = read_again(path)
    try:
        program = Program([sys.executable], ())
        of_program(program, where=cast("Where", made.executor), resources=made.resources)
    except StudyError as error:
        raise StudyError(f"--sagemaker {path}: {error}") from None
    return made


def read_again(path: Path) -> Configuration:
    """What a file says, for trainings: there are many, and what runs them is no matter of theirs. Raises StudyError."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"--sagemaker {path} cannot be read: {error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StudyError(
            f"--sagemaker {path} has secrets, and others may read it: chmod 600 {path}"
        )
    try:
        data, _ = read(text)
        made = msgspec.convert(data, Configuration)
    except (TextError, msgspec.ValidationError) as error:
        raise StudyError(f"--sagemaker {path}: {error}; see the guide From SageMaker") from None
    for name, image in made.images.items():
        ways = [
            way for way in ("command", "script", "algorithm") if getattr(image, way) is not None
        ]
        if len(ways) != 1:
            raise StudyError(
                f"--sagemaker {path}: images: {name}: exactly one of command, script and algorithm says what runs, not "
                f"{' and '.join(ways) or 'none'}"
            )
    for name, bucket in made.buckets.items():
        url = bucket if isinstance(bucket, str) else bucket.url
        if "://" not in url and not Path(url).expanduser().is_absolute():
            raise StudyError(
                f"--sagemaker {path}: buckets: {name}: {url!r} is a folder's whole path, or a URL such as s3://{{bucket}}"
            )
    return made
