"""What the callbacks of all libraries do: report to the trial that runs, and say whether training is to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tunesmith.core.errors import ConfigError, Stopped, did_you_mean
from tunesmith.run.live import LiveTrial
from tunesmith.run.report import METRICS_VARIABLE, STOP_VARIABLE, report

#: A metric of the library's, several, or ``{theirs: ours}``.
Monitor: TypeAlias = str | Sequence[str] | Mapping[str, str]


class Reporter:
    """Reports what is monitored, at each step that has it.

    Without a trial, to the study that runs this program, which says so by the environment; to nobody where none does.
    """

    def __init__(self, trial: LiveTrial | None, monitor: Monitor) -> None:
        if not monitor:
            raise ConfigError("monitor= names the metric to report, such as 'val_loss'")
        names = [monitor] if isinstance(monitor, str) else monitor
        self._names = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
        self._send = report if trial is None else trial.report
        self._seen: dict[str, None] = {}
        self._reported = False
        #: Whether training is to end: the library is told in its own words, so that its model stays usable.
        self.stop = False
        self._process = os.getpid()
        self._listening = trial is None and self._listen()

    def __call__(self, step: int, metrics: Mapping[str, Any]) -> bool:
        """Report at `step`, if `metrics` has what is monitored; whether training is to end."""
        self._seen |= dict.fromkeys(metrics)
        keys = {ours: _find(theirs, metrics) for theirs, ours in self._names.items()}
        values = {ours: float(metrics[key]) for ours, key in keys.items() if key is not None}
        if len(values) < len(self._names):
            return self.stop
        return self.send(step, values)

    def send(self, step: int, values: Mapping[str, float]) -> bool:
        """Report `values`; whether training is to end."""
        self._reported = True
        try:
            self._send(step, **values)
        except Stopped:  # the trial knows: however it ends now, it was stopped
            self.stop = True
        return self.stop

    def end(self) -> None:
        """Training is over. Raises ConfigError if what is monitored was never there."""
        if self._listening and not self.stop and signal.getsignal(signal.SIGTERM) == self._heard:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not self._reported and self._seen:
            absent = next(name for name in self._names if _find(name, self._seen) is None)
            raise ConfigError(
                f"monitor={absent!r} was not among the metrics of any step{did_you_mean(absent, self._seen)}; there were: "
                f"{', '.join(self._seen)}"
            )

    def _heard(self, number: int, frame: object) -> None:
        if os.getpid() == self._process and Path(os.environ.get(STOP_VARIABLE, "")).is_file():
            self.stop = True
            return
        signal.signal(number, signal.SIG_DFL)  # a process that it forked, or somebody else's wish
        os.kill(os.getpid(), number)

    def _listen(self) -> bool:
        """Let a program that a study runs end its training where a signal would end it, so that its model is left."""
        if (
            METRICS_VARIABLE not in os.environ
            or threading.current_thread() is not threading.main_thread()
        ):
            return False
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # it sees to it itself
            return False
        signal.signal(signal.SIGTERM, self._heard)
        return True


def _find(name: str, metrics: Mapping[str, Any]) -> str | None:
    """The key of a metric by its name, or by its last part: of several data sets the last one's, as early stopping has it."""
    if name in metrics:
        return name
    parts = [key for key in metrics if key.rpartition("-")[2] == name]
    return parts[-1] if parts else None
