"""The command executor: trials as programs in any language, each with its own folder, environment and process tree.

A program gets its config by placeholders in its command line, by environment variables
(``TUNESMITH_PARAM_<NAME>``) and as JSON (``$TUNESMITH_CONFIG``). Its metrics are found in its output
(see `tunesmith.run.output`) and in ``$TUNESMITH_METRICS``, a file of JSON lines which
`tunesmith.report` writes. It is done when it exits; exit code 0 means that the metrics count.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tunesmith.core.errors import JobError, TunesmithError
from tunesmith.core.events import Exited, Reported, Start, Stop
from tunesmith.core.text import text_of
from tunesmith.core.trial import Cost, Kind, Reason
from tunesmith.files import write_text
from tunesmith.run import init
from tunesmith.run.base import Happened
from tunesmith.run.config_file import config_files, json_text
from tunesmith.run.folder import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    OUTPUT,
    STOP,
    Folder,
    fault_of,
)
from tunesmith.run.marks import ATTEMPT_MARK, SESSION_MARK
from tunesmith.run.metric_file import MetricFileReader
from tunesmith.run.missing_metric import no_metric, no_number
from tunesmith.run.objective import reason_of, tail
from tunesmith.run.output import ScannedReport, Scanner
from tunesmith.run.program import (
    PARAMETER_PREFIX,
    Program,
    built_in_of,
    compile_sources,
    search_path,
    variable_of,
)
from tunesmith.run.reaper import Guard
from tunesmith.run.resources import GpuSlots, gpu_environment, thread_caps, visible_gpus
from tunesmith.run.supervise import Supervisor, death, kernel_kills
from tunesmith.run.withheld import inherited, written

#: How often running programs are looked at (s).
_POLL_S: Final = 0.02
#: A longer output is cut in the middle when its trial is over.
_OUTPUT_BYTES: Final = 8 << 20
#: How much output is read at a time.
_CHUNK_BYTES: Final = 64 << 10
#: How long all programs' output is read before limits and leases are seen to again (s), and how many
#: reports of one program are taken.
_READ_S: Final = 0.1
_READ_REPORTS: Final = 500
#: The grace of a program whose output cannot be read (s).
_GRACE_S: Final = 5.0


class _Reader:
    """A file that grows, and what is to be found in it."""

    def __init__(self, file: BinaryIO, scanner: Scanner) -> None:
        self.file = file
        self.scanner = scanner
        self._reports: Iterator[ScannedReport] = iter(())
        self._ended = False
        #: Whether all has been read, to the last line.
        self.drained = False

    def read(self, deadline: float, *, last: bool) -> Iterator[ScannedReport]:
        """What has come since the last call, as far as there is time; `last` says that nothing follows."""
        while True:
            for report in self._reports:
                yield report
                if time.monotonic() >= deadline:
                    return
            self.drained = self._ended
            chunk = b"" if self._ended else self.file.read(_CHUNK_BYTES)
            if self._ended or not (chunk or last):
                return
            self._ended = not chunk
            self._reports = self.scanner.feed(chunk, last=self._ended)
            if time.monotonic() >= deadline:
                return


class _Run:
    """One attempt of a trial: a process, its files, and what has been read of them."""

    def __init__(
        self,
        start: Start,
        process: subprocess.Popen[bytes],
        status: BinaryIO,
        folder: Path,
        supervisor: Supervisor,
    ) -> None:
        self.start = start
        self.process = process
        self._status = status
        self.folder = folder
        self.supervisor = supervisor
        self.began = 0.0
        self.status: int | None = None
        #: What it used: seconds of wall and CPU time, and memory in units of `ru_maxrss`.
        self.used = (0.0, 0.0, 0)
        #: Why the program could not be started; "" if it could.
        self.unstarted = ""
        self.metrics: dict[str, float | None] = {}
        self.readers: list[_Reader] = []
        #: The metrics that are read from files of the program's own.
        self.files: dict[str, MetricFileReader] = {}

    def read(self, deadline: float) -> Iterator[Reported]:
        """What has been reported since the last call, as far as there is time."""
        readers: list[_Reader | MetricFileReader] = [*self.readers, *self.files.values()]
        for reader in readers:
            news = reader.read(deadline, last=self.status is not None)
            for report in itertools.islice(news, _READ_REPORTS):
                self.metrics.update(report.metrics)
                yield Reported(time.time(), self.start.trial, self.start.attempt, *report)

    def ended(self) -> bool:
        """Whether the program has exited; takes its status and what it used."""
        if self.status is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.process.returncode = self.status
                cpu_s = usage.ru_utime + usage.ru_stime
                self.used = time.perf_counter() - self.began, cpu_s, usage.ru_maxrss
                if sys.platform == "linux":  # this was its init
                    self._read_status()
        return self.status is not None

    def _read_status(self) -> None:
        """What the init has said of the program; without a word of it (it was killed) its own usage stands."""
        for line in self._status.read().decode(errors="replace").splitlines():
            if line.startswith("!"):
                self.unstarted = line[2:]
                continue
            wall_s, cpu_s, memory = line.split()
            self.used = float(wall_s), float(cpu_s), int(memory)

    @property
    def drained(self) -> bool:
        """Whether all that it has written has been read."""
        streams = all(reader.drained for reader in self.readers)
        return streams and all(reader.drained for reader in self.files.values())

    def not_finite(self, metric: str) -> float:
        """The last value of a metric that was not finite."""
        if metric in self.files and not math.isfinite(self.files[metric].last):
            return self.files[metric].last
        for reader in self.readers:
            if metric in reader.scanner.not_finite:
                return reader.scanner.not_finite[metric]
        return math.nan

    def output(self) -> str:
        """The end of what it has printed, wherever that file is now."""
        return last_bytes(self.readers[0].file)

    def cost(self) -> Cost:
        wall_s, cpu_s, memory = self.used
        unit = 1 if sys.platform == "darwin" else 1024
        return Cost(wall_s, cpu_s, max(memory * unit, self.supervisor.peak_bytes))

    def close(self) -> None:
        self._status.close()
        for reader in self.readers:
            reader.file.close()

    @property
    def given_up(self) -> str:
        """Why its output cannot be read; "" if it can."""
        return "; ".join(self.readers[0].scanner.given_up.values())


class CommandExecutor:
    """See the module's text."""

    def __init__(
        self,
        program: Program,
        *,
        session: str,
        folder: Folder,
        parallel: int = 1,
        memory_limit: int | None = None,
        gpus_per_trial: float = 0.0,
        gpus: list[str] | None = None,
    ) -> None:
        self._program = program
        self._template = program.template
        self._config_files = config_files(self._template.config_forms(), program.cwd)
        self._path = program.find(self._template)
        self._patterns, self._files = compile_sources(program.metrics)
        program.check_files(parallel)
        self._session = session
        self._folder = folder
        self._memory_limit = memory_limit
        self._threads = thread_caps(parallel)
        self._gpus_per_trial = gpus_per_trial
        if gpus is None:
            gpus = visible_gpus() if gpus_per_trial else []
        self._gpus = GpuSlots(gpus, gpus_per_trial, parallel)
        self._runs: dict[int, _Run] = {}
        self._unstarted: list[Exited] = []
        self._kernel_kills = kernel_kills()
        self._guard = Guard(session)

    # -- verbs --------------------------------------------------------------------------------

    def start(self, command: Start) -> None:
        try:
            self._runs[command.trial] = self._launch(command)
        except TunesmithError:
            self._gpus.give_back(command.trial)
            raise
        except Exception as error:  # noqa: BLE001 (a value that no program can be given, a program that is gone)
            self._gpus.give_back(command.trial)
            reason = Reason(Kind.ERROR, f"the program could not be started: {error}")
            exited = Exited(time.time(), command.trial, command.attempt, None, reason)
            self._unstarted.append(exited)

    def stop(self, command: Stop) -> None:
        run = self._runs.get(command.trial)
        if run is None or run.status is not None:
            return
        with contextlib.suppress(OSError):  # it hears of it by signal, too
            write_text(run.folder / STOP, str(command.reason))
        run.supervisor.stop(command)

    def events(self, timeout_s: float) -> list[Happened]:
        deadline = time.monotonic() + timeout_s
        while True:
            happened: list[Happened] = [*self._unstarted]
            self._unstarted.clear()
            for run in list(self._runs.values()):
                try:
                    happened += self._look(run)
                except Exception as error:  # noqa: BLE001 (whatever one program does, the others go on)
                    happened.append(self._give_up(run, error))
            left = deadline - time.monotonic()
            if happened or left <= 0:
                return happened
            time.sleep(min(_POLL_S, left))

    def close(self) -> None:
        for run in self._runs.values():
            run.supervisor.kill()
            run.process.wait()
            run.close()
        self._runs.clear()
        self._guard.close()

    # -- one run ------------------------------------------------------------------------------

    def _launch(self, start: Start) -> _Run:
        for name, value in start.config.items():
            if "\0" in text_of(value):
                raise ValueError(f"{name} has a NUL character, which no program can be given")
        folder = self._folder.make(start.trial)
        metrics = folder / metrics_name(start.attempt)
        built_in = built_in_of(start.trial, start.attempt, start.seed, folder)
        mark = (ATTEMPT_MARK, f"{self._session}/{start.trial}/{start.attempt}")
        environment = self._environment(start, folder, mark)
        with contextlib.ExitStack() as files:
            try:
                (folder / CHECKPOINT).mkdir(exist_ok=True)
                (folder / STOP).unlink(missing_ok=True)
                write_text(folder / CONFIG, json_text(start.config))
                for file in self._config_files:
                    built_in[file.placeholder] = str(file.write(start.config, folder))
                if start.attempt and (folder / OUTPUT).exists():
                    (folder / OUTPUT).replace(folder / f"output-{start.attempt - 1}.log")
                metrics.unlink(missing_ok=True)
                metrics.touch()
                output = files.enter_context((folder / OUTPUT).open("wb"))
                printed = files.enter_context((folder / OUTPUT).open("rb"))
                reported = files.enter_context(metrics.open("rb"))
                read_end, write_end = os.pipe()
                status = files.enter_context(os.fdopen(read_end, "rb"))
                tell = files.enter_context(os.fdopen(write_end, "wb"))
            except OSError as error:
                raise fault_of(error, folder, unused=start.attempt == 0) from error
            argv = self._template.fill(start.config, built_in)
            files_read = {
                file.metric: MetricFileReader(file, file.resolved(self._program.cwd, built_in))
                for file in self._files
            }
            began = time.perf_counter()
            words = ["/bin/sh", "-c", argv] if isinstance(argv, str) else self._words(argv)
            try:
                process = subprocess.Popen(
                    init.command(words, tell.fileno()),
                    pass_fds=(tell.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._program.cwd,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise fault_of(error, folder) from error
            files.pop_all()
        output.close()
        tell.close()
        run = _Run(
            start, process, status, folder, Supervisor(process.pid, mark, self._memory_limit)
        )
        run.began = began
        wanted = frozenset(self._program.wanted) | self._patterns.keys()
        run.files = files_read
        run.readers = [
            _Reader(printed, Scanner(wanted, self._patterns)),
            _Reader(reported, Scanner(wanted, any_json=True)),
        ]
        return run

    def _words(self, argv: list[str]) -> list[str]:
        """The words with the program's full path. Raises ValueError where a trial names one that is not there."""
        if not argv:
            raise ValueError("its command is empty")
        try:
            return [self._path or self._program.locate(argv[0]), *argv[1:]]
        except JobError as error:
            raise ValueError(str(error)) from None

    def _environment(self, start: Start, folder: Path, mark: tuple[str, str]) -> dict[str, str]:
        gpus = self._gpus.take(start.trial)
        parameters = {variable_of(name): text_of(value) for name, value in start.config.items()}
        ours = inherited(os.environ, self._program.environment)
        return {
            # a trial inside a trial has its own parameters only
            **{k: v for k, v in ours.items() if not k.startswith(PARAMETER_PREFIX)},
            **self._threads,
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "PATH": search_path(),
            **gpu_environment(gpus, self._gpus_per_trial),
            **written(self._program.environment),
            **parameters,
            SESSION_MARK: self._session,
            mark[0]: mark[1],
            "TUNESMITH_TRIAL": str(start.trial),
            "TUNESMITH_SEED": str(start.seed),
            "TUNESMITH_REPORTED": "" if start.reported is None else str(start.reported),
            "TUNESMITH_DIR": str(folder),
            "TUNESMITH_CONFIG": str(folder / CONFIG),
            "TUNESMITH_METRICS": str(folder / metrics_name(start.attempt)),
            "TUNESMITH_CHECKPOINT_DIR": str(folder / CHECKPOINT),
            "TUNESMITH_STOP": str(folder / STOP),
        }

    def _look(self, run: _Run) -> Iterator[Happened]:
        """What one run has to say, or some of it; its end comes last."""
        if run.status is None and run.ended():
            run.supervisor.kill()  # children it left behind
        yield from run.read(time.monotonic() + _READ_S / len(self._runs))
        if run.status is None:
            if run.given_up and run.supervisor.stopping is None:
                reason = Reason(Kind.ERROR, run.given_up)
                self.stop(Stop(run.start.trial, reason, _GRACE_S))
            run.supervisor.step()
        elif run.drained:
            yield self._exit(run)

    def _exit(self, run: _Run) -> Exited:
        output = run.output()
        reason = self._reason(run, output)
        if reason is not None:
            reason = Reason(reason.kind, reason.message, tail(output))
        returned = None
        if reason is None and run.metrics:
            returned = {
                name: run.not_finite(name) if v is None else v for name, v in run.metrics.items()
            }
        self._forget(run)
        start = run.start
        note = "" if reason is not None else self._passed_over(run)
        return Exited(time.time(), start.trial, start.attempt, returned, reason, run.cost(), note)

    def _passed_over(self, run: _Run) -> str:
        """What has to be said of words that came after the last number."""
        for reader in run.readers:
            for metric in self._by_last:
                if text := reader.scanner.passed_over.get(metric):
                    came = (
                        f"the pattern of {metric!r} matched is {text!r}"
                        if metric in self._patterns
                        else f"was reported as {metric!r} is {text}"
                    )
                    return f"the last thing that {came}, which is no number: the value is the number before it"
        return ""

    @property
    def _by_last(self) -> Collection[str]:
        """The metrics whose last value counts."""
        by_last = self._program.by_last
        return self._program.wanted if by_last is None else by_last

    def _forget(self, run: _Run) -> None:
        """Let go of a run that is over."""
        self._runs.pop(run.start.trial, None)
        self._gpus.give_back(run.start.trial)
        run.close()
        with contextlib.suppress(OSError):  # the program may have removed its folder
            shorten(run.folder / OUTPUT)

    def _give_up(self, run: _Run, error: Exception) -> Exited:
        """End a run that cannot be followed."""
        run.supervisor.kill()
        if run.status is None:
            run.process.wait()
        self._forget(run)
        start = run.start
        return Exited(time.time(), start.trial, start.attempt, None, reason_of(error))

    def _reason(self, run: _Run, output: str) -> Reason | None:
        status, stopping = run.status, run.supervisor.stopping
        assert status is not None
        if run.given_up and stopping is None:
            return Reason(Kind.ERROR, run.given_up)
        if run.unstarted:
            return Reason(Kind.ERROR, f"the program could not be started: {run.unstarted}")
        if status == 0 and not run.supervisor.interfered:
            missing = [name for name in self._program.wanted if name not in run.metrics]
            finished = (
                run.start.attempt > 0 and not run.metrics
            )  # before this attempt: all is reported
            if missing and not finished:
                printed, reported = (reader.scanner for reader in run.readers)
                text = no_metric(
                    missing, printed, reported, run.files, run.metrics, self._patterns, run.output()
                )
                return Reason(Kind.ERROR, text)
            for name in self._by_last:
                if name in run.files and run.files[name].problem:
                    return Reason(
                        Kind.NOT_FINITE, f"its last value is none: {run.files[name].problem}"
                    )
                scanners = [r.scanner for r in run.readers if name in r.scanner.no_number]
                if scanners and run.metrics.get(name, 0.0) is None:
                    text = no_number(name, scanners[0].no_number[name], self._patterns.get(name))
                    return Reason(Kind.NOT_FINITE, f"its last value is none: {text}")
            return None
        if stopping is not None:
            return stopping
        if status == -signal.SIGKILL:
            if kernel_kills() > self._kernel_kills:
                self._kernel_kills = kernel_kills()
                text = "killed by the kernel: the machine ran out of memory"
                return Reason(Kind.OUT_OF_MEMORY, text)
            return Reason(Kind.LOST, "the program was killed from outside (SIGKILL)")
        if _says_out_of_memory(output):
            return Reason(Kind.OUT_OF_MEMORY, f"the program ran out of memory ({death(status)})")
        last = last_line(output)
        return Reason(Kind.ERROR, f"the program ended with {death(status)}{last and f': {last}'}")


def last_line(output: str, width: int = 200) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:width] if lines else ""


def _says_out_of_memory(output: str) -> bool:
    last = output.rstrip().splitlines()[-3:]
    return any("MemoryError" in line or "out of memory" in line.lower() for line in last)


def last_bytes(file: BinaryIO, count: int = 64 << 10) -> str:
    """The end of a file as text, whatever bytes it holds."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - count))
    return file.read().decode(errors="replace")


def metrics_name(attempt: int) -> str:
    """The file for an attempt's metrics: what an earlier one left running writes elsewhere."""
    return METRICS if attempt == 0 else f"{attempt}-{METRICS}"


def shorten(path: Path, most: int = _OUTPUT_BYTES) -> None:
    """Cut the middle out of a file that is longer than `most` bytes."""
    size = path.stat().st_size
    if size <= most:
        return
    draft = path.with_name(f".{path.name}.draft")
    with path.open("rb") as old, draft.open("wb") as new:
        new.write(old.read(most // 2))
        new.write(f"\n... {size - 2 * (most // 2):,} bytes cut ...\n".encode())
        old.seek(-(most // 2), os.SEEK_END)
        shutil.copyfileobj(old, new)
    draft.replace(path)
