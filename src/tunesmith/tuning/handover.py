"""Jobs handed over to a service: sent, listed, followed, cancelled."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tunesmith.core.errors import JobError, StoreError
from tunesmith.store.line import Line
from tunesmith.store.location import Location, Service, default_storage
from tunesmith.tuning.job import load_job
from tunesmith.tuning.parcel import File, check_name, check_path, file_at, pack, pack_data

_OVER = ("ended", "failed", "cancelled")
#: How long a request waits for more of a log (s).
_WAIT_S = 20.0


class Handover:
    """The jobs of a service."""

    def __init__(self, to: Location | None = None) -> None:
        """`to` is where the service is; None: ``$TUNESMITH_STORAGE``. Raises StoreError."""
        location = default_storage() if to is None else to
        if not isinstance(location, Service):
            raise StoreError(
                f"{location} is no service; name one: --to http://host:8765, or set TUNESMITH_STORAGE to it"
            )
        self.where = str(location)
        self._line = Line(location)

    def submit(
        self,
        path: Path,
        *,
        name: str | None = None,
        python: str | None = None,
        requirements: str | None = None,
        container: str | None = None,
        memory: str | None = None,
        cpus: float | None = None,
        join: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> Mapping[str, Any]:
        """Send a job file and its folder, and have it run; the job, as the service describes it.

        `name` is the study's, instead of the job's; `python` a Python where the service runs, `requirements` a file in the folder for a
        virtual environment of the job's own, `container` an image in which all of it runs, with `memory` and `cpus` at most.
        With `join` it shares the study with others who run the same. Raises JobError for what cannot be sent or run, StoreError, StudyBusy.
        """
        job = load_job(path, {"name": name})
        folder = path.absolute().parent
        if not job.program.cwd.resolve().is_relative_to(folder.resolve()):
            raise JobError(
                f"{path}: its cwd is {job.program.cwd}, outside the folder that is sent; put the job file above it"
            )
        files = pack(folder)
        if path.name not in {file.path for file in files}:
            raise JobError(f"{path} is left out by a .gitignore, and has to be sent")
        if requirements is not None:
            requirements = _inside(Path(requirements), folder)
        environment = {
            "python": python, "requirements": requirements, "container": container, "memory": memory, "cpus": cpus,
            "join": join or None,
        }  # fmt: skip
        return self._hand_over(
            folder,
            files,
            say,
            study=job.spec.name,
            file=path.name,
            environment={k: v for k, v in environment.items() if v is not None},
        )

    def fit(
        self,
        data: Path,
        options: Mapping[str, Any],
        *,
        name: str | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> Mapping[str, Any]:
        """Send a table, or a folder of images, and have a model found for it, with options of `tunesmith fit`. Raises as
        `submit`."""
        data = data.resolve()
        try:
            files = pack_data(data) if data.is_dir() else [file_at(data, data.name)]
        except OSError as error:
            raise JobError(f"{error.filename or data} cannot be read: {error.strerror}") from None
        name = name or (data.name if data.is_dir() else data.stem)
        return self._hand_over(data.parent, files, say, study=name, file=data.name, fit=options)

    def _hand_over(
        self, folder: Path, files: Sequence[File], say: Callable[[str], None], **what: Any
    ) -> Mapping[str, Any]:
        self._send(folder, files, say)
        submission = {**what, "files": [file.to_dict() for file in files]}
        answer = self._line.request("POST", "/jobs", submission, key=uuid.uuid4().hex)
        described: Mapping[str, Any] = answer.data
        return described

    def _send(self, folder: Path, files: Sequence[File], say: Callable[[str], None]) -> None:
        """Send what the service does not have yet."""
        by_digest = {file.sha256: file for file in files}
        answer = self._line.request("POST", "/blobs/missing", {"sha256": [*by_digest]})
        missing = [by_digest[digest] for digest in answer.data["missing"] if digest in by_digest]
        for file in missing:
            body = (folder / file.path).read_bytes()
            self._line.request("PUT", f"/blobs/{file.sha256}", body=body)
        size = sum(file.size for file in missing)
        say(f"sent {len(missing)} of {len(files)} files ({size} bytes)")

    def all(self) -> list[Mapping[str, Any]]:
        """The jobs of the service, the newest first."""
        jobs: list[Mapping[str, Any]] = self._line.request("GET", "/jobs", limit=1000).data["jobs"]
        return jobs

    def get(self, which: str) -> Mapping[str, Any]:
        """A job by its id or the beginning of it, or the newest one of a study. Raises JobError."""
        jobs = self.all()
        fitting = [one for one in jobs if one["study"] == which][:1] or [
            one for one in jobs if which and one["id"].startswith(which)
        ]
        if len(fitting) != 1:
            raise JobError(
                f"{self.where}: {'no job' if not fitting else 'several jobs'} {which!r}; `tunesmith jobs` lists them"
            )
        return fitting[0]

    def log(self, which: str, *, follow: bool = False) -> Iterator[bytes]:
        """The parts of what a job has printed; with `follow` also what it will print, to its end."""
        job, after = self.get(which)["id"], 0
        while True:
            wait = _WAIT_S if follow else None
            answer = self._line.request("GET", f"/jobs/{job}/log", after=after, wait=wait)
            if answer.body:
                yield answer.body
            elif not follow or answer.headers["tunesmith-state"] in _OVER:
                return
            after = int(answer.headers["tunesmith-cursor"])

    def fetch(self, which: str, folder: Path | None = None) -> tuple[Path, int]:
        """Write what a job has left into a new `folder`; that, and how many files. Raises JobError, OSError."""
        job = self.get(which)
        if folder is None:
            check_name(job["study"])
            folder = Path(job["study"] + ("-model" if job["recipe"] else ".trials"))
        if folder.exists():
            raise JobError(f"{folder} is there already; name another folder with --output")
        left = self._line.request("GET", f"/jobs/{job['id']}/files").data
        if not (listed := left["files"]):
            raise JobError(f"job {job['id']} has left no files")
        if not left["complete"]:
            raise JobError(
                f"job {job['id']} has left more than {len(listed)} files; copy them where the service runs, from the "
                f"folder jobs/{job['id']} of its own"
            )
        for file in listed:
            check_path(file["path"])
            body = self._line.request("GET", f"/jobs/{job['id']}/files/{quote(file['path'])}").body
            place = folder / file["path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
        return folder, len(listed)

    def delete(self, which: str) -> Mapping[str, Any]:
        """Remove a job that is over, with all that it has left; the job as it was. Raises JobError."""
        described = self.get(which)
        self._line.request("DELETE", f"/jobs/{described['id']}")
        return described

    def cancel(self, which: str, why: str = "") -> Mapping[str, Any]:
        """End a job. Raises JobError."""
        job = self.get(which)["id"]
        described: Mapping[str, Any] = self._line.request(
            "POST", f"/jobs/{job}/cancel", {"why": why}
        ).data
        return described


def _inside(path: Path, folder: Path) -> str:
    """`path` as the service knows it. Raises JobError."""
    absolute = path.absolute() if path.exists() else folder / path
    if not absolute.is_file() or not absolute.resolve().is_relative_to(folder.resolve()):
        raise JobError(f"there is no file {path} in {folder}, the folder that is sent")
    return absolute.resolve().relative_to(folder.resolve()).as_posix()


def fit_options(target: str | None, texts: Sequence[str]) -> dict[str, Any]:
    """Options of `tunesmith fit` from NAME=VALUE; one that is repeated is a list. Raises JobError."""
    options: dict[str, list[str]] = {} if target is None else {"target": [target]}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise JobError(f"--option {text}: write NAME=VALUE, such as time=10m")
        options.setdefault(name.replace("-", "_"), []).append(value)
    return dict(options)
