"""What trainings print, as CloudWatch's logs: SageMaker's SDKs show it while they wait (`fit()`, `logs_for_job`).

Shapes: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference. A training has one stream, TRAINING/algo-1-BEGAN; a
page's token is a place in its file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal, NamedTuple, TypeAlias

from msgspec import Meta

from tunesmith.run.folder import OUTPUT
from tunesmith.service.sagemaker.protocol import Fault
from tunesmith.service.sagemaker.shapes import Shape, Token

GROUP: Final = "/aws/sagemaker/TrainingJobs"
#: An answer's text at most (bytes), and its lines.
_MOST: Final = 1 << 20
_LINES: Final = 10_000
_STREAM: Final = re.compile(r"([A-Za-z0-9-]{1,63})/algo-1-\d{1,15}")
#: Outputs of earlier attempts, and how many of them are shown.
_EARLIER: Final = re.compile(rf"{Path(OUTPUT).stem}-(\d{{1,9}})\.log", re.ASCII)
_ATTEMPTS: Final = 100
_PLACE: Final = re.compile(r"([fb])/(\d{1,15})", re.ASCII)
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)]
_Time: TypeAlias = Annotated[int, Meta(ge=0)]


class Streams(Shape, frozen=True):
    """`DescribeLogStreams`."""

    logGroupName: Name  # noqa: N815 (theirs)
    logStreamNamePrefix: Name  # noqa: N815
    orderBy: Literal["LogStreamName", "LastEventTime"] = "LogStreamName"  # noqa: N815
    descending: bool = False
    nextToken: Token | None = None  # noqa: N815
    limit: Annotated[int, Meta(ge=1, le=50)] = 50


class Events(Shape, frozen=True):
    """`GetLogEvents`."""

    logGroupName: Name  # noqa: N815
    logStreamName: Name  # noqa: N815
    startTime: _Time = 0  # noqa: N815
    endTime: _Time | None = None  # noqa: N815
    nextToken: Token | None = None  # noqa: N815
    limit: Annotated[int, Meta(ge=1, le=_LINES)] = _LINES
    startFromHead: bool = False  # noqa: N815
    unmask: bool = False


class Log(NamedTuple):
    """A training's output: its file, since when (ms since the epoch), and whether there will be no more."""

    path: Path
    began_ms: int
    over: bool

    def parts(self, files: ExitStack) -> list[tuple[BinaryIO, int]]:
        """The outputs of all attempts, oldest first, and how long they are: whoever counts lines is not to lose any. They are
        open until `files` closes them; no link is followed, since what a training may write there it need not be able to read.
        """
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return []
        files.callback(os.close, folder)
        # before the list: one that is renamed meanwhile is in both
        now = _opened(folder, self.path.name, files)
        earlier = [
            (int(match[1]), match[0])
            for name in os.listdir(folder)  # noqa: PTH208 (the folder that is open)
            if (match := _EARLIER.fullmatch(name))
        ]
        found = [_opened(folder, name, files) for _, name in sorted(earlier)[:_ATTEMPTS]]
        if now is None:  # it has just become an earlier one, and there may be the next
            now = _opened(folder, self.path.name, files)
        parts: dict[tuple[int, int], tuple[BinaryIO, int]] = {}
        for file in (*found, now):
            if file is not None:
                status = os.fstat(file.fileno())
                parts.setdefault((status.st_dev, status.st_ino), (file, status.st_size))
        return list(parts.values())


def _opened(folder: int, name: str, files: ExitStack) -> BinaryIO | None:
    """A file of the folder, if it is one."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        return None
    return files.enter_context(os.fdopen(opened, "rb"))


def _read(parts: Sequence[tuple[BinaryIO, int]], begin: int, end: int) -> bytes:
    data = b""
    for file, size in parts:
        if begin < size and end > 0:
            file.seek(max(0, begin))
            data += file.read(min(size, end) - max(0, begin))
        begin, end = begin - size, end - size
    return data


def streams(training: str, log: Log | None) -> dict[str, Any]:
    """The stream of a training that has begun."""
    with ExitStack() as files:
        if log is None or not log.parts(files):
            return {"logStreams": []}
    name = f"{training}/algo-1-{log.began_ms}"
    return {"logStreams": [{"logStreamName": name, "creationTime": log.began_ms}]}


def training_of(stream: str) -> str:
    """The training whose stream this is. Raises Fault."""
    match = _STREAM.fullmatch(stream)
    if match is None:
        raise missing("log stream")
    return match[1]


def missing(what: str) -> Fault:
    return Fault("ResourceNotFoundException", f"The specified {what} does not exist.")


def events(asked: Events, log: Log) -> dict[str, Any]:
    """The lines from a place on, or before it; all have the time at which their training began. Raises Fault."""
    with ExitStack() as files:
        if not (parts := log.parts(files)):
            raise missing("log stream")
        return _events(asked, log, parts)


def _events(asked: Events, log: Log, parts: Sequence[tuple[BinaryIO, int]]) -> dict[str, Any]:
    size = sum(length for _, length in parts)
    way, place = "f" if asked.startFromHead else "b", 0 if asked.startFromHead else size
    if asked.nextToken is not None:
        match = _PLACE.fullmatch(asked.nextToken)
        if match is None:
            raise Fault("InvalidParameterException", "The specified nextToken is invalid.")
        way, place = match[1], int(match[2])
    if place > size:  # the middle of a long one was cut out
        place = size
    begin = place if way == "f" else max(0, place - _MOST)
    data = _read(parts, begin, min(size, begin + _MOST) if way == "f" else place)
    lines = data.splitlines(keepends=True)
    if way == "f":
        whole = log.over and begin + len(data) >= size
        if lines and not lines[-1].endswith(b"\n") and not whole:
            # the rest of the last line is in the next page, or still to come
            lines = lines[:-1] if len(lines) > 1 or len(data) < _MOST else lines
        lines = lines[: asked.limit]
        end = begin + sum(map(len, lines))
    else:
        if begin and len(lines) > 1:
            lines = lines[1:]  # the first one begins before
        if place == size and not log.over and lines and not lines[-1].endswith(b"\n"):
            place -= len(lines.pop())  # its rest is still to come
        lines = lines[-asked.limit :]
        begin, end = place - sum(map(len, lines)), place
    in_time = asked.startTime <= log.began_ms and (
        asked.endTime is None or log.began_ms < asked.endTime
    )
    shown = [
        {
            "timestamp": log.began_ms,
            "ingestionTime": log.began_ms,
            "message": line.decode(errors="replace").rstrip("\r\n"),
        }
        for line in (lines if in_time else ())
    ]
    return {"events": shown, "nextForwardToken": f"f/{end}", "nextBackwardToken": f"b/{begin}"}
