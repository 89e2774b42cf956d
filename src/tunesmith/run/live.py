"""Handle of a running trial, passed to its objective: config, reporting, checkpoints, folders."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeAlias

from tunesmith.core.errors import Paused, Stopped, TransitionError
from tunesmith.core.outcome import STEPS, Unusable, finite, number, whole
from tunesmith.core.trial import Kind, Reason
from tunesmith.run import checkpoint
from tunesmith.run.checkpoint import Checkpoint
from tunesmith.run.folder import CHECKPOINT, made

#: Takes a report to the coordinator and brings the answer: None to go on, or why to stop.
Send: TypeAlias = Callable[[int, dict[str, float | None]], Reason | None]


class Channel:
    """One attempt's way to its coordinator: one report at a time, until the attempt is over."""

    def __init__(self, trial: int, send: Send) -> None:
        self._trial = trial
        self._send = send
        self._lock = threading.Lock()
        self._over = False

    def __call__(self, step: int, metrics: dict[str, float | None]) -> Reason | None:
        """Send a report. Raises TransitionError once the attempt is over."""
        with self._lock:
            if self._over:
                raise TransitionError(
                    f"trial {self._trial} is over, so this thread's report is not taken: let the "
                    "objective join its threads before it returns"
                )
            return self._send(step, metrics)

    def close(self) -> None:
        """The attempt is over; a report that is under way is waited for."""
        with self._lock:
            self._over = True


class LiveTrial:
    """The running trial, as its objective sees it."""

    def __init__(
        self,
        number: int,
        attempt: int,
        config: dict[str, Any],
        seed: int,
        directory: Callable[[], Path],
        send: Send,
        reported: int | None = None,
    ) -> None:
        #: The trial's number in its study, from 0 on.
        self.number = number
        #: 0 at first; more if earlier attempts were lost.
        self.attempt = attempt
        self.config = config
        #: A 32-bit seed of the trial's own, the same in every attempt.
        self.seed = seed
        #: The last step that earlier attempts reported.
        self.reported = reported
        self._directory = directory
        self._send = send
        self._step = 0
        self._stopped: Reason | None = None
        self._process: Final = os.getpid()
        self._lock = threading.Lock()

    @property
    def step(self) -> int:
        """Where it stands: the step that was reported or restored last; 0 at first."""
        return self._step

    @property
    def told(self) -> Reason | None:
        """Why it is to end, once a report was answered so."""
        return self._stopped

    @property
    def directory(self) -> Path:
        """A folder of the trial's own, kept over attempts; made when first asked for."""
        return made(self._directory())

    @property
    def checkpoint_dir(self) -> Path:
        """The folder for checkpoints inside `directory`."""
        return made(self.directory / CHECKPOINT)

    def save(self, state: Any, *, step: int) -> None:
        """Keep `state`, any object that can be pickled (torch's state dicts included), so that the trial
        can go on after `step` if it is paused, lost or interrupted.

        Written as a whole or not at all; where there is no room, not at all and with a warning. Save
        before you report the step.
        """
        checkpoint.save(self._directory() / CHECKPOINT, state, step)

    def restore(self, default: Any = None, *, weights_only: bool = False) -> Any:
        """What was saved last, by an earlier attempt or by the trial that this one goes on from; `default`
        if nothing was. What was saved for a step whose report never came is passed over. Tensors come back in
        main memory.

        What was saved is a pickle, which can run any code as it is read: go on with a stranger's study only if you
        trust it. With `weights_only`, only torch's own format of tensors, numbers, texts and containers is read.
        """
        restored = checkpoint.restore(
            self._directory() / CHECKPOINT, self.reported, weights_only=weights_only
        )
        if restored is None:
            return default
        self._step, state = restored
        return state

    def checkpoint(self, step: int) -> AbstractContextManager[Path]:
        """``with trial.checkpoint(step) as folder:`` write any files there; as `save` otherwise."""
        return checkpoint.writing(self._directory() / CHECKPOINT, step)

    @property
    def last_checkpoint(self) -> Checkpoint | None:
        """The step and folder of the checkpoint to go on from, for what `checkpoint` wrote."""
        checkpoints = checkpoint.newest_first(self._directory() / CHECKPOINT, self.reported)
        if not checkpoints:
            return None
        self._step = checkpoints[0].step
        return checkpoints[0]

    def report(self, step: int | None = None, **metrics: float) -> None:
        """Report metrics at `step` (by default one more than the last). Returns once it is stored.

        Raises Stopped if the trial should end here (Paused, which is one, if it may go on later): let it
        pass. Raises ValueError for what is no number, or no step. Threads may report too, as long as the
        objective runs, but not processes that it forked: both get a TransitionError.
        """
        if os.getpid() != self._process:
            raise TransitionError(
                f"process {os.getpid()} was forked by trial {self.number} and cannot report for it: hand "
                "the metrics over to the process that runs the objective"
            )
        with self._lock:
            step, values = checked_report(step, metrics, self._step)
            self._step = step
            if self._stopped is None:
                self._stopped = self._send(step, finite(values))
        if self._stopped is not None:
            raise stopped(self._stopped)


def stopped(reason: Reason) -> Stopped:
    """What to raise in a trial that is to end for `reason`."""
    return (Paused if reason.kind is Kind.PAUSED else Stopped)(reason.message)


def checked_report(
    step: Any, metrics: Mapping[str, Any], last_step: int
) -> tuple[int, dict[str, float]]:
    """A report's step and metrics as numbers. Raises ValueError."""
    if not metrics:
        raise ValueError("report() needs a metric: report(step=1, accuracy=0.9)")
    values = {}
    for name, value in metrics.items():
        as_number = number(value)
        if as_number is None:
            raise ValueError(f"report({name}={Unusable.of(value).text}): a metric is a number")
        values[name] = as_number
    if step is None:
        if last_step + 1 >= STEPS:
            raise ValueError(f"report(): there is no step after {last_step}: a step has 64 bits")
        return last_step + 1, values
    as_step = whole(step)
    if as_step is None:
        raise ValueError(
            f"report(step={Unusable.of(step).text}): a step is a whole number (of 64 bits)"
        )
    return as_step, values
