"""An agent: runs one trial at a time on a node of a cluster, by the executor that would run it on this machine.

So a trial is there what it is here: a process tree of its own, limited, told to end, killed, its end explained. What the
agent does for its coordinator (see `tunesmith.run.fleet`):

    hello                      who and where it is, and whether it sees the study's folder
    turn([Start | Stop])       do this, and let a trial that waits in a report go on; what happens next is the answer
    tell(Stop)                 do this during a turn
    close                      end everything

Where the node does not see the study's folder, files travel: a trial begins with the checkpoint that is sent along, and
each checkpoint comes home with the first report after it, before that report is stored; so does what programs print.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, TypeAlias

import psutil

from tunesmith.core.errors import ExecutorError, JobError, TunesmithError
from tunesmith.core.events import Exited, Start, Stop
from tunesmith.core.trial import Kind, Reason
from tunesmith.files import drafted
from tunesmith.run import checkpoint
from tunesmith.run.base import Executor, Happened
from tunesmith.run.folder import CHECKPOINT, OUTPUT, Folder, made
from tunesmith.run.program import Program
from tunesmith.version import __version__

#: How long a turn takes in which nothing happens (s), and how soon one is told something during it.
TURN_S: Final = 30.0
_LOOK_S: Final = 0.05
#: How long an end is not believed that may have to do with a signal which this process has not seen yet (s).
_DOUBT_S: Final = 2.0
#: What a program prints is sent every so often (s), so much at a time; of more than all that, the beginning.
_SEND_EVERY_S: Final = 1.0
_SEND_BYTES: Final = 256 << 10
_OUTPUT_BYTES: Final = 8 << 20
_TEMPORARY: Final = "tunesmith-agent-"
#: A signal's name, in an end's words.
_SIGNAL: Final = re.compile(rf"\b({'|'.join(s.name for s in signal.Signals)})\b")


class Function(NamedTuple):
    """An objective, pickled (see `tunesmith.run.process.pickled`)."""

    blob: bytes
    metrics: tuple[str, ...]
    isolate: bool


@dataclass(frozen=True, slots=True)
class Site:
    """What every agent of a study is to know."""

    work: Function | Program
    folder: Path
    #: A file in `folder`: whoever sees it there shares the folder.
    sign: str
    memory_limit: int | None
    #: Environment variables for trials.
    environment: Mapping[str, str]
    #: Folders in which the coordinator finds the user's own modules.
    path: tuple[str, ...]
    #: The folder of the coordinator's whose copy the agent is started in; None if nothing was sent.
    sent: Path | None = None


class Hello(NamedTuple):
    """Who has come."""

    host: str
    pid: int
    version: str
    shares: bool
    #: The cluster's own name for its node.
    node: str = ""


class Files(NamedTuple):
    """Files of a trial, by their paths in its folder for checkpoints: a whole checkpoint, or (without a step) what the
    program keeps in a form of its own."""

    trial: int
    step: int | None
    contents: Mapping[str, bytes]


class Printed(NamedTuple):
    """What a program has printed since, and where in its output that stands."""

    trial: int
    attempt: int
    offset: int
    text: bytes


class News(NamedTuple):
    """What has happened, after these files have been put where they belong."""

    happened: Sequence[Happened] = ()
    files: Sequence[Files] = ()
    printed: Sequence[Printed] = ()
    #: What is wrong with this node ...
    fault: str = ""
    #: ... or with the job itself.
    broken: str = ""


Order: TypeAlias = Start | Stop | Files


class Agent:
    """See the module's text. `turn`, `tell` and `close` may be called from different threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._told: SimpleQueue[Stop] = SimpleQueue()
        self._closing = False
        #: Why this place is about to be taken away; "" if it is not. May be set by a signal handler.
        self.leaving = ""
        #: Whether somebody handles the signals by which that is told.
        self.hears_signals = False
        self._told_to_stop = False
        self._executor: Executor | None = None
        self._folder = Folder(site.folder)
        self._shares = False
        self._start: Start | None = None
        #: The checkpoints of the present trial that are at home.
        self._home: set[int] = set()
        self._sent_bytes, self._sent_at = 0, 0.0

    def hello(self, node: str = "") -> Hello:
        """Get ready. What goes wrong here is said in the first turn."""
        self._shares = _sees(self._site.folder / self._site.sign, self._site.sign)
        if not self._shares:
            _sweep()
            self._folder = Folder(
                Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-")), temporary=True
            )
        return Hello(socket.gethostname(), os.getpid(), __version__, self._shares, node)

    def turn(self, orders: Sequence[Order], timeout_s: float = TURN_S) -> News:
        """Carry `orders` out, and wait for what happens then."""
        with self._lock:
            try:
                return self._turn(orders, timeout_s)
            except JobError as error:
                return News(broken=str(error))
            except (TunesmithError, OSError) as error:
                return News(fault=str(error))
            except Exception as error:  # noqa: BLE001 (an agent's own mistake is its node's fault, not the study's end)
                return News(fault=f"{type(error).__name__}: {error}")

    def tell(self, order: Stop) -> None:
        """Carry `order` out during a turn."""
        self._told.put(order)

    def close(self) -> None:
        """End everything."""
        self._closing = True
        with self._lock:
            if self._executor is not None:
                self._executor.close()
                self._executor = None
            self._folder.close()

    # -- a turn -------------------------------------------------------------------------------------

    def _turn(self, orders: Sequence[Order], timeout_s: float) -> News:
        if self._closing:
            return News()
        executor = self._executor = self._executor or _executor(self._site, self._folder)
        for order in orders:
            if isinstance(order, Start):
                self._begin(order)
                executor.start(order)
            elif isinstance(order, Stop):
                self._stop(executor, order)
            else:
                self._put(order)
        deadline = time.monotonic() + timeout_s
        while not self._closing:
            with contextlib.suppress(Empty):
                while True:
                    self._stop(executor, self._told.get_nowait())
            happened = [self._taken_away(event) for event in executor.events(_LOOK_S)]
            over = any(isinstance(event, Exited) for event in happened)
            printed = self._printed(now=over)
            if happened or printed or time.monotonic() >= deadline:
                files = self._whole(happened) if happened else ()
                if over:
                    self._start = None
                return News(happened, files, printed)
        return News()

    def _stop(self, executor: Executor, order: Stop) -> None:
        if (
            self._start is not None and self._start.trial == order.trial
        ):  # not too late, for one before
            self._told_to_stop = True
        executor.stop(order)

    def _taken_away(self, event: Happened) -> Happened:
        """The end of a trial by the signal that tells that its place is taken away: all of a job's processes may get it,
        and none of that is the trial's."""
        if not isinstance(event, Exited) or event.reason is None or self._told_to_stop:
            return event
        kind = event.reason.kind
        by_signal = kind in (Kind.STOPPED, Kind.LOST) or bool(_SIGNAL.search(event.reason.message))
        if not by_signal and not (self.leaving and kind is Kind.ERROR):
            return event
        deadline = time.monotonic() + _DOUBT_S
        while self.hears_signals and not self.leaving and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        if not self.leaving:
            return event
        reason = Reason(Kind.INTERRUPTED, self.leaving, event.reason.output)
        return event._replace(reason=reason, blameless=True)

    def _begin(self, start: Start) -> None:
        self._start, self._home = start, set()
        self._told_to_stop = False
        self._sent_bytes, self._sent_at = 0, time.monotonic()
        if not self._shares:
            self._home = {one.step for one in checkpoint.complete(self._of(start.trial))}

    # -- files, where the study's folder is not seen here -----------------------------------------------

    def _of(self, trial: int) -> Path:
        return self._folder.trial(trial) / CHECKPOINT

    def _put(self, files: Files) -> None:
        """Put what was sent along into the trial's folder, and nothing else."""
        shutil.rmtree(self._folder.trial(files.trial), ignore_errors=True)
        place(self._folder, files)

    def _whole(self, happened: Sequence[Happened]) -> list[Files]:
        """The checkpoints that are not at home yet; of a trial that is over, also files of its own."""
        start = self._start
        if self._shares or start is None:
            return []
        directory, files = self._of(start.trial), []
        whole = checkpoint.complete(directory)
        for step, path in whole:
            if step not in self._home:
                self._home.add(step)
                files.append(Files(start.trial, step, _contents(path)))
        for one in whole[:-2]:  # at home; the trial itself wants the newest, if any
            checkpoint.remove(one.path)
        over = any(isinstance(event, Exited) for event in happened)
        own = _contents(directory, own=True) if over else {}
        return [*files, Files(start.trial, None, own)] if own else files

    def _printed(self, *, now: bool) -> list[Printed]:
        """What the program has printed, every now and then; all of it (up to a limit) when it is over."""
        start = self._start
        due = now or time.monotonic() - self._sent_at >= _SEND_EVERY_S
        if self._shares or start is None or not due or not isinstance(self._site.work, Program):
            return []
        self._sent_at, sent = time.monotonic(), []
        with (
            contextlib.suppress(OSError),
            (self._folder.trial(start.trial) / OUTPUT).open("rb") as file,
        ):
            file.seek(self._sent_bytes)
            while self._sent_bytes < _OUTPUT_BYTES and (text := file.read(_SEND_BYTES)):
                sent.append(Printed(start.trial, start.attempt, self._sent_bytes, text))
                self._sent_bytes += len(text)
                if not now:
                    break
        return sent


