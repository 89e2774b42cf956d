"""Handle of a running trial, passed to its objective: config, reporting, checkpoints, folders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeAlias, overload

from tunesmith.core.errors import Stopped, TransitionError
from tunesmith.core.outcome import STEPS, Unusable, finite, number, whole
from tunesmith.core.trial import Reason
from tunesmith.run import checkpoint
from tunesmith.run.asks import Asks, Question, stopped
from tunesmith.run.checkpoint import Checkpoint
from tunesmith.run.folder import CHECKPOINT, made

#: Takes a report to the coordinator and brings the answer: None to go on, or why to stop.
Send: TypeAlias = Callable[[int, dict[str, float | None]], Reason | None]


class Channel:
    """One attempt's way to its coordinator: one message at a time, until the attempt is over."""

    def __init__(
        self,
        trial: int,
        send: Send,
        ask: Callable[[Question], Reason | None] = lambda _: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._trial = trial
        self._send, self._ask, self._note = send, ask, note
        self._lock = threading.Lock()
        self._over = False

    def __call__(self, step: int, metrics: dict[str, float | None]) -> Reason | None:
        """Send a report. Raises TransitionError once the attempt is over."""
        with self._lock:
            self._check("report is not taken")
            return self._send(step, metrics)

    def ask(self, question: Question) -> Reason | None:
        """Have it stored what the objective asks for, as `Asks` does. Raises TransitionError."""
        with self._lock:
            self._check("question is not answered")
            return self._ask(question)

    def note(self, name: str) -> None:
        """Say that a value is used that was suggested; nothing is waited for. Raises TransitionError."""
        with self._lock:
            self._check("question is not answered")
            self._note(name)

    def _check(self, what: str) -> None:
        if self._over:
            raise TransitionError(
                f"trial {self._trial} is over, so this thread's {what}: let the objective join its threads before it "
                "returns"
            )

    def close(self) -> None:
        """The attempt is over; a report that is under way is waited for."""
        with self._lock:
            self._over = True


class LiveTrial(Asks):
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
        *,
        asked: Mapping[str, Mapping[str, Any]] | None = None,
        given: bool = False,
        metrics: Sequence[str] = (),
        so_far: Iterable[str] = (),
        stored: Iterable[str] | None = None,
    ) -> None:
        line = send if isinstance(send, Channel) else None
        super().__init__(number, config, seed, asked, given, line, so_far, stored)
        #: 0 at first; more if earlier attempts were lost.
        self.attempt = attempt
        #: The last step that earlier attempts reported.
        self.reported = reported
        self._directory = directory
        self._send = send
        self._step = 0
        self._metrics = tuple(metrics)
        self._lock = threading.Lock()

    @property
    def step(self) -> int:
        """Where it stands: the step that was reported or restored last; 0 at first."""
        return self._step

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

    @overload
    def report(self, step: int | None = None, **metrics: float) -> None: ...

    @overload
    def report(self, value: float, step: int) -> None: ...

    def report(self, *place: Any, **named: Any) -> None:
        """Report metrics at `step` (by default one more than the last): ``report(accuracy=0.9)``, ``report(3, accuracy=0.9)``.
        Returns once it is stored.

        Raises Stopped if the trial should end here (Paused, which is one, if it may go on later): let it
        pass. As Optuna has it, ``report(value, step)``, of a study with one objective, does not: then it is `should_prune` that
        says so.
        Raises ValueError for what is no number, or no step. Threads may report too, as long as the
        objective runs, but not processes that it forked: both get a TransitionError.
        """
        self._check_process("report for it: hand the metrics over to")
        step, metrics, asks = self._placed(place, named.pop("step", None), named)
        with suppress(Stopped) if asks else nullcontext():
            self._say_only()
        with self._lock:
            step, values = checked_report(step, metrics, self._step)
            self._step = step
            if self._stopped is None:
                self._stopped = self._send(step, finite(values))
        if self._stopped is not None and not asks:
            raise stopped(self._stopped)

    def should_prune(self) -> bool:
        """Whether the trial should end here, after ``report(value, step)``: as in Optuna, raise an error then
        (``optuna.TrialPruned`` counts as stopped, as `Stopped` does)."""
        return self._stopped is not None

    def _placed(
        self, place: tuple[Any, ...], step: int | None, metrics: dict[str, float]
    ) -> tuple[Any, dict[str, float], bool]:
        """Step and metrics of a report, and whether it is one as in Optuna. Raises ValueError."""
        if (
            len(self._metrics) == 1
            and not place
            and step is not None
            and [*metrics] == ["value"]
            and "value" not in self._metrics
        ):
            place, metrics = (metrics["value"],), {}
        if metrics:
            if len(place) > 1 or (place and step is not None):
                raise ValueError(
                    f"report{place}: a step and metrics by name, as in report(3, accuracy=0.9)"
                )
            return (place[0] if place else step), metrics, False
        if len(place) + (step is not None) != 2 or not place:
            return step, metrics, False  # which `checked_report` refuses
        if len(self._metrics) != 1:
            raise ValueError(
                "report(value, step) is for a study with one objective; give the metrics by name, as in report(3, accuracy=0.9)"
            )
        return (step if step is not None else place[1]), {self._metrics[0]: place[0]}, True


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
