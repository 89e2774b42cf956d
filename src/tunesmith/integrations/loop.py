"""A training loop of one's own: which epochs are left, what is reported, when it ends. Shared by PyTorch's and JAX's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tunesmith.integrations.reporting import Reporter
from tunesmith.run import report as program
from tunesmith.run.live import LiveTrial


class Loop:
    """``for epoch in loop: ...; loop.report(loss=...)``: epochs from 1 on, or from where an earlier attempt was.

    `taken` gives the state of the training, to be kept before each report, and `given` takes one that was kept. The loop ends after an
    epoch whose report is answered by a stop; what comes after it runs as after any other, so that the model is saved.
    """

    def __init__(
        self,
        trial: LiveTrial | None,
        epochs: int,
        taken: Callable[[], Any],
        given: Callable[[Any], None],
    ) -> None:
        self._trial, self._epochs, self._taken = trial, epochs, taken
        self._save = program.save if trial is None else trial.save
        kept = (program.restore if trial is None else trial.restore)()
        self._epoch = 0
        if kept is not None:
            self._epoch = int(kept["epoch"])
            given(kept["state"])
        self._reporter: Reporter | None = None

    @property
    def stopped(self) -> bool:
        """Whether it ended, or is to end, before its time."""
        return self._reporter is not None and self._reporter.stop

    def __iter__(self) -> Iterator[int]:
        while self._epoch < self._epochs and not self.stopped:
            self._epoch += 1
            yield self._epoch
        if self._reporter is not None:
            self._reporter.end()

    def report(self, **metrics: Any) -> bool:
        """Keep the state and report the epoch's metrics, numbers or arrays of one; whether training is to end."""
        if self._reporter is None:
            self._reporter = Reporter(self._trial, list(metrics))
        self._save({"epoch": self._epoch, "state": self._taken()}, step=self._epoch)
        return self._reporter.send(self._epoch, {n: float(v) for n, v in metrics.items()})
