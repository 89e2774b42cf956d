"""What an objective holds in its hand while it runs: the config, `report`, folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.errors import Stopped
from tunesmith.core.outcome import finite, number, whole
from tunesmith.core.trial import Reason


class LiveTrial:
    """The running trial, as its objective sees it."""

    def __init__(
        self,
        number: int,
        attempt: int,
        config: dict[str, Any],
        seed: int,
        directory: Callable[[], Path],
        send: Callable[[int, dict[str, float | None]], Reason | None],
    ) -> None:
        #: The trial's number in its study, from 0 on.
        self.number = number
        #: 0 at first; more if earlier attempts were lost.
        self.attempt = attempt
        self.config = config
        #: A 32-bit seed of the trial's own, the same in every attempt.
        self.seed = seed
        self._directory = directory
        self._send = send
        self._step = 0
        self._stopped: Reason | None = None

    @property
    def directory(self) -> Path:
        """A folder of the trial's own, kept over attempts; made when first asked for."""
        path = self._directory()
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def checkpoint_dir(self) -> Path:
        """The folder for checkpoints inside `directory`."""
        path = self.directory / "checkpoint"
        path.mkdir(exist_ok=True)
        return path

    def report(self, step: int | None = None, **metrics: float) -> None:
        """Report metrics at `step` (by default one more than the last). Returns once it is stored.

        Raises Stopped if the trial should end here: let it pass. Raises ValueError for what is no
        number, or no step.
        """
        step, values = checked_report(step, metrics, self._step)
        self._step = step
        if self._stopped is None:
            self._stopped = self._send(step, finite(values))
        if self._stopped is not None:
            raise Stopped(self._stopped.message)


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
            raise ValueError(f"report({name}={value!r}): a metric is a number")
        values[name] = as_number
    if step is None:
        return last_step + 1, values
    as_step = whole(step)
    if as_step is None:
        raise ValueError(f"report(step={step!r}): a step is a whole number (of 64 bits)")
    return as_step, values
