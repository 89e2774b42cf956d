"""Jobs over HTTP."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from tunesmith.service.bodies import answer, read
from tunesmith.service.gate import require
from tunesmith.service.jobs import results
from tunesmith.service.jobs.job import Environment, Job
from tunesmith.service.jobs.jobs import Jobs
from tunesmith.service.problems import Problem
from tunesmith.service.studies import Studies
from tunesmith.tuning.parcel import File

#: The longest part of a log in one answer (bytes); how long one waits for more (s), and how often it looks.
_PART: Final = 256 << 10
_LONGEST_S: Final = 25.0
_LOOK_S: Final = 0.2
_SHOWN: Final = (
    "id", "study", "file", "state", "why", "by", "submitted_at", "started_at", "ended_at", "attempt", "exit",
)  # fmt: skip


class _File(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    sha256: str
    size: int
    executable: bool = False


class _New(msgspec.Struct, forbid_unknown_fields=True):
    study: Annotated[str, msgspec.Meta(min_length=1)]
    file: str
    files: list[_File]
    environment: Environment = Environment()
    #: Options of `tunesmith fit`: `file` is a table or a folder of images, and no job file.
    fit: dict[str, str | int | float | list[str]] | None = None


class _Digests(msgspec.Struct, forbid_unknown_fields=True):
    sha256: list[str]


class _Cancel(msgspec.Struct, forbid_unknown_fields=True):
    why: str = ""


class Routes:
    """The routes by which jobs are handed over, watched and cancelled; `jobs` is None where that is not allowed."""

    def __init__(self, jobs: Jobs | None, studies: Studies) -> None:
        self._open = jobs
        self._studies = studies
        self.router = APIRouter(prefix="/api/v1", tags=["jobs"])
        add = self.router.add_api_route
        add("/blobs/missing", self.missing, methods=["POST"])
        add("/blobs/{digest}", self.has, methods=["HEAD"])
        add("/blobs/{digest}", self.put, methods=["PUT"], status_code=204)
        add("/jobs", self.all, methods=["GET"])
        add("/jobs", self.submit, methods=["POST"], status_code=202)
        add("/jobs/{which}", self.one, methods=["GET"])
        add("/jobs/{which}", self.delete, methods=["DELETE"], status_code=204)
        add("/jobs/{which}/log", self.log, methods=["GET"])
        add("/jobs/{which}/files", self.files, methods=["GET"])
        add("/jobs/{which}/files/{path:path}", self.file, methods=["GET"])
        add("/jobs/{which}/cancel", self.cancel, methods=["POST"], status_code=202)

    def _jobs(self) -> Jobs:
        if self._open is None:
            raise Problem(
                403,
                "jobs",
                "this service takes no jobs; its operator may allow them: tunesmith serve --jobs 1",
            )
        return self._open

    async def missing(self, request: Request) -> Response:
        """Which of these files the service does not have yet."""
        require(request, "submit")
        blobs = self._jobs().blobs
        wanted: _Digests = await read(request, _Digests)
        missing = [d for d in dict.fromkeys(wanted.sha256) if not blobs.has(d)]
        return answer({"missing": missing})

    async def has(self, digest: str, request: Request) -> Response:
        """200 if the file is there, 404 if not."""
        require(request, "submit")
        if not self._jobs().blobs.has(digest):
            raise Problem(404, "missing", "this file is not there yet")
        return Response()

    async def put(self, digest: str, request: Request) -> Response:
        """Keep a file; the body is its contents as they are."""
        require(request, "submit")
        await self._jobs().blobs.put(digest, request.stream())
        return Response(status_code=204)

    async def submit(self, request: Request) -> Response:
        """Run a job file, which is among the files, as a study of this service; with `fit`, find a model for a table or a folder of images. With the header Idempotency-Key it may be sent again."""
        token = require(request, "submit")
        jobs = self._jobs()
        new: _New = await read(request, _New)
        key = request.headers.get("idempotency-key", "")
        if len(key) > 200:
            raise Problem(422, "invalid", "an Idempotency-Key has 200 characters at most")
        asked = sha256(await request.body()).hexdigest() if key else ""
        files = [File(f.path, f.sha256, f.size, f.executable) for f in new.files]
        job = await self._studies.think(
            jobs.submit, token, new.study, new.file, files, new.environment, new.fit, key, asked
        )
        return answer(_shown(job), 202, {"Location": f"jobs/{job.id}"})

    async def all(self, request: Request, state: str = "", limit: int = 100) -> Response:
        """The newest jobs, those in a `state` if one is named."""
        token = require(request, "read")
        seen = [
            _shown(job)
            for job in self._jobs().all()
            if token.sees(job.study) and state in ("", job.state)
        ]
        return answer({"jobs": seen[: max(1, min(limit, 1000))], "count": len(seen)})

    async def one(self, which: str, request: Request) -> Response:
        """How a job stands, and why."""
        return answer(_shown(self._seen(which, request)))

    async def delete(self, which: str, request: Request) -> Response:
        """Remove a job that is over, with its files, log and results; its study stays."""
        require(request, "submit")
        job = self._seen(which, request)
        await self._studies.think(self._jobs().delete, job.id)
        return Response(status_code=204)

    async def log(
        self, which: str, request: Request, after: int = 0, wait: float = 0.0
    ) -> Response:
        """What a job has printed, from byte `after` on; if that is nothing yet, within `wait` seconds. `Tunesmith-Cursor` is where the next
        part begins, `Tunesmith-State` how the job stands: once it is over and a part is empty, there is no more."""
        job = self._seen(which, request)
        if not 0 <= after < 1 << 40:
            raise Problem(422, "invalid", "after: a number of bytes")
        until = time.monotonic() + (min(wait, _LONGEST_S) if wait > 0 else 0.0)
        while True:
            part, job = await self._studies.quick(self._jobs().log, job.id, after, _PART)
            if part or job.over or self._studies.ending or time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_S)
        headers = {"Tunesmith-Cursor": str(after + len(part)), "Tunesmith-State": job.state}
        return Response(part, 200, headers, "text/plain; charset=utf-8")

    async def files(self, which: str, request: Request) -> Response:
        """What a job that is over has left: the model of a table, or the files of its trials."""
        root = self._jobs().results(self._seen(which, request).id)
        listed = await self._studies.quick(results.files, root)
        shown = [{"path": path, "size": size} for path, size in listed]
        return answer({"files": shown, "complete": len(shown) < results.MOST})

    async def file(self, which: str, path: str, request: Request) -> Response:
        """One of these files."""
        root = self._jobs().results(self._seen(which, request).id)
        place = await self._studies.quick(results.file, root, path)
        return FileResponse(place, media_type="application/octet-stream", filename=place.name)

    async def cancel(self, which: str, request: Request) -> Response:
        """End a job; its study stays, and may go on as another job."""
        token = require(request, "submit")
        job = self._seen(which, request)
        told: _Cancel = await read(request, _Cancel)
        if len(told.why) > 500 or not (told.why.isprintable()):
            raise Problem(422, "invalid", "why: 500 printable characters at most")
        why = f"by {token.name}" + (f": {told.why}" if told.why else "")
        return answer(_shown(await self._studies.quick(self._jobs().cancel, job.id, why)), 202)

    def _seen(self, which: str, request: Request) -> Job:
        token = require(request, "read")
        job = self._jobs().get(which)
        if not token.sees(job.study):
            raise Problem(404, "JobError", "there is no such job; `tunesmith jobs` lists them")
        return job


def _shown(job: Job) -> dict[str, Any]:
    return {**{name: getattr(job, name) for name in _SHOWN}, "recipe": job.fit is not None}