def place(folder: Folder, files: Files) -> None:
    """Put files that were sent into a trial's folder for checkpoints: a checkpoint appears there as a whole."""
    for name in files.contents:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ExecutorError(f"{name!r} leads out of the folder of trial {files.trial}")
    directory = made(folder.make(files.trial) / CHECKPOINT)
    if files.step is None:
        for name, content in files.contents.items():
            made((directory / name).parent)
            with drafted(directory / name) as draft:
                draft.write_bytes(content)
        return
    with checkpoint.writing(directory, files.step) as draft:
        for name, content in files.contents.items():
            made((draft / name).parent)
            (draft / name).write_bytes(content)


def sent_along(folder: Folder, start: Start) -> Files:
    """The files with which an attempt goes on."""
    directory = folder.trial(start.trial) / CHECKPOINT
    newest = checkpoint.newest_first(directory, start.reported)[:1]
    for step, path in newest:
        return Files(start.trial, step, _contents(path))
    return Files(start.trial, None, _contents(directory, own=True) if directory.is_dir() else {})


def _contents(directory: Path, *, own: bool = False) -> dict[str, bytes]:
    """The files below a folder; with `own`, without those of checkpoints."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if own and name.parts[0].startswith((".", "step-")):
            continue
        if own and name.name.startswith(".") and name.suffix == ".draft":  # a kill left it
            continue
        if path.is_file():
            found[name.as_posix()] = path.read_bytes()
    return found


def _sees(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except OSError:
        return False


def _sweep() -> None:
    """Remove what agents of this host left that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        pid = path.name.removeprefix(_TEMPORARY).partition("-")[0]
        with contextlib.suppress(OSError):
            if (
                pid.isdigit()
                and path.stat().st_uid == os.getuid()
                and not psutil.pid_exists(int(pid))
            ):
                shutil.rmtree(path, ignore_errors=True)


