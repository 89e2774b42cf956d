"""Jobs handed over to a service: they wait, run as processes of their own, so many at a time, and end.

Each has a folder: ``job.json`` (what was asked for and how it stands), ``work`` (its files), ``log``, ``lock`` (who has it, runs it), ``end-N.json`` (how attempt N
ended). A service that comes back finds what runs by the locks; what does not run any more and has not ended runs again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from tunesmith.core.errors import JobError, StudyError, TunesmithError
from tunesmith.service.jobs import container, environment, job, keeper, recipe
from tunesmith.service.jobs.blobs import Blobs
from tunesmith.service.jobs.job import Environment, Job, State
from tunesmith.service.problems import Problem
from tunesmith.service.tokens import Token, Tokens
from tunesmith.tuning.job import load_job
from tunesmith.tuning.parcel import File, check

#: So many wait or run at most, and so often at a stretch may one be lost.
MOST_WAITING: Final = 1000
MOST_LOST: Final = 5
#: Attempts that lasted longer (s) are not counted: machines may be restarted as often as they like.
_LONG_S: Final = 600.0
#: How often the processes are looked at, and how long nothing is begun after a fault of this machine's (s).
_LOOK_S: Final = 0.3
_AGAIN_S: Final = 10.0
#: How often old jobs are looked for (s).
_TIDY_S: Final = 600.0
_LOG: Final = logging.getLogger(__name__)
_ID: Final = frozenset("0123456789abcdef")
#: Exit codes of `tunesmith run`: somebody else runs the study; the service was not reached; it was stopped.
_BUSY, _STORE, _STOPPED = 3, 4, 130


class Jobs:
    """The jobs in `folder`, of which `at_a_time` run. For several threads, and one process: `start` takes the folder."""

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        url: str,
        at_a_time: int,
        clock: Callable[[], float] = time.time,
        *,
        containers: str | None = None,
        keep_s: float | None = None,
    ) -> None:
        """`containers` is the program that runs them (None: they are not allowed); jobs that have been over for `keep_s` are
        deleted."""
        self._containers, self._keep_s = containers, keep_s
        self._folder, self._tokens, self._url, self._at_a_time = folder, tokens, url, at_a_time
        self._clock = clock
        self.blobs = Blobs(folder / "blobs")
        self._jobs: dict[str, Job] = {}
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        #: What removes containers whose keepers were killed.
        self._removing: dict[str, subprocess.Popen[bytes]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._submitting = threading.Lock()
        self._closing = False
        #: When old jobs are looked for again, where one could not be deleted.
        self._tidy_at = 0.0
        self._mine: int | None = None
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier service has left, and go on. Raises StudyError if another one has the folder."""
        self._mine = os.open(self._folder / keeper.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._mine)
            self._mine = None
            raise StudyError(
                f"another service runs the jobs in {self._folder}; end it first, or leave out the option that "
                "takes them (--jobs, --sagemaker)"
            ) from None
        for path in self._folder.iterdir():
            if path.name.startswith(".job-"):  # of a service that was killed while it took it
                shutil.rmtree(path, ignore_errors=True)
            elif _is_id(path.name):
                with contextlib.suppress(OSError, msgspec.DecodeError):
                    self._jobs[path.name] = job.read(path)
        for one in self._jobs.values():
            if one.state == "running" and one.url != self._url and self._runs(one):
                self._ask_to_end(one)  # it looks for the service where that was
        self._thread.start()

    def close(self) -> None:
        """Leave what runs to itself: it waits for the service, for a while."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        if self._mine is not None:
            os.close(self._mine)
            self._mine = None

    # -- what is asked ---------------------------------------------------------------------------

    def all(self) -> list[Job]:
        """The newest first."""
        return sorted(self._all(), key=lambda one: (-one.submitted_at, one.id))

    def _all(self) -> list[Job]:
        """Without the lock, as `get`: whoever looks is not to wait for a disk, or for a process to begin."""
        return list(self._jobs.values())

    def get(self, which: str) -> Job:
        """Raises Problem."""
        if (found := self._jobs.get(which)) is not None:
            return found
        raise Problem(404, "JobError", "there is no such job; `tunesmith jobs` lists them")

    def submit(
        self,
        token: Token,
        study: str,
        path: str,
        files: list[File],
        wanted: Environment,
        fit: recipe.Options | None = None,
        key: str = "",
        asked: str = "",
    ) -> Job:
        """Take a job; one that was taken under this key already, if it was the same. Raises JobError, Problem."""
        with self._submitting:
            for one in self.all():
                if key and one.key == key and one.token == token.id:
                    if one.asked != asked:
                        raise Problem(
                            422, "invalid", "this Idempotency-Key was used for another job"
                        )
                    return one
            check(files)
            paths = {file.path for file in files}
            folder = fit is not None and any(one.startswith(f"{path}/") for one in paths)
            if path not in paths and not folder:
                raise JobError("the job's own file is not among those that were sent")
            environment.check(wanted, paths, self._containers)
            if missing := self.blobs.missing(files):
                detail = (
                    f"{len(missing)} of the files have to be sent first: PUT /api/v1/blobs/SHA256"
                )
                raise Problem(409, "missing", detail, missing=missing)
            waiting = [one for one in self.all() if not one.over]
            if len(waiting) >= MOST_WAITING:
                raise Problem(
                    409,
                    "JobError",
                    f"{len(waiting)} jobs wait already; cancel some, or come back later",
                )
            if not token.sees(study):
                raise Problem(403, "JobError", f"this token is not for a study {study!r}")
            if other := next((one for one in waiting if one.study == study), None):
                raise Problem(
                    409,
                    "StudyBusy",
                    f"job {other.id} has the study {study!r}; wait for it, cancel it, or use another name",
                )
            options = None if fit is None else dict(fit)
            if options is not None:
                recipe.check(study, options)
            made = Job(
                secrets.token_hex(6), study, path, self._clock(), token.id, token.name, key, asked,
                wanted, options,
            )  # fmt: skip
            return self._take(made, files)

    def _take(self, made: Job, files: list[File]) -> Job:
        draft = self._folder / f".job-{made.id}"
        draft.mkdir(mode=0o700)
        try:
            self.blobs.lay_out(files, draft / "work")
            if made.fit is None:
                _check_job(draft / "work", made.file, made.study)
            job.write(draft, made)
            draft.rename(self._folder / made.id)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        with self._changed:
            self._jobs[made.id] = made
            self._changed.notify_all()
        return made

    def folder(self, which: str) -> Path:
        """Where a job's files are."""
        return self._folder / which

    def results(self, which: str) -> Path:
        """The folder of what a job has left. Raises Problem while it may change."""
        one = self.get(which)
        if not one.over:
            raise Problem(
                409,
                "JobError",
                f"job {one.id} is {one.state}; what it leaves is there once it is over",
            )
        return self._folder / one.id / one.results

    def delete(self, which: str) -> None:
        """Remove a job that is over, and all that it has left. Raises Problem, OSError."""
        with self._changed:
            one = self.get(which)
            if not one.over:
                raise Problem(409, "JobError", f"job {one.id} is {one.state}; cancel it first")
            # under this name a service that comes back removes it, should this one be killed meanwhile
            gone = self._folder / f".job-{one.id}"
            with contextlib.suppress(FileNotFoundError):  # somebody has removed it by hand
                (self._folder / one.id).rename(gone)
            del self._jobs[one.id]
        shutil.rmtree(gone, ignore_errors=True)

    def cancel(self, which: str, why: str) -> Job:
        """End a job, or do not begin it; one that is over stays as it is. Raises Problem."""
        with self._changed:
            one = self.get(which)
            if one.state == "queued":
                return self._write(one.moved("cancelled", why, ended_at=self._clock()))
            if one.state == "running" and not one.cancelling:
                one = self._write(
                    msgspec.structs.replace(one, cancelling=why, why=f"is being cancelled: {why}")
                )
                self._ask_to_end(one)
            return one

    def log(self, which: str, after: int, most: int) -> tuple[bytes, Job]:
        """What the job has printed from byte `after` on, and how it stood before that was read. Raises Problem."""
        one = self.get(which)
        try:
            with (self._folder / one.id / keeper.LOG).open("rb") as file:
                file.seek(after)
                return file.read(most), one
        except FileNotFoundError:
            return b"", one

    # -- what is done ----------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            self._tidy()
            failed = False
            try:
                self._look()
            except (OSError, TunesmithError) as error:  # a full disk, a damaged file of tokens
                _LOG.warning("jobs wait: %s", error)
                failed = True
            with self._changed:
                if self._closing:
                    return
                # one that came meanwhile is queued; so is one that waits for what an earlier attempt has left
                active = any(one.state in ("running", "queued") for one in self._all())
                rest_s = None if self._keep_s is None else _TIDY_S
                pause_s = _AGAIN_S if failed else _LOOK_S if active else rest_s
                self._changed.wait(pause_s)

    def _look(self) -> None:
        """Take notice of what has ended, and begin what is due: one by one, as others wait for the lock, and each takes a flush
        of the disk, or a process."""
        for one in self._all():
            if one.state == "running":
                with self._as_it_is(one, "running") as now:
                    if now is not None:
                        self._see_to(now)
        self._removing = {i: p for i, p in self._removing.items() if p.poll() is None}
        for one in self._due():
            with self._as_it_is(one, "queued") as now:
                if now is not None:
                    self._begin(now)

    @contextlib.contextmanager
    def _as_it_is(self, one: Job, state: State) -> Iterator[Job | None]:
        """A job, which does not change meanwhile, if it is still in this state."""
        with self._changed:
            now = self._jobs.get(one.id)
            yield now if now is not None and now.state == state else None

    def _see_to(self, one: Job) -> None:
        if not self._runs(one):
            self._finish(one)
        elif self._orphaned(one):
            self._remove_container(one)

    def _tidy(self) -> None:
        """Delete the jobs that have been over for so long. Not with the lock: large folders take a while."""
        if self._keep_s is None or time.monotonic() < self._tidy_at:
            return
        old = self._clock() - self._keep_s
        for one in [one for one in self.all() if one.over and (one.ended_at or old) < old]:
            if self._closing:
                return
            try:
                self.delete(one.id)
            except (OSError, Problem) as error:  # not our folder; deleted meanwhile
                _LOG.warning("job %s could not be deleted: %s", one.id, error)
                self._tidy_at = time.monotonic() + _TIDY_S

    def _due(self) -> list[Job]:
        """Those that are to begin, in the order in which they came."""
        running = sum(one.state == "running" for one in self._all())
        waiting = [one for one in reversed(self.all()) if one.state == "queued"]
        return waiting[: max(0, self._at_a_time - running)]

    def _begin(self, one: Job) -> None:
        """Start a job's process. That it runs is written first, so that no service can begin it twice."""
        folder = self._folder / one.id
        with _locked(folder / keeper.LOCK) as lock:
            if lock is None:  # what an earlier attempt has left is not gone yet
                return
            with contextlib.suppress(FileNotFoundError):
                (folder / keeper.CANCEL).unlink()
            one = self._write(
                one.moved(
                    "running", "", attempt=one.attempt + 1, url=self._url, started_at=self._clock()
                )
            )
            secret, _ = self._tokens.create(
                f"job {one.id}", "control", studies=(one.study,), owner=one.by
            )

            def fail(why: str) -> None:
                with contextlib.suppress(StudyError):
                    self._tokens.revoke(f"job {one.id}")
                self._write(one.moved("failed", why, ended_at=self._clock()))

            try:
                plan = environment.plan(one, folder, self._url, secret, self._containers)
            except JobError as error:
                fail(str(error))
                return
            words = [sys.executable, "-P", "-m", keeper.__name__, str(folder), str(lock)]
            try:
                process = subprocess.Popen(
                    words, cwd=folder, env=plan.environment, stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=(lock,),
                )  # fmt: skip
                stdin: IO[bytes] | None = process.stdin
                assert stdin is not None
                with contextlib.suppress(BrokenPipeError), stdin:
                    stdin.write(msgspec.json.encode(plan))
            except OSError as error:
                fail(f"it could not be started: {error.strerror}")
                return
            self._keepers[one.id] = process

    def _runs(self, one: Job) -> bool:
        """Whether a process of the job is alive."""
        if one.id in self._keepers:
            self._keepers[one.id].poll()
        with _locked(self._folder / one.id / keeper.LOCK) as lock:
            return lock is None

    def _orphaned(self, one: Job) -> bool:
        """Whether nobody can end a container any more but we: its keeper was killed, and what runs it has the lock."""
        if one.environment.container is None:
            return False
        if (process := self._keepers.get(one.id)) is not None:
            return process.poll() is not None
        try:  # an earlier service's: it is not our child
            asked_at = (self._folder / one.id / keeper.CANCEL).stat().st_mtime
        except OSError:
            return False
        return time.time() - asked_at > 2 * keeper.GRACE_S

    def _remove_container(self, one: Job) -> None:
        """Have a job's container removed, if it has one; nobody waits for that."""
        if one.environment.container is None or self._containers is None:
            return
        removing = self._removing.get(one.id)
        if removing is None or removing.poll() is not None:
            removing = container.remove(self._containers, one.id)
            if removing is not None:
                self._removing[one.id] = removing

    def _ask_to_end(self, one: Job) -> None:
        (self._folder / one.id / keeper.CANCEL).touch()

    def _finish(self, one: Job) -> None:
        """Write down how a job has ended whose processes are gone."""
        if (process := self._keepers.pop(one.id, None)) is not None:
            process.wait()
        with contextlib.suppress(StudyError):
            self._tokens.revoke(f"job {one.id}")
        folder, now = self._folder / one.id, self._clock()
        end = keeper.end_of(folder, one.attempt)
        if end is None:  # its keeper was killed
            self._remove_container(one)
        code = None if end is None else end.code
        if one.cancelling:
            self._write(one.moved("cancelled", one.cancelling, ended_at=now, exit=code))
        elif lost := self._lost(folder, end):
            long = now - (one.started_at or now) > _LONG_S
            one = msgspec.structs.replace(one, lost=1 if long else one.lost + 1)
            if one.lost < MOST_LOST:
                self._write(one.moved("queued", f"runs again: {lost}"))
            else:
                why = f"given up: {lost}, {one.lost} times"
                self._write(one.moved("failed", why, ended_at=now, exit=code))
        elif code in (0, _STOPPED):
            why = "its study is over" if code == 0 else "its study was stopped on request"
            self._write(one.moved("ended", why, ended_at=now, exit=code))
        else:
            assert end is not None
            self._write(one.moved("failed", _explain(end, folder), ended_at=now, exit=code))

    def _lost(self, folder: Path, end: keeper.End | None) -> str:
        """Why an attempt does not count; "" for one that does."""
        if end is None:
            return "its process vanished"
        if (folder / keeper.CANCEL).exists():
            return "the service has another address now"
        if end.step == environment.RUN and end.code == _BUSY:
            return "somebody else ran its study"
        if end.step == environment.RUN and end.code == _STORE:
            return f"it lost the service ({_last_line(folder)})"
        return ""

    def _write(self, one: Job) -> Job:
        job.write(self._folder / one.id, one)
        self._jobs[one.id] = one
        self._changed.notify_all()
        return one


def _is_id(name: str) -> bool:
    return len(name) == 12 and set(name) <= _ID


def _check_job(work: Path, path: str, study: str) -> None:
    """Raise JobError for a job file that cannot be run; the folder's path is nobody's business."""
    try:
        load_job(work / path, {"name": study, "storage": "memory.db"})
    except JobError as error:
        raise JobError(str(error).replace(f"{work}/", "")) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The descriptor of the lock; None while somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _explain(end: keeper.End, folder: Path) -> str:
    how = f"exit code {end.code}" if end.code >= 0 else f"killed by signal {-end.code}"
    where = "" if end.step == environment.RUN else f"{end.step}: "
    line = _last_line(folder)
    return f"{where}{line} ({how})" if line else f"{where}{how}"


def _last_line(folder: Path) -> str:
    """The last line of the log that says something: an error's first, if there is one."""
    try:
        with (folder / keeper.LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.lower().startswith("error")]
    line = (errors or said or [""])[-1]
    return "".join(c for c in line if c.isprintable())[:500]
