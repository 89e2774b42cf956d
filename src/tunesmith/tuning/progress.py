"""A progress line for `tune` in a terminal: how far, the best so far, how long it may still take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.core.ledger import Ledger
from tunesmith.core.quantity import show_number, show_seconds
from tunesmith.core.trial import ENDED, State
from tunesmith.tuning.coordinator import Watcher


class Quiet:
    """Shows nothing but messages that matter."""

    def __init__(self, also: Watcher | None) -> None:
        self.watch = also

    def say(self, message: str) -> None:
        print(message, file=sys.stderr)  # noqa: T201


class Line:
    """One line on stderr, written over and over."""

    def __init__(self, also: Watcher | None) -> None:
        self._also = also
        self._width = 0

    def watch(self, ledger: Ledger, now: float) -> None:
        text = progress_text(ledger, now)
        self._write(f"\r{text.ljust(self._width)}")
        self._width = len(text)
        if self._also is not None:
            self._also(ledger, now)

    def say(self, message: str) -> None:
        self._write(f"\r{' ' * self._width}\r{message}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def finish(self) -> None:
        if self._width:
            self._write("\n")


@contextmanager
def progress_watcher(wanted: bool | None, *, also: Watcher | None) -> Iterator[Quiet | Line]:
    """A line if `wanted` (None: if stderr is a terminal), else silence."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield Quiet(also)
        return
    line = Line(also)
    try:
        yield line
    finally:
        line.finish()


def progress_text(ledger: Ledger, now: float) -> str:
    """``12/40 trials · best loss 0.031 (trial 7) · 1 failed · 41.2 s, about 1 min 20 s left``."""
    limits = ledger.spec.limits
    done = sum(ledger.counts[state] for state in ENDED)
    parts = [
        f"{done}/{limits.trials} trials" if limits.trials else f"{done} trial{'s' * (done != 1)}"
    ]
    if ledger.incumbent is not None:
        values = ledger.values(ledger.incumbent)
        assert values is not None
        metric = ledger.spec.objective.metric
        parts.append(f"best {metric} {show_number(values[0])} (trial {ledger.incumbent})")
    elif len(ledger.spec.objectives) > 1 and ledger.completed:
        members = len(ledger.front())
        parts.append(f"{members} trial{'s' * (members != 1)} that no other beats")
    if ledger.counts[State.FAILED]:
        parts.append(f"{ledger.counts[State.FAILED]} failed")
    elapsed_s = ledger.elapsed_s(now)
    left_s = time_left_s(ledger, now)
    left = "" if left_s is None or left_s < 1.0 else f", about {show_seconds(left_s)} left"
    return " · ".join([*parts, f"{show_seconds(elapsed_s)}{left}"])


def fraction_done(ledger: Ledger, now: float) -> float | None:
    """How much of the nearest limit is used up, 0 to 1; None where only a target ends the study."""
    limits = ledger.spec.limits
    done = sum(ledger.counts[state] for state in ENDED) - ledger.counts[State.CANCELLED]
    shares = [
        used / limit
        for used, limit in (
            (done, limits.trials),
            (ledger.elapsed_s(now), limits.time),
            (ledger.compute_time_s, limits.compute_time),
            (ledger.money, limits.cost),
            (ledger.improvement.trials_since, limits.no_improvement),
            (ledger.best_age_s(now), limits.no_improvement_time),
        )
        if limit
    ]
    return min(1.0, max(shares)) if shares else None


def time_left_s(ledger: Ledger, now: float) -> float | None:
    """How long the study may still take at the pace so far; None before anything is known."""
    fraction = fraction_done(ledger, now)
    if not fraction:
        return None
    return ledger.elapsed_s(now) * (1 - fraction) / fraction