def _executor(site: Site, folder: Folder) -> Executor:
    """The executor for one trial at a time here."""
    os.environ.update(site.environment)
    session = uuid.uuid4().hex[:16]  # an agent's own: others on this node are none of its business
    if isinstance(site.work, Program):
        return _of_program(site.work, site, folder, session)
    from tunesmith.run.process import ProcessExecutor

    own = [] if site.sent is None else [os.getcwd()]  # noqa: PTH109
    sys.path[:] = [*dict.fromkeys([*own, *site.path, *sys.path])]
    return ProcessExecutor(
        site.work.blob,
        metric=site.work.metrics,
        session=session,
        folder=folder,
        memory_limit=site.memory_limit,
        isolate=site.work.isolate,
    )


def _of_program(program: Program, site: Site, folder: Folder, session: str) -> Executor:
    from tunesmith.run.command import CommandExecutor

    if site.sent is not None:
        inside = program.cwd.is_relative_to(site.sent)
        within = program.cwd.relative_to(site.sent) if inside else Path()
        program = replace(program, cwd=Path.cwd() / within)
    try:
        program.find(program.template)
    except JobError as error:
        hint = ""
        if site.sent is None:
            hint = "; let it be there, in a folder that all nodes see, or send it along (runtime_env: {working_dir: .})"
        raise JobError(f"on node {socket.gethostname()}: {error}{hint}") from None
    return CommandExecutor(program, session=session, folder=folder, memory_limit=site.memory_limit)
