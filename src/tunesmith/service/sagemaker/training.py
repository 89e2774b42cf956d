"""The process of a training: it keeps SageMaker's contract with the program that it runs.

Run as ``python -m tunesmith.service.sagemaker.training ATTEMPT CONFIG``, in its job's folder, as the program of a trial. The program finds below
``$SAGEMAKER_BASE_DIR`` what a container finds in ``/opt/ml``, and leaves its model there. What it prints is searched for
metrics, which become the trial's; how it stands is written into `plan.MOVES`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tunesmith.core.errors import TunesmithError
from tunesmith.run.output import Scanner, compile_metrics
from tunesmith.service.jobs.output import printed
from tunesmith.service.sagemaker import contract, plan
from tunesmith.service.sagemaker.configuration import read_again
from tunesmith.service.sagemaker.names import training_name
from tunesmith.service.sagemaker.plan import Move, Plan

#: How long a program may take to end after SIGTERM (s).
END_S: Final = 120.0
_LOOK_S: Final = 0.1
#: How often checkpoints are copied to where they are kept (s).
_SYNC_S: Final = 15.0
_MOST_REASON: Final = 1024


class Process:
    """One attempt of a training."""

    def __init__(self, work: Path, folder: Path, attempt: int) -> None:
        self._work, self._folder = work, folder
        self._plan = msgspec.json.decode((work / plan.FILE).read_bytes(), type=Plan)
        self._trial = int(os.environ["TUNESMITH_TRIAL"])
        self._attempt = attempt
        config = json.loads(Path(os.environ["TUNESMITH_CONFIG"]).read_text(encoding="utf-8"))
        self.training = self._plan.training_of(config)[1]
        self.tuned = contract.tuned(self.training, config)
        self.name = self._plan.job
        if self._plan.tuning:
            self.name = training_name(self._plan.job, self._plan.identity, self._trial)
        self._metrics: dict[str, tuple[float, float]] = {}
        #: How many values of the metric that counts there were.
        self._values = 0
        #: Why it is being stopped: SIGTERM came, somebody asked for it, or a limit.
        self._why = ""
        self._terminated = False

    # -- how it stands --------------------------------------------------------------------------

    def move(self, secondary: str, message: str = "", end: str = "") -> None:
        """Write down how it stands: a line, in one write, as others write there, too."""
        move = Move(
            self._trial,
            self._attempt,
            time.time(),
            secondary,
            message,
            end,
            self._metrics if end else {},
        )
        line = msgspec.json.encode(move) + b"\n"
        file = os.open(
            self._work.parent / plan.MOVES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        try:
            os.write(file, line)
        finally:
            os.close(file)

    # -- a run ----------------------------------------------------------------------------------

    def run(self) -> int:
        """The exit code: 0 for what ended well, or was stopped."""
        signal.signal(signal.SIGTERM, self._terminate)
        self.move("Starting")
        began = time.monotonic()
        try:
            configuration = read_again(Path(self._plan.configuration))
            contents = contract.Contents(self._folder / "opt" / "ml", self.training, configuration)
            self.move("Downloading")
            contents.lay_out(self._plan, self.name, self.tuned)
        except (TunesmithError, OSError) as error:
            return self._fail(f"ClientError: {error}", 1)
        if self._terminated:
            self.move("Stopped", "stopped before it began", "Stopped")
            return 0
        self.move("Training")
        try:
            code = self._program(contents)
        except OSError as error:
            return self._fail(f"ClientError: the program could not be started: {error}", 127)
        return self._finish(contents, code, time.monotonic() - began)

    def _finish(self, contents: contract.Contents, code: int, seconds: float) -> int:
        """Keep what it has left, and say how it ended."""
        said = contents.failure()
        if code != 0 and not self._why:
            try:
                contents.keep(self.name, model=False)
            except (TunesmithError, OSError) as error:  # why it failed counts more
                sys.stderr.write(f"what it left could not be kept: {error}\n")
            how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
            reason = f"AlgorithmError: {said}, {how}" if said else f"AlgorithmError: {how}"
            return self._fail(reason, code if code > 0 else 1)
        self.move("Uploading")
        try:
            contents.keep(self.name, model=True)
        except (TunesmithError, OSError) as error:
            return self._fail(f"ClientError: what it left could not be kept: {error}", 1)
        if not self._plan.tuning:
            self._report(0, {plan.SECONDS: seconds})
        if self._why:
            self.move(self._why, "", "Stopped")
        else:
            self.move("Completed", "", "Completed")
        contents.clear()
        return 0

    def _fail(self, reason: str, code: int) -> int:
        reason = reason[:_MOST_REASON]
        self.move("Failed", reason, "Failed")
        sys.stdout.flush()
        sys.stderr.write(f"\n{reason}\n")
        return code

    def _terminate(self, *_: object) -> None:
        self._terminated = True

    # -- its program ----------------------------------------------------------------------------

    def _program(self, contents: contract.Contents) -> int:
        """Run it to its end; its exit code."""
        patterns = compile_metrics(self.training.metrics)
        scanner = Scanner(frozenset(patterns), patterns)
        process = subprocess.Popen(
            contents.words(self.name),
            cwd=contents.cwd,
            env=contents.variables(self._plan, self.name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        began = synced = time.monotonic()
        asked_at = None
        for data in printed(process, _LOOK_S):
            if data:
                os.write(1, data)
                self._scan(scanner, data)
            now = time.monotonic()
            if process.poll() is None and (why := self._why or self._to_stop(now - began)):
                if asked_at is None:
                    self._why, asked_at = why, now
                    self.move("Stopping", why)
                    process.send_signal(signal.SIGTERM)
                elif now - asked_at > END_S:
                    process.kill()
            if now - synced > _SYNC_S:
                synced = now
                contents.keep_checkpoints(self.name)
        self._scan(scanner, b"", last=True)
        contents.keep_checkpoints(self.name)
        return process.wait()

    def _to_stop(self, seconds: float) -> str:
        """The secondary status of a training that is to stop; "" for one that goes on."""
        training = self.training
        if self._terminated or (self._folder / plan.STOP).exists():
            return "Stopped"
        if training.max_runtime_s is not None and seconds > training.max_runtime_s:
            return "MaxRuntimeExceeded"
        if (
            training.max_wait_s is not None
            and time.time() - contract.first_began(self._folder) > training.max_wait_s
        ):
            return "MaxWaitTimeExceeded"
        if training.most_steps is not None and self._values >= training.most_steps:
            return "Stopped"
        return ""

    # -- its metrics ----------------------------------------------------------------------------

    def _scan(self, scanner: Scanner, data: bytes, *, last: bool = False) -> None:
        for report in scanner.feed(data, last=last):
            now = time.time()
            metrics = {
                m: math.nan if value is None else value for m, value in report.metrics.items()
            }
            for metric, value in metrics.items():
                if math.isfinite(value):
                    self._metrics[metric] = (value, now)
                else:
                    self._metrics.pop(metric, None)
                self._values += metric == self.training.metric
            self._report(report.step, metrics)

    def _report(self, step: int, metrics: dict[str, float]) -> None:
        """Hand metrics over to the trial; the one that counts by the study's name for it."""
        if self.training.metric in metrics and self._plan.objective != self.training.metric:
            metrics = {**metrics, self._plan.objective: metrics[self.training.metric]}
        line = json.dumps({"step": step, **metrics}) + "\n"
        with Path(os.environ["TUNESMITH_METRICS"]).open("a", encoding="utf-8") as file:
            file.write(line)


if __name__ == "__main__":
    sys.exit(Process(Path.cwd(), Path(os.environ["TUNESMITH_DIR"]), int(sys.argv[1])).run())
